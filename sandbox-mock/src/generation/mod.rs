//! Makes values that follow a schema and look like what they stand for.
//!
//! Owns the search: all schemas that must hold in one place are laid together, alternatives are tried one after the
//! other, and what was made is checked with `validation` before it is used. Bounded in depth, size and tries. The
//! same wish and the same random numbers give the same value.

mod array;
mod attempt;
mod choices;
mod number;
mod object;
mod string;
mod words;

pub(crate) use words::date_time;

use crate::json::Value;
use crate::random::Random;
use crate::request::shape;
use crate::schema::{SchemaId, Schemas};
use crate::text::is_id_name;
use crate::validation::Direction;
use crate::validation::schema::{is_valid, violations};
use choices::Flat;

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
        // An id that was sent is shown as the object that it names.
        let named = overlay
            .filter(|_| !partial)
            .and_then(|id| self.named_by(ids, id));
        let partial = partial || named.is_some();
        let overlay = named.as_ref().or(overlay);
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

    /// The beginning of the object that an id names, where the schema wants an object with an id.
    fn named_by(&self, ids: &[SchemaId], id: &Value) -> Option<Value> {
        if !matches!(id, Value::String(_) | Value::Int(_)) {
            return None;
        }
        let members = ids
            .iter()
            .flat_map(|schema| shape::properties(self.schemas, *schema));
        let mut holders = members.filter(|(name, _)| is_id_name(name));
        let (name, _) = holders.find(|(_, schema)| self.follows(&[*schema], id))?;
        Some(Value::Object(vec![(name, id.clone())]))
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
