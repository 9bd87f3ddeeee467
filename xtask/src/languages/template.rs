//! A template as a tree: as much of askama's syntax as the portal uses.

use anyhow::{Context as _, Result, bail};
use std::collections::BTreeMap;

/// A part of a template, with its line.
#[derive(Debug, Clone)]
pub struct Node {
    pub line: usize,
    pub what: What,
}

#[derive(Debug, Clone)]
pub enum What {
    /// HTML.
    Html(String),
    /// `{{ … }}`
    Expression(String),
    /// Alternatives of which one is taken: `if` and `match`.
    OneOf(Vec<Vec<Node>>),
    /// `for`: the words of a list that is written there, the body, and what stands there for no items.
    Each(Vec<String>, Vec<Node>, Vec<Node>),
    /// `{% block name %}`
    Block(String, Vec<Node>),
    /// `{% call scope::name(arguments) %}`
    Call(String, Vec<String>),
    /// `{% include "path" %}`
    Include(String),
}

/// `{% macro name(parameters) %}`
#[derive(Debug, Clone)]
pub struct Macro {
    pub parameters: Vec<String>,
    pub body: Vec<Node>,
}

/// A template file.
#[derive(Debug, Default, Clone)]
pub struct Template {
    pub extends: Option<String>,
    /// Scope to path.
    pub imports: BTreeMap<String, String>,
    pub macros: BTreeMap<String, Macro>,
    pub nodes: Vec<Node>,
}

enum Token {
    Html(String),
    Expression(String),
    Statement(String),
}

/// Reads a template.
pub fn read(source: &str) -> Result<Template> {
    let mut reader = Reader {
        tokens: tokens(source)?,
        at: 0,
        template: Template::default(),
    };
    let (nodes, end) = reader.nodes()?;
    if let Some(end) = end {
        bail!("line {}: {end} closes nothing", reader.line());
    }
    reader.template.nodes = nodes;
    Ok(reader.template)
}

fn tokens(source: &str) -> Result<Vec<(usize, Token)>> {
    let mut found = Vec::new();
    let (mut rest, mut line) = (source, 1);
    while let Some(at) = rest
        .find("{{")
        .into_iter()
        .chain(rest.find("{%"))
        .chain(rest.find("{#"))
        .min()
    {
        let (html, behind) = rest.split_at(at);
        if !html.is_empty() {
            found.push((line, Token::Html(html.to_owned())));
        }
        line += html.matches('\n').count();
        let close = match &behind[..2] {
            "{{" => "}}",
            "{%" => "%}",
            _ => "#}",
        };
        let end = behind
            .find(close)
            .with_context(|| format!("line {line}: {close} is missing"))?;
        let inner = behind[2..end]
            .trim_matches(['-', '~', '+'])
            .trim()
            .to_owned();
        match close {
            "}}" => found.push((line, Token::Expression(inner))),
            "%}" => found.push((line, Token::Statement(inner))),
            _ => {}
        }
        line += behind[..end].matches('\n').count();
        rest = &behind[end + 2..];
    }
    found.push((line, Token::Html(rest.to_owned())));
    Ok(found)
}

struct Reader {
    tokens: Vec<(usize, Token)>,
    at: usize,
    template: Template,
}

impl Reader {
    fn line(&self) -> usize {
        self.tokens
            .get(self.at.saturating_sub(1))
            .map_or(0, |(line, _)| *line)
    }

    /// Reads until a statement that only its opener understands; answers that one.
    fn nodes(&mut self) -> Result<(Vec<Node>, Option<String>)> {
        let mut nodes = Vec::new();
        while let Some((line, token)) = self.tokens.get(self.at) {
            let line = *line;
            self.at += 1;
            let what = match token {
                Token::Html(html) => What::Html(html.clone()),
                Token::Expression(expression) => What::Expression(expression.clone()),
                Token::Statement(statement) => {
                    let statement = statement.clone();
                    match self.statement(&statement)? {
                        Read::Node(what) => what,
                        Read::Nothing => continue,
                        Read::End => return Ok((nodes, Some(statement))),
                    }
                }
            };
            nodes.push(Node { line, what });
        }
        Ok((nodes, None))
    }

    fn until(&mut self, end: &str) -> Result<Vec<Node>> {
        let line = self.line();
        let (nodes, found) = self.nodes()?;
        if found
            .as_deref()
            .is_some_and(|found| first_word(found) == end)
        {
            return Ok(nodes);
        }
        bail!("line {line}: expected {end}, found {found:?}")
    }

    fn statement(&mut self, statement: &str) -> Result<Read> {
        let (word, rest) = statement
            .split_once(char::is_whitespace)
            .unwrap_or((statement, ""));
        Ok(match word {
            "if" => Read::Node(self.one_of(false)?),
            "match" => Read::Node(self.one_of(true)?),
            "for" => {
                let (body, end) = self.nodes()?;
                let none = match end.as_deref().map(first_word) {
                    Some("else") => self.until("endfor")?,
                    _ => Vec::new(),
                };
                Read::Node(What::Each(words_of_list(rest), body, none))
            }
            "block" => Read::Node(What::Block(rest.trim().to_owned(), self.until("endblock")?)),
            "macro" => {
                let (name, parameters) = call(rest)?;
                let body = self.until("endmacro")?;
                self.template
                    .macros
                    .insert(name, Macro { parameters, body });
                Read::Nothing
            }
            "call" => {
                let (name, arguments) = call(rest)?;
                self.until("endcall")?;
                Read::Node(What::Call(name, arguments))
            }
            "include" => Read::Node(What::Include(unquoted(rest))),
            "extends" => {
                self.template.extends = Some(unquoted(rest));
                Read::Nothing
            }
            "import" => {
                let (path, scope) = rest.split_once(" as ").context("import … as …")?;
                self.template
                    .imports
                    .insert(scope.trim().to_owned(), unquoted(path));
                Read::Nothing
            }
            "let" | "set" => Read::Nothing,
            "else" | "elif" | "when" | "endif" | "endfor" | "endmatch" | "endblock"
            | "endmacro" | "endcall" => Read::End,
            other => bail!(
                "line {}: the collector does not know {{% {other} %}}",
                self.line()
            ),
        })
    }

    fn one_of(&mut self, is_match: bool) -> Result<What> {
        let mut branches = Vec::new();
        let mut is_exhaustive = is_match;
        let mut is_first = true;
        loop {
            let (nodes, end) = self.nodes()?;
            // What stands between `match` and the first `when` is nothing.
            if !(is_match && is_first) {
                branches.push(nodes);
            }
            is_first = false;
            match end.as_deref() {
                Some("endif" | "endmatch") => break,
                Some("else") => is_exhaustive = true,
                Some(_) => {}
                None => bail!("line {}: endif or endmatch is missing", self.line()),
            }
        }
        if !is_exhaustive {
            branches.push(Vec::new());
        }
        Ok(What::OneOf(branches))
    }
}

enum Read {
    Node(What),
    Nothing,
    End,
}

fn first_word(statement: &str) -> &str {
    statement.split_whitespace().next().unwrap_or_default()
}

fn unquoted(text: &str) -> String {
    text.trim().trim_matches('"').to_owned()
}

/// `name(a, "b, c", d(e))`: the name and the arguments.
fn call(text: &str) -> Result<(String, Vec<String>)> {
    let (name, rest) = text
        .trim()
        .split_once('(')
        .context("a call without arguments")?;
    let inner = rest
        .trim_end()
        .strip_suffix(')')
        .context("an unclosed call")?;
    let mut arguments = Vec::new();
    let (mut depth, mut is_quoted, mut current) = (0_i32, false, String::new());
    let mut previous = ' ';
    for c in inner.chars() {
        match c {
            '"' if previous != '\\' => is_quoted = !is_quoted,
            '(' | '[' if !is_quoted => depth += 1,
            ')' | ']' if !is_quoted => depth -= 1,
            ',' if !is_quoted && depth == 0 => {
                arguments.push(std::mem::take(&mut current).trim().to_owned());
                previous = c;
                continue;
            }
            _ => {}
        }
        current.push(c);
        previous = c;
    }
    if !current.trim().is_empty() {
        arguments.push(current.trim().to_owned());
    }
    Ok((name.trim().to_owned(), arguments))
}

/// The texts in `(name, label) in [("email", "E-mail"), …]`: what begins with a capital, or has a space.
fn words_of_list(expression: &str) -> Vec<String> {
    let Some((_, list)) = expression.split_once(" in [") else {
        return Vec::new();
    };
    let literals = list.split('"').skip(1).step_by(2);
    let is_text = |text: &&str| {
        text.starts_with(|first: char| first.is_uppercase()) || text.trim().contains(' ')
    };
    literals.filter(is_text).map(str::to_owned).collect()
}
