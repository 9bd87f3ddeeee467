//! Schemas, compiled: JSON Schema and its OpenAPI 2.0, 3.0 and 3.1 dialects in one indexed form.
//!
//! Owns what a schema says. Whether a value follows it is `validation`'s business, making a value that does is
//! `generation`'s. References are indices, so recursion costs nothing here.

mod compile;
mod format;

pub use compile::Dialect;
pub(crate) use compile::{Compiler, resolve_reference};
pub use format::Format;

use crate::json::Value;
use crate::pattern::Pattern;

/// A schema in the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SchemaId(u32);

/// An interned name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name(u32);

/// A set of JSON types. The empty set means that any type will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Types(u8);

impl Types {
    pub(crate) const NULL: Types = Types(1);
    pub(crate) const BOOLEAN: Types = Types(2);
    pub(crate) const INTEGER: Types = Types(4);
    pub(crate) const NUMBER: Types = Types(8 | 4);
    pub(crate) const STRING: Types = Types(16);
    pub(crate) const ARRAY: Types = Types(32);
    pub(crate) const OBJECT: Types = Types(64);
    pub(crate) const ALL: Types = Types(127);

    fn named(name: &str) -> Option<Types> {
        Some(match name {
            "null" => Types::NULL,
            "boolean" | "bool" => Types::BOOLEAN,
            "integer" | "int" => Types::INTEGER,
            "number" => Types::NUMBER,
            "string" | "file" => Types::STRING,
            "array" => Types::ARRAY,
            "object" => Types::OBJECT,
            _ => return None,
        })
    }

    pub(crate) fn with(self, other: Types) -> Types {
        Types(self.0 | other.0)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether there is exactly one type, where a number may be whole.
    pub(crate) fn is_one(self) -> bool {
        self == Types::NUMBER || self.0.is_power_of_two()
    }

    /// Whether every type of `other` is in this set.
    pub(crate) fn has(self, other: Types) -> bool {
        self.0 & other.0 == other.0
    }

    /// The types in both sets, where an empty one stands for all.
    pub(crate) fn both(self, other: Types) -> Types {
        Types(self.0 & other.0)
    }

    pub(crate) fn or_all(self) -> Types {
        if self.is_empty() { Types::ALL } else { self }
    }

    pub(crate) fn accepts(self, value: &Value) -> bool {
        self.is_empty()
            || match value {
                Value::Null => self.has(Types::NULL),
                Value::Bool(_) => self.has(Types::BOOLEAN),
                Value::Int(_) => self.has(Types::INTEGER),
                Value::Float(number) => {
                    self.has(Types::NUMBER) || (number.fract() == 0.0 && self.has(Types::INTEGER))
                }
                Value::String(_) => self.has(Types::STRING),
                Value::Array(_) => self.has(Types::ARRAY),
                Value::Object(_) => self.has(Types::OBJECT),
            }
    }

    /// The names of the types, for messages.
    pub(crate) fn names(self) -> String {
        let all = [
            (Types::OBJECT, "object"),
            (Types::ARRAY, "array"),
            (Types::STRING, "string"),
            (Types::NUMBER, "number"),
            (Types::INTEGER, "integer"),
            (Types::BOOLEAN, "boolean"),
            (Types::NULL, "null"),
        ];
        let mut names: Vec<&str> = all
            .iter()
            .filter(|(types, _)| self.has(*types))
            .map(|(_, name)| *name)
            .collect();
        if self.has(Types::NUMBER) {
            names.retain(|name| *name != "integer");
        }
        names.join(" or ")
    }
}

/// One schema.
#[derive(Debug, Default)]
pub struct Schema {
    pub(crate) types: Types,
    pub(crate) nullable: bool,
    pub(crate) read_only: bool,
    pub(crate) write_only: bool,
    /// The schema `false`.
    pub(crate) never: bool,
    pub(crate) format: Format,
    /// How deep the smallest value is; `u8::MAX` when none ends.
    pub(crate) height: u8,
    pub(crate) line: u32,
    /// The name it has among the document's components.
    pub(crate) name: Option<Name>,
    pub(crate) number: Option<Box<NumberRules>>,
    pub(crate) string: Option<Box<StringRules>>,
    pub(crate) array: Option<Box<ArrayRules>>,
    pub(crate) object: Option<Box<ObjectRules>>,
    pub(crate) logic: Option<Box<Logic>>,
    /// The values of `enum`, or the one of `const`.
    pub(crate) allowed: Option<Vec<Value>>,
    pub(crate) notes: Option<Box<Notes>>,
}

#[derive(Debug, Default)]
pub(crate) struct NumberRules {
    pub(crate) minimum: Option<f64>,
    pub(crate) maximum: Option<f64>,
    pub(crate) exclusive_minimum: Option<f64>,
    pub(crate) exclusive_maximum: Option<f64>,
    pub(crate) multiple_of: Option<f64>,
    /// In 3.1 an exclusive bound is a number, but documents write `true`. It means what it meant in 3.0; validators
    /// that take it for the number 1 are pleased as well by what is generated.
    pub(crate) flagged: bool,
}

#[derive(Debug, Default)]
pub(crate) struct StringRules {
    pub(crate) min_length: Option<usize>,
    pub(crate) max_length: Option<usize>,
    pub(crate) pattern: Option<PatternId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PatternId(u32);

#[derive(Debug, Default)]
pub(crate) struct ArrayRules {
    pub(crate) items: Option<SchemaId>,
    pub(crate) prefix: Vec<SchemaId>,
    pub(crate) contains: Option<SchemaId>,
    pub(crate) min_contains: Option<usize>,
    pub(crate) max_contains: Option<usize>,
    pub(crate) min_items: Option<usize>,
    pub(crate) max_items: Option<usize>,
    pub(crate) unique: bool,
}

#[derive(Debug, Default)]
pub(crate) struct ObjectRules {
    pub(crate) properties: Vec<(Name, SchemaId)>,
    /// The indices of `properties` in the order of their names, when there are many.
    pub(crate) by_name: Vec<u32>,
    pub(crate) required: Vec<Name>,
    pub(crate) patterns: Vec<(PatternId, SchemaId)>,
    pub(crate) additional: Additional,
    /// `unevaluatedProperties`.
    pub(crate) unevaluated: Additional,
    pub(crate) names: Option<SchemaId>,
    pub(crate) min_properties: Option<usize>,
    pub(crate) max_properties: Option<usize>,
    pub(crate) dependent_required: Vec<(Name, Vec<Name>)>,
    pub(crate) dependent_schemas: Vec<(Name, SchemaId)>,
}

impl ObjectRules {
    /// Of two members with one name the later one counts.
    fn set_property(&mut self, name: Name, id: SchemaId) {
        match self.properties.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = id,
            None => self.properties.push((name, id)),
        }
    }
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Additional {
    #[default]
    Allowed,
    Refused,
    Schema(SchemaId),
}

#[derive(Debug, Default)]
pub(crate) struct Logic {
    pub(crate) all_of: Vec<SchemaId>,
    pub(crate) any_of: Vec<SchemaId>,
    pub(crate) one_of: Vec<SchemaId>,
    pub(crate) not: Option<SchemaId>,
    pub(crate) condition: Option<SchemaId>,
    pub(crate) then: Option<SchemaId>,
    pub(crate) otherwise: Option<SchemaId>,
    pub(crate) discriminator: Option<Discriminator>,
}

#[derive(Debug)]
pub(crate) struct Discriminator {
    pub(crate) property: Name,
    pub(crate) mapping: Vec<(Box<str>, SchemaId)>,
}

/// What a schema says besides its rules.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Examples and the default, as JSON text: most are never looked at.
    pub(crate) examples: Vec<Box<str>>,
    pub(crate) default: Option<Box<str>>,
    /// The request header whose value this is (`x-portico-header`).
    pub(crate) header: Option<Box<str>>,
    pub(crate) xml: Xml,
}

#[derive(Debug, Default)]
pub(crate) struct Xml {
    pub(crate) name: Option<Box<str>>,
    pub(crate) namespace: Option<Box<str>>,
    pub(crate) prefix: Option<Box<str>>,
    pub(crate) attribute: bool,
    pub(crate) wrapped: bool,
}

/// All schemas of a document.
#[derive(Debug, Default)]
pub struct Schemas {
    list: Vec<Schema>,
    names: Vec<Box<str>>,
    patterns: Vec<Pattern>,
    /// Whether one of them is the value of a header of the request.
    pub(crate) show_headers: bool,
}

static ANY: Schema = Schema {
    types: Types(0),
    nullable: false,
    read_only: false,
    write_only: false,
    never: false,
    format: Format::None,
    height: 0,
    line: 0,
    name: None,
    number: None,
    string: None,
    array: None,
    object: None,
    logic: None,
    allowed: None,
    notes: None,
};

impl Schemas {
    /// The schema behind an id.
    pub fn get(&self, id: SchemaId) -> &Schema {
        self.list.get(id.0 as usize).unwrap_or(&ANY)
    }

    pub(crate) fn name(&self, name: Name) -> &str {
        self.names.get(name.0 as usize).map_or("", |name| name)
    }

    pub(crate) fn pattern(&self, id: PatternId) -> Option<&Pattern> {
        self.patterns.get(id.0 as usize)
    }

    /// How many schemas there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The schema of the property `name`.
    pub(crate) fn property(&self, rules: &ObjectRules, name: &str) -> Option<SchemaId> {
        if rules.by_name.is_empty() {
            return rules
                .properties
                .iter()
                .find(|(key, _)| self.name(*key) == name)
                .map(|(_, id)| *id);
        }
        let name_at = |index: &u32| {
            rules
                .properties
                .get(*index as usize)
                .map_or("", |(key, _)| self.name(*key))
        };
        let found = rules
            .by_name
            .binary_search_by(|index| name_at(index).cmp(name))
            .ok()?;
        let index = *rules.by_name.get(found)?;
        rules.properties.get(index as usize).map(|(_, id)| *id)
    }

    /// The schemas that a member called `name` has to follow, and whether it may be there at all.
    pub(crate) fn member_rules(&self, rules: &ObjectRules, name: &str) -> (Vec<SchemaId>, bool) {
        let mut ids: Vec<SchemaId> = self.property(rules, name).into_iter().collect();
        for (pattern, id) in &rules.patterns {
            if self
                .pattern(*pattern)
                .is_some_and(|pattern| pattern.is_match(name))
            {
                ids.push(*id);
            }
        }
        if ids.is_empty() {
            match rules.additional {
                Additional::Allowed => {}
                Additional::Refused => return (ids, false),
                Additional::Schema(id) => ids.push(id),
            }
        }
        (ids, true)
    }
}
