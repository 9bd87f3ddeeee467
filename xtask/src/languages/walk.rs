//! The texts of the templates: every branch of every template runs through the machine that cuts pages.

use super::template::{Node, Template, What, read};
use super::texts::Texts;
use ::languages::marks::{END, VALUE, WORDS};
use ::languages::message::Message;
use ::languages::segment::{Dictionary, Segmenter};
use anyhow::{Context as _, Result};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// So many ways through one sentence are followed. A template with more is to be written more plainly.
const WAYS: usize = 600;

/// Every template below a folder, by its path there.
pub fn read_templates(root: &Path, files: &[String]) -> Result<BTreeMap<String, Template>> {
    files
        .iter()
        .map(|file| {
            let source = std::fs::read_to_string(root.join(file))?;
            let template = read(&source).with_context(|| file.clone())?;
            Ok((file.clone(), template))
        })
        .collect()
}

/// Collects the texts of these templates.
pub fn collect(templates: &BTreeMap<String, Template>, texts: &mut Texts) {
    for (file, template) in templates {
        let is_part = template.extends.is_none()
            && template
                .nodes
                .iter()
                .all(|node| matches!(&node.what, What::Html(html) if html.trim().is_empty()));
        if is_part {
            continue;
        }
        let mut walk = Walk {
            templates,
            blocks: BTreeMap::new(),
            sink: Sink {
                texts,
                file: file.clone(),
                line: 1,
            },
        };
        let mut current = (file.as_str(), template);
        while let Some(parent) = current.1.extends.as_deref() {
            blocks_of(current.0, &current.1.nodes, &mut walk.blocks);
            let Some(found) = templates.get(parent) else {
                break;
            };
            current = (parent, found);
        }
        let scope = Scope {
            file: current.0,
            arguments: BTreeMap::new(),
        };
        let ends = walk.nodes(&current.1.nodes, vec![Segmenter::asking()], &scope);
        for end in ends {
            end.finish(&mut walk.sink);
        }
    }
}

fn blocks_of<'t>(
    file: &'t str,
    nodes: &'t [Node],
    into: &mut BTreeMap<String, (&'t str, &'t [Node])>,
) {
    for node in nodes {
        if let What::Block(name, body) = &node.what {
            into.entry(name.clone()).or_insert((file, body));
            blocks_of(file, body, into);
        }
    }
}

struct Sink<'a> {
    texts: &'a mut Texts,
    file: String,
    line: usize,
}

impl Dictionary for Sink<'_> {
    fn text(&mut self, message: &Message) -> Option<&str> {
        let comments = message
            .values
            .iter()
            .enumerate()
            .map(|(at, value)| {
                format!(
                    "{{{at}}}: {}",
                    value.split_whitespace().collect::<Vec<_>>().join(" ")
                )
            })
            .collect();
        self.texts.add(&message.id, &self.file, self.line, comments);
        None
    }

    fn words(&mut self, english: &str) -> Option<String> {
        // An expression stands for itself; the words are those of the code. Only a literal is a text.
        if let Some(literal) = english
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
        {
            self.texts.add(
                &literal.replace("\\\"", "\""),
                &self.file,
                self.line,
                Vec::new(),
            );
        }
        None
    }
}

#[derive(Clone)]
struct Scope<'t> {
    file: &'t str,
    arguments: BTreeMap<String, String>,
}

impl Scope<'_> {
    fn resolve(&self, expression: &str) -> String {
        match self.arguments.get(expression) {
            Some(argument) => argument.clone(),
            None => expression.to_owned(),
        }
    }
}

struct Walk<'t, 'a> {
    templates: &'t BTreeMap<String, Template>,
    blocks: BTreeMap<String, (&'t str, &'t [Node])>,
    sink: Sink<'a>,
}

impl<'t> Walk<'t, '_> {
    fn nodes(
        &mut self,
        nodes: &'t [Node],
        mut states: Vec<Segmenter>,
        scope: &Scope<'t>,
    ) -> Vec<Segmenter> {
        for node in nodes {
            self.sink.file = scope.file.to_owned();
            self.sink.line = node.line;
            states = self.node(node, states, scope);
            let mut seen = HashSet::new();
            states.retain(|state| seen.insert(state.clone()));
            if states.len() > WAYS {
                self.sink.texts.problems.push(format!(
                    "{}:{}: more than {WAYS} ways through one sentence; make it several, or put what varies into an element of its own",
                    scope.file, node.line
                ));
                states.truncate(1);
            }
        }
        states
    }

    fn node(
        &mut self,
        node: &'t Node,
        mut states: Vec<Segmenter>,
        scope: &Scope<'t>,
    ) -> Vec<Segmenter> {
        match &node.what {
            What::Html(html) => {
                self.feed(&mut states, html);
                states
            }
            What::Expression(expression) => {
                let marked = marked(expression, scope);
                self.feed(&mut states, &marked);
                states
            }
            What::OneOf(branches) => branches
                .iter()
                .flat_map(|branch| self.nodes(branch, states.clone(), scope))
                .collect(),
            What::Each(words, body, none) => {
                for words in words {
                    let (file, line) = (&self.sink.file, self.sink.line);
                    self.sink.texts.add(words, file, line, Vec::new());
                }
                let mut ways = self.nodes(none, states.clone(), scope);
                ways.extend(self.nodes(body, states, scope));
                ways
            }
            What::Block(name, body) => match self.blocks.get(name).copied() {
                Some((file, body)) => {
                    let scope = Scope {
                        file,
                        ..scope.clone()
                    };
                    self.nodes(body, states, &scope)
                }
                None => self.nodes(body, states, scope),
            },
            What::Include(path) => match self.templates.get_key_value(path) {
                Some((file, template)) => {
                    let scope = Scope {
                        file,
                        ..scope.clone()
                    };
                    self.nodes(&template.nodes, states, &scope)
                }
                None => states,
            },
            What::Call(name, arguments) => self.call(name, arguments, states, scope),
        }
    }

    fn call(
        &mut self,
        name: &str,
        arguments: &[String],
        states: Vec<Segmenter>,
        scope: &Scope<'t>,
    ) -> Vec<Segmenter> {
        let file = match name.split_once("::") {
            Some((import, _)) => self.import(import, scope.file),
            None => Some(scope.file),
        };
        let name = name.rsplit("::").next().unwrap_or(name);
        let found = file.and_then(|file| {
            let (file, template) = self.templates.get_key_value(file)?;
            Some((file, template.macros.get(name)?))
        });
        let Some((file, one)) = found else {
            let line = self.sink.line;
            self.sink
                .texts
                .problems
                .push(format!("{}:{line}: there is no macro {name}", scope.file));
            return states;
        };
        let arguments = one
            .parameters
            .iter()
            .zip(arguments)
            .map(|(parameter, argument)| (parameter.clone(), scope.resolve(argument)))
            .collect();
        let (calling_file, calling_line) = (self.sink.file.clone(), self.sink.line);
        let inner = Scope { file, arguments };
        let states = self.nodes(&one.body, states, &inner);
        self.sink.file = calling_file;
        self.sink.line = calling_line;
        states
    }

    /// An import counts in its file, and in the files that extend it.
    fn import(&self, scope: &str, file: &str) -> Option<&'t str> {
        let template = self.templates.get(file)?;
        template.imports.get(scope).map(String::as_str)
    }

    fn feed(&mut self, states: &mut [Segmenter], text: &str) {
        for state in states {
            state.feed(text, &mut self.sink);
        }
    }
}

/// What stands on the page in place of an expression.
fn marked(expression: &str, scope: &Scope<'_>) -> String {
    let words = expression
        .strip_prefix("crate::t(")
        .and_then(|rest| rest.strip_suffix(')'));
    let (mark, shown) = match words {
        Some(inner) => (WORDS, scope.resolve(inner.trim().trim_start_matches('&'))),
        None => (VALUE, scope.resolve(expression)),
    };
    let mut text = String::from(mark);
    let _ = ::languages::marks::write_escaped(&mut text, &shown);
    text.push(END);
    text
}
