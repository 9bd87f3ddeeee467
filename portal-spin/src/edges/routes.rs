//! `/edge/v1/…`, which edges call, and the operator's list of edges.

use http::header;
use serde::Serialize;
use shared::signing::{EdgeSecret, SIGNATURE_HEADER};
use shared::usage::Report;

use super::boots::{self, EdgeView};
use super::feed;
use super::programme;
use super::report::accept_report;
use super::snapshot::{self, Cursor};
use crate::context::Context;
use crate::routes::Outcome;
use crate::web::paging::{PageOf, PageRequest};
use crate::web::{Failure, Response, response};

/// A page of edges.
pub type EdgeList = PageOf<EdgeView>;

/// `GET /edge/v1/feed?after=POSITION`. A full page never changes and may be kept by any cache.
pub async fn read_feed(context: &Context) -> Outcome {
    let after = context.query("after").unwrap_or_else(|| "0".to_owned());
    let after: u64 = after.parse().map_err(|_| {
        Failure::field(
            "after",
            "malformed",
            "Give the position to read behind, a whole number.",
        )
    })?;
    let page = feed::read_page(&context.connection, after).await?;
    let cache = if page.complete {
        "public, max-age=31536000, immutable"
    } else {
        "no-store"
    };
    signed(context, &page, cache)
}

/// `GET /edge/v1/snapshot?after=CURSOR`
pub async fn read_snapshot(context: &Context) -> Outcome {
    let cursor = match context.query("after") {
        None => {
            programme::ensure_published(
                &context.connection,
                context.configuration(),
                context.now_ms,
            )
            .await?;
            None
        }
        Some(text) => Some(Cursor::parse(&text).ok_or_else(|| {
            Failure::field(
                "after",
                "malformed",
                "Give the `next` of the page before, or nothing.",
            )
        })?),
    };
    let page = snapshot::read_page(&context.connection, cursor).await?;
    signed(context, &page, "no-store")
}

/// `POST /edge/v1/report`
pub async fn post_report(context: &Context) -> Outcome {
    let report: Report = context.json()?;
    let answer = accept_report(&context.connection, &report, context.now_ms).await?;
    signed(context, &answer, "no-store")
}

fn signed(context: &Context, body: &impl Serialize, cache: &str) -> Result<Response, Failure> {
    let mut answer = response::ok(body)?;
    let secret = context
        .configuration()
        .secret("edge_secret")
        .ok_or_else(|| Failure::internal("the variable `edge_secret` is not set"))?;
    let path = context
        .request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let signature = EdgeSecret::new(secret.as_bytes()).sign_response(path, answer.body());
    response::set_header(
        &mut answer,
        header::HeaderName::from_static(SIGNATURE_HEADER),
        &signature,
    );
    response::set_header(&mut answer, header::CACHE_CONTROL, cache);
    Ok(answer)
}

/// `GET /api/v1/operator/edges`
pub async fn list_edges(context: &Context) -> Outcome {
    let page = PageRequest::read(context)?;
    let boots = boots::list_boots(&context.connection, context.now_ms, &page).await?;
    response::ok(&page.page_of(boots, |edge: &EdgeView| edge.id.clone()))
}
