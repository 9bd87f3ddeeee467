//! Home of analytics: the numbers that say whether the programme works.

use std::collections::BTreeMap;

use super::calendar::month_of;
use super::chart::lines;
use super::frame::{frame, report_link};
use super::funnel::{Journey, Step, reached, registered, whole};
use super::journey_reads;
use super::period::Days;
use super::report::{Datum, Figure, Report, Table, column, defined};
use super::revenue::{self, Earnings};
use super::stages;
use super::store::{self, Month};
use super::touches::Touches;
use super::trend;
use crate::context::Context;
use crate::web::Failure;

/// The four metrics: revenue, active partners, activation, time to first call.
const HEADLINE: usize = 4;
/// Partners on the first screen.
const PARTNERS_SHOWN: usize = 10;

fn text(text: impl Into<String>) -> Datum {
    Datum::Text(text.into())
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
    Ok(vec![
        revenue::figure(context, days).await?,
        Figure {
            name: "active_partners",
            label: "Active partners",
            value: Datum::Count(store::count_active(connection, days).await?),
            before: Datum::Count(store::count_active(connection, days.before()).await?),
            definition: "organisations with at least one live call answered 2xx in the span; usage as rolled up, to the hour".to_owned(),
            href: report_link("partners", days),
        },
        Figure {
            name: "activation",
            label: "Activation",
            value: Datum::Share(reached(&now, Step::LiveCall), now.registered),
            before: Datum::Share(reached(&before, Step::LiveCall), before.registered),
            definition: "of those who registered in the span, the share that has made a live call answered 2xx by now".to_owned(),
            href: report_link("funnel", days),
        },
        Figure {
            name: "time_to_first_call",
            label: "Time to first call",
            value: Datum::span(now.median_ms),
            before: Datum::span(before.median_ms),
            definition: "half of those who registered in the span and called took at most so long from registration to the minute of their first 2xx at the gateway, test or live".to_owned(),
            href: report_link("cohorts", days),
        },
        Figure {
            name: "quick_first_calls",
            label: "First call within 30 minutes",
            value: Datum::Share(now.quick, now.called),
            before: Datum::Share(before.quick, before.called),
            definition: "of those with a first call".to_owned(),
            href: report_link("cohorts", days),
        },
    ])
}

/// The leading figures of the last twelve months, for the operator's home.
pub async fn headline(context: &Context) -> Result<Vec<Figure>, Failure> {
    let days = Days::read(context, 12)?;
    let journeys = journey_reads::list_journeys(&context.connection).await?;
    let mut figures = leading_figures(context, days, &journeys).await?;
    figures.truncate(HEADLINE);
    Ok(figures)
}

/// Home: the numbers that say whether the programme works.
pub async fn show_home(context: &Context) -> Result<Report, Failure> {
    let connection = &context.connection;
    let days = Days::read(context, 12)?;
    let mut report = frame("home", "Analytics", "Does the programme pay?", days);
    let journeys = journey_reads::list_journeys(connection).await?;
    let months = store::list_months(connection).await?;
    report.figures = leading_figures(context, days, &journeys).await?;
    let (growth, growth_before) = growth_of(&months, month_of(context.now_ms));
    let earnings = Earnings::read(context, days).await?;
    report
        .figures
        .push(revenue::forecast(context, earnings.currency).await?);
    report.figures.push(Figure {
        name: "growth",
        label: "Growth of active partners",
        value: growth,
        before: growth_before,
        definition: "the last whole month against the month before".to_owned(),
        href: "#months".to_owned(),
    });
    report
        .figures
        .push(forecast_of(&months, month_of(context.now_ms)));
    let touches = Touches::read(connection, days).await?;
    report.tables.push(Table {
        name: "revenue",
        ..revenue::by_month(context, earnings.currency, days).await?
    });
    report
        .tables
        .push(earnings.partners_table(&journeys, &touches, PARTNERS_SHOWN));
    report.tables.push(earnings.products_table());
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
        href: "#months".to_owned(),
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
