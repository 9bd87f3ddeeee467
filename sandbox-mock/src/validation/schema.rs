//! Checks a value against a schema.

use super::{Direction, Violation};
use crate::json::Value;
use crate::schema::{
    Additional, ArrayRules, Discriminator, Format, Logic, NumberRules, ObjectRules, Schema,
    SchemaId, Schemas, StringRules, Types,
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

    fn unevaluated(
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

    fn logic(&mut self, logic: &'s Logic, value: &'v Value) {
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
            match logic
                .one_of
                .iter()
                .filter(|id| self.holds(**id, value))
                .count()
            {
                1 => self.discriminated(&logic.one_of, logic, value),
                0 => self.branch_violations("oneOf", &logic.one_of, logic, value),
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
