//! Makes values that follow a schema and look like what they stand for.
//!
//! Owns the search: all schemas that must hold in one place are laid together, alternatives are tried one after the
//! other, and what was made is checked with `validation` before it is used. Bounded in depth, size and tries. The
//! same wish and the same random numbers give the same value.

mod array;
mod number;
mod object;
mod string;
mod words;

pub(crate) use words::date_time;

use crate::json::Value;
use crate::random::Random;
use crate::schema::{Name, SchemaId, Schemas, Types};
use crate::validation::Direction;
use crate::validation::schema::{is_valid, violations};
use std::collections::VecDeque;

/// What a value should be like, beyond following its schema.
#[derive(Debug, Clone)]
pub struct Wish<'w> {
    /// Which way it goes.
    pub direction: Direction,
    /// Whether to use the examples and defaults that schemas declare.
    pub examples: bool,
    /// Whether to vary the alternatives that are chosen.
    pub varied: bool,
    /// Names and values of path parameters, to be found again in the value.
    pub echo: Vec<(String, String)>,
    /// The value of the last path parameter when it names the thing itself.
    pub item: Option<String>,
    /// Members to take over where the schema allows it.
    pub overlay: Option<&'w Value>,
    /// What to say in members of certain names, such as the message of an error.
    pub said: &'w [(&'static str, Value)],
    /// Whether that is said even where the schema has an example.
    pub insists: bool,
    /// The headers of the request.
    pub headers: &'w [(String, String)],
    /// What is answered, for names such as `name`: the singular of the collection.
    pub resource: String,
}

impl Default for Wish<'_> {
    fn default() -> Self {
        Wish {
            direction: Direction::Response,
            examples: true,
            varied: false,
            echo: Vec::new(),
            item: None,
            overlay: None,
            said: &[],
            insists: false,
            headers: &[],
            resource: String::new(),
        }
    }
}

/// What was made.
#[derive(Debug, Clone)]
pub struct Made {
    /// The value; it follows the schema.
    pub value: Value,
    /// Whether it is, as a whole, an example of the schema.
    pub is_example: bool,
}

/// No value was found, and why the best try was not one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsatisfiable(pub String);

/// Makes a value that follows the schema `id`.
pub fn generate(
    schemas: &Schemas,
    id: SchemaId,
    wish: &Wish<'_>,
    random: Random,
) -> Result<Made, Unsatisfiable> {
    let mut proof = String::new();
    for (lean, examples) in [(false, wish.examples), (false, false), (true, false)] {
        let mut generator = Generator::new(schemas, wish, random.clone());
        generator.lean = lean;
        generator.examples = examples;
        let made = generator.place(&[id], &Place::root(&wish.resource), wish.overlay, true);
        match made {
            Some(value) => {
                let broken = violations(schemas, id, &value, wish.direction, 3);
                if broken.is_empty() {
                    return Ok(Made {
                        value,
                        is_example: generator.used_example,
                    });
                }
                proof = broken
                    .iter()
                    .map(|broken| format!("{}: {}", broken.pointer, broken.message))
                    .collect::<Vec<_>>()
                    .join("; ");
            }
            None => proof = generator.failure.clone(),
        }
    }
    Err(Unsatisfiable(format!(
        "line {}: {proof}",
        schemas.get(id).line
    )))
}

/// Where a value is made.
#[derive(Debug, Clone)]
struct Place<'p> {
    /// The name of the member, or of the collection for entries.
    name: &'p str,
    /// What the object around it is.
    parent: &'p str,
    depth: usize,
    /// The number of the entry that it is or is part of.
    index: usize,
    in_list: bool,
    /// How many optional objects and arrays may still be made below.
    allowance: usize,
}

impl<'p> Place<'p> {
    fn root(resource: &'p str) -> Place<'p> {
        Place {
            name: resource,
            parent: "",
            depth: 0,
            index: 0,
            in_list: false,
            allowance: 240,
        }
    }
}

struct Generator<'g> {
    schemas: &'g Schemas,
    wish: &'g Wish<'g>,
    random: Random,
    examples: bool,
    /// Only what is required.
    lean: bool,
    /// Counts the tries at one place, so that a second one differs.
    variant: u32,
    /// Object schemas that are being made, against endless recursion.
    open: Vec<SchemaId>,
    /// Values that may still be made in total.
    budget: usize,
    /// Tries that may still be made in total: those of nested alternatives multiply.
    patience: u32,
    base_time: i64,
    used_example: bool,
    failure: String,
}

/// All schemas that hold in one place, and the alternatives that are still to be chosen.
#[derive(Clone)]
struct Flat {
    ids: Vec<SchemaId>,
    choices: VecDeque<Choice>,
    /// Whether what is made has to be checked as a whole.
    checked: bool,
    never: bool,
    /// What a discriminator property must say.
    discriminators: Vec<(Name, String)>,
}

#[derive(Clone)]
struct Choice {
    branches: Vec<Vec<SchemaId>>,
    discriminator: Option<SchemaId>,
}

const MAX_DEPTH: usize = 60;
const TRIES: u32 = 48;
const MOST_TRIES: u32 = 500;

impl<'g> Generator<'g> {
    fn new(schemas: &'g Schemas, wish: &'g Wish<'g>, mut random: Random) -> Self {
        // Some day of the first half of 2025, in daylight.
        let day = i64::try_from(random.below(150)).unwrap_or(0);
        let second = i64::try_from(random.below(36_000)).unwrap_or(0);
        Generator {
            schemas,
            wish,
            base_time: 1_735_718_400 + day * 86_400 + second,
            random,
            examples: true,
            lean: false,
            variant: 0,
            open: Vec::new(),
            budget: 30_000,
            patience: MOST_TRIES,
            used_example: false,
            failure: String::new(),
        }
    }

    fn fail(&mut self, reason: impl FnOnce() -> String) -> Option<Value> {
        if self.failure.is_empty() {
            self.failure = reason();
        }
        None
    }

    fn follows(&self, ids: &[SchemaId], value: &Value) -> bool {
        ids.iter()
            .all(|id| is_valid(self.schemas, *id, value, self.wish.direction))
    }

    /// Makes a value that follows all of `ids`. A partial overlay is filled up, a whole one is taken if it is valid.
    fn place(
        &mut self,
        ids: &[SchemaId],
        place: &Place<'_>,
        overlay: Option<&Value>,
        partial: bool,
    ) -> Option<Value> {
        if self.budget == 0 || place.depth > MAX_DEPTH {
            return self.fail(|| "its smallest value is too deep".to_owned());
        }
        self.budget -= 1;
        if let Some(value) = overlay.filter(|_| !partial)
            && self.follows(ids, value)
        {
            return Some(value.clone());
        }
        let flat = self.flatten(ids);
        if (overlay.is_none() || partial)
            && let Some(value) = self.declared(&flat, ids, place)
        {
            // A partial overlay wins over an example, member by member.
            return match overlay {
                None => Some(value),
                Some(_) => self.solve(
                    flat,
                    ids,
                    place,
                    Some(&merged(value, overlay)),
                    &mut TRIES.clone(),
                ),
            };
        }
        self.solve(flat, ids, place, overlay, &mut TRIES.clone())
    }

    /// A value that the schema itself offers: a request header's, or an example.
    fn declared(&mut self, flat: &Flat, ids: &[SchemaId], place: &Place<'_>) -> Option<Value> {
        let schemas = self.schemas;
        for notes in flat
            .ids
            .iter()
            .filter_map(|id| schemas.get(*id).notes.as_ref())
        {
            if let Some(name) = &notes.header {
                let header = self
                    .wish
                    .headers
                    .iter()
                    .find(|(known, _)| known.eq_ignore_ascii_case(name));
                let value = header.map(|(_, value)| Value::from(value.as_str()));
                if let Some(value) = value.filter(|value| self.follows(ids, value)) {
                    return Some(value);
                }
            }
            if !self.examples || (place.in_list && place.index > 0) {
                continue;
            }
            for text in &notes.examples {
                let Ok(value) = crate::json::read(text.as_bytes()) else {
                    continue;
                };
                let plain = !matches!(value, Value::Null) && !is_empty(&value);
                if plain && self.follows(ids, &value) {
                    self.used_example |= place.depth == 0;
                    return Some(if place.depth <= 1 {
                        self.echoed(value, place)
                    } else {
                        value
                    });
                }
            }
        }
        None
    }

    /// Lays together everything that `ids` ask for.
    fn flatten(&mut self, ids: &[SchemaId]) -> Flat {
        let mut flat = Flat {
            ids: Vec::new(),
            choices: VecDeque::new(),
            checked: false,
            never: false,
            discriminators: Vec::new(),
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
            for branches in [&logic.any_of, &logic.one_of] {
                if !branches.is_empty() {
                    flat.checked = true;
                    flat.choices.push_back(Choice {
                        branches: branches.iter().map(|id| vec![*id]).collect(),
                        discriminator: logic.discriminator.is_some().then_some(id),
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
    fn solve(
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

    fn is_open(&self, id: SchemaId) -> bool {
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

    /// Builds a value for a flat set; when it has to be checked as a whole, up to three times.
    fn attempt(
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
    fn follows_rules(&self, flat: &Flat, value: &Value) -> bool {
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

    fn said(&self, place: &Place<'_>) -> Option<Value> {
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

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(<[_]>::is_empty) || value.as_array().is_some_and(<[_]>::is_empty)
}

fn merged(mut value: Value, overlay: Option<&Value>) -> Value {
    for (name, member) in overlay.and_then(Value::as_object).unwrap_or_default() {
        value.set(name, member.clone());
    }
    value
}
