//! The operator's pages of products and plans.

use askama::Template;
use http::StatusCode;

use super::model::{Plan, PlanView, ProductView};
use super::plan_routes::{
    change_draft, make_version, new_plan, plan_of_path, publish_draft, withdraw_of_path,
};
use super::products::list_meters;
use super::routes::{
    create, product_of_path, publish, put_version, update_of_path, withdraw_product_of_path,
};
use super::variants::{VariantBody, make_variant};
use super::views::{Viewer, view};
use super::{
    FirstDay, PlanBody, ProductBody, VersionBody, charge_form, meter_form, plan_form, price_form,
    rule_form,
};
use crate::billing::period::zone_names;
use crate::context::Context;
use crate::organisations::OperatorRole;
use crate::routes::{MANAGERS, Outcome};
use crate::subscriptions::{self, MigrationView, PublicationBody, PublicationPreview};
use crate::web::forms::{Form, Shown};
use crate::web::listed::Listed;
use crate::web::{Failure, Page, response};

#[derive(Template)]
#[template(path = "catalogue/templates/operator_products.html")]
struct ProductsPage {
    page: Page,
    shown: Shown,
    products: Vec<ProductView>,
    listed: Listed,
    meter_rows: Vec<usize>,
    may_manage: bool,
}

impl ProductsPage {
    /// The value of a part of a row of meters.
    fn meter_cell(&self, index: &usize, part: &str) -> &str {
        self.shown.value(&format!("meter_{index}_{part}"))
    }

    /// What is wrong with a row of meters.
    fn meter_error(&self, index: &usize) -> String {
        errors_of_row(&self.shown, "meter", *index)
    }
}

#[derive(Template)]
#[template(path = "catalogue/templates/operator_product.html")]
struct ProductPage {
    page: Page,
    shown: Shown,
    product: ProductView,
    missing: Vec<String>,
    may_manage: bool,
}

#[derive(Template)]
#[template(path = "catalogue/templates/operator_plan.html")]
struct PlanPage {
    page: Page,
    shown: Shown,
    plan: PlanView,
    limits: Vec<usize>,
    tiers: Vec<usize>,
    rules: Vec<usize>,
    charges: Vec<usize>,
    metered: Vec<usize>,
    meters: Vec<(String, String)>,
    unshown_charges: Vec<String>,
    zones: Vec<String>,
    periods: String,
    price: String,
    subscribers: i64,
    migration: Option<MigrationView>,
    preview: Option<PublicationPreview>,
    publication: (String, String),
    may_manage: bool,
}

impl PlanPage {
    /// The value of a part of a row.
    fn cell(&self, row: &str, index: &usize, part: &str) -> &str {
        self.shown.value(&format!("{row}_{index}_{part}"))
    }

    /// What is wrong with a row.
    fn row_error(&self, row: &str, index: &usize) -> String {
        errors_of_row(&self.shown, row, *index)
    }
}

fn errors_of_row(shown: &Shown, row: &str, index: usize) -> String {
    let errors: Vec<&str> = ROW_PARTS
        .iter()
        .map(|part| shown.error(&format!("{row}_{index}_{part}")))
        .filter(|error| !error.is_empty())
        .collect();
    errors.join(" ")
}

/// Every part of every row of the form.
const ROW_PARTS: [&str; 16] = [
    "name",
    "header",
    "meter",
    "included_units",
    "label",
    "amount",
    "limit",
    "window",
    "up_to",
    "flat_amount",
    "unit_amount",
    "fact",
    "condition",
    "value",
    "then",
    "reason",
];

fn may_manage(context: &Context) -> bool {
    context
        .person()
        .is_ok_and(|person| OperatorRole::any_of(&person.operator_roles, MANAGERS))
}

async fn products_page(context: &Context, status: StatusCode, shown: Shown) -> Outcome {
    let found = super::routes::operator_products(context).await?;
    let path = "/operator/products";
    let page = ProductsPage {
        page: Page::new(context, "Products"),
        shown,
        listed: Listed::of(context, path, path, found.next_cursor.as_deref()),
        products: found.items,
        meter_rows: (0..meter_form::ROWS).collect(),
        may_manage: may_manage(context),
    };
    response::html_with(status, &page)
}

/// `GET /operator/products?q=`
pub async fn show_all_products(context: &Context) -> Outcome {
    products_page(context, StatusCode::OK, Shown::default()).await
}

fn body_of(form: &Form) -> ProductBody {
    ProductBody {
        name: Some(form.text("name")),
        summary: Some(form.text("summary")),
        description: Some(form.text("description")),
        is_public: Some(form.is_ticked("is_public")),
        is_self_service: Some(form.is_ticked("is_self_service")),
        sandbox_url: Some(form.text("sandbox_url")),
        meters: None,
    }
}

/// `POST /operator/products`
pub async fn create_product_form(context: &Context) -> Outcome {
    let form = context.form();
    let body = ProductBody {
        meters: meter_form::read(&form),
        ..body_of(&form)
    };
    match create(context, body).await {
        Ok(product) => Ok(response::see_other(&format!(
            "/operator/products/{}?done=saved",
            product.id
        ))),
        Err(failure) => {
            let failure = meter_form::named_as_in_form(failure, &form);
            let status = failure.status;
            products_page(context, status, Shown::again(form, failure)?).await
        }
    }
}

async fn product_page(context: &Context, status: StatusCode, shown: Option<Shown>) -> Outcome {
    let product = product_of_path(context).await?;
    let seen = view(context, &product, &Viewer::Operator).await?;
    let flag = |is_set: bool| if is_set { "yes" } else { "" };
    let shown = shown.unwrap_or_else(|| {
        Shown::with_values(&[
            ("name", &seen.name),
            ("summary", &seen.summary),
            ("description", &seen.description),
            ("sandbox_url", &seen.sandbox_url),
            ("is_public", flag(seen.is_public)),
            ("is_self_service", flag(seen.is_self_service)),
        ])
    });
    let page = ProductPage {
        page: Page::new(context, &seen.name).named(),
        shown,
        missing: seen.missing.clone().unwrap_or_default(),
        product: seen,
        may_manage: may_manage(context),
    };
    response::html_with(status, &page)
}

/// `GET /operator/products/{product_id}`
pub async fn show_operator_product(context: &Context) -> Outcome {
    product_page(context, StatusCode::OK, None).await
}

async fn after_product<T>(context: &Context, outcome: Result<T, Failure>, done: &str) -> Outcome {
    match outcome {
        Ok(_) => Ok(response::see_other(&format!(
            "/operator/products/{}?done={done}",
            context.path_text("product_id")
        ))),
        Err(failure) if failure.status == StatusCode::NOT_FOUND => Err(failure),
        Err(failure) => {
            let status = failure.status;
            let shown = Shown::again(context.form(), failure)?;
            product_page(context, status, Some(shown)).await
        }
    }
}

/// `POST /operator/products/{product_id}`
pub async fn update_product_form(context: &Context) -> Outcome {
    let outcome = update_of_path(context, body_of(&context.form())).await;
    after_product(context, outcome, "saved").await
}

/// `POST /operator/products/{product_id}/versions`
pub async fn create_version_form(context: &Context) -> Outcome {
    let product = product_of_path(context).await?;
    let outcome = match sent_document(context) {
        Ok(document) => {
            let body = VersionBody {
                document,
                weights: std::collections::BTreeMap::new(),
                operations: None,
            };
            put_version(context, &product, &body).await
        }
        Err(failure) => Err(failure),
    };
    after_product(context, outcome, "saved").await
}

/// The document of a form: the file if one was chosen, else what was pasted.
fn sent_document(context: &Context) -> Result<String, Failure> {
    let file = context.file("file");
    let document = if file.is_empty() {
        context.form().raw("document").to_owned()
    } else {
        let text = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
        std::str::from_utf8(text)
            .map_err(|error| {
                let before = text.get(..error.valid_up_to()).unwrap_or_default();
                let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
                let detail = format!(
                    "line {line}: this is no UTF-8 text. Send the document as JSON or YAML."
                );
                Failure::field("document", "malformed", detail)
            })?
            .to_owned()
    };
    if document.trim().is_empty() {
        let detail = "Choose a file, or paste the document.";
        return Err(Failure::field("document", "required", detail));
    }
    Ok(document)
}

/// `POST /operator/products/{product_id}/publish`
pub async fn publish_product_form(context: &Context) -> Outcome {
    let product = product_of_path(context).await?;
    let outcome = publish(context, &product).await;
    after_product(context, outcome, "published").await
}

/// `POST /operator/products/{product_id}/withdraw`
pub async fn withdraw_product_form(context: &Context) -> Outcome {
    let outcome = withdraw_product_of_path(context).await;
    after_product(context, outcome, "saved").await
}

/// `POST /operator/products/{product_id}/plans`
pub async fn create_plan_form(context: &Context) -> Outcome {
    let product = product_of_path(context).await?;
    let body = PlanBody {
        name: Some(context.form().text("plan_name")),
        ..PlanBody::default()
    };
    match new_plan(context, product.id, body).await {
        Ok(plan) => Ok(to_plan(&plan, "saved")),
        Err(mut failure) => {
            for error in &mut failure.errors {
                "plan_name".clone_into(&mut error.field);
            }
            after_product(context, Err::<(), _>(failure), "").await
        }
    }
}

fn to_plan(plan: &Plan, done: &str) -> response::Response {
    response::see_other(&format!("/operator/plans/{}?done={done}", plan.id))
}

/// `GET /api/v1/operator/plans/{plan_id}`
pub async fn show_plan(context: &Context) -> Outcome {
    response::ok(&PlanView::from(&plan_of_path(context).await?))
}

async fn plan_page(context: &Context, status: StatusCode, shown: Option<Shown>) -> Outcome {
    let plan = plan_of_path(context).await?;
    let publication = (
        context.query("subscribers").unwrap_or_default(),
        context.query("from").unwrap_or_default(),
    );
    let preview = if publication.0.is_empty() || plan.published_at_ms.is_some() {
        None
    } else {
        let body = PublicationBody::read(&publication.0, &publication.1)?;
        Some(subscriptions::preview_publication(context, &plan, &body).await?)
    };
    let shown = shown.unwrap_or_else(|| plan_form::shown(&plan));
    let page = page_of(context, &plan, shown).await?;
    response::html_with(
        status,
        &PlanPage {
            preview,
            publication,
            ..page
        },
    )
}

async fn page_of(context: &Context, plan: &Plan, shown: Shown) -> Result<PlanPage, Failure> {
    Ok(PlanPage {
        page: Page::new(context, &format!("{}, version {}", plan.name, plan.version)),
        shown,
        limits: (0..plan_form::LIMITS).collect(),
        tiers: price_form::rows(plan.terms.price.as_ref()),
        rules: rule_form::rows(&plan.terms.approval),
        charges: charge_form::rows(&plan.terms.charges),
        metered: charge_form::metered_rows(&plan.terms.charges),
        meters: list_meters(&context.connection, plan.product_id)
            .await?
            .into_iter()
            .map(|meter| (meter.name.clone(), meter.name))
            .collect(),
        unshown_charges: charge_form::unshown(&plan.terms.charges),
        zones: if plan.published_at_ms.is_none() {
            zone_names()
        } else {
            Vec::new()
        },
        periods: plan.terms.period_rule().describe(),
        price: super::pages::cost_in_words(&plan.terms),
        subscribers: subscriptions::count_subscribers(context, plan).await?,
        migration: subscriptions::find_migration(context, plan).await?,
        preview: None,
        publication: Default::default(),
        plan: PlanView::from(plan),
        may_manage: may_manage(context),
    })
}

/// `GET /operator/plans/{plan_id}?subscribers=…&from=…`: with a rule, what publishing would do.
pub async fn show_operator_plan(context: &Context) -> Outcome {
    match plan_page(context, StatusCode::OK, None).await {
        Err(failure) if failure.status == StatusCode::UNPROCESSABLE_ENTITY => {
            again(context, failure).await
        }
        other => other,
    }
}

async fn again(context: &Context, failure: Failure) -> Outcome {
    let plan = plan_of_path(context).await?;
    let status = failure.status;
    // Shown over the plan as it stands: the forms besides the draft's have one field or none.
    let mut shown = plan_form::shown(&plan);
    shown.set_general(&failure.detail);
    response::html_with(status, &page_of(context, &plan, shown).await?)
}

/// `POST /operator/plans/{plan_id}`: the draft.
pub async fn update_plan_form(context: &Context) -> Outcome {
    let form = context.form();
    let plan = plan_of_path(context).await?;
    let outcome = match plan_form::read(&form, &plan) {
        Ok(body) => change_draft(context, body).await,
        Err(failure) => Err(failure),
    };
    match outcome {
        Ok(plan) => Ok(to_plan(&plan, "saved")),
        Err(failure) => {
            let failure = plan_form::named_as_in_form(failure, &form);
            let status = failure.status;
            plan_page(context, status, Some(Shown::again(form, failure)?)).await
        }
    }
}

async fn after_plan(context: &Context, outcome: Result<Plan, Failure>, done: &str) -> Outcome {
    match outcome {
        Ok(plan) => Ok(to_plan(&plan, done)),
        Err(failure)
            if failure.status.is_client_error() && failure.status != StatusCode::NOT_FOUND =>
        {
            again(context, failure).await
        }
        Err(failure) => Err(failure),
    }
}

/// `POST /operator/plans/{plan_id}/versions`
pub async fn create_plan_version_form(context: &Context) -> Outcome {
    let outcome = make_version(context, PlanBody::default()).await;
    after_plan(context, outcome, "saved").await
}

/// `POST /operator/plans/{plan_id}/variants`
pub async fn create_plan_variant_form(context: &Context) -> Outcome {
    let form = context.form();
    let base = plan_of_path(context).await?;
    let outcome = match serde_json::from_str(form.raw("overrides")) {
        Ok(overrides) => {
            let body = VariantBody {
                organisation_id: form.text("organisation_id"),
                name: None,
                overrides,
            };
            make_variant(context, &base, body).await
        }
        Err(error) => Err(Failure::field(
            "overrides",
            "malformed",
            format!("This is no JSON: {error}."),
        )),
    };
    after_plan(context, outcome, "saved").await
}

/// `POST /operator/plans/{plan_id}/publish`
pub async fn publish_plan_form(context: &Context) -> Outcome {
    let form = context.form();
    let plan = plan_of_path(context).await?;
    let outcome = match PublicationBody::read(&form.text("subscribers"), &form.text("from")) {
        Ok(body) => publish_draft(context, &plan, &body).await,
        Err(failure) => Err(failure),
    };
    after_plan(context, outcome.map(|()| plan), "published").await
}

/// `POST /operator/plans/{plan_id}/withdraw`
pub async fn withdraw_plan_form(context: &Context) -> Outcome {
    let plan = plan_of_path(context).await?;
    let outcome = withdraw_of_path(context).await;
    after_plan(context, outcome.map(|()| plan), "saved").await
}
