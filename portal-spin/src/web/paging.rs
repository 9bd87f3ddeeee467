//! Lists in pages: `?q=&limit=50&cursor=…`, answered with `next_cursor`.
//!
//! With `?format=csv` a page is a file of up to 10 000 rows (see [`super::lists`]). A cursor is the last
//! row's sort key, opaque to clients. Lists that grow are searched and cut by the database: sorted by id
//! (ids sort by time), newest first, so that rows that arrive meanwhile never shift a page. Lists that
//! stay short are read whole and answered by [`whole`]. What a list can be filtered by stands beside its
//! URL in the table of routes.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::Value;

use super::Failure;
use crate::context::Context;

/// What a list request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// How many rows, 1 to 200; in a file, to 10 000.
    pub limit: i64,
    /// Rows before this id only. Without a cursor, a text that sorts after every id.
    pub before: String,
    /// What `q` looks for, as a pattern for [`finds`].
    pub wanted: String,
}

/// A condition in SQL: whether one of the columns contains what a [`PageRequest::wanted`] at the
/// placeholder looks for.
pub fn finds(placeholder: &str, columns: &[&str]) -> String {
    let any: Vec<String> = columns
        .iter()
        .map(|column| format!("LOWER(COALESCE({column}, '')) LIKE {placeholder} ESCAPE '!'"))
        .collect();
    format!("({})", any.join(" OR "))
}

/// `q` as a pattern that is found anywhere in a text, in either case.
fn pattern_of(question: &str) -> String {
    let mut pattern = "%".to_owned();
    for character in question.trim().to_lowercase().chars().take(200) {
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    if pattern.len() > 1 {
        pattern.push('%');
    }
    pattern
}

/// A page of a list that was read whole: rows in which `q` stands, which have what the route's filters
/// ask for, after the row that the cursor names.
pub fn whole<T: Serialize>(
    context: &Context,
    items: Vec<T>,
    id_of: impl Fn(&T) -> String,
) -> Result<PageOf<T>, Failure> {
    let request = PageRequest::read_with_any_cursor(context)?;
    let question = context.query("q").unwrap_or_default();
    let question = question.trim().to_lowercase();
    let filters: Vec<(&str, String)> = context
        .route
        .filters
        .unwrap_or_default()
        .iter()
        .filter_map(|name| Some((*name, context.query(name).filter(|text| !text.is_empty())?)))
        .collect();
    let mut found = Vec::with_capacity(items.len());
    for item in items {
        let row = serde_json::to_value(&item).unwrap_or_default();
        let fits =
            |(name, wanted): &(&str, String)| row.get(name).is_some_and(|value| is(value, wanted));
        if contains(&row, &question) && filters.iter().all(fits) {
            found.push(item);
        }
    }
    if let Some(cursor) = context.query("cursor") {
        let at = found.iter().position(|item| id_of(item) == cursor);
        let at = at.ok_or_else(unknown_cursor)?;
        found.drain(..=at);
    }
    Ok(request.page_of(found, id_of))
}

/// Whether a text can be the sort key of a row: an id, or a time or a number and what follows it.
fn is_cursor(text: &str) -> bool {
    let is_id = || {
        let (prefix, rest) = text.split_once('_')?;
        let is_prefix = prefix.len() == 3 && prefix.bytes().all(|byte| byte.is_ascii_lowercase());
        let is_rest = rest.len() == 26 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
        (is_prefix && is_rest).then_some(())
    };
    text.starts_with(|first: char| first.is_ascii_digit()) || is_id().is_some()
}

/// A cursor that no page of the list has given.
pub fn unknown_cursor() -> Failure {
    Failure::field(
        "cursor",
        "unknown_cursor",
        "Send the `next_cursor` of the page before, with the same search; or none, to begin anew.",
    )
}

/// Whether a text stands anywhere in a value.
fn contains(value: &Value, wanted: &str) -> bool {
    match value {
        _ if wanted.is_empty() => true,
        Value::String(text) => text.to_lowercase().contains(wanted),
        Value::Array(values) => values.iter().any(|value| contains(value, wanted)),
        Value::Object(members) => members.values().any(|value| contains(value, wanted)),
        _ => false,
    }
}

/// Whether a member is what a filter names; of a list, whether it holds it.
fn is(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => text == wanted,
        Value::Array(values) => values.iter().any(|value| is(value, wanted)),
        Value::Bool(_) | Value::Number(_) => {
            let text = value.to_string();
            text == wanted
        }
        Value::Null | Value::Object(_) => false,
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PageOf<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Send as `cursor` for the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// Named by its rows: `AppPage` for rows that are an `AppView`.
impl<T: JsonSchema> JsonSchema for PageOf<T> {
    fn schema_name() -> Cow<'static, str> {
        let row = T::schema_name();
        format!("{}Page", row.strip_suffix("View").unwrap_or(&row)).into()
    }

    fn schema_id() -> Cow<'static, str> {
        format!("PageOf<{}>", T::schema_id()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let row = generator.subschema_for::<T>();
        json_schema!({
            "description": "One page of a list.",
            "type": "object",
            "required": ["items"],
            "properties": {
                "items": { "description": "The rows.", "type": "array", "items": row },
                "next_cursor": {
                    "description": "Send as `cursor` for the next page; null on the last.",
                    "type": ["string", "null"]
                }
            }
        })
    }
}

impl PageRequest {
    /// Reads `limit` and `cursor`.
    pub fn read(context: &Context) -> Result<Self, Failure> {
        if context
            .query("cursor")
            .is_some_and(|text| !is_cursor(&text))
        {
            return Err(unknown_cursor());
        }
        Self::read_with_any_cursor(context)
    }

    fn read_with_any_cursor(context: &Context) -> Result<Self, Failure> {
        let is_file = match context.query("format").as_deref() {
            Some("csv") => true,
            Some("json") | None => false,
            Some(_) => {
                let detail = "Give `json` or `csv`, or leave it out.";
                return Err(Failure::field("format", "unknown_value", detail));
            }
        };
        let (usual, most) = if is_file { (10_000, 10_000) } else { (50, 200) };
        let limit = match context.query("limit") {
            None => usual,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=most).contains(limit))
                .ok_or_else(|| {
                    let detail = format!("Give a number from 1 to {most}.");
                    Failure::field("limit", "out_of_range", detail)
                })?,
        };
        Ok(Self {
            limit,
            before: context.query("cursor").unwrap_or_else(|| "~".to_owned()),
            wanted: pattern_of(&context.query("q").unwrap_or_default()),
        })
    }

    /// The first rows of everything.
    pub fn first(limit: i64) -> Self {
        Self {
            limit,
            before: "~".to_owned(),
            wanted: pattern_of(""),
        }
    }

    /// One more row than asked for tells whether there is a next page: use as SQL `LIMIT`.
    pub fn limit_and_one(&self) -> i64 {
        self.limit + 1
    }

    /// Cuts the rows of a query made with [`PageRequest::limit_and_one`].
    pub fn page_of<T>(&self, mut items: Vec<T>, id_of: impl Fn(&T) -> String) -> PageOf<T> {
        let wanted = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let has_more = items.len() > wanted;
        items.truncate(wanted);
        let next_cursor = if has_more {
            items.last().map(id_of)
        } else {
            None
        };
        PageOf { items, next_cursor }
    }
}

/// A part of a list that is sorted by rank: the cursor says how many rows came before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// How many rows, 1 to 200; in a file, to 10 000.
    pub limit: i64,
    /// How many rows came before.
    pub from: i64,
    /// As [`PageRequest::wanted`].
    pub wanted: String,
}

impl Stretch {
    /// Reads `limit` and `cursor`; `usual` rows where no limit is given.
    pub fn read(context: &Context, usual: i64) -> Result<Self, Failure> {
        let request = PageRequest::read(context)?;
        let is_file = context
            .query("format")
            .is_some_and(|format| format == "csv");
        let has_wish = is_file || context.query("limit").is_some();
        let from = match context.query("cursor") {
            None => 0,
            Some(text) => text
                .parse()
                .ok()
                .filter(|from| (0..1_000_000_000).contains(from))
                .ok_or_else(unknown_cursor)?,
        };
        Ok(Self {
            limit: if has_wish { request.limit } else { usual },
            from,
            wanted: request.wanted,
        })
    }

    /// As [`PageRequest::limit_and_one`].
    pub fn limit_and_one(&self) -> i64 {
        self.limit + 1
    }

    /// Cuts the rows of a query made with [`Stretch::limit_and_one`]: the rows and the next cursor.
    pub fn cut<T>(&self, mut rows: Vec<T>) -> (Vec<T>, Option<String>) {
        let wanted = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > wanted;
        rows.truncate(wanted);
        let next = has_more.then(|| (self.from + self.limit).to_string());
        (rows, next)
    }
}
