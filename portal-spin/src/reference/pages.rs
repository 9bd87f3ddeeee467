//! Pages of the reference: a product's overview, and one page per tag.

use askama::Template;
use http::StatusCode;

use super::model::{Group, OperationPage, Reference, read_reference};
use super::try_it::{Sent, TryForm};
use crate::catalogue::{self, Product};
use crate::context::Context;
use crate::database::DatabaseError;
use crate::fidelity::{FidelityView, OperationView, fidelity_for_partners};
use crate::partners::Reach;
use crate::routes::Outcome;
use crate::web::{Failure, Page, response};

#[derive(Template)]
#[template(path = "reference/templates/reference.html")]
struct ReferencePage {
    page: Page,
    base: String,
    try_url: String,
    groups: Vec<Group>,
    current: String,
    version: String,
    description: String,
    gateway: String,
    operations: Vec<OperationPage>,
    is_signed_in: bool,
    form: TryForm,
    sent: Option<Sent>,
    fidelity_url: String,
    fidelity: Option<FidelityView>,
}

impl ReferencePage {
    /// What was typed into a field of the form that was sent, or else the sample.
    fn value(&self, operation: &str, name: &str, sample: &str) -> String {
        if self.form.operation == operation {
            self.form.field(name)
        } else {
            sample.to_owned()
        }
    }

    /// How far the sandbox mirrors production in an operation.
    fn fidelity_of(&self, operation: &str) -> Option<&OperationView> {
        self.fidelity.as_ref()?.operation(operation)
    }

    fn was_sent(&self, operation: &str) -> bool {
        self.form.operation == operation
    }
}

/// The product of the path, if the visitor may see it.
pub(super) async fn product_of_path(context: &Context) -> Result<Product, Failure> {
    let reach = Reach::of_caller(context).await?;
    catalogue::find_product_by_slug(&context.connection, context.path_text("product_slug"))
        .await?
        .filter(|product| catalogue::is_visible(context, &reach, product))
        .ok_or_else(Failure::not_found)
}

/// A product's document as people read it.
pub(super) async fn reference_of(
    context: &Context,
    product: &Product,
) -> Result<Reference, Failure> {
    let (document, operations) = catalogue::published_document(&context.connection, product.id)
        .await?
        .ok_or_else(Failure::not_found)?;
    read_reference(&document, &operations)
        .map_err(|error| Failure::internal(&format!("a published document is broken: {error}")))
}

/// Shows one tag of a product, or the overview where `slug` is empty.
pub(super) async fn render(
    context: &Context,
    status: StatusCode,
    slug: &str,
    form: TryForm,
    sent: Option<Sent>,
) -> Outcome {
    let product = product_of_path(context).await?;
    let reference = reference_of(context, &product).await?;
    let fidelity = fidelity_for_partners(context, &product).await?;
    let gateway = context.configuration().get("gateway_url").to_owned();
    let operations = match reference.groups.iter().find(|group| group.slug == slug) {
        Some(group) => group
            .operations
            .iter()
            .filter_map(|link| reference.operation(link, &gateway))
            .collect(),
        None if slug.is_empty() => Vec::new(),
        None => return Err(Failure::not_found()),
    };
    let title = match reference.groups.iter().find(|group| group.slug == slug) {
        Some(group) => format!("{}: {}", product.name, group.name),
        None => format!("{} reference", product.name),
    };
    response::html_with(
        status,
        &ReferencePage {
            page: Page::new(context, &title),
            base: format!("/products/{}/reference", product.slug),
            try_url: format!("/products/{}/try", product.slug),
            current: slug.to_owned(),
            version: reference.version.clone(),
            description: reference.description.clone(),
            groups: reference.groups,
            gateway,
            operations,
            is_signed_in: context.person_optional().is_some(),
            form,
            sent,
            fidelity_url: format!("/products/{}/fidelity", product.slug),
            fidelity,
        },
    )
}

/// `GET /products/{product_slug}/reference`
pub async fn show_reference(context: &Context) -> Outcome {
    render(context, StatusCode::OK, "", TryForm::default(), None).await
}

/// `GET /products/{product_slug}/reference/{tag_slug}`
pub async fn show_reference_group(context: &Context) -> Outcome {
    let slug = context.path_text("tag_slug").to_owned();
    render(context, StatusCode::OK, &slug, TryForm::default(), None).await
}

/// Every operation that a visitor can read of: what it does, and where.
pub async fn list_operation_links(
    context: &Context,
) -> Result<Vec<(String, String)>, DatabaseError> {
    let mut links = Vec::new();
    let reach = Reach::of_caller(context).await?;
    for product in catalogue::list_offered_products(&context.connection).await? {
        if !catalogue::is_visible(context, &reach, &product) {
            continue;
        }
        let Some((document, operations)) =
            catalogue::published_document(&context.connection, product.id).await?
        else {
            continue;
        };
        let Ok(reference) = read_reference(&document, &operations) else {
            continue;
        };
        for group in &reference.groups {
            for link in &group.operations {
                links.push((
                    format!(
                        "{} · {} {} {}",
                        link.summary, link.method, link.path, link.id
                    ),
                    format!(
                        "/products/{}/reference/{}#{}",
                        product.slug, group.slug, link.id
                    ),
                ));
            }
        }
    }
    Ok(links)
}
