//! Laying together all schemas that hold in one place, and choosing among their alternatives.

use super::{Generator, Place};
use crate::json::Value;
use crate::schema::{Format, Name, Schema, SchemaId, Schemas, Types};
use std::collections::VecDeque;

/// All schemas that hold in one place, and the alternatives that are still to be chosen.
#[derive(Clone)]
pub(super) struct Flat {
    pub(super) ids: Vec<SchemaId>,
    pub(super) choices: VecDeque<Choice>,
    /// Whether what is made has to be checked as a whole.
    pub(super) checked: bool,
    pub(super) never: bool,
    /// What a discriminator property must say.
    pub(super) discriminators: Vec<(Name, String)>,
    /// Alternatives that were not chosen and must not hold as well.
    pub(super) rivals: Vec<SchemaId>,
}

#[derive(Clone)]
pub(super) struct Choice {
    pub(super) branches: Vec<Vec<SchemaId>>,
    pub(super) discriminator: Option<SchemaId>,
    /// Whether only one alternative may hold.
    pub(super) is_exclusive: bool,
}

impl Flat {
    /// The rules of one kind, of every schema that has some.
    pub(super) fn rules<'s, R>(
        &self,
        schemas: &'s Schemas,
        of: impl Fn(&'s Schema) -> Option<&'s R>,
    ) -> Vec<&'s R> {
        let of = |id: &SchemaId| of(schemas.get(*id));
        self.ids.iter().filter_map(of).collect()
    }

    /// The first format that one of the schemas names.
    pub(super) fn format(&self, schemas: &Schemas) -> Format {
        let formats = self.ids.iter().map(|id| schemas.get(*id).format);
        let mut named = formats.filter(|format| *format != Format::None);
        named.next().unwrap_or_default()
    }
}

/// How few entries, members or characters all of the rules allow, and how many.
pub(super) fn bounds<R>(
    rules: &[&R],
    min: impl Fn(&R) -> Option<usize>,
    max: impl Fn(&R) -> Option<usize>,
) -> (usize, Option<usize>) {
    let least = rules.iter().filter_map(|rules| min(rules)).max();
    let most = rules.iter().filter_map(|rules| max(rules)).min();
    (least.unwrap_or(0), most)
}

impl Generator<'_> {
    /// Lays together everything that `ids` ask for.
    pub(super) fn flatten(&mut self, ids: &[SchemaId]) -> Flat {
        let mut flat = Flat {
            ids: Vec::new(),
            choices: VecDeque::new(),
            checked: false,
            never: false,
            discriminators: Vec::new(),
            rivals: Vec::new(),
        };
        self.add(&mut flat, ids);
        flat
    }

    fn add(&mut self, flat: &mut Flat, ids: &[SchemaId]) {
        // Most schemas are made of nothing but themselves.
        if let [id] = ids
            && flat.ids.is_empty()
        {
            let schema = self.schemas.get(*id);
            let is_plain = schema.object.as_ref().is_none_or(|rules| {
                rules.dependent_schemas.is_empty()
                    && rules.unevaluated == crate::schema::Additional::Allowed
            });
            if schema.logic.is_none() && is_plain {
                flat.ids.push(*id);
                flat.never = schema.never;
                return;
            }
        }
        let mut pending: Vec<SchemaId> = ids.iter().rev().copied().collect();
        while let Some(id) = pending.pop() {
            if flat.ids.contains(&id) {
                continue;
            }
            flat.ids.push(id);
            let schema = self.schemas.get(id);
            flat.never |= schema.never;
            if let Some(rules) = &schema.object {
                flat.checked |= !rules.dependent_schemas.is_empty()
                    || rules.unevaluated != crate::schema::Additional::Allowed;
            }
            let Some(logic) = &schema.logic else { continue };
            pending.extend(logic.all_of.iter().rev());
            flat.checked |= logic.not.is_some();
            for (branches, is_exclusive) in [(&logic.any_of, false), (&logic.one_of, true)] {
                if !branches.is_empty() {
                    flat.checked = true;
                    flat.choices.push_back(Choice {
                        branches: branches.iter().map(|id| vec![*id]).collect(),
                        discriminator: logic.discriminator.is_some().then_some(id),
                        is_exclusive,
                    });
                }
            }
            if let Some(condition) = logic.condition {
                flat.checked = true;
                let yes = [Some(condition), logic.then]
                    .into_iter()
                    .flatten()
                    .collect();
                let no = logic.otherwise.into_iter().collect();
                flat.choices.push_back(Choice {
                    branches: vec![yes, no],
                    discriminator: None,
                    is_exclusive: false,
                });
            }
            if let Some(discriminator) = &logic.discriminator
                && logic.one_of.is_empty()
                && logic.any_of.is_empty()
            {
                let key = ids
                    .iter()
                    .chain(&flat.ids)
                    .find_map(|id| self.discriminator_value(&discriminator.mapping, *id));
                flat.discriminators
                    .extend(key.map(|key| (discriminator.property, key)));
            }
        }
    }

    /// The word by which a discriminator names a schema.
    fn discriminator_value(
        &self,
        mapping: &[(Box<str>, SchemaId)],
        id: SchemaId,
    ) -> Option<String> {
        let mapped = mapping
            .iter()
            .find(|(_, target)| *target == id)
            .map(|(key, _)| key.to_string());
        mapped.or_else(|| {
            self.schemas
                .get(id)
                .name
                .map(|name| self.schemas.name(name).to_owned())
        })
    }

    /// Chooses among alternatives until what is made holds.
    pub(super) fn solve(
        &mut self,
        mut flat: Flat,
        ids: &[SchemaId],
        place: &Place<'_>,
        overlay: Option<&Value>,
        tries: &mut u32,
    ) -> Option<Value> {
        let Some(choice) = flat.choices.pop_front() else {
            return self.attempt(&flat, ids, place, overlay, tries);
        };
        for branch in self.branch_order(&flat, &choice, place, overlay) {
            if *tries == 0 {
                break;
            }
            let Some(added) = choice.branches.get(branch) else {
                continue;
            };
            let mut next = flat.clone();
            self.add(&mut next, added);
            let others = choice.branches.iter().filter(|_| choice.is_exclusive);
            next.rivals
                .extend(others.flatten().filter(|id| !added.contains(id)));
            if let Some(discriminator) = choice
                .discriminator
                .and_then(|id| self.schemas.get(id).logic.as_ref()?.discriminator.as_ref())
            {
                let key = added
                    .iter()
                    .find_map(|id| self.discriminator_value(&discriminator.mapping, *id));
                next.discriminators
                    .extend(key.map(|key| (discriminator.property, key)));
            }
            if let Some(value) = self.solve(next, ids, place, overlay, tries) {
                return Some(value);
            }
        }
        self.fail(|| "none of its alternatives can be met alone".to_owned())
    }

    fn branch_order(
        &mut self,
        flat: &Flat,
        choice: &Choice,
        place: &Place<'_>,
        overlay: Option<&Value>,
    ) -> Vec<usize> {
        let schemas = self.schemas;
        let tight = self.lean || place.allowance == 0 || place.depth > 8;
        let start = if self.wish.varied {
            usize::try_from(self.random.below(choice.branches.len() as u64)).unwrap_or(0)
        } else {
            0
        };
        let count = choice.branches.len();
        let mut order: Vec<(u32, usize)> = (0..count)
            .map(|step| (start + step) % count)
            .map(|index| {
                let branch = choice.branches.get(index).map_or(&[][..], Vec::as_slice);
                let is_null = branch.iter().any(|id| {
                    let schema = schemas.get(*id);
                    schema.types == Types::NULL
                        || schema.allowed.as_ref().is_some_and(|allowed| {
                            allowed.iter().all(|value| *value == Value::Null)
                        })
                });
                let recursive = branch.iter().any(|id| self.is_open(*id));
                let height = branch
                    .iter()
                    .map(|id| u32::from(schemas.get(*id).height))
                    .max()
                    .unwrap_or(0);
                let wanted = overlay.is_some_and(|value| self.follows(branch, value));
                let cost = u32::from(!wanted) * 4_000
                    + u32::from(height == u32::from(u8::MAX)) * 2_000
                    + u32::from(recursive) * 1_000
                    + u32::from(is_null && !tight) * 500
                    + if tight { height } else { 0 };
                (cost, index)
            })
            .collect();
        order.sort_by_key(|(cost, _)| *cost);
        let _ = flat;
        order.into_iter().map(|(_, index)| index).collect()
    }

    pub(super) fn is_open(&self, id: SchemaId) -> bool {
        let schema = self.schemas.get(id);
        let parts = schema.logic.iter().flat_map(|logic| {
            logic
                .all_of
                .iter()
                .chain(&logic.any_of)
                .chain(&logic.one_of)
        });
        let items = schema.array.iter().filter_map(|rules| rules.items);
        self.open.contains(&id)
            || parts
                .copied()
                .chain(items)
                .any(|id| self.open.contains(&id))
    }
}
