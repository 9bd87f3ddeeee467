//! `/api/v1/directory`.

use schemars::JsonSchema;
use serde::Serialize;

use super::opinions::{Opinion, list_shown};
use super::store::{self, Entry, Filter};
use crate::context::Context;
use crate::listings::{ScopeRequest, Screenshot};
use crate::routes::Outcome;
use crate::web::paging::Stretch;
use crate::web::{Failure, response};

/// A published app.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DirectoryEntry {
    /// Its name in URLs.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// One sentence.
    pub summary: String,
    /// Markdown.
    pub description: String,
    /// The partner.
    pub partner: String,
    /// Where the logo is shown.
    pub logo: String,
    /// Pictures.
    pub screenshots: Vec<Screenshot>,
    /// Categories.
    pub categories: Vec<String>,
    /// Languages.
    pub languages: Vec<String>,
    /// Scopes it asks for.
    pub scopes: Vec<ScopeRequest>,
    /// What it costs.
    pub pricing: String,
    /// What happens to the customer's data.
    pub data_use: String,
    /// Where an installation begins.
    pub install_url: String,
    /// What customers say, as the operator chose; in lists left out.
    pub opinions: Vec<Opinion>,
}

/// Published apps.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DirectoryList {
    /// The apps, best match first.
    pub items: Vec<DirectoryEntry>,
    /// How many match in all.
    pub total: usize,
    /// Send as `cursor` for the next part; null on the last.
    pub next_cursor: Option<String>,
}

fn view(context: &Context, entry: Entry, opinions: Vec<Opinion>) -> DirectoryEntry {
    let origin = &context.configuration().public_url;
    let content = entry.content;
    DirectoryEntry {
        logo: format!("{origin}/listing-images/{}", content.logo),
        install_url: format!("{origin}/directory/{}/install", entry.slug),
        slug: entry.slug,
        name: content.name,
        summary: content.summary,
        description: content.description,
        partner: entry.partner,
        screenshots: content.screenshots,
        categories: content.categories,
        languages: content.languages,
        scopes: content.scopes,
        pricing: content.pricing,
        data_use: content.data_use,
        opinions,
    }
}

/// What the query asks for.
pub fn filter_of(context: &Context) -> Filter {
    let text = |name: &str| context.query(name).unwrap_or_default();
    Filter {
        words: text("q")
            .to_lowercase()
            .split_whitespace()
            .take(10)
            .map(str::to_owned)
            .collect(),
        category: text("category"),
        language: text("language"),
    }
}

/// `GET /api/v1/directory?q=&category=&language=&limit=&cursor=`
pub async fn list_directory(context: &Context) -> Outcome {
    let stretch = Stretch::read(context, 50)?;
    let found = store::search(&context.connection, &filter_of(context), &stretch).await?;
    let entries = found.entries.into_iter();
    response::ok(&DirectoryList {
        items: entries
            .map(|entry| view(context, entry, Vec::new()))
            .collect(),
        total: found.total,
        next_cursor: found.next_cursor,
    })
}

/// `GET /api/v1/directory/{slug}`
pub async fn show_directory_entry(context: &Context) -> Outcome {
    let entry = store::find_entry(&context.connection, context.path_text("slug"))
        .await?
        .ok_or_else(Failure::not_found)?;
    let opinions = list_shown(&context.connection, entry.app_id).await?;
    response::ok(&view(context, entry, opinions))
}
