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
    /// This list as it is looked at: where forms about its rows go.
    pub here: String,
}

impl Listed {
    /// Of the list that the API has at `api`, shown at `path`.
    pub fn of(context: &Context, path: &str, api: &str, next_cursor: Option<&str>) -> Self {
        let question = context.query("q").unwrap_or_default();
        let kept: Vec<(&'static str, String)> = context
            .route
            .filters
            .or_else(|| filters_at(path))
            .unwrap_or_default()
            .iter()
            .filter_map(|name| Some((*name, context.query(name).filter(|text| !text.is_empty())?)))
            .collect();
        let address = |path: &str, more: Option<(&str, &str)>| {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.extend_pairs(&kept);
            if !question.is_empty() {
                query.append_pair("q", &question);
            }
            query.extend_pairs(more);
            match query.finish() {
                query if query.is_empty() => path.to_owned(),
                query => format!("{path}?{query}"),
            }
        };
        Self {
            csv: address(&format!("/api/v1{api}"), Some(("format", "csv"))),
            here: {
                let cursor = context.query("cursor");
                address(path, cursor.as_deref().map(|cursor| ("cursor", cursor)))
            },
            next: next_cursor.map_or_else(String::new, |cursor| {
                address(path, Some(("cursor", cursor)))
            }),
            path: path.to_owned(),
            kept,
            question,
        }
    }
}

/// What the page at this path is filtered by, for the page that answers a form about its rows.
fn filters_at(path: &str) -> Option<&'static [&'static str]> {
    let mut routes = crate::routes::ROUTES.iter();
    let shown = routes.find(|route| route.method == http::Method::GET && route.template == path);
    shown?.filters
}
