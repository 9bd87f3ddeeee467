//! The report for people: partners read it, the operator uploads it.

use askama::Template;
use http::StatusCode;

use super::model::{FidelityBody, FidelityView};
use super::routes::{fidelity_for_operator, fidelity_for_partners, product_of_path, save};
use crate::catalogue::{self, Product};
use crate::context::Context;
use crate::organisations::OperatorRole;
use crate::partners::Reach;
use crate::routes::{MANAGERS, Outcome};
use crate::web::forms::Shown;
use crate::web::{Failure, Page, response};

#[derive(Template)]
#[template(path = "fidelity/templates/fidelity.html")]
struct FidelityPage {
    page: Page,
    product: Product,
    report: Option<FidelityView>,
    shown: Shown,
    is_operator: bool,
    may_manage: bool,
}

/// `GET /products/{product_slug}/fidelity`
pub async fn show_fidelity_page(context: &Context) -> Outcome {
    let reach = Reach::of_caller(context).await?;
    let slug = context.path_text("product_slug");
    let product = catalogue::find_product_by_slug(&context.connection, slug)
        .await?
        .filter(|product| catalogue::is_visible(context, &reach, product))
        .ok_or_else(Failure::not_found)?;
    let report = fidelity_for_partners(context, &product).await?;
    response::html(&FidelityPage {
        page: Page::new(
            context,
            &format!("{}: sandbox and production", product.name),
        ),
        report,
        product,
        shown: Shown::default(),
        is_operator: false,
        may_manage: false,
    })
}

async fn operator_page(context: &Context, status: StatusCode, shown: Shown) -> Outcome {
    let product = product_of_path(context).await?;
    let report = fidelity_for_operator(context, &product).await?;
    let may_manage = context
        .person()
        .is_ok_and(|person| OperatorRole::any_of(&person.operator_roles, MANAGERS));
    response::html_with(
        status,
        &FidelityPage {
            page: Page::new(
                context,
                &format!("{}: sandbox and production", product.name),
            ),
            report,
            product,
            shown,
            is_operator: true,
            may_manage,
        },
    )
}

/// `GET /operator/products/{product_id}/fidelity`
pub async fn show_operator_fidelity(context: &Context) -> Outcome {
    operator_page(context, StatusCode::OK, Shown::default()).await
}

/// `POST /operator/products/{product_id}/fidelity`
pub async fn put_fidelity_form(context: &Context) -> Outcome {
    let product = product_of_path(context).await?;
    let outcome = match read_report(context) {
        Ok(body) => save(context, &product, &body).await,
        Err(failure) => Err(failure),
    };
    match outcome {
        Ok(()) => Ok(response::see_other(&format!(
            "/operator/products/{}/fidelity?done=saved",
            product.id
        ))),
        Err(mut failure) => {
            // The form has one field.
            for error in &mut failure.errors {
                error.detail = format!("{}: {}", error.field, error.detail);
                "report".clone_into(&mut error.field);
            }
            let status = failure.status;
            operator_page(context, status, Shown::again(context.form(), failure)?).await
        }
    }
}

/// The report of a form: the file if one was chosen, else what was pasted.
fn read_report(context: &Context) -> Result<FidelityBody, Failure> {
    let form = context.form();
    let file = context.file("file");
    let text = if file.is_empty() {
        form.raw("report").as_bytes()
    } else {
        file
    };
    serde_json::from_slice(text).map_err(|error| {
        Failure::field(
            "report",
            "malformed",
            format!("This is no report of `portico mock drift --json`: {error}."),
        )
    })
}
