//! Reports that compare partners and products, and the scorecard of one.

use std::collections::{BTreeMap, BTreeSet};

use super::calendar::{DAY_MS, day_label};
use super::chart::{bars, lines};
use super::frame::{call_columns, call_values, frame, partner_link};
use super::funnel::{Journey, Step};
use super::journey_reads;
use super::period::Days;
use super::report::{Datum, Report, Table, column, defined};
use super::store::{self, Calls};
use super::touches::{self, Touches};
use super::trend;
use crate::context::Context;
use crate::encoding::readable_time;
use crate::web::Failure;

/// Columns of the product matrix.
const PRODUCTS_SHOWN: usize = 12;

fn text(text: impl Into<String>) -> Datum {
    Datum::Text(text.into())
}

fn count(number: usize) -> Datum {
    Datum::Count(i64::try_from(number).unwrap_or(i64::MAX))
}

/// Partners with an organisation, by id.
pub fn by_id(journeys: &[Journey]) -> BTreeMap<&str, &Journey> {
    journeys
        .iter()
        .filter(|journey| !journey.organisation_id.is_empty())
        .map(|journey| (journey.organisation_id.as_str(), journey))
        .collect()
}

/// Everyone, ranked: who uses the API, and who takes our time.
pub async fn rank_partners(context: &Context) -> Result<Report, Failure> {
    let connection = &context.connection;
    let days = Days::read(context, 12)?;
    let mut report = frame(
        "partners",
        "Partners",
        "Who matters, and who takes our time?",
        days,
    );
    let journeys = journey_reads::list_journeys(connection).await?;
    let known = by_id(&journeys);
    let calls = store::live_calls_by_partner(connection, days).await?;
    let before = store::live_calls_by_partner(connection, days.before()).await?;
    let touches = Touches::read(connection, days).await?;
    let ids: BTreeSet<&str> = calls
        .keys()
        .map(String::as_str)
        .chain(touches.partners())
        .filter(|id| known.contains_key(id))
        .collect();
    let ranked = trend::rank(
        ids.into_iter()
            .map(|id| (id, calls.get(id).map_or(0, |calls| calls.successes))),
    );
    let all: i64 = ranked.iter().map(|one| one.amount).sum();
    let all_touches = touches.all();
    let share_of_top = |top: usize| {
        let place = top.min(ranked.len());
        let up_to = place
            .checked_sub(1)
            .and_then(|last| ranked.get(last))
            .map_or(0, |one| one.up_to_here);
        Datum::Share(up_to, all)
    };
    for (name, label, top, definition) in [
        (
            "top_1",
            "The largest partner's share",
            1,
            "of successful live calls in the span",
        ),
        (
            "top_5",
            "The five largest",
            5,
            "their share of successful live calls in the span",
        ),
    ] {
        report.figures.push(super::report::Figure {
            name,
            label,
            value: share_of_top(top),
            before: Datum::Nothing,
            definition: definition.to_owned(),
            href: "#partners".to_owned(),
        });
    }
    let mut columns = vec![column("Partner"), column("Type")];
    columns.extend(call_columns());
    columns.extend([
        defined("Share", "of all successful (2xx) live calls in the span"),
        defined("Up to here", "this partner's share and those of all above"),
        defined("Change", "successful live calls against the span before"),
        defined("Human touches", touches::ACTIONS),
        defined("Support messages", touches::MESSAGES),
        defined("Share of touches", "human touches and support messages, of all in the span"),
        defined("Remark", "quiet and big: a tenth of the calls or more, and a smaller share of the touches than half of that"),
    ]);
    let rows = ranked
        .iter()
        .filter_map(|one| {
            let journey = known.get(one.key)?;
            let theirs = calls.get(one.key).copied().unwrap_or_default();
            let touched = touches.of(one.key);
            let is_big = all > 0 && one.amount * 10 >= all;
            let is_quiet = i128::from(touched.all()) * i128::from(all) * 2
                < i128::from(one.amount) * i128::from(all_touches.max(1));
            let mut row = vec![
                partner_link(one.key, &journey.name),
                text(journey.partner_type.clone()),
            ];
            row.extend(call_values(&theirs));
            row.extend([
                Datum::Share(one.amount, all),
                Datum::Share(one.up_to_here, all),
                Datum::Change(
                    before.get(one.key).map_or(0, |calls| calls.successes),
                    one.amount,
                ),
                Datum::Count(touched.actions),
                Datum::Count(touched.messages),
                Datum::Share(touched.all(), all_touches),
                text(if is_big && is_quiet {
                    "quiet and big"
                } else {
                    ""
                }),
            ]);
            Some(row)
        })
        .collect();
    report.tables.push(Table {
        name: "partners",
        title: "Partners by successful live calls".to_owned(),
        definition: "Organisations with live calls, human touches or support messages in the span."
            .to_owned(),
        columns,
        rows,
        chart: None,
    });
    Ok(report)
}

/// Products, and who uses which.
pub async fn show_products(context: &Context) -> Result<Report, Failure> {
    let connection = &context.connection;
    let days = Days::read(context, 12)?;
    let mut report = frame(
        "products",
        "Products",
        "Which products are used, and by whom?",
        days,
    );
    let names = store::product_names(connection).await?;
    let journeys = journey_reads::list_journeys(connection).await?;
    let known = by_id(&journeys);
    let mut products: BTreeMap<&str, (Calls, usize)> = BTreeMap::new();
    let mut partners: BTreeMap<&str, BTreeMap<&str, i64>> = BTreeMap::new();
    let all = store::live_calls_by_product(connection, days).await?;
    for one in &all {
        let product = products.entry(&one.product_id).or_default();
        product.0.add(&one.calls);
        product.1 += usize::from(one.calls.successes > 0);
        *partners
            .entry(&one.organisation_id)
            .or_default()
            .entry(&one.product_id)
            .or_default() += one.calls.successes;
    }
    let name = |id: &str| match names.get(id) {
        Some(name) => name.clone(),
        None => "(no subscription)".to_owned(),
    };
    let ranked = trend::rank(
        products
            .iter()
            .map(|(id, (calls, _))| (*id, calls.successes)),
    );
    let mut columns = vec![
        column("Product"),
        defined(
            "Partners",
            "with a live call of it answered 2xx in the span",
        ),
    ];
    columns.extend(call_columns());
    columns.push(defined(
        "Per partner",
        "successful live calls, by partners that made one",
    ));
    report.tables.push(Table {
        name: "products",
        title: "Products by successful live calls".to_owned(),
        definition: "A call counts for the product of the subscription that it was made under."
            .to_owned(),
        columns,
        rows: ranked
            .iter()
            .filter_map(|one| {
                let (calls, users) = products.get(one.key)?;
                let mut row = vec![text(name(one.key)), count(*users)];
                row.extend(call_values(calls));
                row.push(
                    i64::try_from(*users)
                        .ok()
                        .and_then(|users| calls.successes.checked_div(users))
                        .map_or(Datum::Nothing, Datum::Count),
                );
                Some(row)
            })
            .collect(),
        chart: bars(&[2]),
    });
    let shown: Vec<&str> = ranked
        .iter()
        .take(PRODUCTS_SHOWN)
        .map(|one| one.key)
        .collect();
    let mut columns = vec![column("Partner")];
    columns.extend(shown.iter().map(|id| column(&name(id))));
    let order = trend::rank(
        partners
            .iter()
            .map(|(id, calls)| (*id, calls.values().sum::<i64>())),
    );
    report.tables.push(Table {
        name: "matrix",
        title: "Products by partner".to_owned(),
        definition: format!(
            "Successful live calls in the span; the {PRODUCTS_SHOWN} largest products."
        ),
        columns,
        rows: order
            .iter()
            .filter_map(|one| {
                let theirs = partners.get(one.key)?;
                let journey = known.get(one.key)?;
                let mut row = vec![partner_link(one.key, &journey.name)];
                row.extend(shown.iter().map(|id| match theirs.get(id) {
                    Some(calls) => Datum::Count(*calls),
                    None => Datum::Nothing,
                }));
                Some(row)
            })
            .collect(),
        chart: None,
    });
    Ok(report)
}

/// One partner's scorecard.
pub async fn show_partner(context: &Context) -> Result<Report, Failure> {
    let connection = &context.connection;
    let days = Days::read(context, 3)?;
    let id = context
        .query("organisation_id")
        .ok_or_else(|| Failure::field("organisation_id", "required", "Name the organisation."))?;
    let journey = journey_reads::find_journey(connection, &id)
        .await?
        .ok_or_else(Failure::not_found)?;
    let mut report = frame("partner", &journey.name, "How is this partner doing?", days);
    let live = store::calls_of_partner_by_day(connection, &id, "live", days).await?;
    let test = store::calls_of_partner_by_day(connection, &id, "test", days).await?;
    let mut before: Option<i64> = None;
    let steps = Step::ANY
        .iter()
        .map(|step| {
            let at = journey.at(*step);
            let took = at.zip(before).map(|(at, before)| (at - before).max(0));
            before = at.or(before);
            vec![
                text(step.label()),
                at.map_or(Datum::Nothing, |at| text(readable_time(at))),
                Datum::span(took),
                text(step.definition()),
            ]
        })
        .collect();
    report.tables.push(Table {
        name: "steps",
        title: "The way so far".to_owned(),
        definition: format!(
            "Type {}, source {}.",
            journey.partner_type,
            if journey.source.is_empty() {
                "none given"
            } else {
                &journey.source
            }
        ),
        columns: vec![
            column("Step"),
            column("Reached"),
            defined("Took", "since the last step reached before"),
            column("What counts"),
        ],
        rows: steps,
        chart: None,
    });
    let mut columns = vec![column("Day"), column("Sandbox calls")];
    columns.extend(call_columns());
    report.tables.push(Table {
        name: "days",
        title: "Calls by day".to_owned(),
        definition: "UTC days; usage as rolled up, to the hour.".to_owned(),
        columns,
        rows: (days.from..days.to.min(super::calendar::day_of(context.now_ms) + 1))
            .map(|day| {
                let mut row = vec![
                    text(day_label(day)),
                    Datum::Count(test.get(&day).map_or(0, |calls| calls.calls)),
                ];
                row.extend(call_values(&live.get(&day).copied().unwrap_or_default()));
                row
            })
            .collect(),
        chart: lines(&[1, 2]),
    });
    let touches: Vec<_> = touches::list_touches(connection, days.from * DAY_MS, Some(&id))
        .await?
        .into_iter()
        .filter(|touch| days.holds(touch.at_ms))
        .collect();
    report.tables.push(Table {
        name: "touches",
        title: "Human touches".to_owned(),
        definition:
            "Actions of the operator's staff on the partner in the span, from the audit log."
                .to_owned(),
        columns: ["Time", "Action", "Step reached"].map(column).to_vec(),
        rows: touches
            .into_iter()
            .map(|touch| {
                let step = journey.furthest_by(touch.at_ms);
                vec![
                    text(readable_time(touch.at_ms)),
                    text(touch.action),
                    text(step.label()),
                ]
            })
            .collect(),
        chart: None,
    });
    report.tables.push(tiers_table(context, &id).await?);
    Ok(report)
}

/// How the partner came by its tier.
async fn tiers_table(context: &Context, organisation_id: &str) -> Result<Table, Failure> {
    let id = organisation_id.parse().map_err(|_| Failure::not_found())?;
    let changes = crate::partners::list_changes(&context.connection, id).await?;
    Ok(Table {
        name: "tiers",
        title: "Tiers".to_owned(),
        definition: "Every move from one tier to another, newest first.".to_owned(),
        columns: ["Time", "From", "To", "Why"].map(column).to_vec(),
        rows: changes
            .into_iter()
            .map(|change| {
                vec![
                    text(readable_time(change.changed_at)),
                    text(change.from),
                    text(change.to),
                    text(change.why),
                ]
            })
            .collect(),
        chart: None,
    })
}
