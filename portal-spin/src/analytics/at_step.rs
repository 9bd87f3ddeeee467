//! Who stands behind a number of the funnel: partners that reached a step, or stopped at it.

use super::calendar::DAY_MS;
use super::frame::{frame, partner_link};
use super::friction::GIVEN_UP_MS;
use super::funnel::{Journey, Step, registered};
use super::journey_reads;
use super::period::Days;
use super::report::{Choice, Datum, Report, Table, column, defined};
use crate::context::Context;
use crate::encoding::readable_time;
use crate::text_enum::text_enum;
use crate::web::Failure;

text_enum! {
    /// How a partner stands to a step.
    Standing {
        /// Has taken it, wherever it is now.
        Reached = "reached",
        /// Took it last, less than 30 days ago.
        Waiting = "waiting",
        /// Took it last, 30 days ago or longer.
        GivenUp = "given_up",
    }
}

impl Standing {
    /// Whether a partner stands so to a step.
    pub fn holds(self, journey: &Journey, step: Step, now_ms: i64) -> bool {
        let Some(at) = journey.at(step) else {
            return false;
        };
        let is_last = journey.furthest_by(i64::MAX) == step;
        match self {
            Self::Reached => true,
            Self::Waiting => is_last && now_ms - at < GIVEN_UP_MS,
            Self::GivenUp => is_last && now_ms - at >= GIVEN_UP_MS,
        }
    }
}

/// A count of partners, and the page that lists them.
pub fn counted(count: i64, step: Step, standing: Standing, days: Days) -> Datum {
    if count == 0 {
        return Datum::Count(0);
    }
    let (from, to) = days.labels();
    let href =
        format!("/operator/analytics/at-step?step={step}&standing={standing}&from={from}&to={to}");
    Datum::Listed(count, href)
}

fn read<T: std::str::FromStr>(
    context: &Context,
    name: &str,
    known: &str,
) -> Result<Option<T>, Failure> {
    context
        .query(name)
        .map(|text| {
            text.parse()
                .map_err(|_| Failure::field(name, "unknown_value", format!("Give one of {known}.")))
        })
        .transpose()
}

fn words<T: Copy + std::fmt::Display>(all: &[T]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

/// Who reached a step, or stopped at it.
pub async fn who_stands_at_a_step(context: &Context) -> Result<Report, Failure> {
    let days = Days::read(context, 12)?;
    let steps = words(Step::ANY);
    let standings = words(Standing::ANY);
    let step = read(context, "step", &steps.join(", "))?.unwrap_or(Step::Registered);
    let standing = read(context, "standing", &standings.join(", "))?.unwrap_or(Standing::Reached);
    let mut report = frame(
        "at-step",
        "At a step",
        "Who got there, and who stopped there?",
        days,
    );
    let named = |words: &[String]| {
        words
            .iter()
            .map(|word| (word.clone(), word.replace('_', " ")))
            .collect()
    };
    report.choices = vec![
        Choice::one_of("step", "Step", named(&steps), step.as_str()),
        Choice::one_of(
            "standing",
            "Partners that",
            named(&standings),
            standing.as_str(),
        ),
    ];
    let journeys = journey_reads::list_journeys(&context.connection).await?;
    let mut found: Vec<&Journey> = registered(&journeys, days)
        .filter(|journey| standing.holds(journey, step, context.now_ms))
        .collect();
    found.sort_by_key(|journey| std::cmp::Reverse(journey.at(step)));
    report.tables.push(Table {
        name: "partners",
        title: format!("{}: {}", step.label(), standing.as_str().replace('_', " ")),
        definition: "Of those who registered in the span, newest first. Given up: stands there for 30 days or longer.".to_owned(),
        columns: vec![
            column("Partner"),
            column("Registered"),
            defined("At the step since", step.definition()),
            defined("Days there", "up to now, where nothing followed; else up to the next step"),
            column("Furthest step"),
            column("Source"),
        ],
        rows: found
            .into_iter()
            .map(|journey| {
                let time = |at: Option<i64>| at.map_or(Datum::Nothing, |at| Datum::Text(readable_time(at)));
                let since = journey.at(step);
                let next = Step::ANY.get(step as usize + 1).and_then(|next| journey.at(*next));
                let left = next.unwrap_or(context.now_ms);
                vec![
                    if journey.organisation_id.is_empty() {
                        Datum::Text(journey.name.clone())
                    } else {
                        partner_link(&journey.organisation_id, &journey.name)
                    },
                    time(journey.at(Step::Registered)),
                    time(since),
                    since.map_or(Datum::Nothing, |since| Datum::Count(((left - since) / DAY_MS).max(0))),
                    Datum::Text(journey.furthest_by(i64::MAX).label().to_owned()),
                    Datum::Text(journey.source.clone()),
                ]
            })
            .collect(),
        chart: None,
    });
    Ok(report)
}
