//! `/api/v1/products` and `/api/v1/plans`: the public catalogue and the operator's editing.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::ids::ProductId;
use shared::plan::Operation;

use super::document::read_operations;
use super::meters::new_meters;
use super::model::{MeterView, OperationView, Product, ProductView, slug_of};
use super::products;
use super::views::{Viewer, view};
use crate::audit;
use crate::context::Context;
use crate::database::DatabaseError;
use crate::partners::Reach;
use crate::routes::Outcome;
use crate::web::paging::{PageOf, whole};
use crate::web::{Failure, FieldError, response};

/// Products of the catalogue.
pub type ProductList = PageOf<ProductView>;

/// What a product is given, new or changed.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductBody {
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// One sentence.
    #[serde(default)]
    pub summary: Option<String>,
    /// Several.
    #[serde(default)]
    pub description: Option<String>,
    /// Whether visitors see it without logging in.
    #[serde(default)]
    pub is_public: Option<bool>,
    /// Whether new apps get its default plan in the test environment without asking.
    #[serde(default)]
    pub is_self_service: Option<bool>,
    /// Where its sandbox answers.
    #[serde(default)]
    pub sandbox_url: Option<String>,
    /// Meters besides the one that counts calls; only when the product is created.
    #[serde(default)]
    pub meters: Option<Vec<MeterView>>,
}

/// A new version of what a product contains.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VersionBody {
    /// An OpenAPI document (3.1, 3.0 or 2.0), JSON or YAML, as text.
    pub document: String,
    /// Units one call of an operation spends, where it is not 1.
    #[serde(default)]
    pub weights: BTreeMap<String, u32>,
    /// Only these operations; without, all of the document.
    #[serde(default)]
    pub operations: Option<Vec<String>>,
}

/// A version as it was stored.
#[derive(Debug, Serialize, JsonSchema)]
pub struct VersionView {
    /// From 1.
    pub number: i64,
    /// `draft` or `published`.
    pub state: String,
    /// What it contains.
    pub operations: Vec<OperationView>,
}

/// `GET /api/v1/products`: the public catalogue.
pub async fn list_products(context: &Context) -> Outcome {
    let items = visible_products(context).await?;
    response::ok(&whole(context, items, |item| item.id.clone())?)
}

/// Whether a product of the catalogue exists for whoever asks: it is public or they are signed in, and
/// the matrix opens it to them.
pub(crate) fn is_visible(context: &Context, reach: &Reach, product: &Product) -> bool {
    product.is_offered()
        && (product.is_public || context.person_optional().is_some())
        && reach.sees(product.id)
}

/// The catalogue as whoever asks may see it.
pub(super) async fn visible_products(context: &Context) -> Result<Vec<ProductView>, Failure> {
    let reach = Reach::of_caller(context).await?;
    let mut items = Vec::new();
    for product in products::list(&context.connection, false).await? {
        if is_visible(context, &reach, &product) {
            items.push(view(context, &product, &Viewer::Partner(&reach)).await?);
        }
    }
    Ok(items)
}

/// `GET /api/v1/organisations/{organisation_id}/products`: the catalogue as this organisation sees it.
pub async fn list_organisation_products(context: &Context) -> Outcome {
    let reach = Reach::of_organisation(&context.connection, context.organisation_id()?).await?;
    let mut items = Vec::new();
    for product in products::list(&context.connection, false).await? {
        if reach.sees(product.id) {
            items.push(view(context, &product, &Viewer::Partner(&reach)).await?);
        }
    }
    response::ok(&whole(context, items, |item| item.id.clone())?)
}

/// `GET /api/v1/products/{product_id}`
pub async fn show_published_product(context: &Context) -> Outcome {
    let product = product_of_path(context).await?;
    let reach = Reach::of_caller(context).await?;
    if !is_visible(context, &reach, &product) {
        return Err(Failure::not_found());
    }
    let view = view(context, &product, &Viewer::Partner(&reach)).await?;
    response::json_with_etag(context.header("if-none-match"), &view)
}

pub(super) async fn product_of_path(context: &Context) -> Result<Product, Failure> {
    let product_id: ProductId = context.path_id("product_id")?;
    products::find_product(&context.connection, product_id)
        .await?
        .ok_or_else(Failure::not_found)
}

/// `GET /api/v1/operator/products`
pub async fn list_all_products(context: &Context) -> Outcome {
    response::ok(&operator_products(context).await?)
}

/// Every product, as the query of the URL asks.
pub(super) async fn operator_products(context: &Context) -> Result<ProductList, Failure> {
    let mut items = Vec::new();
    for product in products::list(&context.connection, true).await? {
        items.push(view(context, &product, &Viewer::Operator).await?);
    }
    whole(context, items, |item: &ProductView| item.id.clone())
}

/// `GET /api/v1/operator/products/{product_id}`
pub async fn show_any_product(context: &Context) -> Outcome {
    let product = product_of_path(context).await?;
    response::ok(&view(context, &product, &Viewer::Operator).await?)
}

pub(super) fn text(
    field: &str,
    value: Option<String>,
    most: usize,
    is_needed: bool,
) -> Result<String, Failure> {
    let value = value.unwrap_or_default().trim().to_owned();
    if is_needed && value.is_empty() {
        return Err(Failure::field(field, "missing", "Fill this in."));
    }
    if value.chars().count() > most {
        return Err(Failure::field(
            field,
            "too_long",
            format!("Use at most {most} characters."),
        ));
    }
    Ok(value)
}

fn check_url(url: String) -> Result<String, Failure> {
    if url.is_empty() || url.starts_with("https://") || url.starts_with("http://") {
        return Ok(url);
    }
    Err(Failure::field(
        "sandbox_url",
        "malformed",
        "Give an address that begins with https://.",
    ))
}

/// `POST /api/v1/operator/products`
pub async fn create_product(context: &Context) -> Outcome {
    let body: ProductBody = context.json()?;
    let product = create(context, body).await?;
    response::created(&view(context, &product, &Viewer::Operator).await?)
}

/// Creates a draft product with its meters.
pub(crate) async fn create(context: &Context, body: ProductBody) -> Result<Product, Failure> {
    let name = text("name", body.name, 80, true)?;
    let slug = slug_of(&name);
    if slug.is_empty() {
        return Err(Failure::field(
            "name",
            "malformed",
            "Use at least one letter or digit.",
        ));
    }
    let product = Product {
        id: context.new_id(ProductId::new),
        slug,
        name,
        summary: text("summary", body.summary, 200, false)?,
        description: text("description", body.description, 10_000, false)?,
        is_public: body.is_public.unwrap_or(true),
        is_self_service: body.is_self_service.unwrap_or(false),
        sandbox_url: check_url(text("sandbox_url", body.sandbox_url, 300, false)?)?,
        published_at_ms: None,
        withdrawn_at_ms: None,
    };
    let wanted = body.meters.unwrap_or_default().into_iter();
    let meters = new_meters(
        context,
        wanted.map(|meter| (meter.name, meter.source)).collect(),
    )?;
    context
        .connection
        .transaction(async || {
            products::insert(&context.connection, &product, &meters, context.now_ms)
                .await
                .map_err(taken)?;
            record(context, "product.created", &product.id.to_string()).await
        })
        .await?;
    Ok(product)
}

fn taken(error: DatabaseError) -> Failure {
    match error {
        DatabaseError::Conflict(_) => Failure::field(
            "name",
            "taken",
            "There is one of this name. Choose another.",
        ),
        other => other.into(),
    }
}

pub(super) async fn record(context: &Context, action: &str, object: &str) -> Result<(), Failure> {
    audit::record(context, None, action, object, json!({})).await?;
    Ok(())
}

/// `PATCH /api/v1/operator/products/{product_id}`
pub async fn update_product(context: &Context) -> Outcome {
    let product = update_of_path(context, context.json()?).await?;
    response::ok(&view(context, &product, &Viewer::Operator).await?)
}

/// Changes the product of the path.
pub(super) async fn update_of_path(
    context: &Context,
    body: ProductBody,
) -> Result<Product, Failure> {
    let mut product = product_of_path(context).await?;
    if body.meters.is_some() {
        let detail = "Meters are given when the product is created: usage and invoices name them.";
        return Err(Failure::field("meters", "read_only", detail));
    }
    if body.name.is_some() {
        product.name = text("name", body.name, 80, true)?;
    }
    if body.summary.is_some() {
        product.summary = text("summary", body.summary, 200, false)?;
    }
    if body.description.is_some() {
        product.description = text("description", body.description, 10_000, false)?;
    }
    if body.sandbox_url.is_some() {
        product.sandbox_url = check_url(text("sandbox_url", body.sandbox_url, 300, false)?)?;
    }
    product.is_public = body.is_public.unwrap_or(product.is_public);
    product.is_self_service = body.is_self_service.unwrap_or(product.is_self_service);
    context
        .connection
        .transaction(async || {
            products::update(&context.connection, &product).await?;
            record(context, "product.changed", &product.id.to_string()).await
        })
        .await?;
    Ok(product)
}

/// `POST /api/v1/operator/products/{product_id}/versions`
pub async fn create_version(context: &Context) -> Outcome {
    let body: VersionBody = context.json()?;
    let product = product_of_path(context).await?;
    let (number, operations) = put_version(context, &product, &body).await?;
    response::created(&VersionView {
        number,
        state: "draft".to_owned(),
        operations: operations.iter().map(OperationView::from).collect(),
    })
}

/// Stores a draft version of a product.
pub(crate) async fn put_version(
    context: &Context,
    product: &Product,
    body: &VersionBody,
) -> Result<(i64, Vec<Operation>), Failure> {
    let mut operations = read_operations(&body.document, &body.weights).map_err(|problems| {
        let errors = problems.into_iter().map(|detail| FieldError {
            field: "document".to_owned(),
            code: "malformed".to_owned(),
            detail,
        });
        Failure::fields(errors.collect())
    })?;
    if let Some(wanted) = &body.operations {
        if let Some(unknown) = wanted
            .iter()
            .find(|name| !operations.iter().any(|known| known.name == **name))
        {
            let detail = format!("The document has no operation `{unknown}`.");
            return Err(Failure::field("operations", "unknown_value", detail));
        }
        operations.retain(|operation| wanted.contains(&operation.name));
    }
    let number = context
        .connection
        .transaction(async || {
            let now_ms = context.now_ms;
            let number = products::put_draft(
                &context.connection,
                product.id,
                &body.document,
                &operations,
                now_ms,
            )
            .await?;
            record(context, "product.version_created", &product.id.to_string()).await?;
            Ok::<i64, Failure>(number)
        })
        .await?;
    Ok((number, operations))
}

/// `POST /api/v1/operator/products/{product_id}/publications`: publishes the newest version.
pub async fn publish_product(context: &Context) -> Outcome {
    let product = product_of_path(context).await?;
    publish(context, &product).await?;
    show_any_product(context).await
}

/// Publishes the newest version of a product, if nothing is missing.
pub(crate) async fn publish(context: &Context, product: &Product) -> Result<(), Failure> {
    let seen = view(context, product, &Viewer::Operator).await?;
    let missing = seen.missing.unwrap_or_default();
    if !missing.is_empty() {
        let errors = missing
            .iter()
            .map(|text| {
                let (field, detail) = text.split_once(": ").unwrap_or((text, ""));
                FieldError {
                    field: field.to_owned(),
                    code: "missing".to_owned(),
                    detail: detail.to_owned(),
                }
            })
            .collect();
        return Err(Failure::fields(errors));
    }
    let connection = &context.connection;
    let version = products::find_version(connection, product.id, false)
        .await?
        .ok_or_else(|| Failure::internal("a product without version passed the checks"))?;
    connection
        .transaction(async || {
            record(context, "product.published", &product.id.to_string()).await?;
            products::publish(connection, product.id, &version, context.now_ms).await?;
            Ok::<(), Failure>(())
        })
        .await
}

/// `POST /api/v1/operator/products/{product_id}/withdrawals`: out of the catalogue; subscribers stay.
pub async fn withdraw_product(context: &Context) -> Outcome {
    let product = withdraw_product_of_path(context).await?;
    response::ok(&view(context, &product, &Viewer::Operator).await?)
}

/// Takes the product of the path out of the catalogue.
pub(super) async fn withdraw_product_of_path(context: &Context) -> Result<Product, Failure> {
    let mut product = product_of_path(context).await?;
    product.withdrawn_at_ms = product.withdrawn_at_ms.or(Some(context.now_ms));
    context
        .connection
        .transaction(async || {
            products::update(&context.connection, &product).await?;
            record(context, "product.withdrawn", &product.id.to_string()).await
        })
        .await?;
    Ok(product)
}
