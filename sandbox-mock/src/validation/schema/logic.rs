//! Schemas that are made of others: alternatives, discriminators, conditions, and what they leave unevaluated.

use super::{Check, Step, type_of};
use crate::json::Value;
use crate::schema::{Additional, Discriminator, Logic, ObjectRules, Schema, SchemaId, Types};
use crate::validation::Direction;

impl<'s, 'v> Check<'s, 'v> {
    pub(super) fn logic(&mut self, logic: &'s Logic, value: &'v Value) {
        for id in &logic.all_of {
            self.value(*id, value);
        }
        if !logic.any_of.is_empty() {
            if logic.any_of.iter().any(|id| self.holds(*id, value)) {
                self.discriminated(&logic.any_of, logic, value);
            } else {
                self.branch_violations("anyOf", &logic.any_of, logic, value);
            }
        }
        if !logic.one_of.is_empty() {
            let fitting = logic.one_of.iter().copied();
            let fitting: Vec<SchemaId> = fitting.filter(|id| self.holds(*id, value)).collect();
            match fitting.len() {
                1 => self.discriminated(&logic.one_of, logic, value),
                0 => self.branch_violations("oneOf", &logic.one_of, logic, value),
                _ if self.is_told_apart(&fitting, logic, value) => {
                    self.discriminated(&logic.one_of, logic, value);
                }
                count => self.report("oneOf", || {
                    format!("must fit one of the alternatives, but fits {count}")
                }),
            }
        }
        if logic.not.is_some_and(|id| self.holds(id, value)) {
            self.report("not", || "is of the kind that is excluded here".to_owned());
        }
        if let Some(condition) = logic.condition {
            let next = if self.holds(condition, value) {
                logic.then
            } else {
                logic.otherwise
            };
            if let Some(id) = next {
                self.value(id, value);
            }
        }
    }

    /// Whether a request that fits several alternatives still means one, as the API itself will read it: the one that
    /// a discriminator names, its own or that of a schema which the alternatives extend. And an alternative that asks
    /// for nothing would take part in every count: with it, no request could ever mean another.
    fn is_told_apart(&self, fitting: &[SchemaId], logic: &Logic, value: &Value) -> bool {
        if self.direction != Direction::Request {
            return false;
        }
        let named = logic.discriminator.as_ref().and_then(|discriminator| {
            let property = self.schemas.name(discriminator.property);
            let chosen = value.get(property)?.as_str()?;
            self.named_branch(fitting, discriminator, chosen)
        });
        let meant = fitting
            .iter()
            .filter(|id| self.is_named_by_parent(**id, **id, value, 0));
        named.is_some() || meant.count() == 1 || fitting.iter().any(|id| !self.demands(*id, 0))
    }

    /// Whether the discriminator of a schema that `branch` extends names `branch`.
    fn is_named_by_parent(
        &self,
        branch: SchemaId,
        id: SchemaId,
        value: &Value,
        depth: usize,
    ) -> bool {
        let Some(logic) = self.schemas.get(id).logic.as_ref().filter(|_| depth < 8) else {
            return false;
        };
        let named = logic.discriminator.as_ref().and_then(|discriminator| {
            let property = self.schemas.name(discriminator.property);
            let chosen = value.get(property)?.as_str()?;
            self.named_branch(&[branch], discriminator, chosen)
        });
        named.is_some()
            || logic
                .all_of
                .iter()
                .any(|id| self.is_named_by_parent(branch, *id, value, depth + 1))
    }

    /// Whether a schema asks of an object more than that its members, should there be any, are of their kinds.
    fn demands(&self, id: SchemaId, depth: usize) -> bool {
        let schema = self.schemas.get(id);
        let rules = schema.object.as_ref().is_some_and(|rules| {
            !rules.required.is_empty()
                || rules.additional != Additional::Allowed
                || rules.unevaluated != Additional::Allowed
                || rules.min_properties.is_some()
        });
        let parts = schema.logic.as_ref().is_some_and(|logic| {
            !logic.any_of.is_empty()
                || !logic.one_of.is_empty()
                || logic.not.is_some()
                || depth > 8
                || logic.all_of.iter().any(|id| self.demands(*id, depth + 1))
        });
        let is_object = schema.types.or_all().has(Types::OBJECT);
        rules || parts || schema.allowed.is_some() || !is_object
    }

    /// A request has to fit the alternative that its discriminator names, as the API itself will read it.
    fn discriminated(&mut self, ids: &[SchemaId], logic: &'s Logic, value: &'v Value) {
        let Some(discriminator) = &logic.discriminator else {
            return;
        };
        let property = self.schemas.name(discriminator.property);
        let Some(chosen) = value.get(property).and_then(Value::as_str) else {
            return;
        };
        if self.direction != Direction::Request {
            return;
        }
        match self.named_branch(ids, discriminator, chosen) {
            Some(id) => self.value(id, value),
            // Only a mapping that lists every alternative says which words there are.
            None if ids
                .iter()
                .all(|id| discriminator.mapping.iter().any(|(_, known)| known == id)) =>
            {
                self.report("discriminator", || {
                    let words: Vec<&str> = discriminator
                        .mapping
                        .iter()
                        .map(|(word, _)| word.as_ref())
                        .collect();
                    format!("{property} must be one of {}", words.join(", "))
                });
            }
            None => {}
        }
    }

    fn named_branch(
        &self,
        ids: &[SchemaId],
        discriminator: &Discriminator,
        chosen: &str,
    ) -> Option<SchemaId> {
        let mapped = discriminator.mapping.iter();
        let mapped = mapped
            .filter(|(word, _)| **word == *chosen)
            .map(|(_, id)| *id);
        let named = ids.iter().copied().filter(|id| {
            let name = self.schemas.get(*id).name;
            name.is_some_and(|name| self.schemas.name(name) == chosen)
        });
        mapped.chain(named).find(|id| ids.contains(id))
    }

    /// Says what is wrong with the alternative that was meant, when that can be told.
    fn branch_violations(
        &mut self,
        rule: &'static str,
        ids: &[SchemaId],
        logic: &'s Logic,
        value: &'v Value,
    ) {
        if self.limit == 1 {
            self.report(rule, String::new);
            return;
        }
        let named = logic.discriminator.as_ref().and_then(|discriminator| {
            let chosen = value
                .get(self.schemas.name(discriminator.property))?
                .as_str()?;
            self.named_branch(ids, discriminator, chosen)
        });
        let fitting = |id: &&SchemaId| {
            let schema = self.schemas.get(**id);
            schema.types.or_all().both(type_of(value)) == type_of(value)
        };
        let meant =
            named.or_else(
                || match ids.iter().filter(fitting).collect::<Vec<_>>().as_slice() {
                    [only] => Some(**only),
                    _ => None,
                },
            );
        let before = self.found.len();
        if let Some(id) = meant {
            self.value(id, value);
        }
        if self.found.len() == before {
            self.report(rule, || {
                format!("fits none of the {} alternatives", ids.len())
            });
        }
    }

    pub(super) fn unevaluated(
        &mut self,
        schema: &'s Schema,
        rules: &ObjectRules,
        value: &'v Value,
        members: &'v [(String, Value)],
    ) {
        for (name, member) in members {
            if self.evaluates(schema, value, name, 0) {
                continue;
            }
            match rules.unevaluated {
                Additional::Schema(id) => {
                    self.path.push(Step::Member(name));
                    self.value(id, member);
                    self.path.pop();
                }
                _ => self.report("unevaluatedProperties", || {
                    format!("must not have a member called {name}")
                }),
            }
        }
    }

    /// Whether the schema or one that holds in its place says something about the member `name`.
    fn evaluates(&self, schema: &Schema, value: &'v Value, name: &str, depth: usize) -> bool {
        if depth > 20 {
            return true;
        }
        if let Some(rules) = &schema.object {
            let named = self.schemas.property(rules, name).is_some()
                || rules.patterns.iter().any(|(pattern, _)| {
                    self.schemas
                        .pattern(*pattern)
                        .is_some_and(|pattern| pattern.is_match(name))
                })
                || matches!(rules.additional, Additional::Schema(_));
            if named {
                return true;
            }
        }
        let Some(logic) = &schema.logic else {
            return false;
        };
        let parts = logic
            .all_of
            .iter()
            .chain(&logic.any_of)
            .chain(&logic.one_of);
        parts
            .chain(&logic.condition)
            .chain(&logic.then)
            .chain(&logic.otherwise)
            .any(|id| {
                self.evaluates(self.schemas.get(*id), value, name, depth + 1)
                    && self.holds(*id, value)
            })
    }
}
