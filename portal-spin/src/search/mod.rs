//! Finding pages, texts, operations and objects by a few words.
//!
//! Owns the question and its answer. Does not own what is found: each domain's own reads are asked, and
//! only for what the visitor may see.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;

use crate::context::Context;
use crate::database::DatabaseError;
use crate::params;
use crate::partners::Reach;
use crate::routes::Outcome;
use crate::web::paging::{PageOf, Stretch};
use crate::web::{Failure, Page, response};
use crate::{catalogue, guides, reference};

const MOST: usize = 40;

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Hit {
    /// `guide`, `news`, `operation`, `product`, `app`, `key`, `organisation` or `error`.
    pub kind: String,
    /// What it is called.
    pub title: String,
    /// Where it is.
    pub href: String,
}

/// What was found, best places first; at most 40 in all.
pub type Found = PageOf<Hit>;

struct Search {
    words: Vec<String>,
    hits: Vec<Hit>,
}

impl Search {
    /// Keeps a hit if every word stands in its title or in `text`.
    fn offer(&mut self, kind: &str, title: &str, href: String, text: &str) {
        let haystack = format!("{title} {text}").to_lowercase();
        if self.hits.len() < MOST && self.words.iter().all(|word| haystack.contains(word)) {
            self.hits.push(Hit {
                kind: kind.to_owned(),
                title: title.to_owned(),
                href,
            });
        }
    }
}

async fn own_objects(context: &Context, search: &mut Search) -> Result<(), DatabaseError> {
    let Some(person) = context.person_optional() else {
        return Ok(());
    };
    let apps = context
        .connection
        .query(
            "SELECT a.app_id, a.name, o.name FROM members m
             JOIN organisations o ON o.organisation_id = m.organisation_id
             JOIN apps a ON a.organisation_id = o.organisation_id
             WHERE m.person_id = $1 AND a.deleted_at_ms IS NULL ORDER BY a.app_id DESC LIMIT 500",
            params![person.person_id],
        )
        .await?;
    for row in apps {
        let (id, name, organisation): (String, String, String) =
            (row.get(0)?, row.get(1)?, row.get(2)?);
        search.offer(
            "app",
            &name,
            format!("/apps/{id}"),
            &format!("{id} {organisation}"),
        );
    }
    let keys = context
        .connection
        .query(
            "SELECT k.app_id, k.prefix, k.last_four, k.name, k.credential_id FROM members m
             JOIN apps a ON a.organisation_id = m.organisation_id
             JOIN credentials k ON k.app_id = a.app_id
             WHERE m.person_id = $1 AND a.deleted_at_ms IS NULL
             ORDER BY k.credential_id DESC LIMIT 500",
            params![person.person_id],
        )
        .await?;
    for row in keys {
        let (app, prefix, last_four): (String, String, String) =
            (row.get(0)?, row.get(1)?, row.get(2)?);
        let (name, id): (String, String) = (row.get(3)?, row.get(4)?);
        let title = format!("{prefix}…{last_four} {name}");
        search.offer("key", title.trim(), format!("/apps/{app}/credentials"), &id);
    }
    if person.operator_roles.is_empty() {
        return Ok(());
    }
    let organisations = context
        .connection
        .query(
            "SELECT organisation_id, name FROM registered_organisations ORDER BY organisation_id DESC LIMIT 2000",
            vec![],
        )
        .await?;
    for row in organisations {
        let (id, name): (String, String) = (row.get(0)?, row.get(1)?);
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("q", &name)
            .finish();
        search.offer(
            "organisation",
            &name,
            format!("/operator/partners?{query}"),
            &id,
        );
    }
    Ok(())
}

async fn find(context: &Context, question: &str) -> Result<Vec<Hit>, Failure> {
    let words: Vec<String> = question
        .to_lowercase()
        .split_whitespace()
        .take(8)
        .map(str::to_owned)
        .collect();
    if words.is_empty() {
        return Ok(Vec::new());
    }
    let mut search = Search {
        words,
        hits: Vec::new(),
    };
    own_objects(context, &mut search).await?;
    let reach = Reach::of_caller(context).await?;
    for product in catalogue::list_offered_products(&context.connection).await? {
        if catalogue::is_visible(context, &reach, &product) {
            let href = format!("/products/{}", product.slug);
            search.offer("product", &product.name, href, &product.summary);
        }
    }
    for guide in guides::list_published(&context.connection).await? {
        let href = format!("/guides/{}", guide.slug);
        search.offer(&guide.kind, &guide.title, href, &guide.markdown);
    }
    for (title, href) in reference::list_operation_links(context).await? {
        search.offer("operation", &title, href, "");
    }
    for code in shared::problem::Code::ALL {
        let href = format!("/help/{}", code.as_str());
        search.offer("error", code.as_str(), href, code.detail());
    }
    Ok(search.hits)
}

fn question_of(context: &Context) -> String {
    let question = context.query("q").unwrap_or_default();
    question.trim().chars().take(200).collect()
}

/// `GET /api/v1/search?q=`
pub async fn search(context: &Context) -> Outcome {
    let kind = context.query("kind").unwrap_or_default();
    let mut hits = find(context, &question_of(context)).await?;
    hits.retain(|hit| kind.is_empty() || hit.kind == kind);
    let stretch = Stretch::read(context, 50)?;
    let from = usize::try_from(stretch.from).unwrap_or(usize::MAX);
    let (items, next_cursor) = stretch.cut(hits.into_iter().skip(from).collect());
    response::ok(&Found { items, next_cursor })
}

#[derive(Template)]
#[template(path = "search/templates/search.html")]
struct SearchPage {
    page: Page,
    question: String,
    hits: Vec<Hit>,
}

/// `GET /search?q=`
pub async fn show_search(context: &Context) -> Outcome {
    let question = question_of(context);
    response::html(&SearchPage {
        page: Page::new(context, "Search"),
        hits: find(context, &question).await?,
        question,
    })
}
