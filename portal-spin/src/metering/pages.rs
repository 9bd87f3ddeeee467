//! The page of an app's usage.

use askama::Template;

use super::model::{Part, UsageView};
use super::routes::{LoggedRequest, Question, read_log, usage};
use crate::apps::{find_app, organisation_page};
use crate::context::Context;
use crate::edges::Gap;
use crate::encoding::readable_time;
use crate::routes::Outcome;
use crate::web::listed::Listed;
use crate::web::paging::PageRequest;
use crate::web::{Failure, Page, response};

struct Line {
    time: String,
    request: LoggedRequest,
}

#[derive(Template)]
#[template(path = "metering/templates/usage.html")]
struct UsagePage {
    page: Page,
    usage: UsageView,
    from: String,
    to: String,
    gaps: Vec<String>,
    tables: Vec<(&'static str, Vec<Part>)>,
    log: Vec<Line>,
    listed: Listed,
}

/// `GET /apps/{app_id}/usage`
pub async fn show_usage_page(context: &Context) -> Outcome {
    let question = Question::read(context)?;
    let app = find_app(&context.connection, question.app_id)
        .await?
        .ok_or_else(Failure::not_found)?;
    let mut usage = usage(context, &question).await?;
    let log = read_log(context, app.id, &PageRequest::read(context)?).await?;
    let by_time = usage
        .series
        .drain(..)
        .map(|point| Part {
            name: readable_time(point.at),
            calls: point.calls,
            refused: point.refused,
            units: point.units,
            errors: point.errors,
        })
        .collect();
    response::html(&UsagePage {
        page: organisation_page(context, &format!("Usage of {}", app.name)).await?,
        from: readable_time(usage.from),
        to: readable_time(usage.to),
        gaps: usage.gaps.iter().map(Gap::describe).collect(),
        tables: vec![
            ("By operation", std::mem::take(&mut usage.by_operation)),
            ("By outcome", std::mem::take(&mut usage.by_outcome)),
            ("By time", by_time),
        ],
        listed: {
            let path = format!("/apps/{}/usage", app.id);
            let api = format!("/apps/{}/requests", app.id);
            Listed::of(context, &path, &api, log.next_cursor.as_deref())
        },
        log: log
            .items
            .into_iter()
            .map(|request| Line {
                time: readable_time(request.at),
                request,
            })
            .collect(),
        usage,
    })
}
