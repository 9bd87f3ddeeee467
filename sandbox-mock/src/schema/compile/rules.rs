//! The rules of one schema, keyword by keyword.

use super::Compiler;
use super::reference::find_reference;
use crate::schema::{
    Additional, ArrayRules, Discriminator, Logic, NumberRules, ObjectRules, Schemas, Xml,
};
use crate::source::{NodeId, Tree};

const MANY_PROPERTIES: usize = 12;

impl Compiler<'_> {
    pub(super) fn array_rule(
        &mut self,
        node: NodeId,
        key: &str,
        member: NodeId,
        rules: &mut ArrayRules,
    ) {
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

    pub(super) fn object_rule(&mut self, key: &str, member: NodeId, rules: &mut ObjectRules) {
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

    pub(super) fn logic_rule(
        &mut self,
        node: NodeId,
        key: &str,
        member: NodeId,
        logic: &mut Logic,
    ) {
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

    pub(super) fn discriminator(&mut self, node: NodeId, member: NodeId) -> Option<Discriminator> {
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
}

pub(super) fn number_rule(
    tree: &Tree,
    node: NodeId,
    key: &str,
    member: NodeId,
    rules: &mut NumberRules,
) {
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

pub(super) fn xml(tree: &Tree, node: NodeId) -> Xml {
    Xml {
        name: tree.get_str(node, "name").map(Into::into),
        namespace: tree.get_str(node, "namespace").map(Into::into),
        prefix: tree.get_str(node, "prefix").map(Into::into),
        attribute: tree.get_true(node, "attribute"),
        wrapped: tree.get_true(node, "wrapped"),
    }
}

pub(super) fn index_names(schemas: &Schemas, rules: &mut ObjectRules) {
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
