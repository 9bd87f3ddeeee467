//! Reports on the way from registration to revenue: the funnel, and its cohorts.

use std::collections::{BTreeMap, BTreeSet};

use super::at_step::{Standing, counted};
use super::calendar::{
    day_label, day_of, first_day_of_week, month_label, month_of, month_of_day, week_of_day,
};
use super::chart::{bars, lines};
use super::frame::frame;
use super::funnel::{self, Cohort, Journey, Step, reached, registered};
use super::journey_reads;
use super::period::Days;
use super::report::{Choice, Datum, Report, Table, column, defined};
use super::store;
use crate::context::Context;
use crate::web::Failure;

fn text(text: impl Into<String>) -> Datum {
    Datum::Text(text.into())
}

/// The whole way, and by source and type.
pub async fn show_funnel(context: &Context) -> Result<Report, Failure> {
    let connection = &context.connection;
    let days = Days::read(context, 12)?;
    let mut report = frame(
        "funnel",
        "Funnel",
        "Where do partners get stuck on the way to revenue?",
        days,
    );
    let journeys = journey_reads::list_journeys(connection).await?;
    let asked = |name: &str| context.query(name).filter(|text| !text.is_empty());
    let (source, kind) = (asked("source"), asked("partner_type"));
    let chosen: Vec<Journey> = registered(&journeys, days)
        .filter(|journey| {
            source
                .as_ref()
                .is_none_or(|source| *source == journey.source)
        })
        .filter(|journey| {
            kind.as_ref()
                .is_none_or(|kind| *kind == journey.partner_type)
        })
        .cloned()
        .collect();
    let visits = store::visits_by_source(connection, days).await?;
    let views: i64 = visits
        .iter()
        .filter(|(known, _)| source.as_ref().is_none_or(|source| source == *known))
        .map(|(_, views)| views)
        .sum();
    report.choices = vec![
        among(
            "source",
            "Source",
            &journeys,
            |one| &one.source,
            source.as_deref(),
        ),
        among(
            "partner_type",
            "Partner type",
            &journeys,
            |one| &one.partner_type,
            kind.as_deref(),
        ),
    ];
    let steps = funnel::summarise(chosen.iter());
    let all = steps.first().map_or(0, |step| step.reached);
    let mut rows = vec![vec![
        Datum::Text("Visited".to_owned()),
        Datum::Count(views),
        Datum::Nothing,
        Datum::Nothing,
        Datum::Nothing,
        Datum::Nothing,
        Datum::Text(
            "views of the sign-up page by people who are not signed in; not tied to a person, so no time is known"
                .to_owned(),
        ),
    ]];
    rows.extend(steps.iter().map(|step| {
        let of_previous = if step.step == Step::Registered {
            Datum::Share(step.reached, views)
        } else {
            Datum::Share(step.from_previous, step.previous)
        };
        vec![
            text(step.step.label()),
            if source.is_none() && kind.is_none() {
                counted(step.reached, step.step, Standing::Reached, days)
            } else {
                Datum::Count(step.reached)
            },
            Datum::Share(step.reached, all),
            of_previous,
            Datum::span(step.median_ms),
            Datum::span(step.p90_ms),
            text(step.step.definition()),
        ]
    }));
    report.tables.push(Table {
        name: "steps",
        title: "Steps of those who registered in the span".to_owned(),
        definition: "Who registered in the span, followed up to now. A step counts once per organisation, whatever the order. Times are between a step and the one before, of those who reached both; a step taken earlier than the one before counts as zero.".to_owned(),
        columns: vec![
            column("Step"),
            column("Reached"),
            defined("Of registered", "reached, of those who registered"),
            defined("Of the step before", "of those who reached the step before, who reached this one; for the first, of the views"),
            column("Median time"),
            defined("90 of 100 within", "nine in ten took at most so long"),
            column("What counts"),
        ],
        rows,
        chart: bars(&[1]),
    });
    let grouped = |key: fn(&Journey) -> Option<String>| funnel::group(chosen.iter(), key);
    report.tables.push(cohort_table(
        "sources",
        "By source",
        "First touch: `?source=` of the sign-up link, kept for good. Empty: none given.",
        "Source",
        grouped(|journey| Some(journey.source.clone())),
    ));
    report.tables.push(cohort_table(
        "partner-types",
        "By partner type",
        "The type that the organisation has now; empty for those who never verified.",
        "Type",
        grouped(|journey| Some(journey.partner_type.clone())),
    ));
    Ok(report)
}

/// A choice among the values that journeys have.
fn among(
    name: &'static str,
    label: &'static str,
    journeys: &[Journey],
    of: fn(&Journey) -> &String,
    chosen: Option<&str>,
) -> Choice {
    let known: BTreeSet<&String> = journeys
        .iter()
        .map(of)
        .filter(|text| !text.is_empty())
        .collect();
    let options = known
        .into_iter()
        .map(|text| (text.clone(), text.clone()))
        .collect();
    Choice::among(name, label, options, chosen.unwrap_or_default())
}

fn cohort_table(
    name: &'static str,
    title: &str,
    definition: &str,
    key: &str,
    cohorts: BTreeMap<String, Cohort>,
) -> Table {
    let mut columns = vec![column(key)];
    columns.extend(Step::ANY.iter().map(|step| column(step.label())));
    columns.extend([
        defined(
            "Activation",
            "reached the first live call, of those who registered",
        ),
        defined(
            "Median time to first call",
            "registration to the first 2xx, of those who called",
        ),
        column("90 of 100 within"),
        defined("Within 30 minutes", "of those who called"),
    ]);
    let rows = cohorts
        .into_iter()
        .map(|(key, cohort)| {
            let mut row = vec![text(if key.is_empty() {
                "(none)".to_owned() // shown
            } else {
                key
            })];
            row.extend(cohort.reached.iter().map(|count| Datum::Count(*count)));
            row.extend([
                Datum::Share(reached(&cohort, Step::LiveCall), cohort.registered),
                Datum::span(cohort.median_ms),
                Datum::span(cohort.p90_ms),
                Datum::Share(cohort.quick, cohort.called),
            ]);
            row
        })
        .collect();
    Table {
        name,
        title: title.to_owned(),
        definition: definition.to_owned(),
        columns,
        rows,
        chart: None,
    }
}

/// Activation and time to first call by cohort, and who stays.
pub async fn show_cohorts(context: &Context) -> Result<Report, Failure> {
    let connection = &context.connection;
    let days = Days::read(context, 12)?;
    let by_week = match context.query("by").as_deref() {
        None | Some("month") => false,
        Some("week") => true,
        Some(_) => {
            return Err(Failure::field(
                "by",
                "unknown_value",
                "Give `week` or `month`.",
            ));
        }
    };
    let mut report = frame(
        "cohorts",
        "Cohorts",
        "Do newer partners get further, and do they stay?",
        days,
    );
    let grains = ["month", "week"].map(|word| (word.to_owned(), word.to_owned()));
    let grain = if by_week { "week" } else { "month" };
    report.choices = vec![Choice::one_of("by", "Cohorts by", grains.to_vec(), grain)];
    let journeys = journey_reads::list_journeys(connection).await?;
    let cohorts = funnel::group(registered(&journeys, days), |journey| {
        let day = day_of(journey.at(Step::Registered)?);
        Some(if by_week {
            day_label(first_day_of_week(week_of_day(day)))
        } else {
            month_label(month_of_day(day))
        })
    });
    let mut table = cohort_table(
        "cohorts",
        if by_week {
            "By week of registration"
        } else {
            "By month of registration"
        },
        "Who registered in the same week (from Monday, UTC) or month, followed up to now. Younger cohorts had less time.",
        if by_week { "Week from" } else { "Month" },
        cohorts,
    );
    table.chart = lines(&[1, 6]);
    report.tables.push(table);
    report.tables.push(retention_table(
        &store::list_retention(connection).await?,
        month_of(context.now_ms),
        days,
    ));
    Ok(report)
}

fn retention_table(cohorts: &BTreeMap<i64, BTreeMap<i64, i64>>, present: i64, days: Days) -> Table {
    let first = month_of_day(days.from);
    let last = month_of_day(days.to - 1).min(present);
    let width = (present - first).clamp(0, 24);
    let mut columns = vec![column("First live call in"), column("Partners")];
    columns.extend((1..=width).map(|later| column(&format!("+{later}"))));
    let rows = cohorts
        .range(first..=last)
        .map(|(month, active)| {
            let size = active.get(&0).copied().unwrap_or_default();
            let mut row = vec![text(month_label(*month)), Datum::Count(size)];
            row.extend((1..=width).map(|later| {
                if month + later > present {
                    Datum::Nothing
                } else {
                    Datum::Share(active.get(&later).copied().unwrap_or_default(), size)
                }
            }));
            row
        })
        .collect();
    Table {
        name: "retention",
        title: "Retention by month of first live call".to_owned(),
        definition: "Of the partners whose first live 2xx was in the month, the share with a live 2xx so many calendar months later. The month that runs is not over.".to_owned(),
        columns,
        rows,
        chart: None,
    }
}
