//! Finds the operations that a request line names.
//!
//! Owns the routes: concrete segments before partly templated before templated ones, base paths that a request may
//! carry or leave out, a trailing slash that does not matter. Which of several operations on one route is meant (they
//! differ by a fragment) is decided by whoever checks the request.

use crate::operation::Api;
use crate::text::percent_decode;
use std::collections::HashMap;

/// All routes of a document.
#[derive(Debug, Default)]
pub struct Routes {
    nodes: Vec<Node>,
    base_paths: Vec<String>,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<Box<str>, usize>,
    templates: Vec<(Vec<Piece>, usize)>,
    /// The operations that end here: method and index.
    ends: Vec<(Box<str>, usize)>,
}

/// A part of one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Parameter,
}

/// What a request line matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matched {
    /// The indices of the operations on this route and method, and the values of the template's parameters.
    Operations(Vec<usize>, Vec<String>),
    /// The path exists with these methods only.
    OtherMethods(Vec<String>),
    /// There is no such path.
    Nothing,
}

impl Routes {
    /// The routes of a document.
    pub fn new(api: &Api) -> Routes {
        let mut routes = Routes {
            nodes: vec![Node::default()],
            base_paths: api.base_paths.clone(),
        };
        for (index, operation) in api.operations.iter().enumerate() {
            routes.add(&operation.method, &operation.path, index);
        }
        for node in &mut routes.nodes {
            // More literal text first, then fewer parameters.
            node.templates.sort_by_key(|(pieces, _)| {
                let text: usize = pieces
                    .iter()
                    .map(|piece| {
                        if let Piece::Literal(text) = piece {
                            text.len()
                        } else {
                            0
                        }
                    })
                    .sum();
                std::cmp::Reverse(text)
            });
        }
        routes
    }

    fn add(&mut self, method: &str, path: &str, index: usize) {
        let mut at = 0;
        for segment in segments(path) {
            let pieces = pieces(segment);
            let next = self.nodes.len();
            let Some(node) = self.nodes.get_mut(at) else {
                return;
            };
            at = match pieces.as_slice() {
                [Piece::Literal(text)] => {
                    *node.literals.entry(text.as_str().into()).or_insert(next)
                }
                _ => match node.templates.iter().find(|(known, _)| *known == pieces) {
                    Some((_, known)) => *known,
                    None => {
                        node.templates.push((pieces, next));
                        next
                    }
                },
            };
            if at == next {
                self.nodes.push(Node::default());
            }
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.ends.push((method.into(), index));
        }
    }

    /// Matches a method and a path as it came, percent-encoded.
    pub fn find(&self, method: &str, path: &str) -> Matched {
        let mut best = Matched::Nothing;
        let (open, written): (Vec<&str>, Vec<&str>) = self
            .base_paths
            .iter()
            .map(String::as_str)
            .partition(|base| base.contains('{'));
        // A base path with a free variable fits nearly everything: it comes last.
        for base in written.into_iter().chain([""]).chain(open) {
            let Some(rest) = below_base(path, base) else {
                continue;
            };
            let segments: Vec<String> = segments(rest).map(percent_decode).collect();
            let mut search = Search {
                routes: self,
                method,
                segments: &segments,
                values: Vec::new(),
                methods: Vec::new(),
            };
            if let Some(found) = search.walk(0, 0) {
                return Matched::Operations(found, search.values);
            }
            if !search.methods.is_empty() && best == Matched::Nothing {
                search.methods.sort_unstable();
                search.methods.dedup();
                best = Matched::OtherMethods(search.methods);
            }
        }
        best
    }
}

/// The path below a base path, whose segments may be variables.
fn below_base<'p>(path: &'p str, base: &str) -> Option<&'p str> {
    let mut rest = path;
    for wanted in segments(base) {
        let inner = rest.strip_prefix('/')?;
        let end = inner.find('/').unwrap_or(inner.len());
        let (segment, after) = inner.split_at_checked(end)?;
        let fits = wanted == segment || (wanted.contains('{') && fits_pieces(wanted, segment));
        if !fits {
            return None;
        }
        rest = after;
    }
    Some(rest)
}

fn fits_pieces(template: &str, segment: &str) -> bool {
    capture(&pieces(template), &percent_decode(segment), &mut Vec::new())
}

struct Search<'r> {
    routes: &'r Routes,
    method: &'r str,
    segments: &'r [String],
    values: Vec<String>,
    methods: Vec<String>,
}

impl Search<'_> {
    fn walk(&mut self, node: usize, depth: usize) -> Option<Vec<usize>> {
        let node = self.routes.nodes.get(node)?;
        let Some(segment) = self.segments.get(depth) else {
            let found: Vec<usize> = node
                .ends
                .iter()
                .filter(|(method, _)| **method == *self.method)
                .map(|(_, index)| *index)
                .collect();
            if found.is_empty() {
                self.methods
                    .extend(node.ends.iter().map(|(method, _)| method.to_string()));
                return None;
            }
            return Some(found);
        };
        if let Some(next) = node.literals.get(segment.as_str())
            && let Some(found) = self.walk(*next, depth + 1)
        {
            return Some(found);
        }
        for (pieces, next) in &node.templates {
            let before = self.values.len();
            if capture(pieces, segment, &mut self.values)
                && let Some(found) = self.walk(*next, depth + 1)
            {
                return Some(found);
            }
            self.values.truncate(before);
        }
        None
    }
}

/// The names of a template's parameters, in order.
pub(crate) fn parameter_names(path: &str) -> Vec<String> {
    let mut names = Vec::new();
    for segment in segments(path) {
        let mut rest = segment;
        while let Some((_, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else {
                break;
            };
            names.push(name.to_owned());
            rest = after;
        }
    }
    names
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    path.split('/').filter(move |_| !path.is_empty())
}

fn pieces(segment: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = segment;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((_, after)) = after.split_once('}') else {
            break;
        };
        if !before.is_empty() {
            pieces.push(Piece::Literal(percent_decode(before)));
        }
        pieces.push(Piece::Parameter);
        rest = after;
    }
    if !rest.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Literal(percent_decode(rest)));
    }
    pieces
}

/// Matches the pieces of a segment, each parameter as short as the next literal allows but never empty.
fn capture(pieces: &[Piece], text: &str, values: &mut Vec<String>) -> bool {
    match pieces {
        [] => text.is_empty(),
        [Piece::Literal(literal), rest @ ..] => text
            .strip_prefix(literal.as_str())
            .is_some_and(|text| capture(rest, text, values)),
        [Piece::Parameter] => {
            if text.is_empty() {
                return false;
            }
            values.push(text.to_owned());
            true
        }
        [Piece::Parameter, rest @ ..] => {
            for (at, c) in text.char_indices() {
                let end = at + c.len_utf8();
                let before = values.len();
                values.push(text.get(..end).unwrap_or_default().to_owned());
                if capture(rest, text.get(end..).unwrap_or_default(), values) {
                    return true;
                }
                values.truncate(before);
            }
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Operation;

    fn routes() -> Routes {
        let operation = |method: &str, path: &str| Operation {
            method: method.to_owned(),
            path: path.to_owned(),
            ..Operation::default()
        };
        Routes::new(&Api {
            base_paths: vec!["/v2".to_owned()],
            operations: vec![
                operation("GET", "/pets"),
                operation("GET", "/pets/{id}"),
                operation("GET", "/pets/mine"),
                operation("DELETE", "/pets/{id}"),
                operation("GET", "/n/{sid}.json"),
                operation("GET", "/n/Local.json"),
                operation("GET", "/c/{base}...{head}"),
                operation("GET", "/pets/{id}/toys"),
                operation("PUT", "/pets/{other}"),
            ],
            ..Api::default()
        })
    }

    #[test]
    fn concrete_paths_win_over_templates() {
        let routes = routes();
        let found = |path| match routes.find("GET", path) {
            Matched::Operations(indices, values) => (indices, values),
            other => panic!("{path}: {other:?}"),
        };
        assert_eq!(found("/pets/mine"), (vec![2], vec![]));
        assert_eq!(found("/pets/a%2Fb"), (vec![1], vec!["a/b".to_owned()]));
        assert_eq!(found("/v2/pets/"), (vec![0], vec![]));
        assert_eq!(found("/n/Local.json"), (vec![5], vec![]));
        assert_eq!(found("/n/X1.json"), (vec![4], vec!["X1".to_owned()]));
        assert_eq!(found("/c/main...next").1, ["main", "next"]);
        assert_eq!(found("/pets/mine/toys"), (vec![7], vec!["mine".to_owned()]));
    }

    #[test]
    fn a_method_of_another_template_on_the_same_path_is_found() {
        let routes = routes();
        assert_eq!(
            routes.find("DELETE", "/pets/mine"),
            Matched::Operations(vec![3], vec!["mine".to_owned()])
        );
        assert_eq!(
            routes.find("PUT", "/pets/1"),
            Matched::Operations(vec![8], vec!["1".to_owned()])
        );
        assert_eq!(
            routes.find("PATCH", "/pets"),
            Matched::OtherMethods(vec!["GET".to_owned()])
        );
        assert_eq!(routes.find("GET", "/nowhere"), Matched::Nothing);
    }

    #[test]
    fn parameters_are_named_in_order() {
        assert_eq!(
            parameter_names("/c/{base}...{head}/x/{y}"),
            ["base", "head", "y"]
        );
    }
}
