//! Compiles schema nodes of a document into the arena.

mod height;
mod reference;
mod rules;

pub(crate) use reference::resolve_reference;

use rules::{index_names, number_rule, xml};

use super::{
    ArrayRules, Format, Logic, Name, Notes, NumberRules, ObjectRules, PatternId, Schema, SchemaId,
    Schemas, StringRules, Types,
};
use crate::document::Finding;
use crate::json::Value;
use crate::pattern::Pattern;
use crate::source::{NodeId, Tree};
use std::collections::HashMap;

/// Which OpenAPI a document is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Swagger 2.0.
    V2,
    /// OpenAPI 3.0.
    V30,
    /// OpenAPI 3.1 and later.
    V31,
}

/// Compiles schemas one document at a time.
pub(crate) struct Compiler<'t> {
    pub(crate) tree: &'t Tree,
    pub(crate) dialect: Dialect,
    pub(crate) findings: Vec<Finding>,
    schemas: Schemas,
    by_node: HashMap<NodeId, SchemaId>,
    names: HashMap<Box<str>, Name>,
    patterns: HashMap<Box<str>, Option<PatternId>>,
    queue: Vec<(NodeId, SchemaId)>,
}

impl<'t> Compiler<'t> {
    pub(crate) fn new(tree: &'t Tree, dialect: Dialect) -> Self {
        Compiler {
            tree,
            dialect,
            findings: Vec::new(),
            schemas: Schemas::default(),
            by_node: HashMap::new(),
            names: HashMap::new(),
            patterns: HashMap::new(),
            queue: Vec::new(),
        }
    }

    /// The schema at `node` and all it needs.
    pub(crate) fn schema(&mut self, node: NodeId) -> SchemaId {
        let id = self.id(node);
        while let Some((node, id)) = self.queue.pop() {
            let schema = self.compile(node);
            if let Some(slot) = self.schemas.list.get_mut(id.0 as usize) {
                let name = slot.name;
                *slot = schema;
                slot.name = name;
            }
        }
        id
    }

    /// The form fields of a 2.0 operation as the schema of one object.
    pub(crate) fn form(&mut self, fields: &[NodeId]) -> SchemaId {
        let mut rules = ObjectRules::default();
        for field in fields {
            let schema = self.schema(*field);
            let name = self.name(self.tree.get_str(*field, "name").unwrap_or_default());
            rules.set_property(name, schema);
            if self.tree.get_true(*field, "required") {
                rules.required.push(name);
            }
        }
        index_names(&self.schemas, &mut rules);
        let id = SchemaId(u32::try_from(self.schemas.list.len()).unwrap_or(u32::MAX));
        self.schemas.list.push(Schema {
            types: Types::OBJECT,
            object: Some(Box::new(rules)),
            ..Schema::default()
        });
        id
    }

    pub(crate) fn finish(mut self) -> (Schemas, Vec<Finding>) {
        self.measure_heights();
        self.schemas.list.shrink_to_fit();
        (self.schemas, self.findings)
    }

    fn note(&mut self, node: NodeId, reason: String) {
        let finding = Finding {
            position: self.tree.position(node),
            reason,
        };
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// The id of the schema at `node`; compiles it later.
    fn id(&mut self, node: NodeId) -> SchemaId {
        let mut target = node;
        let mut name = None;
        if let Some(reference) = self
            .tree
            .get_str(node, "$ref")
            .filter(|_| !self.has_siblings(node))
        {
            let last = reference.rsplit('/').next().unwrap_or("");
            name = Some(
                crate::text::percent_decode(last)
                    .replace("~1", "/")
                    .replace("~0", "~"),
            );
            match resolve_reference(self.tree, node) {
                Ok(found) => target = found,
                Err(reason) => {
                    self.note(node, format!("{reason}: any value is taken there"));
                    name = None;
                }
            }
        }
        if let Some(id) = self.by_node.get(&target) {
            return *id;
        }
        let id = SchemaId(u32::try_from(self.schemas.list.len()).unwrap_or(u32::MAX));
        let name = name.map(|name| self.name(&name));
        self.schemas.list.push(Schema {
            name,
            ..Schema::default()
        });
        self.by_node.insert(target, id);
        self.queue.push((target, id));
        id
    }

    /// In 3.1 a `$ref` has siblings that count; before, they are ignored.
    fn has_siblings(&self, node: NodeId) -> bool {
        const ANNOTATIONS: [&str; 8] = [
            "$ref",
            "description",
            "summary",
            "title",
            "deprecated",
            "example",
            "examples",
            "$comment",
        ];
        self.dialect == Dialect::V31
            && self
                .tree
                .members(node)
                .any(|(name, _)| !ANNOTATIONS.contains(&name) && !name.starts_with("x-"))
    }

    fn name(&mut self, name: &str) -> Name {
        if let Some(known) = self.names.get(name) {
            return *known;
        }
        let id = Name(u32::try_from(self.schemas.names.len()).unwrap_or(u32::MAX));
        self.schemas.names.push(name.into());
        self.names.insert(name.into(), id);
        id
    }

    fn pattern(&mut self, node: NodeId, source: &str) -> Option<PatternId> {
        if let Some(known) = self.patterns.get(source) {
            return *known;
        }
        let id = match Pattern::new(source) {
            Ok(pattern) => {
                self.schemas.patterns.push(pattern);
                Some(PatternId(
                    u32::try_from(self.schemas.patterns.len() - 1).unwrap_or(u32::MAX),
                ))
            }
            Err(reason) => {
                self.note(
                    node,
                    format!("pattern {source}: {reason}: the pattern is not checked"),
                );
                None
            }
        };
        self.patterns.insert(source.into(), id);
        id
    }

    fn compile(&mut self, node: NodeId) -> Schema {
        let tree = self.tree;
        let mut schema = Schema {
            line: tree.line(node),
            ..Schema::default()
        };
        if let Some(truth) = tree.bool(node) {
            schema.never = !truth;
            return schema;
        }
        let mut object = ObjectRules::default();
        let mut array = ArrayRules::default();
        let mut number = NumberRules::default();
        let mut string = StringRules::default();
        let mut logic = Logic::default();
        let mut notes = Notes::default();
        let mut allowed = None;
        let (
            mut has_object,
            mut has_array,
            mut has_number,
            mut has_string,
            mut has_logic,
            mut has_notes,
        ) = (false, false, false, false, false, false);
        for (key, member) in tree.members(node) {
            match key {
                "type" => schema.types = self.types(member),
                "nullable" | "x-nullable" => schema.nullable |= tree.bool(member) == Some(true),
                "readOnly" => schema.read_only = tree.bool(member) == Some(true),
                "writeOnly" => schema.write_only = tree.bool(member) == Some(true),
                "format" => schema.format = tree.str(member).map_or(Format::None, Format::named),
                "enum" if tree.is_array(member) => {
                    allowed = Some(
                        tree.entries(member)
                            .iter()
                            .map(|entry| tree.value(*entry))
                            .collect(),
                    );
                }
                "const" => allowed = Some(vec![tree.value(member)]),
                "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => {
                    has_number = true;
                    number_rule(tree, node, key, member, &mut number);
                }
                "minLength" => (string.min_length, has_string) = (self.count(member), true),
                "maxLength" => (string.max_length, has_string) = (self.count(member), true),
                "pattern" => {
                    if let Some(source) = tree.str(member) {
                        string.pattern = self.pattern(member, source);
                        has_string = true;
                    }
                }
                "items" | "additionalItems" | "prefixItems" | "contains" | "minContains"
                | "maxContains" | "minItems" | "maxItems" | "uniqueItems" => {
                    has_array = true;
                    self.array_rule(node, key, member, &mut array);
                }
                "properties"
                | "required"
                | "patternProperties"
                | "additionalProperties"
                | "unevaluatedProperties"
                | "propertyNames"
                | "minProperties"
                | "maxProperties"
                | "dependentRequired"
                | "dependentSchemas"
                | "dependencies" => {
                    has_object |= !tree
                        .bool(member)
                        .is_some_and(|truth| truth || key == "required");
                    self.object_rule(key, member, &mut object);
                }
                "allOf" | "anyOf" | "oneOf" | "not" | "if" | "then" | "else" | "$ref"
                | "$dynamicRef" => {
                    has_logic = true;
                    self.logic_rule(node, key, member, &mut logic);
                }
                "discriminator" => {
                    logic.discriminator = self.discriminator(node, member);
                    has_logic |= logic.discriminator.is_some();
                }
                "example" | "x-example" => {
                    has_notes = true;
                    notes.examples.push(tree.value(member).to_string().into());
                }
                "examples" => {
                    // In a schema a list; some documents put the named examples of a media type here.
                    let values: Vec<NodeId> = if tree.is_array(member) {
                        tree.entries(member).to_vec()
                    } else {
                        tree.members(member)
                            .filter_map(|(_, example)| tree.get(example, "value"))
                            .collect()
                    };
                    has_notes |= !values.is_empty();
                    notes.examples.extend(
                        values
                            .into_iter()
                            .map(|value| tree.value(value).to_string().into()),
                    );
                }
                "default" => {
                    has_notes = true;
                    notes.default = Some(tree.value(member).to_string().into());
                }
                "x-portico-header" => {
                    has_notes = true;
                    notes.header = tree.str(member).map(Into::into);
                    self.schemas.show_headers |= notes.header.is_some();
                }
                "xml" => {
                    has_notes = true;
                    notes.xml = xml(tree, member);
                }
                _ => {}
            }
        }
        if let Some(values) = allowed.take_if(|values: &mut Vec<Value>| {
            schema.types == Types::ARRAY && values.iter().all(|value| value.as_array().is_none())
        }) {
            self.note(
                node,
                "enum of an array lists no arrays: it is taken for the entries".to_owned(),
            );
            array.items = Some(self.narrowed(array.items, values));
            has_array = true;
        }
        index_names(&self.schemas, &mut object);
        schema.object = has_object.then(|| Box::new(object));
        schema.array = has_array.then(|| Box::new(array));
        schema.number = has_number.then(|| Box::new(number));
        schema.string = has_string.then(|| Box::new(string));
        schema.logic = has_logic.then(|| Box::new(logic));
        schema.notes = has_notes.then(|| Box::new(notes));
        schema.allowed = allowed;
        schema
    }

    /// A schema with only some values of another one.
    fn narrowed(&mut self, of: Option<SchemaId>, values: Vec<Value>) -> SchemaId {
        let logic = Logic {
            all_of: of.into_iter().collect(),
            ..Logic::default()
        };
        let id = SchemaId(u32::try_from(self.schemas.list.len()).unwrap_or(u32::MAX));
        self.schemas.list.push(Schema {
            allowed: Some(values),
            logic: Some(Box::new(logic)),
            ..Schema::default()
        });
        id
    }

    fn types(&mut self, node: NodeId) -> Types {
        let tree = self.tree;
        let names: Vec<&str> = match tree.str(node) {
            Some(name) => vec![name],
            None => tree
                .entries(node)
                .iter()
                .filter_map(|entry| tree.str(*entry))
                .collect(),
        };
        let mut types = Types::default();
        for name in names {
            match Types::named(name) {
                Some(found) => types = types.with(found),
                None if name == "any" => return Types::default(),
                None => {
                    self.note(
                        node,
                        format!("there is no type {name}: any value is taken there"),
                    );
                    return Types::default();
                }
            }
        }
        types
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn count(&self, node: NodeId) -> Option<usize> {
        self.tree
            .f64(node)
            .filter(|count| *count >= 0.0 && *count < 1.0e15)
            .map(|count| count as usize)
    }

    fn ids(&mut self, node: NodeId) -> Vec<SchemaId> {
        let tree = self.tree;
        tree.entries(node)
            .iter()
            .map(|entry| self.id(*entry))
            .collect()
    }
}
