//! `/operator/tiers`: rules and grants of each tier, who would move, and the run.

use std::collections::BTreeMap;

use askama::Template;

use super::routes::{
    PreviewBody, TierRulesBody, TieringBody, TieringView, release, rules_with, save_rules,
    save_tiering, view,
};
use super::rules::TierRules;
use super::run::{self, Move};
use super::store::{TierGrants, TierRow, list_staff};
use crate::analytics;
use crate::context::Context;
use crate::routes::Outcome;
use crate::web::forms::{Form, Shown};
use crate::web::{Failure, FieldError, Page, response};

/// Moves that the page shows.
const MOVES_SHOWN: usize = 100;

/// A field of a tier's form.
struct Field {
    name: &'static str,
    label: String,
    value: String,
    error: String,
}

/// A choice of a list.
struct Choice {
    id: String,
    name: String,
    is_chosen: bool,
}

/// The form of a tier: what stands, or the last try.
struct TierForm {
    tier: String,
    name: String,
    is_default: bool,
    fields: Vec<Field>,
    plans: Vec<Choice>,
    plan_error: String,
    staff: Vec<Choice>,
}

#[derive(Template)]
#[template(path = "partners/templates/tiers.html")]
struct TiersPage {
    page: Page,
    shown: Shown,
    /// The tier whose form was tried without saving.
    tried: String,
    tiering: TieringView,
    forms: Vec<TierForm>,
    moves: Vec<Move>,
    more: usize,
    last_run: String,
}

/// What lists offer: ids and names.
struct Offers {
    currency: String,
    plans: Vec<(String, String)>,
    staff: BTreeMap<String, String>,
}

fn form_of(row: &TierRow, tried: Option<&Shown>, offers: &Offers) -> TierForm {
    let number = |value: Option<i64>| value.map(|value| value.to_string()).unwrap_or_default();
    let value = |name: &str, stands: String| match tried {
        Some(shown) => shown.value(name).to_owned(),
        None => stands,
    };
    let error = |name: &str| {
        tried
            .map(|shown| shown.error(name).to_owned())
            .unwrap_or_default()
    };
    let field = |name: &'static str, label: String, stands: String| Field {
        name,
        label,
        value: value(name, stands),
        error: error(name),
    };
    let choices = |name: &str,
                   stands: Option<&String>,
                   known: &mut dyn Iterator<Item = (&String, &String)>| {
        let chosen = value(name, stands.cloned().unwrap_or_default());
        known
            .map(|(id, name)| Choice {
                is_chosen: *id == chosen,
                id: id.clone(),
                name: name.clone(),
            })
            .collect()
    };
    let (rules, grants) = (&row.rules, &row.grants);
    let revenue = rules.min_revenue.clone().unwrap_or_default();
    TierForm {
        tier: row.tier.clone(),
        name: row.name.clone(),
        is_default: row.is_default,
        fields: vec![
            field(
                "min_revenue",
                format!("Revenue, at least ({})", offers.currency),
                revenue,
            ),
            field(
                "min_calls",
                "Live calls, at least".to_owned(),
                number(rules.min_calls),
            ),
            field(
                "max_error_percent",
                "Errors, at most (%)".to_owned(),
                number(rules.max_error_percent),
            ),
            field(
                "min_tenure_days",
                "Days in the programme, at least".to_owned(),
                number(rules.min_tenure_days),
            ),
            field(
                "review_priority",
                "Grants review priority, 0 to 9".to_owned(),
                grants.review_priority.to_string(),
            ),
        ],
        plans: choices(
            "plan_id",
            grants.plan_id.as_ref(),
            &mut offers.plans.iter().map(|(id, name)| (id, name)),
        ),
        plan_error: error("plan_id"),
        staff: choices("owner", grants.owner.as_ref(), &mut offers.staff.iter()),
    }
}

async fn tiers_page(
    context: &Context,
    shown: Shown,
    tried: &str,
    preview: &PreviewBody,
) -> Result<TiersPage, Failure> {
    let connection = &context.connection;
    let tiers = rules_with(context, preview).await?;
    let mut moves = run::preview(context, &tiers).await?;
    let more = moves.len().saturating_sub(MOVES_SHOWN);
    moves.truncate(MOVES_SHOWN);
    let plans = connection
        .query(
            "SELECT p.plan_id, r.name || ', ' || p.name FROM plans p JOIN products r ON r.product_id = p.product_id
             WHERE p.published_at_ms IS NOT NULL AND p.withdrawn_at_ms IS NULL
                AND p.private_organisation_id IS NULL ORDER BY r.name, p.position LIMIT 200",
            vec![],
        )
        .await?;
    let offers = Offers {
        currency: analytics::main_currency(context).await?.as_str().to_owned(),
        plans: plans
            .iter()
            .map(|row| Ok((row.get(0)?, row.get(1)?)))
            .collect::<Result<_, crate::database::DatabaseError>>()?,
        staff: list_staff(connection).await?,
    };
    let tiering = view(context).await?;
    Ok(TiersPage {
        page: Page::new(context, "Tiers"),
        forms: tiering
            .tiers
            .iter()
            .map(|row| form_of(row, Some(&shown).filter(|_| row.tier == tried), &offers))
            .collect(),
        shown,
        tried: if preview.rules.is_empty() {
            String::new()
        } else {
            tried.to_owned()
        },
        moves,
        more,
        last_run: tiering
            .last_run_at
            .map(crate::encoding::readable_time)
            .unwrap_or_default(),
        tiering,
    })
}

/// `GET /operator/tiers`
pub async fn show_tiers_page(context: &Context) -> Outcome {
    let nothing = PreviewBody::default();
    response::html(&tiers_page(context, Shown::default(), "", &nothing).await?)
}

/// Rules and grants as the form has them; a number that is none is named.
fn read_form(form: &Form) -> Result<TierRulesBody, Failure> {
    let mut errors = Vec::new();
    let mut number = |name: &str| {
        let text = form.text(name);
        match text.parse() {
            _ if text.is_empty() => None,
            Ok(number) => Some(number),
            Err(_) => {
                errors.push(FieldError {
                    field: name.to_owned(),
                    code: "malformed".to_owned(),
                    detail: "Give a whole number, or leave it empty.".to_owned(),
                });
                None
            }
        }
    };
    let text = |name: &str| Some(form.text(name)).filter(|text| !text.is_empty());
    let body = TierRulesBody {
        rules: TierRules {
            min_revenue: text("min_revenue"),
            min_calls: number("min_calls"),
            max_error_percent: number("max_error_percent"),
            min_tenure_days: number("min_tenure_days"),
        },
        grants: TierGrants {
            plan_id: text("plan_id"),
            review_priority: number("review_priority").unwrap_or_default(),
            owner: text("owner"),
        },
    };
    if errors.is_empty() {
        Ok(body)
    } else {
        Err(Failure::fields(errors))
    }
}

async fn again(context: &Context, failure: Failure, tier: &str) -> Outcome {
    let status = failure.status;
    let shown = Shown::again(context.form(), failure)?;
    let page = tiers_page(context, shown, tier, &PreviewBody::default()).await?;
    response::html_with(status, &page)
}

/// `POST /operator/tiers/{tier}/rules`
pub async fn submit_tier_rules(context: &Context) -> Outcome {
    let tier = context.path_text("tier").to_owned();
    let saved = match read_form(&context.form()) {
        Ok(body) => save_rules(context, &tier, &body).await,
        Err(failure) => Err(failure),
    };
    match saved {
        Ok(()) => Ok(response::see_other("/operator/tiers?done=saved")),
        Err(failure) => again(context, failure, &tier).await,
    }
}

/// `POST /operator/tiers/{tier}/preview`: the page with who would move by the rules in the form.
pub async fn submit_tier_preview(context: &Context) -> Outcome {
    let tier = context.path_text("tier").to_owned();
    let form = context.form();
    let body = match read_form(&form) {
        Ok(body) => body,
        Err(failure) => return again(context, failure, &tier).await,
    };
    let preview = PreviewBody {
        rules: BTreeMap::from([(tier.clone(), body.rules)]),
    };
    match rules_with(context, &preview).await {
        Ok(_) => {
            let names = [
                "min_revenue",
                "min_calls",
                "max_error_percent",
                "min_tenure_days",
                "plan_id",
                "review_priority",
                "owner",
            ];
            let values: Vec<(&str, String)> =
                names.iter().map(|name| (*name, form.text(name))).collect();
            let values: Vec<(&str, &str)> = values
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            let shown = Shown::with_values(&values);
            response::html(&tiers_page(context, shown, &tier, &preview).await?)
        }
        Err(failure) => again(context, failure, &tier).await,
    }
}

/// `POST /operator/tiering`
pub async fn submit_tiering(context: &Context) -> Outcome {
    let form = context.form();
    let body = TieringBody {
        is_automatic: Some(form.is_ticked("is_automatic")),
        window_days: Some(form.text("window_days").parse().unwrap_or_default()),
    };
    match save_tiering(context, &body).await {
        Ok(()) => Ok(response::see_other("/operator/tiers?done=saved")),
        Err(failure) => again(context, failure, "").await,
    }
}

/// `POST /operator/tiering/runs`
pub async fn submit_tiering_run(context: &Context) -> Outcome {
    run::run(context).await?;
    Ok(response::see_other("/operator/tiers?done=saved"))
}

/// `POST /operator/partners/{organisation_id}/tier-hold/remove`
pub async fn submit_tier_release(context: &Context) -> Outcome {
    release(context).await?;
    Ok(response::see_other("/operator/tiers?done=saved"))
}
