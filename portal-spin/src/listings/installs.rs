//! The way from view to installation of every app, for the operator.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;

use super::counts::{AppFunnel, Funnel, list_funnels, read_total};
use crate::context::Context;
use crate::routes::Outcome;
use crate::web::listed::Listed;
use crate::web::paging::Stretch;
use crate::web::{Failure, Page, response};

/// Spans that the page offers, in days.
const SPANS: [i64; 4] = [7, 30, 90, 365];

/// Every app's way from view to installation.
#[derive(Debug, Serialize, JsonSchema)]
pub struct InstallsOverview {
    /// All apps together.
    pub total: Funnel,
    /// One row an app, most installations first.
    pub items: Vec<AppFunnel>,
    /// Send as `cursor` for the next rows; null on the last.
    pub next_cursor: Option<String>,
}

async fn read_overview(context: &Context) -> Result<InstallsOverview, Failure> {
    let days = match context.query("days") {
        None => 30,
        Some(text) => text
            .parse()
            .ok()
            .filter(|days| (1..=365).contains(days))
            .ok_or_else(|| Failure::field("days", "out_of_range", "Give 1 to 365 days."))?,
    };
    let stretch = Stretch::read(context, 50)?;
    let connection = &context.connection;
    let rows = list_funnels(connection, days, context.now_ms, &stretch).await?;
    let (items, next_cursor) = stretch.cut(rows);
    Ok(InstallsOverview {
        total: read_total(connection, days, context.now_ms).await?,
        items,
        next_cursor,
    })
}

/// `GET /api/v1/operator/installs?days=`
pub async fn list_installs(context: &Context) -> Outcome {
    response::ok(&read_overview(context).await?)
}

#[derive(Template)]
#[template(path = "listings/templates/overview.html")]
struct OverviewPage {
    page: Page,
    overview: InstallsOverview,
    spans: [i64; 4],
    listed: Listed,
}

/// `GET /operator/installs?days=`
pub async fn show_installs_overview(context: &Context) -> Outcome {
    let overview = read_overview(context).await?;
    let path = "/operator/installs";
    response::html(&OverviewPage {
        page: Page::new(context, "Installs"),
        listed: Listed::of(context, path, path, overview.next_cursor.as_deref()),
        overview,
        spans: SPANS,
    })
}
