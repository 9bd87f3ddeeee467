//! A schema as nested lists, and a value that fits it. Both follow references only so far: a document
//! may refer to itself.

use sandbox_mock::source::{NodeId, Tree};
use serde_json::{Map, Value, json};

use crate::encoding::escape_html;
use crate::web::markdown;
use languages::marks;

/// How deep a page shows what is inside of what.
const DEEPEST: usize = 5;
/// How many members one list of a page may have in all.
const MOST_MEMBERS: usize = 300;

/// The node that a `$ref` leads to, over at most 16 of them; the node itself if it has none.
pub fn resolve(tree: &Tree, mut node: NodeId) -> NodeId {
    for _ in 0..16 {
        let target = tree
            .get_str(node, "$ref")
            .and_then(|reference| reference.strip_prefix('#'))
            .and_then(|pointer| tree.pointer(node, pointer));
        match target {
            Some(target) => node = target,
            None => break,
        }
    }
    node
}

/// `#/components/schemas/Order` is `Order`.
fn reference_name(tree: &Tree, node: NodeId) -> Option<String> {
    let reference = tree.get_str(node, "$ref")?;
    reference.rsplit('/').next().map(str::to_owned)
}

/// The words of a `type`, which 3.1 lets be a list.
fn type_of(tree: &Tree, schema: NodeId) -> String {
    let Some(node) = tree.get(schema, "type") else {
        let is_object = tree.get(schema, "properties").is_some();
        return if is_object { "object" } else { "any" }.to_owned();
    };
    match tree.str(node) {
        Some(name) => name.to_owned(),
        None => {
            let names: Vec<&str> = tree
                .entries(node)
                .iter()
                .filter_map(|entry| tree.str(*entry))
                .collect();
            match names.as_slice() {
                [one, other] => format!("{one} or {other}"),
                more => more.join(" or "),
            }
        }
    }
}

/// Type, format and bounds in one line.
pub fn kind_of(tree: &Tree, schema: NodeId) -> String {
    let name = reference_name(tree, schema);
    let schema = resolve(tree, schema);
    let mut kind = type_of(tree, schema);
    if let (Some(name), "object" | "any") = (name, kind.as_str()) {
        kind = name;
    }
    if kind == "array"
        && let Some(items) = tree.get(schema, "items")
    {
        kind = format!("list of {}", kind_of_shallow(tree, items));
    }
    let mut words = vec![kind];
    if let Some(format) = tree.get_str(schema, "format") {
        words.push(format.to_owned());
    }
    let bound = |key: &str| Some(plain(&to_json(tree, tree.get(schema, key)?)));
    words.extend(bound("minimum").map(|bound| format!("at least {bound}")));
    words.extend(bound("maximum").map(|bound| format!("at most {bound}")));
    words.extend(bound("minLength").map(|bound| format!("characters at least {bound}")));
    words.extend(bound("maxLength").map(|bound| format!("characters at most {bound}")));
    words.extend(bound("maxItems").map(|bound| format!("entries at most {bound}")));
    words.extend(bound("pattern").map(|bound| format!("like {bound}")));
    words.extend(bound("default").map(|bound| format!("default {bound}")));
    words.extend(bound("const").map(|bound| format!("always {bound}")));
    if let Some(values) = tree.get(schema, "enum") {
        let values: Vec<String> = tree
            .entries(values)
            .iter()
            .take(30)
            .map(|value| plain(&to_json(tree, *value)))
            .collect();
        words.push(format!("one of {}", values.join(", ")));
    }
    words.join(", ")
}

fn kind_of_shallow(tree: &Tree, schema: NodeId) -> String {
    reference_name(tree, schema).unwrap_or_else(|| type_of(tree, resolve(tree, schema)))
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A node as JSON.
pub fn to_json(tree: &Tree, node: NodeId) -> Value {
    serde_json::from_str(&tree.value(node).to_string()).unwrap_or(Value::Null)
}

/// Words of the program for HTML, to be shown in the visitor's language.
fn said(words: &str) -> String {
    let mut html = String::new();
    let _ = marks::write_words(&mut html, words);
    html
}

/// Members of a schema as nested HTML lists; empty for what has none.
pub fn members_as_html(tree: &Tree, schema: NodeId) -> String {
    let mut html = String::new();
    let mut left = MOST_MEMBERS;
    write_members(tree, schema, &mut Vec::new(), &mut left, &mut html);
    html
}

fn write_members(
    tree: &Tree,
    schema: NodeId,
    above: &mut Vec<NodeId>,
    left: &mut usize,
    html: &mut String,
) {
    let node = resolve(tree, schema);
    if above.contains(&node) {
        html.push_str("<p class=\"kind\">The same again.</p>");
        return;
    }
    if above.len() >= DEEPEST || *left == 0 {
        return;
    }
    above.push(node);
    if let Some(items) = tree.get(node, "items") {
        write_members(tree, items, above, left, html);
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        let Some(parts) = tree.get(node, key) else {
            continue;
        };
        for (number, part) in (1..).zip(tree.entries(parts).iter().take(12)) {
            let name = reference_name(tree, *part).unwrap_or_else(|| number.to_string());
            let heading = match key {
                "oneOf" => format!("One of these: {name}"),
                "anyOf" => format!("Any of these: {name}"),
                _ => String::new(),
            };
            if !heading.is_empty() {
                html.push_str(&format!("<p class=\"kind\">{}</p>", said(&heading)));
            }
            write_members(tree, *part, above, left, html);
        }
    }
    write_properties(tree, node, above, left, html);
    above.pop();
}

fn write_properties(
    tree: &Tree,
    node: NodeId,
    above: &mut Vec<NodeId>,
    left: &mut usize,
    html: &mut String,
) {
    let Some(properties) = tree.get(node, "properties") else {
        return;
    };
    let required: Vec<&str> = tree
        .get(node, "required")
        .map_or(&[][..], |list| tree.entries(list))
        .iter()
        .filter_map(|name| tree.str(*name))
        .collect();
    html.push_str("<ul class=\"schema\">");
    for (name, property) in tree.members(properties) {
        if *left == 0 {
            html.push_str("<li class=\"kind\">… and more.</li>");
            break;
        }
        *left -= 1;
        let resolved = resolve(tree, property);
        let description = tree
            .get_str(property, "description")
            .or_else(|| tree.get_str(resolved, "description"))
            .unwrap_or_default();
        html.push_str(&format!(
            "<li><code>{}</code>{} <span class=\"kind\">{}</span>",
            escape_html(name),
            if required.contains(&name) {
                " <span class=\"badge\">required</span>"
            } else {
                ""
            },
            match kind_of(tree, property) {
                name if !name.contains(' ') => escape_html(&name),
                words => said(&words),
            },
        ));
        if !description.is_empty() {
            html.push_str(&format!(
                "<div class=\"fine\">{}</div>",
                markdown::render(description)
            ));
        }
        write_members(tree, property, above, left, html);
        html.push_str("</li>");
    }
    html.push_str("</ul>");
}

/// A value that fits the schema: its example, or one made up from its type.
pub fn sample(tree: &Tree, schema: NodeId) -> Value {
    sample_within(tree, schema, 6)
}

fn sample_within(tree: &Tree, schema: NodeId, depth: usize) -> Value {
    let node = resolve(tree, schema);
    for key in ["example", "const", "default"] {
        if let Some(value) = tree.get(node, key) {
            return to_json(tree, value);
        }
    }
    for key in ["examples", "enum"] {
        if let Some(first) = tree
            .get(node, key)
            .and_then(|list| tree.entries(list).first())
        {
            return to_json(tree, *first);
        }
    }
    if depth == 0 {
        return Value::Null;
    }
    let mut object = Map::new();
    if let Some(parts) = tree.get(node, "allOf") {
        for part in tree.entries(parts) {
            if let Value::Object(members) = sample_within(tree, *part, depth - 1) {
                object.extend(members);
            }
        }
    }
    for key in ["oneOf", "anyOf"] {
        if let Some(first) = tree
            .get(node, key)
            .and_then(|list| tree.entries(list).first())
        {
            return sample_within(tree, *first, depth - 1);
        }
    }
    if let Some(properties) = tree.get(node, "properties") {
        for (name, property) in tree.members(properties).take(30) {
            if !tree.get_true(resolve(tree, property), "readOnly") {
                object.insert(name.to_owned(), sample_within(tree, property, depth - 1));
            }
        }
    }
    if !object.is_empty() {
        return Value::Object(object);
    }
    let format = tree.get_str(node, "format").unwrap_or_default();
    let kind = type_of(tree, node);
    match kind.split(' ').next().unwrap_or_default() {
        "object" => json!({}),
        "array" => match tree.get(node, "items") {
            Some(items) => json!([sample_within(tree, items, depth - 1)]),
            None => json!([]),
        },
        "integer" | "number" => tree
            .get(node, "minimum")
            .map_or(json!(1), |least| to_json(tree, least)),
        "boolean" => json!(true),
        "null" => Value::Null,
        _ => json!(match format {
            "date-time" => "2026-01-31T09:30:00Z",
            "date" => "2026-01-31",
            "email" => "ada@example.com",
            "uri" | "url" => "https://example.com/",
            "uuid" => "0b8b3b1e-5f0e-4b6e-9d0b-3a6f1d1c9a11",
            _ => "text",
        }),
    }
}
