//! The document as it was written: every node with its line.
//!
//! Owns one compact tree for JSON and YAML, its files and its `$ref` lookups by JSON pointer. What the nodes mean
//! is the business of `document` and `schema`. The tree is dropped once a document is compiled.

mod json_reader;
mod yaml_reader;

use crate::json::Value;
use std::collections::HashMap;

/// A node of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u32);

#[derive(Debug, Clone, Copy)]
enum Kind {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// A range of `Tree::text`.
    String(u32, u32),
    /// A range of `Tree::entries`.
    Array(u32, u32),
    /// A range of `Tree::members`.
    Object(u32, u32),
}

#[derive(Debug, Clone, Copy)]
struct Node {
    kind: Kind,
    line: u32,
    file: u16,
}

/// Where a node stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Position {
    /// The file, as it was named in the `$ref`; empty for the document itself.
    pub file: String,
    /// The line, counted from 1.
    pub line: u32,
}

/// Why a document is neither JSON nor YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceError {
    /// The line, counted from 1.
    pub line: u32,
    /// What was wrong there.
    pub reason: String,
}

impl std::fmt::Display for SourceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl std::error::Error for SourceError {}

/// A document and the files it refers to.
#[derive(Debug, Default)]
pub struct Tree {
    nodes: Vec<Node>,
    entries: Vec<NodeId>,
    members: Vec<(u32, NodeId)>,
    text: String,
    keys: Vec<Box<str>>,
    key_ids: HashMap<Box<str>, u32>,
    files: Vec<(String, NodeId)>,
}

impl Tree {
    /// Reads a JSON or YAML document.
    pub fn read(bytes: &[u8]) -> Result<Tree, SourceError> {
        let mut tree = Tree::default();
        tree.read_file("", bytes)?;
        Ok(tree)
    }

    /// Reads another file into the tree and returns its root.
    pub(crate) fn read_file(&mut self, name: &str, bytes: &[u8]) -> Result<NodeId, SourceError> {
        if u32::try_from(bytes.len() + self.text.len()).is_err() {
            return Err(SourceError {
                line: 1,
                reason: "the document is larger than 4 GiB".to_owned(),
            });
        }
        let text = String::from_utf8_lossy(bytes);
        let file = u16::try_from(self.files.len()).unwrap_or(u16::MAX);
        let looks_like_json = text
            .trim_start_matches('\u{feff}')
            .trim_start()
            .starts_with(['{', '[']);
        let root = if looks_like_json {
            match json_reader::read(self, &text, file) {
                Ok(root) => root,
                // A YAML document may open with a brace as well.
                Err(error) => yaml_reader::read(self, &text, file).map_err(|_| SourceError {
                    line: error.line,
                    reason: error.reason.to_owned(),
                })?,
            }
        } else {
            yaml_reader::read(self, &text, file)?
        };
        self.files.push((name.to_owned(), root));
        Ok(root)
    }

    /// The root of the document itself.
    pub fn root(&self) -> NodeId {
        self.files.first().map_or(NodeId(0), |(_, root)| *root)
    }

    /// The root of a file that was read before.
    pub(crate) fn file(&self, name: &str) -> Option<NodeId> {
        self.files
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, root)| *root)
    }

    /// The name of the file that a node stands in.
    pub(crate) fn file_of(&self, node: NodeId) -> &str {
        let file = self.node(node).map_or(0, |node| node.file);
        self.files
            .get(usize::from(file))
            .map_or("", |(name, _)| name)
    }

    fn root_of(&self, node: NodeId) -> NodeId {
        let file = self.node(node).map_or(0, |node| node.file);
        self.files
            .get(usize::from(file))
            .map_or_else(|| self.root(), |(_, root)| *root)
    }

    /// Where a node stands.
    pub fn position(&self, node: NodeId) -> Position {
        Position {
            file: self.file_of(node).to_owned(),
            line: self.line(node),
        }
    }

    /// The line of a node.
    pub fn line(&self, node: NodeId) -> u32 {
        self.node(node).map_or(0, |node| node.line)
    }

    fn node(&self, node: NodeId) -> Option<&Node> {
        self.nodes.get(node.0 as usize)
    }

    fn kind(&self, node: NodeId) -> Kind {
        self.node(node).map_or(Kind::Null, |node| node.kind)
    }

    /// The member `name` of an object.
    pub fn get(&self, node: NodeId, name: &str) -> Option<NodeId> {
        let id = *self.key_ids.get(name)?;
        // The last of several members with one name counts.
        self.raw_members(node)
            .iter()
            .rev()
            .find(|(key, _)| *key == id)
            .map(|(_, member)| *member)
    }

    /// The member `name` when it is a string.
    pub fn get_str(&self, node: NodeId, name: &str) -> Option<&str> {
        self.str(self.get(node, name)?)
    }

    /// Whether the member `name` is `true`.
    pub fn get_true(&self, node: NodeId, name: &str) -> bool {
        self.get(node, name)
            .is_some_and(|member| matches!(self.kind(member), Kind::Bool(true)))
    }

    fn raw_members(&self, node: NodeId) -> &[(u32, NodeId)] {
        match self.kind(node) {
            Kind::Object(start, end) => self
                .members
                .get(start as usize..end as usize)
                .unwrap_or_default(),
            _ => &[],
        }
    }

    /// The members of an object; none for anything else.
    pub fn members(&self, node: NodeId) -> impl Iterator<Item = (&str, NodeId)> {
        self.raw_members(node)
            .iter()
            .map(|(key, member)| (self.keys.get(*key as usize).map_or("", |key| key), *member))
    }

    /// The entries of an array; none for anything else.
    pub fn entries(&self, node: NodeId) -> &[NodeId] {
        match self.kind(node) {
            Kind::Array(start, end) => self
                .entries
                .get(start as usize..end as usize)
                .unwrap_or_default(),
            _ => &[],
        }
    }

    /// Whether the node is an object.
    pub fn is_object(&self, node: NodeId) -> bool {
        matches!(self.kind(node), Kind::Object(..))
    }

    /// Whether the node is an array.
    pub fn is_array(&self, node: NodeId) -> bool {
        matches!(self.kind(node), Kind::Array(..))
    }

    /// The text of a string.
    pub fn str(&self, node: NodeId) -> Option<&str> {
        match self.kind(node) {
            Kind::String(start, end) => self.text.get(start as usize..end as usize),
            _ => None,
        }
    }

    /// A boolean.
    pub fn bool(&self, node: NodeId) -> Option<bool> {
        match self.kind(node) {
            Kind::Bool(truth) => Some(truth),
            _ => None,
        }
    }

    /// A number of either kind, also one that was written as a string by mistake.
    pub fn f64(&self, node: NodeId) -> Option<f64> {
        match self.kind(node) {
            #[allow(clippy::cast_precision_loss)]
            Kind::Int(number) => Some(number as f64),
            Kind::Float(number) => Some(number),
            Kind::String(..) => self.str(node)?.trim().parse().ok(),
            _ => None,
        }
    }

    /// The node and everything below it as a value.
    pub fn value(&self, node: NodeId) -> Value {
        self.value_within(node, crate::json::MAX_DEPTH)
    }

    fn value_within(&self, node: NodeId, depth: usize) -> Value {
        match self.kind(node) {
            Kind::Null => Value::Null,
            Kind::Bool(truth) => Value::Bool(truth),
            Kind::Int(number) => Value::Int(number),
            Kind::Float(number) => Value::Float(number),
            Kind::String(..) => Value::from(self.str(node).unwrap_or_default()),
            _ if depth == 0 => Value::Null,
            Kind::Array(..) => Value::Array(
                self.entries(node)
                    .iter()
                    .map(|entry| self.value_within(*entry, depth - 1))
                    .collect(),
            ),
            Kind::Object(..) => {
                let mut object = Value::Object(Vec::with_capacity(self.raw_members(node).len()));
                for (name, member) in self.members(node) {
                    object.set(name, self.value_within(member, depth - 1));
                }
                object
            }
        }
    }

    /// The node at a JSON pointer (with or without percent-encoding) below the root of `from`'s file.
    pub fn pointer(&self, from: NodeId, pointer: &str) -> Option<NodeId> {
        let mut node = self.root_of(from);
        if pointer.is_empty() {
            return Some(node);
        }
        for token in pointer.strip_prefix('/')?.split('/') {
            let token = crate::text::percent_decode(token)
                .replace("~1", "/")
                .replace("~0", "~");
            node = if self.is_array(node) {
                *self.entries(node).get(token.parse::<usize>().ok()?)?
            } else {
                self.get(node, &token)?
            };
        }
        Some(node)
    }

    fn push(&mut self, kind: Kind, line: u32, file: u16) -> NodeId {
        let id = NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        self.nodes.push(Node { kind, line, file });
        id
    }

    fn push_text(&mut self, text: &str) -> Kind {
        let start = offset(self.text.len());
        self.text.push_str(text);
        Kind::String(start, offset(self.text.len()))
    }

    fn push_entries(&mut self, entries: &[NodeId]) -> Kind {
        let start = offset(self.entries.len());
        self.entries.extend_from_slice(entries);
        Kind::Array(start, offset(self.entries.len()))
    }

    fn push_members(&mut self, members: &[(u32, NodeId)]) -> Kind {
        let start = offset(self.members.len());
        self.members.extend_from_slice(members);
        Kind::Object(start, offset(self.members.len()))
    }

    fn key(&mut self, name: &str) -> u32 {
        if let Some(id) = self.key_ids.get(name) {
            return *id;
        }
        let id = offset(self.keys.len());
        self.keys.push(name.into());
        self.key_ids.insert(name.into(), id);
        id
    }
}

fn offset(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_yaml_give_the_same_tree_with_lines() {
        let json = Tree::read(b"{\n \"a\": {\"b\": [1, \"x\\ny\", null, 1.5, true]}\n}").unwrap();
        let yaml = Tree::read(b"# comment\na:\n  b: [1, \"x\\ny\", ~, 1.5, true]\n").unwrap();
        assert_eq!(json.value(json.root()), yaml.value(yaml.root()));
        assert_eq!(json.line(json.pointer(json.root(), "/a/b").unwrap()), 2);
        assert_eq!(yaml.line(yaml.pointer(yaml.root(), "/a/b").unwrap()), 3);
    }

    #[test]
    fn yaml_scalars_follow_the_core_schema() {
        let tree = Tree::read(b"a: 0x10\nb: '1'\nc: 007\nd: .5\ne: no\nf: 1e3\ng: 200\n200: x\nh: &x {k: 1}\ni: *x\nj:\n  <<: *x\n  l: 2\nk: 2024-01-01\n").unwrap();
        let value = tree.value(tree.root());
        assert_eq!(
            value.to_string(),
            r#"{"a":16,"b":"1","c":7,"d":0.5,"e":"no","f":1000.0,"g":200,"200":"x","h":{"k":1},"i":{"k":1},"j":{"k":1,"l":2},"k":"2024-01-01"}"#
        );
    }

    #[test]
    fn pointers_decode_both_kinds_of_escapes() {
        let tree = Tree::read(br#"{"paths":{"/a/{b}":{"x y":1}}}"#).unwrap();
        let node = tree
            .pointer(tree.root(), "/paths/~1a~1%7Bb%7D/x%20y")
            .unwrap();
        assert_eq!(tree.f64(node), Some(1.0));
    }

    #[test]
    fn a_broken_document_is_an_error_with_a_line() {
        assert_eq!(Tree::read(b"{\n\"a\": 1,\n\"b\": ]").unwrap_err().line, 3);
        assert!(Tree::read(b"a: [1\nb: 2").is_err());
        assert!(Tree::read("[".repeat(50_000).as_bytes()).is_err());
    }
}
