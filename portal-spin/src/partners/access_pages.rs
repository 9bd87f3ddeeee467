//! `/operator/access`: partner types, tiers and the access matrix.

use std::collections::BTreeMap;

use askama::Template;

use super::kinds::{
    PartnerType, PartnerTypeBody, Tier, TierBody, partner_types, save_partner_type, save_tier,
    tiers,
};
use super::matrix::{CellBody, list_cells, set_cells};
use crate::catalogue;
use crate::context::Context;
use crate::routes::Outcome;
use crate::web::forms::Shown;
use crate::web::{Failure, Page, response};

/// A row of one type's column: a product, or one of its plans.
struct CellRow {
    field: String,
    label: String,
    is_plan: bool,
    is_open: bool,
    is_closed: bool,
}

struct TypeColumn {
    kind: PartnerType,
    rows: Vec<CellRow>,
}

#[derive(Template)]
#[template(path = "partners/templates/access.html")]
struct AccessPage {
    page: Page,
    shown: Shown,
    columns: Vec<TypeColumn>,
    tiers: Vec<Tier>,
}

/// Products and plans as rows: product id, plan slug, label.
async fn list_places(context: &Context) -> Result<Vec<(String, String, String)>, Failure> {
    let connection = &context.connection;
    let mut places = Vec::new();
    for product in catalogue::list_offered_products(connection).await? {
        let id = product.id.to_string();
        places.push((id.clone(), String::new(), product.name.clone()));
        let mut plans = catalogue::list_all_plans(connection, product.id).await?;
        plans.retain(|plan| plan.is_offered_to(None));
        plans.dedup_by(|one, other| one.slug == other.slug);
        places.extend(
            plans
                .into_iter()
                .map(|plan| (id.clone(), plan.slug, plan.name)),
        );
    }
    Ok(places)
}

fn field_of(product_id: &str, plan_slug: &str) -> String {
    format!("{product_id}:{plan_slug}")
}

async fn access_page(context: &Context, shown: Shown) -> Result<AccessPage, Failure> {
    let cells: BTreeMap<(String, String), bool> = list_cells(context)
        .await?
        .into_iter()
        .map(|cell| {
            let field = field_of(&cell.product_id, &cell.plan_slug);
            ((cell.partner_type, field), cell.is_open)
        })
        .collect();
    let places = list_places(context).await?;
    let column = |kind: PartnerType| {
        let rows = places.iter().map(|(product_id, plan_slug, label)| {
            let field = field_of(product_id, plan_slug);
            let cell = cells
                .get(&(kind.partner_type.clone(), field.clone()))
                .copied();
            CellRow {
                label: label.clone(),
                is_plan: !plan_slug.is_empty(),
                is_open: cell == Some(true),
                is_closed: cell == Some(false),
                field,
            }
        });
        TypeColumn {
            rows: rows.collect(),
            kind,
        }
    };
    Ok(AccessPage {
        page: Page::new(context, "Types, tiers and access"),
        shown,
        columns: partner_types(&context.connection)
            .await?
            .into_iter()
            .map(column)
            .collect(),
        tiers: tiers(&context.connection).await?,
    })
}

/// `GET /operator/access`
pub async fn show_access(context: &Context) -> Outcome {
    response::html(&access_page(context, Shown::default()).await?)
}

async fn after<T>(context: &Context, outcome: Result<T, Failure>) -> Outcome {
    match outcome {
        Ok(_) => Ok(response::see_other("/operator/access?done=saved")),
        Err(failure) => {
            let status = failure.status;
            let shown = Shown::again(context.form(), failure)?;
            response::html_with(status, &access_page(context, shown).await?)
        }
    }
}

/// `POST /operator/access/types`
pub async fn submit_partner_type(context: &Context) -> Outcome {
    let form = context.form();
    let body = PartnerTypeBody {
        name: form.text("name"),
        description: form.text("description"),
        is_default: form.is_ticked("is_default"),
        is_open_by_default: Some(form.is_ticked("is_open_by_default")),
    };
    let outcome = save_partner_type(context, &form.text("partner_type"), &body).await;
    after(context, outcome).await
}

/// `POST /operator/access/tiers`
pub async fn submit_tier(context: &Context) -> Outcome {
    let form = context.form();
    let body = TierBody {
        name: form.text("tier_name"),
        description: form.text("tier_description"),
        position: form.text("position").parse().unwrap_or_default(),
        is_default: form.is_ticked("is_default"),
    };
    let outcome = save_tier(context, &form.text("tier"), &body).await;
    after(context, outcome).await
}

/// `POST /operator/access/matrix/{partner_type}`
pub async fn submit_access_matrix(context: &Context) -> Outcome {
    let form = context.form();
    let mut cells = Vec::new();
    for (product_id, plan_slug, _) in list_places(context).await? {
        let is_open = match form.raw(&field_of(&product_id, &plan_slug)) {
            "open" => Some(true),
            "closed" => Some(false),
            "inherit" => None,
            _ => continue,
        };
        cells.push(CellBody {
            product_id,
            plan_slug,
            is_open,
        });
    }
    let outcome = set_cells(context, context.path_text("partner_type"), &cells).await;
    after(context, outcome).await
}
