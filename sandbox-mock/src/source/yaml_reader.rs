//! YAML text into the tree: the core schema, anchors, and the merge key.

use super::{Kind, NodeId, SourceError, Tree};
use crate::json::MAX_DEPTH;
use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use std::collections::HashMap;

pub(super) fn read(tree: &mut Tree, text: &str, file: u16) -> Result<NodeId, SourceError> {
    let text = text.trim_start_matches('\u{feff}');
    let mut open: Vec<Container> = Vec::new();
    let mut anchors: HashMap<usize, NodeId> = HashMap::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| SourceError {
            line: u32::try_from(error.marker().line()).unwrap_or(0),
            reason: error.info().to_owned(),
        })?;
        let line = u32::try_from(span.start.line()).unwrap_or(0);
        let finished = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain
                    && tag.as_deref().is_none_or(|tag| !is_string_tag(tag));
                let kind = if plain {
                    plain_scalar(tree, &text)
                } else {
                    tree.push_text(&text)
                };
                // A key of a mapping keeps its spelling: `200:` is the name "200".
                let written = open
                    .last()
                    .is_some_and(Container::wants_key)
                    .then(|| text.into_owned());
                let node = tree.push(kind, line, file);
                anchors.insert(anchor, node);
                Some((node, written))
            }
            Event::Alias(anchor) => anchors.get(&anchor).map(|node| (*node, None)),
            Event::SequenceStart(anchor, _) => {
                open.push(Container {
                    line,
                    anchor,
                    children: Children::Entries(Vec::new()),
                });
                None
            }
            Event::MappingStart(anchor, _) => {
                open.push(Container {
                    line,
                    anchor,
                    children: Children::Members(Vec::new(), None),
                });
                None
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(container) => {
                    let kind = match container.children {
                        Children::Entries(entries) => tree.push_entries(&entries),
                        Children::Members(members, _) => {
                            let members = merge(tree, members);
                            tree.push_members(&members)
                        }
                    };
                    let node = tree.push(kind, container.line, file);
                    anchors.insert(container.anchor, node);
                    Some((node, None))
                }
                None => None,
            },
            Event::DocumentEnd => break,
            _ => None,
        };
        if open.len() > MAX_DEPTH {
            return Err(SourceError {
                line,
                reason: "nested too deeply".to_owned(),
            });
        }
        let Some((node, written)) = finished else {
            continue;
        };
        match open.last_mut() {
            Some(container) => container.add(tree, node, written),
            None => return Ok(node),
        }
    }
    Err(SourceError {
        line: 1,
        reason: "the document is empty".to_owned(),
    })
}

struct Container {
    line: u32,
    anchor: usize,
    children: Children,
}

enum Children {
    Entries(Vec<NodeId>),
    Members(Vec<(u32, NodeId)>, Option<u32>),
}

impl Container {
    fn wants_key(&self) -> bool {
        matches!(self.children, Children::Members(_, None))
    }

    fn add(&mut self, tree: &mut Tree, node: NodeId, written: Option<String>) {
        match &mut self.children {
            Children::Entries(entries) => entries.push(node),
            Children::Members(members, key @ Some(_)) => {
                if let Some(key) = key.take() {
                    members.push((key, node));
                }
            }
            Children::Members(_, key) => {
                let name = written
                    .or_else(|| tree.str(node).map(str::to_owned))
                    .unwrap_or_else(|| tree.value(node).to_string());
                *key = Some(tree.key(&name));
            }
        }
    }
}

/// Replaces `<<: *anchor` by the members of what it names; members written out win.
fn merge(tree: &mut Tree, members: Vec<(u32, NodeId)>) -> Vec<(u32, NodeId)> {
    let merge_key = tree.key("<<");
    if members.iter().all(|(key, _)| *key != merge_key) {
        return members;
    }
    let mut merged: Vec<(u32, NodeId)> = Vec::new();
    for (_, node) in members.iter().filter(|(key, _)| *key == merge_key) {
        let parts = if tree.is_array(*node) {
            tree.entries(*node).to_vec()
        } else {
            vec![*node]
        };
        for part in parts {
            for (key, member) in tree.raw_members(part) {
                if merged.iter().all(|(known, _)| known != key) {
                    merged.push((*key, *member));
                }
            }
        }
    }
    let own = || members.iter().filter(|(key, _)| *key != merge_key);
    merged.retain(|(key, _)| own().all(|(known, _)| known != key));
    merged.extend(own());
    merged
}

fn is_string_tag(tag: &Tag) -> bool {
    tag.is_yaml_core_schema() && tag.suffix == "str"
}

fn plain_scalar(tree: &mut Tree, text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "true" | "True" | "TRUE" => return Kind::Bool(true),
        "false" | "False" | "FALSE" => return Kind::Bool(false),
        _ => {}
    }
    let first = text
        .trim_start_matches(['+', '-'])
        .bytes()
        .next()
        .unwrap_or(b' ');
    if first.is_ascii_digit() || first == b'.' {
        if let Ok(number) = text.parse::<i64>() {
            return Kind::Int(number);
        }
        let radix = |prefix, radix| {
            text.strip_prefix(prefix)
                .and_then(|digits| i64::from_str_radix(digits, radix).ok())
        };
        if let Some(number) = radix("0x", 16).or_else(|| radix("0o", 8)) {
            return Kind::Int(number);
        }
        let numeric = text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
        if let Some(number) = text
            .parse::<f64>()
            .ok()
            .filter(|number| numeric && number.is_finite())
        {
            return Kind::Float(number);
        }
    }
    tree.push_text(text)
}
