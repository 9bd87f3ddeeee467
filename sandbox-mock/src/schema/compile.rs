//! Compiles schema nodes of a document into the arena.

use super::{
    Additional, ArrayRules, Discriminator, Format, Logic, Name, Notes, NumberRules, ObjectRules,
    PatternId, Schema, SchemaId, Schemas, StringRules, Types, Xml,
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

/// Chains of references longer than this are taken for a circle.
const MAX_HOPS: usize = 64;
const MANY_PROPERTIES: usize = 12;

/// Follows `$ref` until a node that is none; the error says which reference leads nowhere.
pub(crate) fn resolve_reference(tree: &Tree, node: NodeId) -> Result<NodeId, String> {
    let mut at = node;
    for _ in 0..MAX_HOPS {
        let Some(reference) = tree.get_str(at, "$ref") else {
            return Ok(at);
        };
        at = find_reference(tree, at, reference)
            .ok_or_else(|| format!("$ref {reference} leads nowhere"))?;
    }
    Err("a chain of $ref never ends".to_owned())
}

fn find_reference(tree: &Tree, from: NodeId, reference: &str) -> Option<NodeId> {
    let (file, fragment) = reference.split_once('#').unwrap_or((reference, ""));
    let root = if file.is_empty() {
        from
    } else {
        tree.file(&crate::document::join_path(tree.file_of(from), file))?
    };
    if fragment.is_empty() && !file.is_empty() {
        return Some(root);
    }
    if fragment.is_empty() || fragment.starts_with('/') {
        return tree.pointer(root, fragment);
    }
    find_anchor(tree, tree.pointer(root, "")?, fragment, 0)
}

/// `$anchor` and `$dynamicAnchor` among the document's components.
fn find_anchor(tree: &Tree, node: NodeId, anchor: &str, depth: usize) -> Option<NodeId> {
    if depth > 12 {
        return None;
    }
    if ["$anchor", "$dynamicAnchor"]
        .iter()
        .any(|key| tree.get_str(node, key) == Some(anchor))
    {
        return Some(node);
    }
    let children = tree
        .members(node)
        .map(|(_, member)| member)
        .chain(tree.entries(node).iter().copied());
    children
        .into_iter()
        .find_map(|child| find_anchor(tree, child, anchor, depth + 1))
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

    fn array_rule(&mut self, node: NodeId, key: &str, member: NodeId, rules: &mut ArrayRules) {
        let tree = self.tree;
        match key {
            "items" if tree.is_array(member) => {
                rules.prefix = self.ids(member);
            }
            "items" => rules.items = Some(self.id(member)),
            "prefixItems" => rules.prefix = self.ids(member),
            "additionalItems"
                if tree
                    .get(node, "items")
                    .is_some_and(|items| tree.is_array(items)) =>
            {
                rules.items = Some(self.id(member));
            }
            "contains" => rules.contains = Some(self.id(member)),
            "minContains" => rules.min_contains = self.count(member),
            "maxContains" => rules.max_contains = self.count(member),
            "minItems" => rules.min_items = self.count(member),
            "maxItems" => rules.max_items = self.count(member),
            "uniqueItems" => rules.unique = tree.bool(member) == Some(true),
            _ => {}
        }
    }

    fn object_rule(&mut self, key: &str, member: NodeId, rules: &mut ObjectRules) {
        let tree = self.tree;
        match key {
            "properties" => {
                for (name, property) in tree.members(member) {
                    let id = self.id(property);
                    let name = self.name(name);
                    rules.set_property(name, id);
                }
            }
            "required" => {
                for entry in tree.entries(member) {
                    if let Some(name) = tree.str(*entry) {
                        let name = self.name(name);
                        if !rules.required.contains(&name) {
                            rules.required.push(name);
                        }
                    }
                }
            }
            "patternProperties" => {
                for (source, property) in tree.members(member) {
                    let id = self.id(property);
                    if let Some(pattern) = self.pattern(property, source) {
                        rules.patterns.push((pattern, id));
                    }
                }
            }
            "additionalProperties" => rules.additional = self.additional(member),
            "unevaluatedProperties" => rules.unevaluated = self.additional(member),
            "propertyNames" => rules.names = Some(self.id(member)),
            "minProperties" => rules.min_properties = self.count(member),
            "maxProperties" => rules.max_properties = self.count(member),
            "dependentRequired" | "dependentSchemas" | "dependencies" => {
                for (name, dependency) in tree.members(member) {
                    let name = self.name(name);
                    if tree.is_array(dependency) {
                        let needed: Vec<&str> = tree
                            .entries(dependency)
                            .iter()
                            .filter_map(|entry| tree.str(*entry))
                            .collect();
                        let needed = needed.into_iter().map(|name| self.name(name)).collect();
                        rules.dependent_required.push((name, needed));
                    } else {
                        rules.dependent_schemas.push((name, self.id(dependency)));
                    }
                }
            }
            _ => {}
        }
    }

    fn additional(&mut self, node: NodeId) -> Additional {
        match self.tree.bool(node) {
            Some(true) => Additional::Allowed,
            Some(false) => Additional::Refused,
            None if self.tree.is_object(node) && self.tree.members(node).next().is_some() => {
                Additional::Schema(self.id(node))
            }
            None => Additional::Allowed,
        }
    }

    fn logic_rule(&mut self, node: NodeId, key: &str, member: NodeId, logic: &mut Logic) {
        match key {
            "allOf" => logic.all_of.extend(self.ids(member)),
            "anyOf" => logic.any_of = self.ids(member),
            "oneOf" => logic.one_of = self.ids(member),
            "not" => logic.not = Some(self.id(member)),
            "if" => logic.condition = Some(self.id(member)),
            "then" => logic.then = Some(self.id(member)),
            "else" => logic.otherwise = Some(self.id(member)),
            // Only reached when its siblings count: then it is one more schema that has to hold.
            _ => {
                let reference = self.tree.str(member).unwrap_or_default();
                match find_reference(self.tree, node, reference) {
                    Some(target) if target != node => {
                        let id = self.id(target);
                        let name = self.name(reference.rsplit('/').next().unwrap_or(""));
                        if let Some(slot) = self.schemas.list.get_mut(id.0 as usize) {
                            slot.name = slot.name.or(Some(name));
                        }
                        logic.all_of.push(id);
                    }
                    _ => self.note(
                        node,
                        format!("$ref {reference} leads nowhere: any value is taken there"),
                    ),
                }
            }
        }
    }

    fn discriminator(&mut self, node: NodeId, member: NodeId) -> Option<Discriminator> {
        let tree = self.tree;
        let property = tree
            .str(member)
            .or_else(|| tree.get_str(member, "propertyName"))?;
        let property = self.name(property);
        let mut mapping = Vec::new();
        if let Some(entries) = tree.get(member, "mapping") {
            for (value, target) in tree.members(entries) {
                let reference = tree.str(target).unwrap_or_default();
                let target = find_reference(tree, node, reference)
                    .filter(|_| reference.contains(['#', '/', '.']))
                    .or_else(|| tree.pointer(node, &format!("/components/schemas/{reference}")));
                if let Some(target) = target {
                    let id = self.id(target);
                    mapping.push((value.into(), id));
                }
            }
        }
        Some(Discriminator { property, mapping })
    }

    /// Finds for every schema how deep its smallest value is, from the leaves up.
    fn measure_heights(&mut self) {
        for schema in &mut self.schemas.list {
            schema.height = u8::MAX;
        }
        for _ in 0..60 {
            let mut changed = false;
            for index in 0..self.schemas.list.len() {
                let Some(schema) = self.schemas.list.get(index) else {
                    break;
                };
                let height = height(&self.schemas, schema);
                if height < schema.height {
                    changed = true;
                    if let Some(schema) = self.schemas.list.get_mut(index) {
                        schema.height = height;
                    }
                }
            }
            if !changed {
                return;
            }
        }
    }
}

fn height(schemas: &Schemas, schema: &Schema) -> u8 {
    let of = |id: &SchemaId| schemas.get(*id).height;
    let mut height = 0_u8;
    if let Some(logic) = &schema.logic {
        let lowest = |ids: &[SchemaId]| ids.iter().map(of).min().unwrap_or(0);
        height = logic.all_of.iter().map(of).max().unwrap_or(0);
        height = height.max(lowest(&logic.any_of)).max(lowest(&logic.one_of));
    }
    if schema.nullable || schema.allowed.is_some() || schema.types.has(Types::NULL) {
        return height;
    }
    let only = |types| schema.types.is_empty() || schema.types == types;
    let deeper = |height: u8| height.saturating_add(1);
    if let Some(object) = schema.object.as_ref().filter(|_| only(Types::OBJECT)) {
        for name in &object.required {
            if let Some((_, id)) = object.properties.iter().find(|(key, _)| key == name) {
                height = height.max(deeper(of(id)));
            }
        }
    }
    if let Some(array) = schema.array.as_ref().filter(|_| only(Types::ARRAY))
        && array.min_items.unwrap_or(0) > 0
    {
        let ids = array
            .items
            .iter()
            .chain(&array.prefix)
            .chain(&array.contains);
        height = height.max(deeper(ids.map(of).max().unwrap_or(0)));
    }
    height
}

fn number_rule(tree: &Tree, node: NodeId, key: &str, member: NodeId, rules: &mut NumberRules) {
    let value = tree.f64(member);
    // In 3.0 the exclusive bounds are flags on the others.
    let flag = |name| tree.get_true(node, name);
    match key {
        "minimum" if flag("exclusiveMinimum") => rules.exclusive_minimum = value,
        "minimum" => rules.minimum = value,
        "maximum" if flag("exclusiveMaximum") => rules.exclusive_maximum = value,
        "maximum" => rules.maximum = value,
        "exclusiveMinimum" if tree.bool(member).is_none() => rules.exclusive_minimum = value,
        "exclusiveMaximum" if tree.bool(member).is_none() => rules.exclusive_maximum = value,
        "exclusiveMinimum" => rules.flagged = tree.bool(member) == Some(true),
        "multipleOf" => rules.multiple_of = value.filter(|value| *value > 0.0),
        _ => {}
    }
}

fn xml(tree: &Tree, node: NodeId) -> Xml {
    Xml {
        name: tree.get_str(node, "name").map(Into::into),
        namespace: tree.get_str(node, "namespace").map(Into::into),
        prefix: tree.get_str(node, "prefix").map(Into::into),
        attribute: tree.get_true(node, "attribute"),
        wrapped: tree.get_true(node, "wrapped"),
    }
}

fn index_names(schemas: &Schemas, rules: &mut ObjectRules) {
    if rules.properties.len() <= MANY_PROPERTIES {
        return;
    }
    let mut order: Vec<u32> = (0..u32::try_from(rules.properties.len()).unwrap_or(0)).collect();
    let name = |index: &u32| {
        rules
            .properties
            .get(*index as usize)
            .map_or("", |(key, _)| schemas.name(*key))
    };
    order.sort_by(|a, b| name(a).cmp(name(b)));
    rules.by_name = order;
}
