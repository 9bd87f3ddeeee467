//! Saved questions: each a link and a CSV.

use std::collections::BTreeMap;

use shared::credential::Environment;
use shared::ids::AppId;

use super::calendar::{
    DAY_MS, day_label, day_of, first_day_of_month, first_day_of_week, month_of, week_of_day,
};
use super::frame::{call_columns, call_values, frame, partner_link};
use super::funnel::Step;
use super::journey_reads;
use super::partners::by_id;
use super::period::Days;
use super::report::{Datum, Report, Table, column, defined};
use super::store::{self, Calls};
use super::trend::{Quiet, expected_against_season, rank};
use crate::context::Context;
use crate::database::DatabaseError;
use crate::encoding::readable_time;
use crate::web::Failure;
use crate::{metering, params, subscriptions};

fn text(text: impl Into<String>) -> Datum {
    Datum::Text(text.into())
}

/// Who hits limits: refusals of the last 30 days, and quotas that are nearly used up.
pub async fn who_hits_limits(context: &Context) -> Result<Report, Failure> {
    let connection = &context.connection;
    let days = Days::read_or_last(context, 30)?;
    let mut report = frame(
        "limits",
        "Hitting limits",
        "Who is hitting limits and needs an upgrade?",
        days,
    );
    let journeys = journey_reads::list_journeys(connection).await?;
    let known = by_id(&journeys);
    let calls = store::live_calls_by_partner(connection, days).await?;
    let before = store::live_calls_by_partner(connection, days.before()).await?;
    let mut rows: Vec<(&String, &Calls)> = calls
        .iter()
        .filter(|(_, calls)| calls.limited() > 0 && calls.limited() * 100 >= calls.all())
        .collect();
    rows.sort_by(|(_, one), (_, other)| {
        (i128::from(other.limited()) * i128::from(one.all()))
            .cmp(&(i128::from(one.limited()) * i128::from(other.all())))
    });
    let mut columns = vec![column("Partner")];
    columns.extend(call_columns());
    columns.extend([
        column("By rate limit"),
        column("By quota"),
        defined("Limited before", "the same share in the span before"),
    ]);
    report.tables.push(Table {
        name: "refused",
        title: "Refused by a limit".to_owned(),
        definition: "Partners of whose live calls at least one in a hundred was refused by a rate limit or the quota in the span; without one chosen, the last 30 days (UTC, today included).".to_owned(),
        columns,
        rows: rows
            .into_iter()
            .filter_map(|(id, calls)| {
                let mut row = vec![partner_link(id, &known.get(id.as_str())?.name)];
                row.extend(call_values(calls));
                row.extend([
                    Datum::Count(calls.rate_limited),
                    Datum::Count(calls.quota_exceeded),
                    before.get(id).map_or(Datum::Nothing, |calls| {
                        Datum::Share(calls.limited(), calls.all())
                    }),
                ]);
                Some(row)
            })
            .collect(),
        chart: None,
    });
    report.tables.push(Table {
        name: "quotas",
        title: "Quota nearly used up".to_owned(),
        definition: "Live subscriptions that used at least 80 % of the quota of the period that runs: the units on the usage page and the invoice.".to_owned(),
        columns: ["Partner", "App", "Quota", "Used", "Limit", "Share", "Period ends"].map(column).to_vec(),
        rows: nearly_used_up(context).await?,
        chart: None,
    });
    Ok(report)
}

/// Gateways spend what they were lent: only where most is lent can most be used, so only there the exact
/// sum is made.
async fn nearly_used_up(context: &Context) -> Result<Vec<Vec<Datum>>, DatabaseError> {
    let connection = &context.connection;
    let candidates = connection
        .query(
            "SELECT DISTINCT s.app_id, a.name, a.organisation_id, o.name
             FROM lease_pools l JOIN subscriptions s ON s.subscription_id = l.subscription_id
             JOIN apps a ON a.app_id = s.app_id
             JOIN organisations o ON o.organisation_id = a.organisation_id
             WHERE l.environment = 'live' AND l.lent > 0 AND l.period_start_ms > $1
                AND s.cancelled_at_ms IS NULL",
            params![context.now_ms - 370 * DAY_MS],
        )
        .await?;
    let mut found: Vec<(i64, Vec<Datum>)> = Vec::new();
    for row in candidates {
        let app_id: AppId = row.parse(0)?;
        let (app, organisation_id, name): (String, String, String) =
            (row.get(1)?, row.get(2)?, row.get(3)?);
        for terms in subscriptions::list_terms_of_app(connection, app_id).await? {
            let (Some(quota), Some(meter)) = (&terms.plan.terms.quota, terms.quota_meter) else {
                continue;
            };
            let limit = i64::try_from(quota.limit).unwrap_or(i64::MAX);
            let period = terms.period(context.now_ms)?;
            let id = terms.subscription.id;
            let lent = connection
                .query_optional(
                    "SELECT lent FROM lease_pools WHERE subscription_id = $1 AND environment = 'live'
                        AND period_start_ms = $2",
                    params![id.to_string(), period.start_ms],
                )
                .await?
                .map_or(Ok(0), |row| row.get::<i64>(0))?;
            if i128::from(lent) * 5 < i128::from(limit) * 4 {
                continue;
            }
            let used = metering::used_units(
                connection,
                id,
                Environment::Live,
                meter,
                terms.counting(),
                period,
            )
            .await?;
            if i128::from(used) * 5 >= i128::from(limit) * 4 {
                let share = i64::try_from(i128::from(used) * 1_000 / i128::from(limit.max(1)));
                found.push((
                    share.unwrap_or(i64::MAX),
                    vec![
                        partner_link(&organisation_id, &name),
                        text(app.clone()),
                        text(quota.name.clone()),
                        Datum::Count(used),
                        Datum::Count(limit),
                        Datum::Share(used, limit),
                        text(readable_time(period.end_ms)),
                    ],
                ));
            }
        }
    }
    found.sort_by_key(|(share, _)| std::cmp::Reverse(*share));
    Ok(found.into_iter().map(|(_, row)| row).collect())
}

/// Who registered long ago and never called.
pub async fn who_never_called(context: &Context) -> Result<Report, Failure> {
    let least: i64 = match context.query("days") {
        None => 180,
        Some(text) => text
            .parse()
            .ok()
            .filter(|days| (1..=3_650).contains(days))
            .ok_or_else(|| {
                Failure::field(
                    "days",
                    "out_of_range",
                    "Give a number of days from 1 to 3650.",
                )
            })?,
    };
    let now_ms = context.now_ms;
    let mut report = frame(
        "never-called",
        "Never called",
        "Who signed up long ago and never made a call?",
        Days::last(now_ms, least),
    );
    let mut journeys = journey_reads::list_journeys(&context.connection).await?;
    journeys.retain(|journey| {
        journey.at(Step::Verified).is_some()
            && journey.time_to_first_call().is_none()
            && journey
                .at(Step::Registered)
                .is_some_and(|at| now_ms - at >= least * DAY_MS)
    });
    journeys.sort_by_key(|journey| journey.at(Step::Registered));
    report.tables.push(Table {
        name: "partners",
        title: format!("Registered {least} days ago or longer, no call"),
        definition: "Verified organisations without a single 2xx at the gateway, test or live. `?days=` sets another age.".to_owned(),
        columns: ["Partner", "Registered", "Days ago", "Source", "Furthest step"].map(column).to_vec(),
        rows: journeys
            .iter()
            .map(|journey| {
                let at = journey.at(Step::Registered).unwrap_or(now_ms);
                vec![
                    partner_link(&journey.organisation_id, &journey.name),
                    text(readable_time(at)),
                    Datum::Count((now_ms - at) / DAY_MS),
                    text(journey.source.clone()),
                    text(journey.furthest_by(i64::MAX).label()),
                ]
            })
            .collect(),
        chart: None,
    });
    Ok(report)
}

/// So many whole weeks of each partner that called in them, oldest first. `back` weeks before the present
/// one, they end.
async fn whole_weeks(
    context: &Context,
    weeks: i64,
    back: i64,
) -> Result<BTreeMap<String, Vec<i64>>, DatabaseError> {
    let end = week_of_day(day_of(context.now_ms)) - back;
    let partners = store::live_successes_by_week(&context.connection, end - weeks..end).await?;
    Ok(partners
        .into_iter()
        .map(|(id, known)| {
            let series = (end - weeks..end)
                .map(|week| known.get(&week).copied().unwrap_or_default())
                .collect();
            (id, series)
        })
        .collect())
}

/// Who is growing: the last four whole weeks against the four before, or a span against the one before.
pub async fn who_grows(context: &Context) -> Result<Report, Failure> {
    let monday = first_day_of_week(week_of_day(day_of(context.now_ms)));
    let days = match (context.query("from"), context.query("to")) {
        (None, None) => Days {
            from: monday - 28,
            to: monday,
        },
        _ => Days::read(context, 1)?,
    };
    let mut report = frame("growing", "Growing", "Which partners are growing?", days);
    let connection = &context.connection;
    let journeys = journey_reads::list_journeys(connection).await?;
    let known = by_id(&journeys);
    let before = store::live_calls_by_partner(connection, days.before()).await?;
    let grown: BTreeMap<String, (i64, i64)> = store::live_calls_by_partner(connection, days)
        .await?
        .into_iter()
        .map(|(id, calls)| {
            let before = before.get(&id).map_or(0, |calls| calls.successes);
            (id, (before, calls.successes))
        })
        .filter(|(_, (before, recent))| *recent >= 20 && recent * 5 > before * 6)
        .collect();
    let ranked = rank(
        grown
            .iter()
            .map(|(id, (before, recent))| (id.as_str(), recent - before)),
    );
    report.tables.push(Table {
        name: "partners",
        title: "Growing partners".to_owned(),
        definition: "Successful live calls of the span against the span before: more than a fifth up, and at least 20 calls. Without a span chosen, the last four whole weeks (from Monday, UTC). Most added calls first.".to_owned(),
        columns: ["Partner", "Span before", "In the span", "Growth"].map(column).to_vec(),
        rows: ranked
            .iter()
            .filter_map(|one| {
                let (before, recent) = grown.get(one.key)?;
                Some(vec![
                    partner_link(one.key, &known.get(one.key)?.name),
                    Datum::Count(*before),
                    Datum::Count(*recent),
                    Datum::Change(*before, *recent),
                ])
            })
            .collect(),
        chart: None,
    });
    Ok(report)
}

/// Who is going quiet.
pub async fn who_goes_quiet(context: &Context) -> Result<Report, Failure> {
    let days = Days::last(context.now_ms, 70);
    let mut report = frame(
        "quiet",
        "Going quiet",
        "Who calls less than their own past lets expect?",
        days,
    );
    let journeys = journey_reads::list_journeys(&context.connection).await?;
    let known = by_id(&journeys);
    let a_year_ago = whole_weeks(context, 10, 52).await?;
    let present = week_of_day(day_of(context.now_ms));
    let mut quiet: Vec<(String, Quiet)> = whole_weeks(context, 10, 0)
        .await?
        .into_iter()
        .filter_map(|(id, weeks)| {
            // Weeks before the first live call say nothing.
            let first = known.get(id.as_str())?.at(Step::LiveCall)?;
            if week_of_day(day_of(first)) > present - 10 {
                return None;
            }
            let has_season = week_of_day(day_of(first)) <= present - 62;
            let then = a_year_ago.get(&id).filter(|_| has_season);
            let then = then.map(Vec::as_slice);
            let found = expected_against_season(&weeks, then)?;
            found.is_quiet().then_some((id, found))
        })
        .collect();
    quiet.sort_by_key(|(_, found)| found.actual - found.expected);
    report.tables.push(Table {
        name: "partners",
        title: "Partners going quiet".to_owned(),
        definition: "Successful live calls of the last two whole weeks (from Monday, UTC) below half of what is expected, where that is at least 20. Expected: twice the median of the eight weeks before; with a year of history, times what the same two weeks a year ago were against the eight before those, at least a half and at most the double. Most missing calls first.".to_owned(),
        columns: vec![column("Partner"), column("Expected"), column("Came"), defined("Change", "against what was expected")],
        rows: quiet
            .iter()
            .filter_map(|(id, found)| {
                Some(vec![
                    partner_link(id, &known.get(id.as_str())?.name),
                    Datum::Count(found.expected),
                    Datum::Count(found.actual),
                    Datum::Change(found.expected, found.actual),
                ])
            })
            .collect(),
        chart: None,
    });
    Ok(report)
}

/// Who has a price that nobody else has.
pub async fn who_has_a_one_off_price(context: &Context) -> Result<Report, Failure> {
    let mut report = frame(
        "one-off-prices",
        "One-off prices",
        "Who has a price that nobody else has?",
        Days::last(context.now_ms, 1),
    );
    report.tables.push(Table {
        name: "subscriptions",
        title: "Subscriptions on a private plan".to_owned(),
        definition: "Standing subscriptions whose plan is offered to one organisation alone. Private plans are versions of a product's plans, not products of their own.".to_owned(),
        columns: ["Partner", "App", "Product", "Plan"].map(column).to_vec(),
        rows: store::list_one_off(&context.connection)
            .await?
            .into_iter()
            .map(|one| {
                vec![
                    partner_link(&one.organisation_id, &one.name),
                    text(one.app),
                    text(one.product),
                    text(one.plan),
                ]
            })
            .collect(),
        chart: None,
    });
    Ok(report)
}

/// Why someone left, as far as the calls of the last 30 days before the last one tell.
pub fn guess_reason(last_30_days: &Calls) -> &'static str {
    let calls = last_30_days;
    if calls.server_errors * 20 >= calls.calls && calls.server_errors > 0 {
        "errors of the API (guessed): one call in twenty or more ended in 5xx"
    } else if calls.limited() * 20 >= calls.all() && calls.limited() > 0 {
        "limits or price (guessed): one call in twenty or more was refused by a limit"
    } else if calls.client_errors * 5 >= calls.calls && calls.client_errors > 0 {
        "trouble integrating (guessed): one call in five or more ended in 4xx"
    } else {
        "silence (guessed): calls went well until they stopped"
    }
}

/// Who was live and left.
pub async fn who_churned(context: &Context) -> Result<Report, Failure> {
    /// Reasons are guessed for so many: each takes a read.
    const SHOWN: usize = 100;
    let connection = &context.connection;
    let present = month_of(context.now_ms);
    let days = Days {
        from: first_day_of_month(present - 3),
        to: first_day_of_month(present),
    };
    let mut report = frame("churned", "Churned", "Who was live and stopped?", days);
    let journeys = journey_reads::list_journeys(connection).await?;
    let known = by_id(&journeys);
    let mut gone = store::last_days_of_leavers(connection, present - 3, present - 1).await?;
    gone.sort_by(|one, other| other.cmp(one));
    let said = store::cancellation_reasons(connection).await?;
    let mut rows = Vec::new();
    for (day, id) in gone.into_iter().take(SHOWN) {
        let Some(journey) = known.get(id.as_str()) else {
            continue;
        };
        let month = Days {
            from: day - 29,
            to: day + 1,
        };
        let mut calls = Calls::default();
        for one in store::calls_of_partner_by_day(connection, &id, "live", month)
            .await?
            .values()
        {
            calls.add(one);
        }
        let mut row = vec![partner_link(&id, &journey.name), text(day_label(day))];
        row.extend(call_values(&calls));
        row.push(text(match said.get(&id) {
            Some(reason) => format!("recorded when it cancelled: {reason}"),
            None => guess_reason(&calls).to_owned(),
        }));
        rows.push(row);
    }
    let mut columns = vec![column("Partner"), defined("Last live 2xx", "UTC day")];
    columns.extend(call_columns());
    columns.push(defined(
        "Reason",
        "what was recorded when it cancelled; else guessed from the 30 days up to the last call, and marked so",
    ));
    report.tables.push(Table {
        name: "partners",
        title: "Live before, not in the last whole month nor since".to_owned(),
        definition: "Partners with a live 2xx in the two months before the last whole month, and none since. Only who was live can churn. The newest hundred. Counters are of the 30 days up to the last call.".to_owned(),
        columns,
        rows,
        chart: None,
    });
    Ok(report)
}
