//! JSON text into the tree.

use super::{Kind, NodeId, Tree};
use crate::json::{MAX_DEPTH, ReadError, Scanner, Value};

pub(super) fn read(tree: &mut Tree, text: &str, file: u16) -> Result<NodeId, ReadError> {
    // One node for about nine bytes is what large documents have.
    tree.nodes.reserve(text.len() / 12);
    tree.text.reserve(text.len() / 2);
    let mut reader = Reader {
        tree,
        scanner: Scanner::new(text),
        file,
        entries: Vec::new(),
        members: Vec::new(),
    };
    let root = reader.value(0)?;
    reader.scanner.end()?;
    Ok(root)
}

struct Reader<'a, 't> {
    tree: &'a mut Tree,
    scanner: Scanner<'t>,
    file: u16,
    // Children of open containers; a container takes its own from the end when it closes.
    entries: Vec<NodeId>,
    members: Vec<(u32, NodeId)>,
}

impl Reader<'_, '_> {
    fn value(&mut self, depth: usize) -> Result<NodeId, ReadError> {
        if depth > MAX_DEPTH {
            return Err(self.scanner.error("nested too deeply"));
        }
        let first = self.scanner.peek();
        let line = self.scanner.line();
        let kind = match first {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(b'"') => {
                let text = self.scanner.string()?.into_string();
                self.tree.push_text(&text)
            }
            _ => match self.scanner.scalar()? {
                Value::Bool(truth) => Kind::Bool(truth),
                Value::Int(number) => Kind::Int(number),
                Value::Float(number) => Kind::Float(number),
                _ => Kind::Null,
            },
        };
        Ok(self.tree.push(kind, line, self.file))
    }

    fn object(&mut self, depth: usize) -> Result<Kind, ReadError> {
        let start = self.members.len();
        self.scanner.bump();
        if self.scanner.peek() == Some(b'}') {
            self.scanner.bump();
            return Ok(self.tree.push_members(&[]));
        }
        loop {
            let name = self.scanner.string()?.into_string();
            self.scanner
                .expect(b':', "a colon is missing after a member's name")?;
            let member = self.value(depth + 1)?;
            let key = self.tree.key(&name);
            self.members.push((key, member));
            if !self.scanner.another(b'}')? {
                let kind = self
                    .tree
                    .push_members(self.members.get(start..).unwrap_or_default());
                self.members.truncate(start);
                return Ok(kind);
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Kind, ReadError> {
        let start = self.entries.len();
        self.scanner.bump();
        if self.scanner.peek() == Some(b']') {
            self.scanner.bump();
            return Ok(self.tree.push_entries(&[]));
        }
        loop {
            let entry = self.value(depth + 1)?;
            self.entries.push(entry);
            if !self.scanner.another(b']')? {
                let kind = self
                    .tree
                    .push_entries(self.entries.get(start..).unwrap_or_default());
                self.entries.truncate(start);
                return Ok(kind);
            }
        }
    }
}
