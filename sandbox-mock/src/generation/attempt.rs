//! Building one value for schemas without alternatives: of which type it is, and whether it holds.

use super::choices::Flat;
use super::{Generator, Place, words};
use crate::json::Value;
use crate::request::shape;
use crate::schema::{SchemaId, Types};
use crate::validation::schema::{is_valid, violations};

impl Generator<'_> {
    /// Builds a value for a flat set; when it has to be checked as a whole, up to three times.
    pub(super) fn attempt(
        &mut self,
        flat: &Flat,
        ids: &[SchemaId],
        place: &Place<'_>,
        overlay: Option<&Value>,
        tries: &mut u32,
    ) -> Option<Value> {
        if !flat.checked {
            return self.build(flat, place, overlay);
        }
        let (lean, variant) = (self.lean, self.variant);
        for (round, overlay) in [(0, overlay), (1, overlay), (2, None), (3, None)] {
            if *tries == 0 || self.patience == 0 {
                break;
            }
            *tries -= 1;
            self.patience -= 1;
            self.lean = lean || round % 2 == 1;
            self.variant = variant + round;
            let made = self.build(flat, place, overlay);
            (self.lean, self.variant) = (lean, variant);
            match made {
                Some(value) if self.follows(ids, &value) => return Some(value),
                Some(value) => {
                    if let Some(value) = self.told_apart(flat, ids, &value) {
                        return Some(value);
                    }
                    let schemas = self.schemas;
                    let direction = self.wish.direction;
                    self.fail(|| {
                        let broken = ids
                            .iter()
                            .flat_map(|id| violations(schemas, *id, &value, direction, 2));
                        broken
                            .map(|broken| format!("{} {}", broken.pointer, broken.message))
                            .collect::<Vec<_>>()
                            .join("; ")
                    });
                }
                None if round == 1 => break,
                None => {}
            }
        }
        None
    }

    /// The value with members by which it is none of the alternatives that were not chosen. Where these ask for
    /// nothing, a member of theirs that is null, or of another wrong kind, is all that tells them apart.
    fn told_apart(&self, flat: &Flat, ids: &[SchemaId], value: &Value) -> Option<Value> {
        value.as_object()?;
        let holds =
            |id: SchemaId, value: &Value| is_valid(self.schemas, id, value, self.wish.direction);
        let rules = flat.rules(self.schemas, |schema| schema.object.as_ref());
        let own = |name: &str| {
            let mut rules = rules.iter();
            rules.any(|rules| self.schemas.property(rules, name).is_some())
        };
        let mut value = value.clone();
        for rival in &flat.rivals {
            for (name, schema) in shape::properties(self.schemas, *rival) {
                if !holds(*rival, &value) {
                    break;
                }
                let wrong = [Value::Null, Value::Bool(false), Value::Int(0)];
                let wrong = wrong.into_iter().find(|wrong| !holds(schema, wrong));
                if let Some(wrong) = wrong.filter(|_| !own(&name)) {
                    value.set(&name, wrong);
                }
            }
        }
        self.follows(ids, &value).then_some(value)
    }

    /// Builds a value for schemas without alternatives.
    fn build(&mut self, flat: &Flat, place: &Place<'_>, overlay: Option<&Value>) -> Option<Value> {
        if flat.never {
            return self.fail(|| format!("nothing is allowed in {}", place.name));
        }
        let schemas = self.schemas;
        let mut types = Types::ALL;
        for schema in flat.ids.iter().map(|id| schemas.get(*id)) {
            if schema.allowed.is_some() {
                return self.allowed(flat, place);
            }
            types = types.both(schema.types.or_all());
        }
        if types.is_one() {
            return self.of_type(types, types, flat, place, overlay);
        }
        let limits: Vec<_> = flat.ids.iter().map(|id| schemas.get(*id)).collect();
        if types.is_empty() {
            return self.fail(|| {
                format!(
                    "line {}: {} would have to be of two types at once",
                    limits.first().map_or(0, |schema| schema.line),
                    place.name
                )
            });
        }
        let mut order = Vec::new();
        let mut prefer = |wanted: Types, holds: bool| {
            if holds && !types.both(wanted).is_empty() && !order.contains(&wanted) {
                order.push(wanted);
            }
        };
        if let Some(value) = overlay {
            prefer(Types::OBJECT, value.as_object().is_some());
            prefer(Types::ARRAY, value.as_array().is_some());
        }
        prefer(
            Types::OBJECT,
            limits.iter().any(|schema| schema.object.is_some()),
        );
        prefer(
            Types::ARRAY,
            limits.iter().any(|schema| schema.array.is_some()),
        );
        prefer(
            Types::STRING,
            limits.iter().any(|schema| schema.string.is_some()),
        );
        prefer(
            Types::NUMBER,
            limits.iter().any(|schema| schema.number.is_some()),
        );
        // Without a word about the type: an object at the top, a text elsewhere.
        prefer(Types::OBJECT, types == Types::ALL && place.depth == 0);
        prefer(Types::STRING, types == Types::ALL);
        for wanted in [
            Types::OBJECT,
            Types::ARRAY,
            Types::STRING,
            Types::NUMBER,
            Types::BOOLEAN,
            Types::NULL,
        ] {
            prefer(wanted, true);
        }
        order
            .into_iter()
            .find_map(|wanted| self.of_type(wanted, types, flat, place, overlay))
    }

    /// Builds a value of one type, where those of `types` are allowed.
    fn of_type(
        &mut self,
        wanted: Types,
        types: Types,
        flat: &Flat,
        place: &Place<'_>,
        overlay: Option<&Value>,
    ) -> Option<Value> {
        match wanted {
            Types::OBJECT => self.object(flat, place, overlay),
            Types::ARRAY => self.array(flat, place, overlay),
            Types::STRING => self.string(flat, place).map(Value::String),
            Types::NUMBER | Types::INTEGER => self.number(flat, place, types.has(Types::NUMBER)),
            Types::BOOLEAN => Some(Value::Bool(self.truth(place))),
            _ => Some(Value::Null),
        }
    }

    fn allowed(&mut self, flat: &Flat, place: &Place<'_>) -> Option<Value> {
        let schemas = self.schemas;
        let declared: Vec<_> = flat
            .ids
            .iter()
            .filter_map(|id| schemas.get(*id).allowed.as_ref())
            .collect();
        let said = self.said(place);
        let fitting: Vec<&Value> = declared
            .first()
            .map(|values| {
                values
                    .iter()
                    .filter(|value| self.follows_rules(flat, value))
                    .collect()
            })
            .unwrap_or_default();
        let named = flat
            .discriminators
            .iter()
            .map(|(_, key)| Value::from(key.as_str()));
        let wanted = said
            .into_iter()
            .chain(named)
            .find(|wanted| fitting.iter().any(|value| value.same(wanted)));
        if let Some(value) = wanted {
            return Some(value);
        }
        let full: Vec<&&Value> = fitting
            .iter()
            .filter(|value| !matches!(value, Value::Null) && value.as_str() != Some(""))
            .collect();
        let chosen = if full.is_empty() {
            fitting.first().copied()
        } else {
            // The first value is the usual state of a thing; lists and dynamic answers show the others too.
            let index = if self.wish.varied || place.in_list {
                self.random.below(full.len() as u64)
            } else {
                u64::from(self.variant) % full.len() as u64
            };
            full.get(usize::try_from(index).unwrap_or(0))
                .map(|value| **value)
        };
        match chosen {
            Some(value) => Some(value.clone()),
            None => self.fail(|| {
                format!(
                    "line {}: no value of enum in {} follows the other rules",
                    flat.ids.first().map_or(0, |id| schemas.get(*id).line),
                    place.name
                )
            }),
        }
    }

    /// Whether a value follows every schema of the set. Alternatives are left to the check of the whole.
    pub(super) fn follows_rules(&self, flat: &Flat, value: &Value) -> bool {
        flat.ids.iter().all(|id| {
            let schema = self.schemas.get(*id);
            if schema
                .logic
                .as_ref()
                .is_some_and(|logic| !logic.one_of.is_empty() || !logic.any_of.is_empty())
            {
                return schema.types.accepts(value) || schema.nullable && *value == Value::Null;
            }
            is_valid(self.schemas, *id, value, self.wish.direction)
        })
    }

    pub(super) fn said(&self, place: &Place<'_>) -> Option<Value> {
        if self.wish.said.is_empty() {
            return None;
        }
        let name = crate::text::plain_name(place.name);
        self.wish
            .said
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.clone())
    }

    fn truth(&mut self, place: &Place<'_>) -> bool {
        if let Some(Value::Bool(truth)) = self.said(place) {
            return truth;
        }
        if self.variant > 0 {
            return self.variant.is_multiple_of(2);
        }
        words::truth(place.name)
    }
}
