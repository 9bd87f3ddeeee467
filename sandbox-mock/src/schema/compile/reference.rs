//! Following `$ref` through a document and its files.

use crate::source::{NodeId, Tree};

/// Chains of references longer than this are taken for a circle.
const MAX_HOPS: usize = 64;

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

pub(super) fn find_reference(tree: &Tree, from: NodeId, reference: &str) -> Option<NodeId> {
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
