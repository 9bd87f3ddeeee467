//! What a screen reader is told of a page: roles, names and states as a text that can be compared, and
//! what every page has to have.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt::Write as _;

/// Roles that say nothing by themselves: what is inside of them stands in their place.
const SILENT: [&str; 7] = [
    "none",
    "generic",
    "InlineTextBox",
    "LineBreak",
    "ListMarker",
    "LayoutTableRow",
    "LayoutTableCell",
];

/// Roles that people act on or jump to: without a name they are nothing.
const NAMED: [&str; 14] = [
    "button",
    "checkbox",
    "combobox",
    "dialog",
    "heading",
    "image",
    "link",
    "listbox",
    "navigation",
    "radio",
    "searchbox",
    "spinbutton",
    "textbox",
    "Date",
];

/// States that are told beside a name.
const STATES: [&str; 7] = [
    "level", "checked", "expanded", "required", "invalid", "disabled", "pressed",
];

/// One thing of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoken {
    pub depth: usize,
    pub role: String,
    pub name: String,
    pub states: Vec<(String, String)>,
}

impl Spoken {
    /// The level of a heading; 0 of anything else.
    fn level(&self) -> u32 {
        let level = self.states.iter().find(|(name, _)| name == "level");
        level.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
    }
}

/// Reads the answer of `Accessibility.getFullAXTree`, in the order of reading.
///
/// # Errors
/// When it is none.
pub fn read(answer: &Value) -> Result<Vec<Spoken>> {
    let nodes = answer["nodes"].as_array().context("no nodes")?;
    let by_id: HashMap<&str, &Value> = nodes
        .iter()
        .filter_map(|node| Some((node["nodeId"].as_str()?, node)))
        .collect();
    let root = nodes.first().context("an empty tree")?;
    let mut spoken = Vec::new();
    walk(root, &by_id, 0, &mut spoken);
    Ok(spoken)
}

fn walk(node: &Value, by_id: &HashMap<&str, &Value>, depth: usize, spoken: &mut Vec<Spoken>) {
    let role = node["role"]["value"].as_str().unwrap_or_default();
    let name = node["name"]["value"].as_str().unwrap_or_default().trim();
    let is_text = role == "StaticText";
    // The text of what has a name is its name.
    let is_name = |last: &Spoken| last.depth < depth && last.name == name;
    let is_silent = node["ignored"] == true
        || SILENT.contains(&role)
        || is_text && (name.is_empty() || spoken.last().is_some_and(is_name));
    let mut below = depth;
    if !is_silent {
        let states = node["properties"].as_array().into_iter().flatten();
        let states = states.filter_map(|state| {
            let name = state["name"]
                .as_str()
                .filter(|name| STATES.contains(name))?;
            let value = match &state["value"]["value"] {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            (value != "false").then(|| (name.to_owned(), value))
        });
        spoken.push(Spoken {
            depth,
            role: role.to_owned(),
            name: name.to_owned(),
            states: states.collect(),
        });
        below += 1;
    }
    for child in node["childIds"].as_array().into_iter().flatten() {
        if let Some(child) = child.as_str().and_then(|id| by_id.get(id)) {
            walk(child, by_id, below, spoken);
        }
    }
}

/// The tree as text, a line each: what differs from run to run (ids, keys, numbers, times) is left out.
#[must_use]
pub fn as_text(spoken: &[Spoken]) -> String {
    let mut text = String::new();
    for one in spoken {
        let _ = write!(text, "{}{}", "  ".repeat(one.depth), one.role);
        if !one.name.is_empty() {
            let _ = write!(text, " \"{}\"", lasting(&one.name));
        }
        for (name, value) in &one.states {
            let _ = write!(text, " {name}={value}");
        }
        text.push('\n');
    }
    text
}

/// Words stay; a word with a figure in it becomes `#`.
fn lasting(name: &str) -> String {
    let words = name.split_whitespace().map(|word| {
        if word.contains(|c: char| c.is_ascii_digit()) {
            "#"
        } else {
            word
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// What every page has: its landmarks, one first heading, no level left out, and a name on everything
/// that people act on.
///
/// # Errors
/// With all that is missing.
pub fn check(spoken: &[Spoken]) -> Result<()> {
    let mut wrong = Vec::new();
    let of = |role: &str| spoken.iter().filter(|one| one.role == role).count();
    for landmark in ["main", "banner", "contentinfo"] {
        if of(landmark) != 1 {
            wrong.push(format!("{} landmarks `{landmark}`", of(landmark)));
        }
    }
    let mut before = 0;
    for heading in spoken.iter().filter(|one| one.role == "heading") {
        let level = heading.level();
        if level > before + 1 {
            wrong.push(format!(
                "after level {before} comes {level}: {}",
                heading.name
            ));
        }
        before = level;
    }
    // Items of lists have levels too.
    let is_first = |one: &&Spoken| one.role == "heading" && one.level() == 1;
    let first = spoken.iter().filter(is_first).count();
    if first != 1 {
        wrong.push(format!("{first} headings of level 1"));
    }
    for one in spoken {
        if one.name.is_empty() && NAMED.contains(&one.role.as_str()) {
            wrong.push(format!("a {} without a name", one.role));
        }
    }
    let mut regions: Vec<&str> = spoken
        .iter()
        .filter(|one| one.role == "navigation")
        .map(|one| one.name.as_str())
        .collect();
    regions.sort_unstable();
    for pair in regions.windows(2) {
        if pair[0] == pair[1] {
            wrong.push(format!("two navigations called {}", pair[0]));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn node(id: &str, role: &str, name: &str, children: &[&str]) -> Value {
        json!({ "nodeId": id, "role": { "value": role }, "name": { "value": name }, "childIds": children })
    }

    fn page(field: &str, level: u32) -> Vec<Spoken> {
        let mut heading = node("5", "heading", "Keys of 3 apps", &["6"]);
        heading["properties"] = json!([{ "name": "level", "value": { "value": level } }]);
        let nodes = [
            node("1", "RootWebArea", "Keys", &["2", "3", "4"]),
            node("2", "banner", "", &[]),
            node("3", "main", "", &["9"]),
            node("4", "contentinfo", "", &[]),
            node("9", "generic", "", &["5", "7"]),
            heading,
            node("6", "StaticText", "Keys of 3 apps", &[]),
            node("7", "textbox", field, &[]),
        ];
        read(&json!({ "nodes": nodes })).unwrap()
    }

    #[test]
    fn a_tree_is_told_without_what_says_nothing_and_what_does_not_last() {
        let text = as_text(&page("Name", 1));
        let lines: Vec<&str> = text.lines().collect();
        let expected = [
            "RootWebArea \"Keys\"",
            "  banner",
            "  main",
            "    heading \"Keys of # apps\" level=1",
            "    textbox \"Name\"",
            "  contentinfo",
        ];
        assert_eq!(lines, expected);
        check(&page("Name", 1)).unwrap();
    }

    #[test]
    fn a_field_without_a_name_and_a_level_left_out_are_found() {
        let wrong = check(&page("", 2)).unwrap_err().to_string();
        assert!(wrong.contains("a textbox without a name"), "{wrong}");
        assert!(wrong.contains("after level 0 comes 2"), "{wrong}");
        assert!(wrong.contains("0 headings of level 1"), "{wrong}");
    }
}
