//! The directory's pages: server-rendered, the same for everyone.

use askama::Template;
use http::StatusCode;

use super::opinions::{Opinion, list_shown};
use super::routes::filter_of;
use super::store::{self, Entry, Filter, Partner};
use crate::context::Context;
use crate::encoding::escape_html;
use crate::listings::{CATEGORIES, Step, count_step, plain_words};
use crate::routes::Outcome;
use crate::web::markdown::render as render_markdown;
use crate::web::paging::Stretch;
use crate::web::{Failure, Page, response};

/// Apps on one page.
const A_PAGE: i64 = 24;

#[derive(Template)]
#[template(path = "directory/templates/directory.html")]
struct DirectoryPage {
    page: Page,
    query: String,
    filter: Filter,
    categories: &'static [&'static str],
    entries: Vec<Entry>,
    total: usize,
    next: String,
    canonical: String,
}

/// `GET /directory?q=&category=&language=`
pub async fn show_directory(context: &Context) -> Outcome {
    let filter = filter_of(context);
    let query = context.query("q").unwrap_or_default();
    let stretch = Stretch::read(context, A_PAGE)?;
    let found = store::search(&context.connection, &filter, &stretch).await?;
    let next = found.next_cursor.map(|cursor| {
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("q", query.as_str()),
            ("category", filter.category.as_str()),
            ("language", filter.language.as_str()),
            ("cursor", cursor.as_str()),
        ] {
            if !value.is_empty() {
                pairs.append_pair(name, value);
            }
        }
        format!("/directory?{}", pairs.finish())
    });
    response::html(&DirectoryPage {
        page: Page::new(context, "App directory"),
        query,
        entries: found.entries,
        total: found.total,
        next: next.unwrap_or_default(),
        categories: CATEGORIES,
        canonical: format!("{}/directory", context.configuration().public_url),
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
    opinions: Vec<Opinion>,
    canonical: String,
}

/// `GET /directory/{slug}`
pub async fn show_directory_app(context: &Context) -> Outcome {
    let connection = &context.connection;
    let entry = store::find_entry(connection, context.path_text("slug"))
        .await?
        .ok_or_else(Failure::not_found)?;
    count_step(connection, entry.listing_id, Step::View, context.now_ms).await?;
    response::html(&EntryPage {
        page: Page::new(context, &entry.content.name).named(),
        description: render_markdown(&entry.content.description),
        words: entry
            .content
            .scopes
            .iter()
            .map(|asked| (plain_words(&asked.scope), asked.reason.clone()))
            .collect(),
        opinions: list_shown(connection, entry.app_id).await?,
        canonical: format!(
            "{}/directory/{}",
            context.configuration().public_url,
            entry.slug
        ),
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

/// `GET /robots.txt`: the directory and the documentation may be indexed; the rest asks for a log-in.
pub async fn show_robots(context: &Context) -> Outcome {
    let origin = &context.configuration().public_url;
    let text = format!(
        "User-agent: *\nDisallow: /api/\nDisallow: /oauth/\nDisallow: /log-in\nDisallow: /directory?\n\nSitemap: {origin}/sitemap.xml\n"
    );
    Ok(response::with_body(
        StatusCode::OK,
        "text/plain; charset=utf-8",
        text,
    ))
}

/// `GET /sitemap.xml`: the directory's pages.
pub async fn show_sitemap(context: &Context) -> Outcome {
    let origin = &context.configuration().public_url;
    let mut places = vec!["/directory".to_owned(), "/directory-partners".to_owned()];
    for slug in store::list_slugs(&context.connection).await? {
        places.push(format!("/directory/{slug}"));
    }
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n",
    );
    for place in places {
        xml += &format!(
            "<url><loc>{}</loc></url>\n",
            escape_html(&format!("{origin}{place}"))
        );
    }
    xml += "</urlset>\n";
    Ok(response::with_body(
        StatusCode::OK,
        "application/xml; charset=utf-8",
        xml,
    ))
}
