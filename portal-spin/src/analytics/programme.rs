//! Reports on the programme as a whole: home, funnel, cohorts, growth, friction.

use std::collections::BTreeMap;

use super::calendar::{
    DAY_MS, day_label, day_of, first_day_of_week, month_label, month_of, month_of_day, week_of_day,
};
use super::chart::{bars, lines};
use super::funnel::{self, Cohort, Journey, STEPS, Step};
use super::period::Days;
use super::report::{Column, Datum, Figure, Report, Table, column, defined};
use super::revenue;
use super::stages;
use super::store::{self, Month};
use super::trend;
use crate::context::Context;
use crate::web::Failure;

/// The four metrics: revenue, active partners, activation, time to first call.
const HEADLINE: usize = 4;

/// Where partners' pages stand.
pub fn partner_link(organisation_id: &str, name: &str) -> Datum {
    Datum::Link(
        name.to_owned(),
        format!("/operator/analytics/partner?organisation_id={organisation_id}"),
    )
}

fn text(text: impl Into<String>) -> Datum {
    Datum::Text(text.into())
}

pub(super) fn frame(name: &'static str, title: &str, question: &'static str, days: Days) -> Report {
    let (from, to) = days.labels();
    Report {
        name,
        title: title.to_owned(),
        question,
        from,
        to,
        ..Report::default()
    }
}

/// Partners that registered in these days, and the value of one step among them.
fn registered(journeys: &[Journey], days: Days) -> impl Iterator<Item = &Journey> {
    journeys.iter().filter(move |journey| {
        journey
            .at(Step::Registered)
            .is_some_and(|at| days.holds(at))
    })
}

/// All of these partners as one cohort.
fn whole<'a>(journeys: impl Iterator<Item = &'a Journey>) -> Cohort {
    funnel::group(journeys, |_| Some(()))
        .into_values()
        .next()
        .unwrap_or_default()
}

fn reached(cohort: &Cohort, step: Step) -> i64 {
    cohort
        .reached
        .get(step as usize)
        .copied()
        .unwrap_or_default()
}

/// The numbers that lead: revenue, who is active, who gets there, how fast.
async fn leading_figures(
    context: &Context,
    days: Days,
    journeys: &[Journey],
) -> Result<Vec<Figure>, Failure> {
    let connection = &context.connection;
    let (now, before) = (
        whole(registered(journeys, days)),
        whole(registered(journeys, days.before())),
    );
    let active = store::live_calls_by_partner(connection, days).await?;
    let active_before = store::live_calls_by_partner(connection, days.before()).await?;
    let count_active = |calls: &BTreeMap<String, store::Calls>| {
        Datum::Count(calls.values().filter(|calls| calls.successes > 0).count() as i64)
    };
    Ok(vec![
        revenue::figure(context, days).await?,
        Figure {
            name: "active_partners",
            label: "Active partners",
            value: count_active(&active),
            before: count_active(&active_before),
            definition: "organisations with at least one live call answered 2xx in the span; usage as rolled up, to the hour".to_owned(),
        },
        Figure {
            name: "activation",
            label: "Activation",
            value: Datum::Share(reached(&now, Step::LiveCall), now.registered),
            before: Datum::Share(reached(&before, Step::LiveCall), before.registered),
            definition: "of those who registered in the span, the share that has made a live call answered 2xx by now".to_owned(),
        },
        Figure {
            name: "time_to_first_call",
            label: "Time to first call",
            value: Datum::span(now.median_ms),
            before: Datum::span(before.median_ms),
            definition: "half of those who registered in the span and called took at most so long from registration to the minute of their first 2xx at the gateway, test or live".to_owned(),
        },
        Figure {
            name: "quick_first_calls",
            label: "First call within 30 minutes",
            value: Datum::Share(now.quick, now.called),
            before: Datum::Share(before.quick, before.called),
            definition: "of those with a first call".to_owned(),
        },
    ])
}

/// The leading figures of the last twelve months, for the operator's home.
pub async fn headline(context: &Context) -> Result<Vec<Figure>, Failure> {
    let days = Days::read(context, 12)?;
    let journeys = store::list_journeys(&context.connection).await?;
    let mut figures = leading_figures(context, days, &journeys).await?;
    figures.truncate(HEADLINE);
    Ok(figures)
}

/// Home: the numbers that say whether the programme works.
pub async fn home(context: &Context) -> Result<Report, Failure> {
    let connection = &context.connection;
    let days = Days::read(context, 12)?;
    let mut report = frame("home", "Analytics", "Does the programme pay?", days);
    let journeys = store::list_journeys(connection).await?;
    let months = store::list_months(connection).await?;
    report.figures = leading_figures(context, days, &journeys).await?;
    let (growth, growth_before) = growth_of(&months, month_of(context.now_ms));
    report.figures.push(Figure {
        name: "growth",
        label: "Growth of active partners",
        value: growth,
        before: growth_before,
        definition: "the last whole month against the month before".to_owned(),
    });
    report
        .figures
        .push(forecast_of(&months, month_of(context.now_ms)));
    report
        .tables
        .push(months_table(&months, days, month_of(context.now_ms)));
    report
        .tables
        .push(stages::table(context, &journeys, &months).await?);
    Ok(report)
}

fn growth_of(months: &BTreeMap<i64, Month>, present: i64) -> (Datum, Datum) {
    let active = |month: i64| months.get(&month).map_or(0, |month| month.active);
    let change = |month: i64| match active(month - 1) {
        0 => Datum::Nothing,
        before => Datum::Change(before, active(month)),
    };
    (change(present - 1), change(present - 2))
}

/// What the month that runs is likely to bring, from the whole months before it.
fn forecast_of(months: &BTreeMap<i64, Month>, present: i64) -> Figure {
    let first = months.keys().next().copied().unwrap_or(present);
    let series: Vec<i64> = (first..present)
        .map(|month| months.get(&month).map_or(0, |month| month.successes))
        .collect();
    let found = trend::forecast(&series);
    Figure {
        name: "forecast_calls",
        label: "Live calls forecast for this month",
        value: found.map_or(Datum::Nothing, |found| Datum::Count(found.next)),
        before: series.last().map_or(Datum::Nothing, |last| Datum::Count(*last)),
        definition: found.map_or_else(
            || "successful live calls; needs six whole months of calls".to_owned(),
            |found| {
                format!(
                    "successful live calls: {}. Tried on the last {} months it was off by {} in all",
                    found.method.describe(),
                    found.months,
                    Datum::Share(found.error, found.tried_on).text()
                )
            },
        ),
    }
}

fn months_table(months: &BTreeMap<i64, Month>, days: Days, present: i64) -> Table {
    let rows = days
        .month_names()
        .into_iter()
        .filter(|(number, _)| *number <= present)
        .map(|(number, name)| {
            let month = months.get(&number).copied().unwrap_or_default();
            let before = months.get(&(number - 1)).map_or(0, |month| month.active);
            vec![
                text(name),
                Datum::Count(month.active),
                Datum::Count(month.new),
                Datum::Count(month.returned),
                Datum::Count(month.churned),
                Datum::Share(month.churned, before),
                Datum::Change(before, month.active),
                Datum::Count(month.successes),
            ]
        })
        .collect();
    Table {
        name: "months",
        title: "Active partners by month".to_owned(),
        definition: "A partner is active in a calendar month (UTC) with at least one live call answered 2xx. The month that runs is not over: who is missing in it may still call.".to_owned(),
        columns: vec![
            column("Month"),
            column("Active"),
            defined("New", "active for the first time ever"),
            defined("Returned", "active, not in the month before, but earlier"),
            defined("Churned", "active in the month before and not in this one: only who was live can churn"),
            defined("Churn", "churned, of those active in the month before"),
            defined("Growth", "active against the month before"),
            column("Successful live calls"),
        ],
        rows,
        chart: lines(&[1, 2, 4]),
    }
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
    let journeys = store::list_journeys(connection).await?;
    let source = context.query("source");
    let kind = context.query("partner_type");
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
    let steps = funnel::summarise(chosen.iter());
    let all = steps.first().map_or(0, |step| step.reached);
    let mut rows = vec![vec![
        text("Visited"),
        Datum::Count(views),
        Datum::Nothing,
        Datum::Nothing,
        Datum::Nothing,
        Datum::Nothing,
        text(
            "views of the sign-up page by people who are not signed in; not tied to a person, so no time is known",
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
            Datum::Count(step.reached),
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
                "(none)".to_owned()
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
    let journeys = store::list_journeys(connection).await?;
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

/// What each step costs: how long, who gave up, how often staff had to act.
pub async fn show_friction(context: &Context) -> Result<Report, Failure> {
    /// Who has not gone on for so long has given the step up.
    const GIVEN_UP_MS: i64 = 30 * DAY_MS;
    let connection = &context.connection;
    let days = Days::read(context, 12)?;
    let mut report = frame(
        "friction",
        "Friction log",
        "Where do partners get stuck, and where do they need us?",
        days,
    );
    let journeys: Vec<Journey> = registered(&store::list_journeys(connection).await?, days)
        .cloned()
        .collect();
    let steps = funnel::summarise(journeys.iter());
    let touches = store::list_touches(connection, days.from * DAY_MS).await?;
    let by_id: BTreeMap<&str, &Journey> = journeys
        .iter()
        .map(|journey| (journey.organisation_id.as_str(), journey))
        .collect();
    let (mut touched, mut actions) = ([0_i64; STEPS], BTreeMap::<(Step, &str), i64>::new());
    for touch in &touches {
        let Some(journey) = by_id.get(touch.organisation_id.as_str()) else {
            continue;
        };
        let step = journey.furthest_by(touch.at_ms);
        if let Some(count) = touched.get_mut(step as usize) {
            *count += 1;
        }
        *actions.entry((step, touch.action.as_str())).or_default() += 1;
    }
    let mut rows: Vec<(i64, Vec<Datum>)> = Vec::new();
    for (place, pair) in Step::ANY.windows(2).enumerate() {
        let [at, next] = pair else { continue };
        let (mut waiting, mut gave_up) = (0, 0);
        for journey in &journeys {
            let is_here = journey.furthest_by(i64::MAX) == *at;
            if let (true, Some(since)) = (is_here, journey.at(*at)) {
                if context.now_ms - since >= GIVEN_UP_MS {
                    gave_up += 1;
                } else {
                    waiting += 1;
                }
            }
        }
        let summary = steps.get(place + 1);
        let here = steps.get(place).map_or(0, |step| step.reached);
        let human = touched.get(place).copied().unwrap_or_default();
        rows.push((
            gave_up,
            vec![
                text(format!("{} → {}", at.label(), next.label())),
                Datum::Count(gave_up),
                Datum::Share(gave_up, here),
                Datum::Count(waiting),
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
            defined("Median dwell", "of those who went on"),
            column("90 of 100 within"),
            defined("Human touches", "actions of the operator's staff on the partner while it stood there: audit records by someone with a role on the operator's side who is not a member of the partner"),
            defined("Touches per partner", "human touches, of those who reached the step"),
        ],
        rows: rows.into_iter().map(|(_, row)| row).collect(),
        chart: bars(&[1]),
    });
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

/// Headings of a partner table's counters.
pub fn call_columns() -> Vec<Column> {
    vec![
        defined(
            "Live calls",
            "let through by the gateway, whatever the answer",
        ),
        defined("Errors", "answered 4xx or 5xx, of the live calls"),
        defined(
            "Limited",
            "refused by a rate limit or the quota, of all live calls and refusals",
        ),
    ]
}

/// Their values.
pub fn call_values(calls: &store::Calls) -> Vec<Datum> {
    vec![
        Datum::Count(calls.calls),
        Datum::Share(calls.client_errors + calls.server_errors, calls.calls),
        Datum::Share(calls.limited(), calls.all()),
    ]
}
