//! The operator's page of edges.

use askama::Template;

use super::boots::{self, EdgeView};
use super::feed;
use crate::context::Context;
use crate::encoding::readable_time;
use crate::routes::Outcome;
use crate::web::listed::Listed;
use crate::web::paging::PageRequest;
use crate::web::{Page, response};

#[derive(Template)]
#[template(path = "edges/templates/edges.html")]
struct EdgesPage {
    page: Page,
    head: i64,
    now_ms: i64,
    edges: Vec<EdgeView>,
    listed: Listed,
}

impl EdgesPage {
    fn time(&self, unix_ms: &i64) -> String {
        readable_time(*unix_ms)
    }

    fn behind(&self, edge: &EdgeView) -> i64 {
        (self.head - edge.applied_position).max(0)
    }

    fn silence(&self, edge: &EdgeView) -> String {
        format!(
            "{:.1} s",
            (self.now_ms - edge.last_seen_at).max(0) as f64 / 1_000.0
        )
    }
}

/// `GET /operator/edges`
pub async fn show_edges(context: &Context) -> Outcome {
    let request = PageRequest::read(context)?;
    let connection = &context.connection;
    let boots = boots::list_boots(connection, context.now_ms, &request).await?;
    let list = request.page_of(boots, |edge: &EdgeView| edge.id.clone());
    response::html(&EdgesPage {
        page: Page::new(context, "Edges"),
        head: feed::head(connection).await?,
        now_ms: context.now_ms,
        listed: {
            let path = "/operator/edges";
            Listed::of(context, path, path, list.next_cursor.as_deref())
        },
        edges: list.items,
    })
}
