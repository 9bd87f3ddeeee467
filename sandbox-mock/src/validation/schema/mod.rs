//! Checks a value against a schema.

mod logic;

use super::{Direction, Violation};
use crate::json::Value;
use crate::schema::{
    Additional, ArrayRules, Format, NumberRules, ObjectRules, Schema, SchemaId, Schemas,
    StringRules, Types,
};

/// Deeper than this a chain of `allOf` or a value is taken as valid: documents do contain circles.
const MAX_DEPTH: usize = 400;
/// How many optional members in a row may be missing before the next one is looked up by its name.
const LOOK_AHEAD: usize = 4;

/// The first violations, at most `limit`.
pub fn violations(
    schemas: &Schemas,
    id: SchemaId,
    value: &Value,
    direction: Direction,
    limit: usize,
) -> Vec<Violation> {
    let mut check = Check {
        schemas,
        direction,
        limit,
        found: Vec::new(),
        path: Vec::new(),
        depth: 0,
    };
    check.value(id, value);
    check.found
}

/// Whether `value` follows the schema.
pub fn is_valid(schemas: &Schemas, id: SchemaId, value: &Value, direction: Direction) -> bool {
    violations(schemas, id, value, direction, 1).is_empty()
}

enum Step<'v> {
    Member(&'v str),
    Entry(usize),
}

struct Check<'s, 'v> {
    schemas: &'s Schemas,
    direction: Direction,
    limit: usize,
    found: Vec<Violation>,
    path: Vec<Step<'v>>,
    depth: usize,
}

impl<'s, 'v> Check<'s, 'v> {
    fn full(&self) -> bool {
        self.found.len() >= self.limit
    }

    fn report(&mut self, rule: &'static str, message: impl FnOnce() -> String) {
        if self.full() {
            return;
        }
        let mut pointer = String::new();
        for step in &self.path {
            pointer.push('/');
            match step {
                Step::Member(name) => pointer.push_str(&name.replace('~', "~0").replace('/', "~1")),
                Step::Entry(index) => pointer.push_str(&index.to_string()),
            }
        }
        // With one violation wanted, only its existence matters.
        let message = if self.limit == 1 {
            String::new()
        } else {
            message()
        };
        self.found.push(Violation {
            pointer,
            rule,
            message,
        });
    }

    fn holds(&self, id: SchemaId, value: &'v Value) -> bool {
        let mut check = Check {
            schemas: self.schemas,
            direction: self.direction,
            limit: 1,
            found: Vec::new(),
            path: Vec::new(),
            depth: self.depth,
        };
        check.value(id, value);
        check.found.is_empty()
    }

    fn value(&mut self, id: SchemaId, value: &'v Value) {
        if self.full() || self.depth > MAX_DEPTH {
            return;
        }
        self.depth += 1;
        self.one(self.schemas.get(id), value);
        self.depth -= 1;
    }

    fn one(&mut self, schema: &'s Schema, value: &'v Value) {
        if schema.never {
            self.report("false", || "nothing is allowed here".to_owned());
            return;
        }
        let null_allowed = schema.nullable && *value == Value::Null;
        if null_allowed && schema.allowed.is_none() {
            return;
        }
        if !schema.types.accepts(value) && !null_allowed {
            self.report("type", || {
                format!(
                    "must be {}, but is {}",
                    article(&schema.types.names()),
                    value.type_name()
                )
            });
            return;
        }
        if let Some(allowed) = &schema.allowed
            && !allowed.iter().any(|allowed| allowed.same(value))
        {
            self.report(if allowed.len() == 1 { "const" } else { "enum" }, || {
                one_of(allowed)
            });
        }
        match value {
            Value::Int(_) | Value::Float(_) => {
                if let Some(rules) = &schema.number {
                    self.number(rules, value);
                }
                self.integer_format(schema.format, value);
            }
            Value::String(text) => {
                if let Some(rules) = &schema.string {
                    self.string(rules, text);
                }
                let is_text = schema.types.is_empty() || schema.types.has(Types::STRING);
                if is_text && !schema.format.accepts(text) {
                    self.report("format", || {
                        format!("must be {}", schema.format.description())
                    });
                }
            }
            Value::Array(entries) => {
                if let Some(rules) = &schema.array {
                    self.array(rules, entries);
                }
            }
            Value::Object(members) => {
                if let Some(rules) = &schema.object {
                    self.object(schema, rules, value, members);
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
        if let Some(logic) = &schema.logic {
            self.logic(logic, value);
        }
    }

    fn number(&mut self, rules: &NumberRules, value: &Value) {
        let number = value.as_f64().unwrap_or(0.0);
        if let Some(bound) = rules.minimum.filter(|bound| number < *bound) {
            self.report("minimum", || format!("must be at least {bound}"));
        }
        if let Some(bound) = rules.maximum.filter(|bound| number > *bound) {
            self.report("maximum", || format!("must be at most {bound}"));
        }
        if let Some(bound) = rules.exclusive_minimum.filter(|bound| number <= *bound) {
            self.report("exclusiveMinimum", || format!("must be more than {bound}"));
        }
        if let Some(bound) = rules.exclusive_maximum.filter(|bound| number >= *bound) {
            self.report("exclusiveMaximum", || format!("must be less than {bound}"));
        }
        if let Some(step) = rules.multiple_of {
            // Decimal steps such as 0.01 have no exact binary form: compare within what rounding explains.
            let count = number / step;
            if (count - count.round()).abs() > 1e-9 * count.abs().max(1.0) {
                self.report("multipleOf", || format!("must be a multiple of {step}"));
            }
        }
    }

    fn integer_format(&mut self, format: Format, value: &Value) {
        let number = value.as_f64().unwrap_or(0.0);
        if format == Format::Int32 && !(f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&number)
        {
            self.report("format", || "must fit into 32 bits".to_owned());
        }
    }

    fn string(&mut self, rules: &StringRules, text: &str) {
        let length = || text.chars().count();
        if let Some(min) = rules.min_length.filter(|min| length() < *min) {
            self.report("minLength", || {
                format!("must have at least {min} characters")
            });
        }
        if let Some(max) = rules
            .max_length
            .filter(|max| text.len() > *max && length() > *max)
        {
            self.report("maxLength", || {
                format!("must have at most {max} characters")
            });
        }
        if let Some(pattern) = rules.pattern.and_then(|id| self.schemas.pattern(id))
            && !pattern.is_match(text)
        {
            self.report("pattern", || format!("must match {}", pattern.source()));
        }
    }

    fn array(&mut self, rules: &ArrayRules, entries: &'v [Value]) {
        if let Some(min) = rules.min_items.filter(|min| entries.len() < *min) {
            self.report("minItems", || format!("must have at least {min} entries"));
        }
        if let Some(max) = rules.max_items.filter(|max| entries.len() > *max) {
            self.report("maxItems", || format!("must have at most {max} entries"));
        }
        if rules.unique && has_equal_entries(entries) {
            self.report("uniqueItems", || {
                "must not have the same entry twice".to_owned()
            });
        }
        for (index, entry) in entries.iter().enumerate() {
            if self.full() {
                return;
            }
            if let Some(id) = rules.prefix.get(index).copied().or(rules.items) {
                self.path.push(Step::Entry(index));
                self.value(id, entry);
                self.path.pop();
            }
        }
        if let Some(id) = rules.contains {
            let count = entries.iter().filter(|entry| self.holds(id, entry)).count();
            if count < rules.min_contains.unwrap_or(1)
                || rules.max_contains.is_some_and(|max| count > max)
            {
                self.report("contains", || {
                    "does not have the entries it must contain".to_owned()
                });
            }
        }
    }

    fn object(
        &mut self,
        schema: &'s Schema,
        rules: &'s ObjectRules,
        value: &'v Value,
        members: &'v [(String, Value)],
    ) {
        let schemas = self.schemas;
        // Members mostly stand in the order of the document: then no name has to be looked for.
        let mut next = 0;
        for name in &rules.required {
            let name = schemas.name(*name);
            let rest = members.get(next..).unwrap_or_default();
            match rest.iter().position(|(known, _)| known == name) {
                Some(at) => next += at + 1,
                None if value.get(name).is_none() && !self.is_excused(rules, name) => {
                    self.report("required", || format!("{name} is missing"));
                }
                None => {}
            }
        }
        if let Some(min) = rules.min_properties.filter(|min| members.len() < *min) {
            self.report("minProperties", || {
                format!("must have at least {min} members")
            });
        }
        if let Some(max) = rules.max_properties.filter(|max| members.len() > *max) {
            self.report("maxProperties", || {
                format!("must have at most {max} members")
            });
        }
        let mut expected = rules.properties.iter();
        for (name, member) in members {
            if self.full() {
                return;
            }
            if let Some(id) = rules.names
                && !self.holds_name(id, name)
            {
                self.report("propertyNames", || {
                    format!("must not have a member called {name}")
                });
            }
            let in_order = expected
                .as_slice()
                .iter()
                .take(LOOK_AHEAD)
                .position(|(key, _)| schemas.name(*key) == name)
                .and_then(|at| expected.nth(at))
                .map(|(_, id)| *id);
            let known = || in_order.or_else(|| schemas.property(rules, name));
            if let (true, Some(id)) = (rules.patterns.is_empty(), known()) {
                self.path.push(Step::Member(name));
                self.value(id, member);
                self.path.pop();
                continue;
            }
            let (ids, known) = schemas.member_rules(rules, name);
            if !known {
                self.report("additionalProperties", || {
                    format!("must not have a member called {name}")
                });
            }
            self.path.push(Step::Member(name));
            for id in ids {
                self.value(id, member);
            }
            self.path.pop();
        }
        for (name, needed) in &rules.dependent_required {
            if value.get(schemas.name(*name)).is_some() {
                for other in needed.iter().map(|other| schemas.name(*other)) {
                    if value.get(other).is_none() {
                        self.report("dependentRequired", || {
                            format!("{other} is missing, which {} needs", schemas.name(*name))
                        });
                    }
                }
            }
        }
        for (name, id) in &rules.dependent_schemas {
            if value.get(schemas.name(*name)).is_some() {
                self.value(*id, value);
            }
        }
        if rules.unevaluated != Additional::Allowed {
            self.unevaluated(schema, rules, value, members);
        }
    }

    /// A required name that this direction must not carry.
    fn is_excused(&self, rules: &ObjectRules, name: &str) -> bool {
        self.schemas
            .property(rules, name)
            .is_some_and(|id| match self.direction {
                Direction::Request => is_marked(self.schemas, id, |schema| schema.read_only),
                Direction::Response => is_marked(self.schemas, id, |schema| schema.write_only),
            })
    }

    fn holds_name(&self, id: SchemaId, name: &str) -> bool {
        is_valid(self.schemas, id, &Value::from(name), self.direction)
    }
}

/// Whether a schema, or one that it is made of, carries a mark such as `readOnly`.
pub(crate) fn is_marked(schemas: &Schemas, id: SchemaId, mark: fn(&Schema) -> bool) -> bool {
    let schema = schemas.get(id);
    mark(schema)
        || schema
            .logic
            .as_ref()
            .is_some_and(|logic| logic.all_of.iter().any(|id| mark(schemas.get(*id))))
}

fn type_of(value: &Value) -> Types {
    match value {
        Value::Null => Types::NULL,
        Value::Bool(_) => Types::BOOLEAN,
        Value::Int(_) => Types::INTEGER,
        Value::Float(_) => Types::NUMBER,
        Value::String(_) => Types::STRING,
        Value::Array(_) => Types::ARRAY,
        Value::Object(_) => Types::OBJECT,
    }
}

pub(crate) fn has_equal_entries(entries: &[Value]) -> bool {
    // Long lists are compared by their text first, which is exact for scalars.
    if entries.len() > 64 {
        let mut texts: Vec<String> = entries.iter().map(ToString::to_string).collect();
        texts.sort_unstable();
        return texts
            .windows(2)
            .any(|pair| matches!(pair, [a, b] if a == b));
    }
    entries.iter().enumerate().any(|(index, entry)| {
        entries
            .iter()
            .skip(index + 1)
            .any(|other| other.same(entry))
    })
}

fn article(names: &str) -> String {
    let vowel = names.starts_with(['a', 'e', 'i', 'o', 'u']);
    if names == "null" {
        return names.to_owned();
    }
    format!("{} {names}", if vowel { "an" } else { "a" })
}

fn one_of(allowed: &[Value]) -> String {
    const SHOWN: usize = 12;
    let mut texts: Vec<String> = allowed
        .iter()
        .take(SHOWN)
        .map(ToString::to_string)
        .collect();
    if allowed.len() > SHOWN {
        texts.push(format!("… ({} values)", allowed.len()));
    }
    match texts.as_slice() {
        [only] => format!("must be {only}"),
        _ => format!("must be one of {}", texts.join(", ")),
    }
}
