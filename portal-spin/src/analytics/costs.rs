//! What the programme costs: lines of so much a month, kept by finance. And the page that asks for them.

use askama::Template;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::money::{Currency, Money};

use super::calendar::{month_label, month_of_day, parse_day};
use super::report::Datum;
use crate::audit;
use crate::context::Context;
use crate::database::{Connection, DatabaseError};
use crate::encoding::hex;
use crate::params;
use crate::routes::Outcome;
use crate::web::forms::Shown;
use crate::web::paging::{PageOf, whole};
use crate::web::{Failure, FieldError, Page, response};

/// A line of costs is given.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProgrammeCostBody {
    /// What it is for, such as "Partner manager".
    #[serde(default)]
    pub label: String,
    /// Of one month, in major units.
    #[serde(default)]
    pub amount: String,
    /// ISO 4217.
    #[serde(default)]
    pub currency: String,
    /// The first month, `2026-03`.
    #[serde(default)]
    pub from: String,
    /// The last month; without, it goes on.
    #[serde(default)]
    pub to: Option<String>,
}

/// A line of costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ProgrammeCost {
    /// The line.
    pub id: String,
    /// What it is for.
    pub label: String,
    /// Of one month, in major units.
    pub amount: String,
    /// ISO 4217.
    pub currency: String,
    /// The first month, `2026-03`.
    pub from: String,
    /// The last month; null: it goes on.
    pub to: Option<String>,
    #[serde(skip)]
    minor: i64,
    #[serde(skip)]
    months: (i64, i64),
}

/// Every line of costs.
pub type ProgrammeCostList = PageOf<ProgrammeCost>;

impl ProgrammeCost {
    /// What it costs in each of its months.
    pub const fn of_a_month(&self, currency: Currency) -> Datum {
        Datum::Amount(Money::from_minor(currency, self.minor))
    }

    /// What it costs in a month, in minor units of a currency.
    pub fn in_month(&self, currency: Currency, month: i64) -> i64 {
        let (first, last) = self.months;
        let counts = self.currency == currency.as_str() && (first..=last).contains(&month);
        if counts { self.minor } else { 0 }
    }
}

/// Every line of costs.
pub async fn list_costs(connection: &Connection) -> Result<Vec<ProgrammeCost>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT programme_cost_id, label, currency, amount_minor, first_month, last_month
             FROM programme_costs ORDER BY first_month, programme_cost_id",
            params![],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let (text, minor): (String, i64) = (row.get(2)?, row.get(3)?);
            let (first, last): (i64, Option<i64>) = (row.get(4)?, row.get(5)?);
            let currency: Currency = text
                .parse()
                .map_err(|_| DatabaseError::Shape(format!("{text} is no currency")))?;
            Ok(ProgrammeCost {
                id: row.get(0)?,
                label: row.get(1)?,
                amount: Money::from_minor(currency, minor).to_major(),
                currency: text,
                from: month_label(first),
                to: last.map(month_label),
                minor,
                months: (first, last.unwrap_or(i64::MAX)),
            })
        })
        .collect()
}

/// Reads `2026-03`.
fn parse_month(text: &str) -> Option<i64> {
    parse_day(&format!("{}-01", text.trim())).map(month_of_day)
}

async fn add_cost(context: &Context, body: &ProgrammeCostBody) -> Result<String, Failure> {
    let mut errors = Vec::new();
    let mut wrong = |field: &str, code: &str, detail: &str| {
        errors.push(FieldError {
            field: field.to_owned(),
            code: code.to_owned(),
            detail: detail.to_owned(),
        });
    };
    let label = body.label.trim();
    if !(1..=80).contains(&label.chars().count()) {
        wrong(
            "label",
            "required",
            "Say what it is for, in at most 80 characters.",
        );
    }
    let currency: Option<Currency> = body.currency.trim().to_ascii_uppercase().parse().ok();
    if currency.is_none() {
        wrong("currency", "unknown_value", "Give a currency like USD.");
    }
    let amount = currency.and_then(|currency| Money::from_major(currency, body.amount.trim()).ok());
    let amount = amount.filter(|amount| (1..=100_000_000_000).contains(&amount.minor));
    if currency.is_some() && amount.is_none() {
        wrong(
            "amount",
            "malformed",
            "Give an amount above zero, like 4500.00.",
        );
    }
    let first = parse_month(&body.from);
    if first.is_none() {
        wrong("from", "malformed", "Give a month like 2026-03.");
    }
    let to = body
        .to
        .as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty());
    let last = to.map(parse_month);
    if last == Some(None)
        || matches!((first, last), (Some(first), Some(Some(last))) if last < first)
    {
        wrong(
            "to",
            "malformed",
            "Give a month like 2026-09 that is not before the first, or leave it empty.",
        );
    }
    let (Some(amount), Some(first), true) = (amount, first, errors.is_empty()) else {
        return Err(Failure::fields(errors));
    };
    let id = format!("pgc_{:012x}{}", context.now_ms, hex(&context.random::<8>()));
    context
        .connection
        .transaction(async || {
            context
                .connection
                .execute(
                    "INSERT INTO programme_costs (programme_cost_id, label, currency, amount_minor,
                        first_month, last_month, created_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7)",
                    params![
                        &id,
                        label,
                        amount.currency.as_str(),
                        amount.minor,
                        first,
                        last.flatten(),
                        context.now_ms
                    ],
                )
                .await?;
            let detail = json!({
                "label": label, "amount": amount.to_major(), "currency": amount.currency.as_str(),
                "from": month_label(first), "to": last.flatten().map(month_label),
            });
            audit::record(context, None, "programme_cost.added", &id, detail).await?;
            Ok::<(), Failure>(())
        })
        .await?;
    Ok(id)
}

async fn remove_cost(context: &Context) -> Result<(), Failure> {
    let id = context.path_text("programme_cost_id");
    context
        .connection
        .transaction(async || {
            let removed = context
                .connection
                .execute(
                    "DELETE FROM programme_costs WHERE programme_cost_id = $1",
                    params![id],
                )
                .await?;
            if removed == 0 {
                return Err(Failure::not_found());
            }
            Ok(audit::record(context, None, "programme_cost.removed", id, json!({})).await?)
        })
        .await
}

/// `GET /api/v1/operator/programme-costs`
pub async fn list_programme_costs(context: &Context) -> Outcome {
    let items = list_costs(&context.connection).await?;
    response::ok(&whole(context, items, |item| item.id.clone())?)
}

/// `POST /api/v1/operator/programme-costs`
pub async fn create_programme_cost(context: &Context) -> Outcome {
    let id = add_cost(context, &context.json()?).await?;
    response::created(&json!({ "id": id }))
}

/// `DELETE /api/v1/operator/programme-costs/{programme_cost_id}`
pub async fn delete_programme_cost(context: &Context) -> Outcome {
    remove_cost(context).await?;
    Ok(response::no_content())
}

#[derive(Template)]
#[template(path = "analytics/templates/costs.html")]
struct CostsPage {
    page: Page,
    shown: Shown,
    costs: Vec<ProgrammeCost>,
}

async fn costs_page(context: &Context, shown: Shown) -> Result<CostsPage, Failure> {
    Ok(CostsPage {
        page: Page::new(context, "What the programme costs"),
        shown,
        costs: list_costs(&context.connection).await?,
    })
}

/// `GET /operator/programme-costs`
pub async fn show_programme_costs(context: &Context) -> Outcome {
    response::html(&costs_page(context, Shown::with_values(&[("currency", "USD")])).await?)
}

/// `POST /operator/programme-costs`
pub async fn submit_programme_cost(context: &Context) -> Outcome {
    let form = context.form();
    let body = ProgrammeCostBody {
        label: form.text("label"),
        amount: form.text("amount"),
        currency: form.text("currency"),
        from: form.text("from"),
        to: Some(form.text("to")),
    };
    match add_cost(context, &body).await {
        Ok(_) => Ok(response::see_other("/operator/programme-costs?done=saved")),
        Err(failure) => {
            let status = failure.status;
            let shown = Shown::again(form, failure)?;
            response::html_with(status, &costs_page(context, shown).await?)
        }
    }
}

/// `POST /operator/programme-costs/{programme_cost_id}/remove`
pub async fn submit_programme_cost_removal(context: &Context) -> Outcome {
    remove_cost(context).await?;
    Ok(response::see_other("/operator/programme-costs?done=saved"))
}
