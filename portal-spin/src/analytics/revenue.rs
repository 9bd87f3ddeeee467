//! Revenue: who pays, for what, and how it moves.

use std::collections::BTreeMap;

use shared::money::Currency;

use super::calendar::{first_day_of_month, month_label, month_of};
use super::chart::{bars, lines};
use super::frame::{frame, partner_link, report_link};
use super::funnel::Journey;
use super::journey_reads;
use super::partners::by_id;
use super::period::Days;
use super::report::{Datum, Figure, Report, Table, column, defined};
use super::revenue_sums::{self, MonthSum, Sum};
use super::store;
use super::touches::{self, Touches};
use super::trend::{self, Ranked, rank};
use crate::context::Context;
use crate::web::Failure;

/// Products in the matrix.
const PRODUCTS_SHOWN: usize = 12;
pub(super) const COUNTS: &str = "lines of issued invoices less credit notes and discounts, before taxes, by the UTC day of issue; voided invoices are left out, a credit note by hand counts whole";

/// The figure that leads.
pub async fn figure(context: &Context, days: Days) -> Result<Figure, Failure> {
    let currency = revenue_sums::currency(context).await?;
    let total = async |days| revenue_sums::total(&context.connection, currency, days).await;
    Ok(Figure {
        name: "revenue",
        label: "Revenue",
        value: Datum::amount(currency, total(days).await?),
        before: Datum::amount(currency, total(days.before()).await?),
        definition: COUNTS.to_owned(),
        href: report_link("revenue", days),
    })
}

/// Revenue of a span, summed up every way.
pub(super) struct Earnings {
    pub(super) currency: Currency,
    sums: Vec<Sum>,
    before: BTreeMap<String, i64>,
    names: BTreeMap<String, String>,
    all: i64,
}

fn by_partner(sums: &[Sum]) -> BTreeMap<String, i64> {
    let mut partners: BTreeMap<String, i64> = BTreeMap::new();
    for sum in sums {
        *partners.entry(sum.organisation_id.clone()).or_default() += sum.minor;
    }
    partners
}

fn count_paying(partners: &BTreeMap<String, i64>) -> i64 {
    i64::try_from(partners.values().filter(|minor| **minor > 0).count()).unwrap_or(0)
}

impl Earnings {
    pub(super) async fn read(context: &Context, days: Days) -> Result<Self, Failure> {
        let connection = &context.connection;
        let currency = revenue_sums::currency(context).await?;
        let sums = revenue_sums::by_partner_and_product(connection, currency, days).await?;
        let before =
            revenue_sums::by_partner_and_product(connection, currency, days.before()).await?;
        Ok(Self {
            currency,
            all: sums.iter().map(|sum| sum.minor).sum(),
            sums,
            before: by_partner(&before),
            names: store::product_names(connection).await?,
        })
    }

    fn amount(&self, minor: i64) -> Datum {
        Datum::amount(self.currency, minor)
    }

    fn product_name(&self, id: &str) -> String {
        self.names
            .get(id)
            .cloned()
            .unwrap_or_else(|| "(discounts and credit)".to_owned())
    }

    fn ranked_partners(&self) -> Vec<Ranked<String>> {
        rank(by_partner(&self.sums))
    }

    fn ranked_products(&self) -> Vec<Ranked<&str>> {
        let mut products: BTreeMap<&str, i64> = BTreeMap::new();
        for sum in &self.sums {
            *products.entry(&sum.product_id).or_default() += sum.minor;
        }
        rank(products)
    }

    /// The largest first; all of them, or so many.
    pub(super) fn partners_table(
        &self,
        journeys: &[Journey],
        touches: &Touches,
        most: usize,
    ) -> Table {
        let known = by_id(journeys);
        let all_touches = touches.all();
        let row = |one: &Ranked<String>| {
            let touched = touches.of(&one.key);
            let is_big = self.all > 0 && one.amount.saturating_mul(10) >= self.all;
            let is_quiet = i128::from(touched.all()) * i128::from(self.all) * 2
                < i128::from(one.amount) * i128::from(all_touches.max(1));
            let before = self.before.get(&one.key).copied().unwrap_or_default();
            Some(vec![
                partner_link(&one.key, &known.get(one.key.as_str())?.name),
                self.amount(one.amount),
                Datum::Share(one.amount, self.all),
                Datum::Share(one.up_to_here, self.all),
                Datum::Change(before, one.amount),
                Datum::Count(touched.actions),
                Datum::Count(touched.messages),
                Datum::Share(touched.all(), all_touches),
                Datum::Text(
                    if is_big && is_quiet {
                        "quiet and big"
                    } else {
                        ""
                    }
                    .to_owned(),
                ),
            ])
        };
        Table {
            name: "partners",
            title: "Partners by revenue".to_owned(),
            definition: COUNTS.to_owned(),
            columns: vec![
                column("Partner"),
                column("Revenue"),
                defined("Share", "of all revenue in the span"),
                defined("Up to here", "this partner's share and those of all above"),
                defined("Change", "against the span before"),
                defined("Human touches", touches::ACTIONS),
                defined("Support messages", touches::MESSAGES),
                defined(
                    "Share of touches",
                    "human touches and support messages, of all in the span",
                ),
                defined(
                    "Remark",
                    "quiet and big: a tenth of revenue or more, and less than half of that share of the touches",
                ),
            ],
            rows: self
                .ranked_partners()
                .iter()
                .take(most)
                .filter_map(row)
                .collect(),
            chart: bars(&[1]).filter(|_| most < usize::MAX),
        }
    }

    pub(super) fn products_table(&self) -> Table {
        let users = |product: &str| -> i64 {
            let paying = self
                .sums
                .iter()
                .filter(|sum| sum.product_id == product && sum.minor > 0);
            i64::try_from(paying.count()).unwrap_or(0)
        };
        Table {
            name: "products",
            title: "Products by revenue".to_owned(),
            definition: "Which products earn most, and per partner that paid for them in the span."
                .to_owned(),
            columns: [
                "Product",
                "Revenue",
                "Share",
                "Paying partners",
                "Per paying partner",
            ]
            .map(column)
            .to_vec(),
            rows: self
                .ranked_products()
                .iter()
                .map(|one| {
                    let users = users(one.key);
                    vec![
                        Datum::Text(self.product_name(one.key)),
                        self.amount(one.amount),
                        Datum::Share(one.amount, self.all),
                        Datum::Count(users),
                        number_of(
                            one.amount
                                .checked_div(users)
                                .map(|minor| self.amount(minor)),
                        ),
                    ]
                })
                .collect(),
            chart: None,
        }
    }

    fn matrix_table(&self, journeys: &[Journey]) -> Table {
        let known = by_id(journeys);
        let shown: Vec<&str> = self
            .ranked_products()
            .iter()
            .take(PRODUCTS_SHOWN)
            .map(|one| one.key)
            .collect();
        let cells: BTreeMap<(&str, &str), i64> = self
            .sums
            .iter()
            .map(|sum| {
                (
                    (sum.organisation_id.as_str(), sum.product_id.as_str()),
                    sum.minor,
                )
            })
            .collect();
        let mut columns = vec![column("Partner")];
        columns.extend(shown.iter().map(|id| column(&self.product_name(id))));
        Table {
            name: "matrix",
            title: "Products by partner".to_owned(),
            definition: format!("Revenue in the span; the {PRODUCTS_SHOWN} largest products."),
            columns,
            rows: self
                .ranked_partners()
                .iter()
                .filter_map(|one| {
                    let key = one.key.as_str();
                    let mut row = vec![partner_link(key, &known.get(key)?.name)];
                    row.extend(shown.iter().map(|id| {
                        number_of(cells.get(&(key, *id)).map(|minor| self.amount(*minor)))
                    }));
                    Some(row)
                })
                .collect(),
            chart: None,
        }
    }

    fn figures(&self, before_all: i64) -> Vec<Figure> {
        let partners = by_partner(&self.sums);
        let (number, number_before) = (count_paying(&partners), count_paying(&self.before));
        let recurring = self.sums.iter().map(|sum| sum.recurring_minor).sum();
        let ranked = self.ranked_partners();
        let up_to = |place: usize| {
            let place = place.min(ranked.len());
            let found = place.checked_sub(1).and_then(|place| ranked.get(place));
            Datum::Share(found.map_or(0, |one| one.up_to_here), self.all)
        };
        let figure = |name, label, value, before, definition: &str| Figure {
            name,
            label,
            value,
            before,
            definition: definition.to_owned(),
            href: match name {
                "recurring" => "#months",
                _ => "#partners",
            }
            .to_owned(),
        };
        let each =
            |all: i64, number| number_of(all.checked_div(number).map(|minor| self.amount(minor)));
        vec![
            figure(
                "revenue",
                "Revenue",
                self.amount(self.all),
                self.amount(before_all),
                COUNTS,
            ),
            figure(
                "paying",
                "Paying partners",
                Datum::Count(number),
                Datum::Count(number_before),
                "organisations with revenue above zero in the span",
            ),
            figure(
                "per_partner",
                "Per paying partner",
                each(self.all, number),
                each(before_all, number_before),
                "revenue by paying partners",
            ),
            figure(
                "recurring",
                "Recurring",
                Datum::Share(recurring, self.all),
                Datum::Nothing,
                "share of lines without a quantity (fees); the rest is usage and discounts",
            ),
            figure(
                "top_1",
                "The largest partner",
                up_to(1),
                Datum::Nothing,
                "share of all revenue in the span",
            ),
            figure(
                "top_5",
                "The five largest",
                up_to(5),
                Datum::Nothing,
                "share of all revenue in the span",
            ),
        ]
    }
}

/// Who pays, for what, and how it moves.
pub async fn show_revenue(context: &Context) -> Result<Report, Failure> {
    let connection = &context.connection;
    let days = Days::read(context, 12)?;
    let earnings = Earnings::read(context, days).await?;
    let mut report = frame(
        "revenue",
        "Revenue",
        "Who pays, for what, and how does it move?",
        days,
    );
    report.figures = earnings.figures(earnings.before.values().sum());
    report.figures.push(free_to_paid(context, days).await?);
    report
        .figures
        .push(forecast(context, earnings.currency).await?);
    report
        .tables
        .push(by_month(context, earnings.currency, days).await?);
    let journeys = journey_reads::list_journeys(connection).await?;
    let touches = Touches::read(connection, days).await?;
    report
        .tables
        .push(earnings.partners_table(&journeys, &touches, usize::MAX));
    report.tables.push(earnings.products_table());
    report.tables.push(earnings.matrix_table(&journeys));
    Ok(report)
}

/// Which products earn most per partner.
pub async fn which_products_earn(context: &Context) -> Result<Report, Failure> {
    let days = Days::read(context, 12)?;
    let earnings = Earnings::read(context, days).await?;
    let mut report = frame(
        "earning-products",
        "Products that earn",
        "Which products earn most per partner?",
        days,
    );
    let mut table = earnings.products_table();
    table
        .rows
        .sort_by_key(|row| std::cmp::Reverse(row.last().and_then(Datum::minor)));
    table.title = "Products by revenue per paying partner".to_owned();
    report.tables.push(table);
    Ok(report)
}

/// Partners that had called live by the end of the span, and those of them that pay.
async fn free_to_paid(context: &Context, days: Days) -> Result<Figure, Failure> {
    let until = async |end: i64| -> Result<Datum, Failure> {
        let (live, paying) = store::count_live_and_paying(&context.connection, end).await?;
        Ok(Datum::Share(paying, live))
    };
    Ok(Figure {
        name: "free_to_paid",
        label: "Free to paid",
        value: until(days.to).await?,
        before: until(days.from).await?,
        definition: "of the partners that had made a live call answered 2xx by the end of the span, the share that had been issued an invoice above zero by then".to_owned(),
        href: report_link("funnel", days),
    })
}

fn number_of(found: Option<Datum>) -> Datum {
    found.unwrap_or(Datum::Nothing)
}

/// Revenue by month, recurring and usage.
pub(super) async fn by_month(
    context: &Context,
    currency: Currency,
    days: Days,
) -> Result<Table, Failure> {
    let months = revenue_sums::by_month(&context.connection, currency, days).await?;
    let amount = |minor| Datum::amount(currency, minor);
    Ok(Table {
        name: "months",
        title: "Revenue by month".to_owned(),
        definition: format!("{COUNTS}; of a month that is not over, what is issued so far"),
        columns: vec![
            column("Month"),
            column("Revenue"),
            defined("Recurring", "lines without a quantity: fees"),
            defined("Usage", "lines with a quantity, less discounts and credit"),
        ],
        rows: days
            .month_names()
            .into_iter()
            .filter(|(month, _)| *month <= month_of(context.now_ms))
            .map(|(month, label)| {
                let MonthSum {
                    minor,
                    recurring_minor,
                } = months.get(&month).copied().unwrap_or_default();
                vec![
                    Datum::Text(label),
                    amount(minor),
                    amount(recurring_minor),
                    amount(minor - recurring_minor),
                ]
            })
            .collect(),
        chart: lines(&[1, 2, 3]),
    })
}

/// What the month that runs is likely to bring, from the 24 whole months before.
pub(super) async fn forecast(context: &Context, currency: Currency) -> Result<Figure, Failure> {
    let present = month_of(context.now_ms);
    let days = Days {
        from: first_day_of_month(present - 24),
        to: first_day_of_month(present),
    };
    let months = revenue_sums::by_month(&context.connection, currency, days).await?;
    let first = months.keys().next().copied().unwrap_or(present);
    let series: Vec<i64> = (first..present)
        .map(|month| months.get(&month).map_or(0, |month| month.minor))
        .collect();
    let found = trend::forecast(&series);
    Ok(Figure {
        name: "forecast",
        label: "Forecast for this month",
        value: number_of(found.map(|found| Datum::amount(currency, found.next))),
        before: number_of(series.last().map(|last| Datum::amount(currency, *last))),
        definition: found.map_or_else(
            || "needs six whole months of revenue".to_owned(),
            |found| {
                format!(
                    "revenue of {}: {}. Tried on the last {} months it was off by {} in all",
                    month_label(present),
                    found.method.describe(),
                    found.months,
                    Datum::Share(found.error, found.tried_on).text()
                )
            },
        ),
        href: report_link("revenue", days),
    })
}
