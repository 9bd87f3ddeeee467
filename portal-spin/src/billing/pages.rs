//! Pages of money: the partner's overview and invoices.

use askama::Template;
use http::StatusCode;

use super::documents::{ShownDocument, read_document, show_document};
use super::routes::{self, AccountView, BillingView};
use super::shadow::{self, Comparison, ShadowInvoice};
use super::store::InvoiceView;
use crate::apps::organisation_page;
use crate::context::Context;
use crate::encoding::{readable_time, rfc3339};
use crate::organisations::pages::local_path;
use crate::routes::{Outcome, PAYERS};
use crate::web::forms::Shown;
use crate::web::listed::Listed;
use crate::web::{Failure, Page, response};

#[derive(Template)]
#[template(path = "billing/templates/billing.html")]
struct BillingPage {
    page: Page,
    shown: Shown,
    base: String,
    billing: BillingView,
    invoices: Vec<InvoiceView>,
    listed: Listed,
    may_pay: bool,
    next: String,
}

impl BillingPage {
    fn time(&self, unix_ms: &i64) -> String {
        readable_time(*unix_ms)
    }

    /// For each subscription the plan that would save most.
    fn upgrades(&self) -> Vec<&Comparison> {
        let plans = &self.billing.plans;
        plans
            .iter()
            .filter(|plan| plan.is_current)
            .filter_map(|plan| shadow::best_saving(plans, &plan.subscription_id))
            .collect()
    }
}

fn shown_account(account: &AccountView) -> Shown {
    Shown::with_values(&[
        ("legal_name", &account.legal_name),
        ("address", &account.address),
        ("country", &account.country),
        ("region", &account.region),
        ("tax_id", &account.tax_id),
        ("email", &account.email),
        ("budget", &account.budget),
        ("budget_currency", &account.budget_currency),
    ])
}

async fn billing_page(context: &Context, shown: Option<Shown>) -> Result<BillingPage, Failure> {
    let organisation_id = context.organisation_id()?;
    let billing = routes::billing(context, organisation_id).await?;
    let invoices = routes::own_invoices(context).await?;
    Ok(BillingPage {
        page: organisation_page(context, "Billing").await?,
        shown: shown.unwrap_or_else(|| shown_account(&billing.account)),
        base: format!("/organisations/{organisation_id}/billing"),
        listed: Listed::of(
            context,
            &format!("/organisations/{organisation_id}/billing"),
            &format!("/organisations/{organisation_id}/invoices"),
            invoices.next_cursor.as_deref(),
        ),
        invoices: invoices.items,
        next: context
            .query("next")
            .unwrap_or_else(|| context.form().text("next")),
        may_pay: PAYERS.contains(&context.member_role()?),
        billing,
    })
}

/// `GET /organisations/{organisation_id}/billing`
pub async fn show_billing(context: &Context) -> Outcome {
    response::html(&billing_page(context, None).await?)
}

async fn done_or_again(context: &Context, outcome: Result<(), Failure>) -> Outcome {
    match outcome {
        // Who came to give what was missing goes back to where it was missed.
        Ok(()) if !context.form().text("next").is_empty() => {
            let next = local_path(&context.form().text("next"));
            Ok(response::see_other(&next))
        }
        Ok(()) => {
            let organisation_id = context.organisation_id()?;
            Ok(response::see_other(&format!(
                "/organisations/{organisation_id}/billing?done=saved"
            )))
        }
        Err(failure) => {
            let shown = Shown::again(context.form(), failure)?;
            let page = billing_page(context, Some(shown)).await?;
            response::html_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
    }
}

/// `POST /organisations/{organisation_id}/billing/account`
pub async fn submit_billing_account(context: &Context) -> Outcome {
    let form = context.form();
    let request = AccountView {
        legal_name: form.text("legal_name"),
        address: form.text("address"),
        country: form.text("country"),
        region: form.text("region"),
        tax_id: form.text("tax_id"),
        email: form.text("email"),
        budget: form.text("budget"),
        budget_currency: form.text("budget_currency"),
    };
    done_or_again(context, routes::change_account(context, &request).await).await
}

/// `POST /organisations/{organisation_id}/billing/coupons`
pub async fn submit_coupon(context: &Context) -> Outcome {
    let code = context.form().text("code");
    done_or_again(context, routes::redeem(context, &code).await).await
}

#[derive(Template)]
#[template(path = "billing/templates/invoice.html")]
pub(super) struct InvoicePage {
    pub page: Page,
    pub shown: Shown,
    pub invoice: InvoiceView,
    pub document: ShownDocument,
    /// What is still to be paid.
    pub due: String,
    pub is_open: bool,
    pub is_operator: bool,
    pub base: String,
}

impl InvoicePage {
    fn time(&self, unix_ms: &i64) -> String {
        readable_time(*unix_ms)
    }

    fn date(&self, unix_ms: &i64) -> String {
        readable_time(*unix_ms).chars().take(10).collect()
    }

    fn period(&self) -> String {
        self.document
            .describe_span(self.invoice.period_start, self.invoice.period_end)
    }
}

/// `GET /invoices/{invoice_id}`
pub async fn show_invoice(context: &Context) -> Outcome {
    let invoice = routes::of_path(context).await?;
    let kind = if invoice.view.kind == "invoice" {
        "Invoice"
    } else {
        "Credit note"
    };
    let page = organisation_page(context, &format!("{kind} {}", invoice.view.number)).await?;
    response::html(&InvoicePage {
        page,
        shown: Shown::default(),
        document: read_document(&invoice)?,
        due: invoice.view.amount_due.clone(),
        is_open: matches!(invoice.view.state.as_str(), "open" | "overdue"),
        is_operator: false,
        base: String::new(),
        invoice: invoice.view,
    })
}

#[derive(Template)]
#[template(path = "billing/templates/shadow_invoice.html")]
struct ShadowInvoicePage {
    page: Page,
    shadow: ShadowInvoice,
    document: ShownDocument,
    due: String,
    /// The same for the period before.
    before: String,
    json: String,
    billing: String,
}

impl ShadowInvoicePage {
    fn period(&self) -> String {
        self.document
            .describe_span(self.shadow.period_start, self.shadow.period_end)
    }
}

/// `GET /apps/{app_id}/subscriptions/{subscription_id}/shadow-invoice?plan_id=&at=`
pub async fn show_shadow_invoice(context: &Context) -> Outcome {
    let shadow = routes::shadow_of_path(context).await?;
    let document = show_document(&shadow.document)?;
    let path_at = |at_ms: i64| {
        format!(
            "/apps/{}/subscriptions/{}/shadow-invoice?plan_id={}&at={}",
            shadow.app_id,
            shadow.subscription_id,
            shadow.plan_id,
            rfc3339(at_ms)
        )
    };
    response::html(&ShadowInvoicePage {
        page: organisation_page(context, "What you would pay").await?,
        due: document.amount_due.clone(),
        before: path_at(shadow.period_start - 1),
        json: format!("/api/v1{}", path_at(shadow.period_start)),
        billing: format!("/organisations/{}/billing", document.buyer.organisation_id),
        document,
        shadow,
    })
}
