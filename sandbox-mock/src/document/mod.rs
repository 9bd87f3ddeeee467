//! An OpenAPI document as plain data: what it is called, which operations it has, what each one asks for.
//!
//! Owns reading a document and its outline, which needs no schema, no engine and no I/O; the portal's catalogue
//! uses it. Compiling the operations for answering is `operation`'s business.

mod outline;

pub(crate) use outline::operation_id;
pub use outline::{OperationOutline, Outline, outline};

use crate::schema::Dialect;
use crate::source::{NodeId, Position, SourceError, Tree};

/// The methods a path can have, in the order they are listed.
pub(crate) const METHODS: [&str; 8] = [
    "get", "post", "put", "patch", "delete", "head", "options", "trace",
];

/// Something in a document that is not served as it is written, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where it stands.
    pub position: Position,
    /// What it is, and what is done about it.
    pub reason: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.position.file.is_empty() {
            write!(f, "{}, ", self.position.file)?;
        }
        write!(f, "line {}: {}", self.position.line, self.reason)
    }
}

/// Gives the bytes of a file that a document refers to, by its path relative to the document.
pub type ReadFile<'f> = &'f mut dyn FnMut(&str) -> Option<Vec<u8>>;

/// Reads a document and every relative file that its `$ref`s name.
pub(crate) fn load(bytes: &[u8], read_file: ReadFile<'_>) -> Result<Tree, SourceError> {
    const MOST_FILES: usize = 20_000;
    let mut tree = Tree::read(bytes)?;
    let mut pending = vec![tree.root()];
    let mut seen = 0;
    while let Some(root) = pending.pop() {
        for name in file_references(&tree, root) {
            if tree.file(&name).is_some() || seen >= MOST_FILES {
                continue;
            }
            seen += 1;
            if let Some(bytes) = read_file(&name)
                && let Ok(root) = tree.read_file(&name, &bytes)
            {
                pending.push(root);
            }
        }
    }
    Ok(tree)
}

fn file_references(tree: &Tree, root: NodeId) -> Vec<String> {
    let mut names = Vec::new();
    let mut nodes = vec![root];
    while let Some(node) = nodes.pop() {
        for (key, member) in tree.members(node) {
            match tree.str(member).filter(|_| key == "$ref") {
                Some(reference) => {
                    let file = reference.split('#').next().unwrap_or("");
                    if !file.is_empty() && !file.contains("://") {
                        names.push(join_path(tree.file_of(member), file));
                    }
                }
                None => nodes.push(member),
            }
        }
        nodes.extend_from_slice(tree.entries(node));
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// The path of `relative` as seen from the file `base`. It never leads out of the document's folder tree by an
/// absolute path.
pub(crate) fn join_path(base: &str, relative: &str) -> String {
    let mut parts: Vec<&str> = base
        .rsplit_once('/')
        .map_or_else(Vec::new, |(folder, _)| folder.split('/').collect());
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The path of a document's first server, or a 2.0 document's `basePath`: every path of the document begins
/// with it on the wire. Empty where there is none.
pub fn base_path(tree: &Tree) -> String {
    crate::operation::base_paths(tree, tree.root())
        .into_iter()
        .next()
        .unwrap_or_default()
}

/// Which OpenAPI a document says it is; without a word about it, what its shape suggests.
pub(crate) fn dialect(tree: &Tree) -> Dialect {
    let root = tree.root();
    let spelled = |name| {
        tree.get(root, name)
            .map(|node| tree.value(node).to_string().trim_matches('"').to_owned())
    };
    match (spelled("swagger"), spelled("openapi")) {
        (_, Some(version)) if version.starts_with("3.0") => Dialect::V30,
        (None, Some(_)) => Dialect::V31,
        (Some(_), _) => Dialect::V2,
        _ if tree.get(root, "definitions").is_some() => Dialect::V2,
        _ => Dialect::V31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_files_are_read_once_and_from_where_they_are_named() {
        let mut asked = Vec::new();
        let tree = load(
            b"a: {$ref: 'parts/x.yaml#/y'}\nb: {$ref: 'parts/x.yaml'}",
            &mut |name| {
                asked.push(name.to_owned());
                match name {
                    "parts/x.yaml" => Some(b"y: {$ref: '../z.json'}".to_vec()),
                    "z.json" => Some(b"{\"type\":\"string\"}".to_vec()),
                    _ => None,
                }
            },
        )
        .unwrap();
        assert_eq!(asked, ["parts/x.yaml", "z.json"]);
        let start = tree.get(tree.root(), "a").unwrap();
        let found = crate::schema::resolve_reference(&tree, start).unwrap();
        assert_eq!(tree.get_str(found, "type"), Some("string"));
        assert_eq!(tree.position(found).file, "z.json");
    }

    #[test]
    fn the_dialect_is_read_from_the_version() {
        for (text, expected) in [
            ("swagger: '2.0'", Dialect::V2),
            ("swagger: 2.0", Dialect::V2),
            ("openapi: 3.0.3", Dialect::V30),
            ("openapi: 3.1.0", Dialect::V31),
            ("openapi: 3.2.0", Dialect::V31),
            ("info: {}", Dialect::V31),
        ] {
            assert_eq!(
                dialect(&Tree::read(text.as_bytes()).unwrap()),
                expected,
                "{text}"
            );
        }
    }
}
