//! What a page of a list shows around its rows: a field to find some of them, the same rows as a file,
//! and the way to the next page. All of it stands in the URL.

use crate::context::Context;

/// What `web/templates/lists.html` needs.
pub struct Listed {
    /// What is looked for.
    pub question: String,
    /// The page's own address.
    pub path: String,
    /// The route's other filters that are set.
    pub kept: Vec<(&'static str, String)>,
    /// The rows as a file, by the API.
    pub csv: String,
    /// The next page; empty on the last.
    pub next: String,
}

impl Listed {
    /// Of the list that the API has at `api`, shown at `path`.
    pub fn of(context: &Context, path: &str, api: &str, next_cursor: Option<&str>) -> Self {
        let question = context.query("q").unwrap_or_default();
        let kept: Vec<(&'static str, String)> = context
            .route
            .filters
            .unwrap_or_default()
            .iter()
            .filter_map(|name| Some((*name, context.query(name).filter(|text| !text.is_empty())?)))
            .collect();
        let address = |path: &str, more: (&str, &str)| {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.extend_pairs(&kept);
            if !question.is_empty() {
                query.append_pair("q", &question);
            }
            let query = query.append_pair(more.0, more.1).finish();
            format!("{path}?{query}")
        };
        Self {
            csv: address(&format!("/api/v1{api}"), ("format", "csv")),
            next: next_cursor.map_or_else(String::new, |cursor| address(path, ("cursor", cursor))),
            path: path.to_owned(),
            kept,
            question,
        }
    }
}
