//! The friction log: what each step costs partners, and the operator's people.

use std::collections::BTreeMap;

use super::at_step::{Standing, counted};
use super::calendar::DAY_MS;
use super::chart::bars;
use super::frame::frame;
use super::funnel::{self, Journey, STEPS, Step, registered};
use super::period::Days;
use super::report::{Datum, Report, Table, column, defined};
use super::{journey_reads, step_errors, touches};
use crate::context::Context;
use crate::web::Failure;

fn text(text: impl Into<String>) -> Datum {
    Datum::Text(text.into())
}

/// Who has not gone on for so long has given the step up.
pub const GIVEN_UP_MS: i64 = 30 * DAY_MS;

/// What each step costs: how long, who gave up, how often staff had to act.
pub async fn show_friction(context: &Context) -> Result<Report, Failure> {
    let connection = &context.connection;
    let days = Days::read(context, 12)?;
    let mut report = frame(
        "friction",
        "Friction log",
        "Where do partners get stuck, and where do they need us?",
        days,
    );
    let journeys: Vec<Journey> = registered(&journey_reads::list_journeys(connection).await?, days)
        .cloned()
        .collect();
    let steps = funnel::summarise(journeys.iter());
    let actions_on_partners = touches::list_touches(connection, days.from * DAY_MS, None).await?;
    let by_id: BTreeMap<&str, &Journey> = journeys
        .iter()
        .map(|journey| (journey.organisation_id.as_str(), journey))
        .collect();
    let (mut touched, mut actions) = ([0_i64; STEPS], BTreeMap::<(Step, &str), i64>::new());
    for touch in &actions_on_partners {
        let Some(journey) = by_id.get(touch.organisation_id.as_str()) else {
            continue;
        };
        let step = journey.furthest_by(touch.at_ms);
        if let Some(count) = touched.get_mut(step as usize) {
            *count += 1;
        }
        *actions.entry((step, touch.action.as_str())).or_default() += 1;
    }
    let errors = step_errors::by_step(connection, days).await?;
    let mut rows: Vec<(i64, Vec<Datum>)> = Vec::new();
    for (place, pair) in Step::ANY.windows(2).enumerate() {
        let [at, next] = pair else { continue };
        let count = |standing: Standing| {
            let there = |journey: &&Journey| standing.holds(journey, *at, context.now_ms);
            i64::try_from(journeys.iter().filter(there).count()).unwrap_or(i64::MAX)
        };
        let (waiting, gave_up) = (count(Standing::Waiting), count(Standing::GivenUp));
        let summary = steps.get(place + 1);
        let here = steps.get(place).map_or(0, |step| step.reached);
        let human = touched.get(place).copied().unwrap_or_default();
        rows.push((
            gave_up,
            vec![
                text(format!("{} → {}", at.label(), next.label())),
                counted(gave_up, *at, Standing::GivenUp, days),
                Datum::Share(gave_up, here),
                counted(waiting, *at, Standing::Waiting, days),
                Datum::Count(errors.get(place + 1).copied().unwrap_or_default()),
                Datum::span(summary.and_then(|step| step.median_ms)),
                Datum::span(summary.and_then(|step| step.p90_ms)),
                Datum::Count(human),
                Datum::Share(human, here),
            ],
        ));
    }
    rows.sort_by_key(|(gave_up, _)| std::cmp::Reverse(*gave_up));
    report.tables.push(Table {
        name: "steps",
        title: "Steps, most given up first".to_owned(),
        definition: "Who registered in the span. The last step reached decides where someone stands.".to_owned(),
        columns: vec![
            column("Step"),
            defined("Given up", "stands there for 30 days or longer"),
            defined("Of those there", "given up, of all who reached the step"),
            defined("On the way", "stands there for less than 30 days"),
            defined("Errors", step_errors::COUNTS),
            defined("Median dwell", "of those who went on"),
            column("90 of 100 within"),
            defined("Human touches", "actions of the operator's staff on the partner while it stood there: audit records by someone with a role on the operator's side who is not a member of the partner"),
            defined("Touches per partner", "human touches, of those who reached the step"),
        ],
        rows: rows.into_iter().map(|(_, row)| row).collect(),
        chart: bars(&[1]),
    });
    report.tables.push(errors_table(context, days).await?);
    let mut actions: Vec<_> = actions.into_iter().collect();
    actions.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    report.tables.push(Table {
        name: "actions",
        title: "What staff did".to_owned(),
        definition: "Human touches by the step that the partner had reached.".to_owned(),
        columns: ["Step reached", "Action", "Times"].map(column).to_vec(),
        rows: actions
            .into_iter()
            .map(|((step, action), count)| {
                vec![text(step.label()), text(action), Datum::Count(count)]
            })
            .collect(),
        chart: None,
    });
    Ok(report)
}

async fn errors_table(context: &Context, days: Days) -> Result<Table, Failure> {
    let mut found: Vec<_> = step_errors::by_operation(&context.connection, days)
        .await?
        .into_iter()
        .collect();
    found.sort_by_key(|(_, (_, count))| std::cmp::Reverse(*count));
    Ok(Table {
        name: "errors",
        title: "Requests that were refused on the way".to_owned(),
        definition: "Forms and API requests by anyone in the span that the portal answered 4xx, by what was asked for. Nothing about a person is kept.".to_owned(),
        columns: vec![
            defined("On the way to", "the step that the request leads to"),
            defined("Request", "its name in the API description, or of the form"),
            column("Status"),
            column("Times"),
        ],
        rows: found
            .into_iter()
            .map(|((operation, status), (step, count))| {
                let label = step.parse().map_or(step.clone(), |step: Step| step.label().to_owned());
                vec![text(label), text(operation), text(status.to_string()), Datum::Count(count)]
            })
            .collect(),
        chart: None,
    })
}
