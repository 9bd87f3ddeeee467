//! The one answer: what the programme cost, and what it earned.

use super::calendar::{day_of, first_day_of_month, month_label, month_of_day};
use super::chart::lines;
use super::costs::{self, ProgrammeCost};
use super::frame::{frame, report_link};
use super::period::Days;
use super::report::{Datum, Figure, Report, Table, column, defined};
use super::{revenue, revenue_sums};
use crate::context::Context;
use crate::web::Failure;
use shared::money::Currency;

/// A month of the programme, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Balance {
    earned: i64,
    cost: i64,
}

impl Balance {
    const fn result(self) -> i64 {
        self.earned - self.cost
    }
}

fn balance(
    revenue: &[(i64, i64)],
    costs: &[ProgrammeCost],
    currency: Currency,
    month: i64,
) -> Balance {
    Balance {
        earned: revenue
            .iter()
            .filter(|(of, _)| *of == month)
            .map(|(_, minor)| minor)
            .sum(),
        cost: costs
            .iter()
            .map(|cost| cost.in_month(currency, month))
            .sum(),
    }
}

/// Is the programme worth it?
pub async fn show_worth(context: &Context) -> Result<Report, Failure> {
    let days = Days::read(context, 12)?;
    let currency = revenue_sums::currency(context).await?;
    let costs = costs::list_costs(&context.connection).await?;
    let amount = |minor: i64| Datum::amount(currency, minor);
    let months_of = async |days: Days| -> Result<Vec<(i64, Balance)>, Failure> {
        // Costs are by the month: so is the answer, even where the span is not.
        let whole = days.whole_months();
        let revenue: Vec<(i64, i64)> = revenue_sums::by_month(&context.connection, currency, whole)
            .await?
            .into_iter()
            .map(|(month, sum)| (month, sum.minor))
            .collect();
        let last = month_of_day(day_of(context.now_ms));
        Ok(whole
            .month_names()
            .into_iter()
            .filter(|(month, _)| *month <= last)
            .map(|(month, _)| (month, balance(&revenue, &costs, currency, month)))
            .collect())
    };
    let (now, before) = (months_of(days).await?, months_of(days.before()).await?);
    let sum = |months: &[(i64, Balance)], of: fn(Balance) -> i64| {
        months.iter().map(|(_, balance)| of(*balance)).sum::<i64>()
    };
    let mut report = frame(
        "worth",
        "Is it worth it?",
        "What did the programme cost, and what did it earn?",
        days,
    );
    let figure = |name, label, of: fn(Balance) -> i64, definition: &str| Figure {
        name,
        label,
        value: amount(sum(&now, of)),
        before: amount(sum(&before, of)),
        definition: definition.to_owned(),
        href: match name {
            "earned" => report_link("revenue", days),
            "cost" => "/operator/programme-costs".to_owned(),
            _ => "#months".to_owned(),
        },
    };
    report.figures = vec![
        figure(
            "result",
            "It brought",
            Balance::result,
            "revenue less costs, of the calendar months that the span touches, up to the present one",
        ),
        figure(
            "earned",
            "Earned",
            |balance| balance.earned,
            revenue::COUNTS,
        ),
        figure(
            "cost",
            "Cost",
            |balance| balance.cost,
            "the lines under Costs, by calendar month; a month that runs counts whole",
        ),
        Figure {
            name: "return",
            label: "Earned for what it cost",
            value: Datum::Share(
                sum(&now, |balance| balance.earned),
                sum(&now, |balance| balance.cost),
            ),
            before: Datum::Share(
                sum(&before, |balance| balance.earned),
                sum(&before, |balance| balance.cost),
            ),
            definition: "revenue as a share of costs: above 100 % the programme pays for itself"
                .to_owned(),
            href: "#months".to_owned(),
        },
    ];
    let mut so_far = 0;
    let rows = now
        .iter()
        .map(|(month, balance)| {
            so_far += balance.result();
            let span = Days {
                from: first_day_of_month(*month),
                to: first_day_of_month(month + 1),
            };
            let (from, to) = span.labels();
            vec![
                Datum::Link(
                    month_label(*month),
                    format!("/operator/analytics/revenue?from={from}&to={to}"),
                ),
                amount(balance.earned),
                amount(balance.cost),
                amount(balance.result()),
                amount(so_far),
            ]
        })
        .collect();
    report.tables.push(Table {
        name: "months",
        title: "Earned and cost by month".to_owned(),
        definition: "Each month leads to its revenue, partner by partner.".to_owned(),
        columns: vec![
            column("Month"),
            column("Earned"),
            column("Cost"),
            defined("Result", "earned less cost"),
            defined("Since the first month", "the results added up"),
        ],
        rows,
        chart: lines(&[1, 2]),
    });
    report.tables.push(Table {
        name: "costs",
        title: "Costs".to_owned(),
        definition: "Lines in this currency, as kept by finance.".to_owned(),
        columns: ["For", "A month", "From", "To"].map(column).to_vec(),
        rows: costs
            .iter()
            .filter(|cost| cost.currency == currency.as_str())
            .map(|cost| {
                vec![
                    Datum::Link(cost.label.clone(), "/operator/programme-costs".to_owned()),
                    cost.of_a_month(currency),
                    Datum::Text(cost.from.clone()),
                    Datum::Text(cost.to.clone().unwrap_or_else(|| "goes on".to_owned())),
                ]
            })
            .collect(),
        chart: None,
    });
    Ok(report)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use crate::testing::{PASSWORD, TestPortal, on_every_database};

    const COSTS: &str = "/api/v1/operator/programme-costs";

    async fn finance(portal: &TestPortal) -> String {
        let staff = portal.sign_up("finance@operator.example", "Operator").await;
        portal.make_operator(&staff, "finance").await;
        portal.log_in("finance@operator.example", PASSWORD).await
    }

    fn figure<'a>(report: &'a Json, name: &str) -> &'a Json {
        let figures = report["figures"].as_array().unwrap();
        &figures
            .iter()
            .find(|figure| figure["name"] == name)
            .unwrap()["value"]
    }

    on_every_database! {
        async fn what_it_cost_stands_against_what_it_earned(portal: TestPortal) {
            let token = finance(&portal).await;
            portal.post(COSTS, &token, json!({ "label": "Partner manager", "amount": "4500", "currency": "USD", "from": "2025-11" })).await.expect(201);
            let once = json!({ "label": "Conference", "amount": "1200.50", "currency": "usd", "from": "2025-12", "to": "2025-12" });
            let id = portal.post(COSTS, &token, once).await.expect(201).json()["id"].as_str().unwrap().to_owned();
            let context = portal.context().await;
            let row = context.connection.query_one("SELECT organisation_id FROM organisations LIMIT 1", vec![]).await.unwrap();
            let organisation: String = row.get(0).unwrap();
            for (line, day, minor) in [(0_i64, 20_423_i64, 900_000_i64), (1, 20_454, 50_000)] {
                // Days in December 2025 and January 2026.
                let sql = "INSERT INTO invoices (invoice_id, organisation_id, kind, number, currency, period_start_ms,
                    period_end_ms, issued_at_ms, due_at_ms, total_minor, wallet_minor, credited_minor, amount_due_minor, inputs, document)
                    VALUES ($1, $2, 'invoice', $3, 'USD', 0, 0, $4, $5, $6, 0, 0, 0, '', '')";
                let (id, at_ms) = (format!("inv_{line}"), day * 86_400_000);
                context.connection.execute(sql, crate::params![&id, &organisation, &id, at_ms, at_ms, minor]).await.unwrap();
            }
            crate::analytics::revenue_lines::read_new_invoices(&context).await.unwrap();
            let path = "/api/v1/operator/analytics/worth?from=2025-11-01&to=2026-01-31";
            let report = portal.get(path, &token).await.expect(200).json();
            assert_eq!(figure(&report, "earned")["amount"], "9500.00");
            assert_eq!(figure(&report, "cost")["amount"], "14700.50");
            assert_eq!(figure(&report, "result")["amount"], "-5200.50");
            let rows = report["tables"][0]["rows"].as_array().unwrap();
            assert_eq!(rows[1][3]["amount"], "3299.50");
            assert_eq!(rows[2][4]["amount"], "-5200.50");
            portal.call("DELETE", &format!("{COSTS}/{id}"), &token, None).await.expect(204);
            portal.call("DELETE", &format!("{COSTS}/{id}"), &token, None).await.expect(404);
            let report = portal.get(path, &token).await.expect(200).json();
            assert_eq!(figure(&report, "cost")["amount"], "13500.00");
        }

        async fn a_cost_that_says_too_little_is_refused_field_by_field(portal: TestPortal) {
            let token = finance(&portal).await;
            let answer = portal.post(COSTS, &token, json!({ "amount": "-3", "currency": "USD", "from": "soon", "to": "2025-01" })).await.expect(422).json();
            let fields: Vec<&str> = answer["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
            assert_eq!(fields, ["label", "amount", "from"]);
            let fields = [("label", "Tools"), ("amount", "80"), ("currency", "USD"), ("from", "2026-01"), ("to", "2025-01")];
            assert!(portal.submit("/operator/programme-costs", &token, &fields).await.expect(422).text().contains("not before the first"));
        }
    }
}
