//! Pages of money on the operator's side: runs, invoices, tax rates, coupons, credit.

use askama::Template;
use http::StatusCode;

use super::documents::read_document;
use super::operator_routes::{self, Closing, CreditNoteRequest, OperatorBillingView, TopUpRequest};
use super::pages::InvoicePage;
use super::routes::of_path;
use super::store::InvoiceView;
use super::{coupons::CouponRequest, taxes::TaxRateRequest};
use crate::context::Context;
use crate::encoding::readable_time;
use crate::organisations::OperatorRole;
use crate::routes::{FINANCE, Outcome};
use crate::web::forms::Shown;
use crate::web::listed::Listed;
use crate::web::{Failure, Page, response};

#[derive(Template)]
#[template(path = "billing/templates/operator_billing.html")]
struct OperatorBillingPage {
    page: Page,
    shown: Shown,
    billing: OperatorBillingView,
    invoices: Vec<InvoiceView>,
    listed: Listed,
    may_change: bool,
}

impl OperatorBillingPage {
    fn time(&self, unix_ms: &i64) -> String {
        readable_time(*unix_ms)
    }
}

fn may_change(context: &Context) -> Result<bool, Failure> {
    Ok(OperatorRole::any_of(
        &context.person()?.operator_roles,
        FINANCE,
    ))
}

async fn overview_page(context: &Context, shown: Shown) -> Result<OperatorBillingPage, Failure> {
    let invoices = operator_routes::all_invoices(context).await?;
    Ok(OperatorBillingPage {
        page: Page::new(context, "Billing"),
        shown,
        billing: operator_routes::overview(context).await?,
        listed: Listed::of(
            context,
            "/operator/billing",
            "/operator/invoices",
            invoices.next_cursor.as_deref(),
        ),
        invoices: invoices.items,
        may_change: may_change(context)?,
    })
}

/// `GET /operator/billing`
pub async fn show_operator_billing(context: &Context) -> Outcome {
    response::html(&overview_page(context, Shown::default()).await?)
}

async fn overview_or_again<T>(context: &Context, outcome: Result<T, Failure>) -> Outcome {
    match outcome {
        Ok(_) => Ok(response::see_other("/operator/billing?done=saved")),
        Err(failure) => {
            let page = overview_page(context, Shown::again(context.form(), failure)?).await?;
            response::html_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
    }
}

/// `POST /operator/tax-rates`
pub async fn submit_tax_rate(context: &Context) -> Outcome {
    let form = context.form();
    let request = TaxRateRequest {
        name: form.text("name"),
        country: form.text("country"),
        region: form.text("region"),
        percent: form.text("percent"),
        reverse_charge: form.is_ticked("reverse_charge"),
    };
    overview_or_again(
        context,
        operator_routes::new_tax_rate(context, &request).await,
    )
    .await
}

/// `POST /operator/tax-rates/{tax_rate_id}/end`
pub async fn submit_tax_rate_end(context: &Context) -> Outcome {
    overview_or_again(context, operator_routes::stop_tax_rate(context).await).await
}

/// `POST /operator/coupons`
pub async fn submit_new_coupon(context: &Context) -> Outcome {
    let form = context.form();
    let given = |name: &str| Some(form.text(name)).filter(|text| !text.is_empty());
    let periods = match given("periods").map(|text| text.parse()) {
        None => Ok(None),
        Some(Ok(periods)) => Ok(Some(periods)),
        Some(Err(_)) => Err(Failure::field(
            "periods",
            "malformed",
            "Give a whole number, or nothing.",
        )),
    };
    let outcome = match periods {
        Ok(periods) => {
            let request = CouponRequest {
                code: form.text("code"),
                percent: given("percent"),
                amount: given("amount"),
                currency: given("currency"),
                periods,
                most_redemptions: None,
                expires_at: None,
            };
            operator_routes::new_coupon(context, &request).await
        }
        Err(failure) => Err(failure),
    };
    overview_or_again(context, outcome).await
}

/// `POST /operator/wallets`
pub async fn submit_top_up(context: &Context) -> Outcome {
    let form = context.form();
    // Names of their own: the page has other amounts and currencies.
    let request = TopUpRequest {
        amount: form.text("credit_amount"),
        currency: form.text("credit_currency"),
        note: form.text("credit_note"),
    };
    let given = form.text("credit_organisation");
    let outcome = match given.trim().parse() {
        Ok(organisation_id) => operator_routes::add_credit(context, organisation_id, &request)
            .await
            .map_err(as_credit_field),
        Err(_) => Err(unknown_organisation()),
    };
    overview_or_again(context, outcome).await
}

/// A failure of the fields as this page names them.
fn as_credit_field(mut failure: Failure) -> Failure {
    if failure.code == "not_found" {
        return unknown_organisation();
    }
    for error in &mut failure.errors {
        error.field = format!("credit_{}", error.field);
    }
    failure
}

fn unknown_organisation() -> Failure {
    Failure::field(
        "credit_organisation",
        "unknown_value",
        "Give an organisation's id, org_…, as on its invoices.",
    )
}

async fn invoice_page(context: &Context, shown: Shown) -> Result<InvoicePage, Failure> {
    let invoice = of_path(context).await?;
    let kind = if invoice.view.kind == "invoice" {
        "Invoice"
    } else {
        "Credit note"
    };
    Ok(InvoicePage {
        page: Page::new(context, &format!("{kind} {}", invoice.view.number)),
        shown,
        document: read_document(&invoice)?,
        due: invoice.view.amount_due.clone(),
        is_open: matches!(invoice.view.state.as_str(), "open" | "overdue"),
        is_operator: may_change(context)?,
        base: format!("/operator/invoices/{}", invoice.view.id),
        invoice: invoice.view,
    })
}

/// `GET /operator/invoices/{invoice_id}`
pub async fn show_operator_invoice(context: &Context) -> Outcome {
    response::html(&invoice_page(context, Shown::default()).await?)
}

async fn invoice_or_again<T>(context: &Context, outcome: Result<T, Failure>) -> Outcome {
    match outcome {
        Ok(_) => {
            let invoice_id = context.path_text("invoice_id");
            Ok(response::see_other(&format!(
                "/operator/invoices/{invoice_id}?done=saved"
            )))
        }
        Err(failure) => {
            let page = invoice_page(context, Shown::again(context.form(), failure)?).await?;
            response::html_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
    }
}

/// `POST /operator/invoices/{invoice_id}/payments`
pub async fn submit_payment(context: &Context) -> Outcome {
    let reference = context.form().text("reference");
    invoice_or_again(
        context,
        operator_routes::close_invoice(context, Closing::Paid(&reference)).await,
    )
    .await
}

/// `POST /operator/invoices/{invoice_id}/void`
pub async fn submit_void(context: &Context) -> Outcome {
    let reason = context.form().text("reason");
    invoice_or_again(
        context,
        operator_routes::close_invoice(context, Closing::Void(&reason)).await,
    )
    .await
}

/// `POST /operator/invoices/{invoice_id}/uncollectible`
pub async fn submit_uncollectible(context: &Context) -> Outcome {
    let reason = context.form().text("reason");
    invoice_or_again(
        context,
        operator_routes::close_invoice(context, Closing::Uncollectible(&reason)).await,
    )
    .await
}

/// `POST /operator/invoices/{invoice_id}/credit-notes`
pub async fn submit_credit_note(context: &Context) -> Outcome {
    let form = context.form();
    let request = CreditNoteRequest {
        amount: form.text("amount"),
        reason: form.text("reason"),
    };
    invoice_or_again(context, operator_routes::credit(context, &request).await).await
}
