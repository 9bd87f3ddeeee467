//! Lists in pages: `?limit=50&cursor=…`, answered with `next_cursor`.
//!
//! With `?format=csv` a page is a file of up to 10 000 rows (see [`super::lists`]). A cursor is the last row's sort key, opaque to clients. Lists are sorted by id (ids sort by time),
//! newest first, so that rows that arrive meanwhile never shift a page.

use serde::Serialize;

use super::Failure;
use crate::context::Context;

/// What a list request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// How many rows, 1 to 200; in a file, to 10 000.
    pub limit: i64,
    /// Rows before this id only. Without a cursor, a text that sorts after every id.
    pub before: String,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct PageOf<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Send as `cursor` for the next page; null on the last.
    pub next_cursor: Option<String>,
}

impl PageRequest {
    /// Reads `limit` and `cursor`.
    pub fn read(context: &Context) -> Result<Self, Failure> {
        let is_file = context
            .query("format")
            .is_some_and(|format| format == "csv");
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
        let before = context.query("cursor").unwrap_or_else(|| "~".to_owned());
        Ok(Self { limit, before })
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
                .ok_or_else(|| {
                    Failure::field("cursor", "malformed", "Give the `next_cursor` of a list.")
                })?,
        };
        Ok(Self {
            limit: if has_wish { request.limit } else { usual },
            from,
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
