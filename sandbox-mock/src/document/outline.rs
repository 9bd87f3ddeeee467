//! The outline of a document: its operations as a catalogue lists them.

use super::METHODS;
use crate::schema::resolve_reference;
use crate::source::{NodeId, SourceError, Tree};

/// What a document says about itself and its operations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outline {
    /// `info.title`.
    pub title: String,
    /// `info.version`.
    pub version: String,
    /// `info.description`.
    pub description: String,
    /// The path of the first server (or of a 2.0 document); every path below begins with it.
    pub base_path: String,
    /// Every operation, in the order of the document.
    pub operations: Vec<OperationOutline>,
}

/// One operation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OperationOutline {
    /// In capitals, as on the wire.
    pub method: String,
    /// The path template, with the base path of the first server (or of a 2.0 document).
    pub path: String,
    /// `operationId`, or one made of the method and the path.
    pub operation_id: String,
    /// The tags.
    pub tags: Vec<String>,
    /// One line.
    pub summary: String,
    /// The long text.
    pub description: String,
    /// Every scope that one of its security requirements names.
    pub scopes: Vec<String>,
    /// Whether it is on its way out.
    pub deprecated: bool,
}

/// Reads the outline of a JSON or YAML document.
pub fn outline(bytes: &[u8]) -> Result<Outline, SourceError> {
    let tree = Tree::read(bytes)?;
    let root = tree.root();
    if !tree.is_object(root) {
        return Err(SourceError {
            line: 1,
            reason: "the document is not an object".to_owned(),
        });
    }
    let info = tree.get(root, "info");
    let text = |name: &str| {
        info.and_then(|info| tree.get_str(info, name))
            .unwrap_or_default()
            .to_owned()
    };
    let base = super::base_path(&tree);
    let mut operations = Vec::new();
    for (path, item) in tree
        .get(root, "paths")
        .into_iter()
        .flat_map(|paths| tree.members(paths))
    {
        let Ok(item) = resolve_reference(&tree, item) else {
            continue;
        };
        for method in METHODS {
            if let Some(operation) = tree.get(item, method).filter(|node| tree.is_object(*node)) {
                operations.push(outline_operation(
                    &tree,
                    root,
                    method,
                    &format!("{base}{path}"),
                    operation,
                ));
            }
        }
    }
    Ok(Outline {
        base_path: base,
        title: text("title"),
        version: text("version"),
        description: text("description"),
        operations,
    })
}

fn outline_operation(
    tree: &Tree,
    root: NodeId,
    method: &str,
    path: &str,
    node: NodeId,
) -> OperationOutline {
    let text = |name: &str| tree.get_str(node, name).unwrap_or_default().to_owned();
    let strings = |node: NodeId| {
        tree.entries(node)
            .iter()
            .filter_map(|entry| tree.str(*entry))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let mut scopes: Vec<String> = Vec::new();
    let security = tree
        .get(node, "security")
        .or_else(|| tree.get(root, "security"));
    for requirement in security.map(|node| tree.entries(node)).unwrap_or_default() {
        for (_, named) in tree.members(*requirement) {
            scopes.extend(strings(named));
        }
    }
    scopes.sort_unstable();
    scopes.dedup();
    OperationOutline {
        method: method.to_ascii_uppercase(),
        path: path.to_owned(),
        operation_id: operation_id(tree, node, method, path),
        tags: tree.get(node, "tags").map(strings).unwrap_or_default(),
        summary: text("summary"),
        description: text("description"),
        scopes,
        deprecated: tree.get_true(node, "deprecated"),
    }
}

/// The operation's own id, or one made of its method and path.
pub(crate) fn operation_id(tree: &Tree, node: NodeId, method: &str, path: &str) -> String {
    match tree.get_str(node, "operationId") {
        Some(id) if !id.is_empty() => id.to_owned(),
        _ => {
            let words = crate::text::words(path);
            let words: Vec<&str> = words.iter().collect();
            format!("{method}_{}", words.join("_"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_api_is_outlined_with_its_scopes() {
        let bytes = include_bytes!("../../../examples/demo-api/openapi.yaml");
        let outline = outline(bytes).unwrap();
        assert_eq!(outline.title, "Meridian Commerce API");
        assert_eq!(outline.operations.len(), 29);
        let create = outline
            .operations
            .iter()
            .find(|operation| operation.operation_id == "createOrder")
            .unwrap();
        assert_eq!(
            (create.method.as_str(), create.path.as_str()),
            ("POST", "/v1/orders")
        );
        assert_eq!(create.scopes, ["orders:write"]);
        assert_eq!(create.tags, ["Orders"]);
        let whoami = outline
            .operations
            .iter()
            .find(|operation| operation.path == "/v1/whoami")
            .unwrap();
        assert!(whoami.scopes.is_empty());
    }

    #[test]
    fn an_operation_without_an_id_gets_one() {
        let outline =
            outline(b"swagger: '2.0'\nbasePath: /v2\npaths: {'/a/{b}': {get: {}}}").unwrap();
        assert_eq!(outline.operations[0].operation_id, "get_v2_a_b");
        assert_eq!(outline.operations[0].path, "/v2/a/{b}");
    }
}
