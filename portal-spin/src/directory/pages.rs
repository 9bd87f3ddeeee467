//! The directory's pages: server-rendered, the same for everyone.

use askama::Template;

use super::routes::filter_of;
use super::store::{self, Entry, Filter, Partner};
use crate::context::Context;
use crate::listings::{CATEGORIES, Step, count_step, plain_words};
use crate::routes::Outcome;
use crate::web::markdown::render as render_markdown;
use crate::web::{Failure, Page, response};

#[derive(Template)]
#[template(path = "directory/templates/directory.html")]
struct DirectoryPage {
    page: Page,
    query: String,
    filter: Filter,
    categories: &'static [&'static str],
    entries: Vec<Entry>,
}

/// `GET /directory?q=&category=&language=`
pub async fn show_directory(context: &Context) -> Outcome {
    let filter = filter_of(context);
    response::html(&DirectoryPage {
        page: Page::new(context, "Apps"),
        query: context.query("q").unwrap_or_default(),
        entries: store::search(&context.connection, &filter).await?,
        categories: CATEGORIES,
        filter,
    })
}

#[derive(Template)]
#[template(path = "directory/templates/entry.html")]
struct EntryPage {
    page: Page,
    entry: Entry,
    description: String,
    words: Vec<(String, String)>,
}

/// `GET /directory/{slug}`
pub async fn show_directory_app(context: &Context) -> Outcome {
    let connection = &context.connection;
    let entry = store::find_entry(connection, context.path_text("slug"))
        .await?
        .ok_or_else(Failure::not_found)?;
    count_step(connection, entry.listing_id, Step::View, context.now_ms).await?;
    response::html(&EntryPage {
        page: Page::new(context, &entry.content.name),
        description: render_markdown(&entry.content.description),
        words: entry
            .content
            .scopes
            .iter()
            .map(|asked| (plain_words(&asked.scope), asked.reason.clone()))
            .collect(),
        entry,
    })
}

#[derive(Template)]
#[template(path = "directory/templates/partners.html")]
struct PartnersPage {
    page: Page,
    partners: Vec<Partner>,
}

/// `GET /directory-partners`
pub async fn show_partner_directory(context: &Context) -> Outcome {
    response::html(&PartnersPage {
        page: Page::new(context, "Partners"),
        partners: store::list_partners(&context.connection).await?,
    })
}
