//! `/api/v1/operator/…`: invoices, payments marked by hand, taxes, coupons, credit.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::ids::{InvoiceId, OrganisationId};
use shared::money::{Currency, Money};

use super::coupons::{self, CouponRequest, CouponView};
use super::store;
use super::taxes::{self, TaxRate, TaxRateRequest};
use super::wallet::WalletView;
use super::{accounts, wallet};
use crate::audit;
use crate::context::Context;
use crate::database::DatabaseError;
use crate::params;
use crate::routes::Outcome;
use crate::web::paging::PageRequest;
use crate::web::{Failure, response};

/// A billing run that issued something.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RunView {
    /// When.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub at: i64,
    /// Organisations that were due.
    pub organisations: i64,
    /// Invoices and credit notes issued.
    pub invoices: i64,
}

/// An organisation that could not be billed; the others were.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FailureView {
    /// The organisation.
    pub organisation_id: String,
    /// When it was last tried.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub at: i64,
    /// Why.
    pub detail: String,
}

/// Billing as the operator sees it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OperatorBillingView {
    /// The newest runs.
    pub runs: Vec<RunView>,
    /// What could not be billed.
    pub failures: Vec<FailureView>,
    /// The table of tax rates.
    pub tax_rates: Vec<TaxRate>,
    /// Coupons.
    pub coupons: Vec<CouponView>,
    /// Credit that is left, by organisation; at most 200, the largest first.
    pub wallets: Vec<WalletView>,
}

pub(super) async fn overview(context: &Context) -> Result<OperatorBillingView, DatabaseError> {
    let connection = &context.connection;
    let runs = connection
        .query(
            "SELECT started_at_ms, organisations, invoices FROM billing_runs ORDER BY run_id DESC LIMIT 20",
            vec![],
        )
        .await?;
    let failures = connection
        .query(
            "SELECT organisation_id, at_ms, detail FROM billing_failures ORDER BY at_ms DESC LIMIT 100",
            vec![],
        )
        .await?;
    Ok(OperatorBillingView {
        runs: runs
            .iter()
            .map(|row| {
                Ok(RunView {
                    at: row.get(0)?,
                    organisations: row.get(1)?,
                    invoices: row.get(2)?,
                })
            })
            .collect::<Result<_, DatabaseError>>()?,
        failures: failures
            .iter()
            .map(|row| {
                Ok(FailureView {
                    organisation_id: row.get(0)?,
                    at: row.get(1)?,
                    detail: row.get(2)?,
                })
            })
            .collect::<Result<_, DatabaseError>>()?,
        tax_rates: taxes::list_rates(connection).await?,
        coupons: coupons::list_coupons(connection).await?,
        wallets: wallet::list_wallets(connection, 200).await?,
    })
}

/// `GET /api/v1/operator/billing`
pub async fn get_operator_billing(context: &Context) -> Outcome {
    response::ok(&overview(context).await?)
}

/// `GET /api/v1/operator/invoices`
pub async fn list_all_invoices(context: &Context) -> Outcome {
    response::ok(&all_invoices(context).await?)
}

/// Every invoice, as the query of the URL asks.
pub(super) async fn all_invoices(context: &Context) -> Result<super::routes::InvoiceList, Failure> {
    let page = PageRequest::read(context)?;
    let state = context.query("state").unwrap_or_default();
    let items =
        store::list_invoices(&context.connection, None, &page, &state, context.now_ms).await?;
    Ok(page.page_of(items, |invoice| invoice.id.clone()))
}

/// A payment that came outside any provider.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PaymentRequest {
    /// What names it at the bank: a payment with the same reference counts once.
    pub reference: String,
}

/// What happens to an open invoice.
pub(super) enum Closing<'a> {
    /// Money came.
    Paid(&'a str),
    /// It never was.
    Void(&'a str),
    /// Nobody will pay.
    Uncollectible(&'a str),
}

pub(super) async fn close_invoice(context: &Context, closing: Closing<'_>) -> Result<(), Failure> {
    let invoice_id: InvoiceId = context.path_id("invoice_id")?;
    let (Closing::Paid(text) | Closing::Void(text) | Closing::Uncollectible(text)) = &closing;
    let text = text.trim();
    if text.is_empty() || text.chars().count() > 200 {
        let field = if matches!(closing, Closing::Paid(_)) {
            "reference"
        } else {
            "reason"
        };
        return Err(Failure::field(
            field,
            "required",
            "Fill this in, with at most 200 characters.",
        ));
    }
    context
        .connection
        .transaction(async || {
            let invoice = match closing {
                Closing::Paid(_) => store::lock_payable_invoice(context, invoice_id).await?,
                _ => store::lock_open_invoice(context, invoice_id).await?,
            };
            let reason = json!({ "reason": text });
            match closing {
                Closing::Paid(_) => {
                    let taken = context
                        .connection
                        .query_optional(
                            "SELECT invoice_id FROM payments WHERE adapter = 'manual' AND reference = $1",
                            params![text],
                        )
                        .await?;
                    if taken.is_some() {
                        return Err(Failure::field("reference", "taken", "A payment with this reference is noted on another invoice."));
                    }
                    store::pay_invoice(context, &invoice, "manual", text).await?;
                }
                Closing::Void(_) => store::void_invoice(context, &invoice, reason).await?,
                Closing::Uncollectible(_) => {
                    store::close(context, &invoice, "uncollectible_at_ms", "invoice.marked_uncollectible", reason).await?;
                }
            }
            Ok(())
        })
        .await
}

/// `POST /api/v1/operator/invoices/{invoice_id}/payments`
pub async fn record_payment(context: &Context) -> Outcome {
    let request: PaymentRequest = context.json()?;
    close_invoice(context, Closing::Paid(&request.reference)).await?;
    Ok(response::no_content())
}

/// Why.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReasonRequest {
    /// Kept in the audit log.
    pub reason: String,
}

/// `POST /api/v1/operator/invoices/{invoice_id}/void`
pub async fn void_invoice(context: &Context) -> Outcome {
    let request: ReasonRequest = context.json()?;
    close_invoice(context, Closing::Void(&request.reason)).await?;
    Ok(response::no_content())
}

/// `POST /api/v1/operator/invoices/{invoice_id}/uncollectible`
pub async fn mark_uncollectible(context: &Context) -> Outcome {
    let request: ReasonRequest = context.json()?;
    close_invoice(context, Closing::Uncollectible(&request.reason)).await?;
    Ok(response::no_content())
}

/// An amount given back on an invoice.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreditNoteRequest {
    /// In major units; at most what the invoice came to.
    pub amount: String,
    /// As on the credit note.
    pub reason: String,
}

pub(super) async fn credit(
    context: &Context,
    request: &CreditNoteRequest,
) -> Result<InvoiceId, Failure> {
    let invoice_id: InvoiceId = context.path_id("invoice_id")?;
    let reason = request.reason.trim();
    if reason.is_empty() || reason.chars().count() > 500 {
        return Err(Failure::field(
            "reason",
            "required",
            "Say why, in at most 500 characters.",
        ));
    }
    context
        .connection
        .transaction(async || {
            let find = || store::find_invoice(&context.connection, invoice_id, context.now_ms);
            let known = find().await?.ok_or_else(Failure::not_found)?;
            accounts::lock_account(&context.connection, known.organisation_id).await?;
            let invoice = find().await?.ok_or_else(Failure::not_found)?;
            if invoice.view.kind != "invoice" || invoice.view.state == "void" {
                return Err(Failure::conflict(
                    "not_creditable",
                    "Only an invoice that is not void can be credited.",
                ));
            }
            let amount = Money::from_major(invoice.currency, request.amount.trim())
                .map_err(|error| Failure::field("amount", "malformed", error.to_string()))?;
            let most = store::creditable_minor(&context.connection, invoice_id).await?;
            if amount.minor <= 0 || amount.minor > most {
                let most = Money::from_minor(invoice.currency, most).to_major();
                return Err(Failure::field(
                    "amount",
                    "out_of_range",
                    format!("Give more than 0 and at most {most}."),
                ));
            }
            Ok(store::credit_invoice(context, &invoice, amount, reason).await?)
        })
        .await
}

/// `POST /api/v1/operator/invoices/{invoice_id}/credit-notes`
pub async fn create_credit_note(context: &Context) -> Outcome {
    let request: CreditNoteRequest = context.json()?;
    let credit_note_id = credit(context, &request).await?;
    response::created(&json!({ "id": credit_note_id.to_string() }))
}

pub(super) async fn new_tax_rate(
    context: &Context,
    request: &TaxRateRequest,
) -> Result<String, Failure> {
    context
        .connection
        .transaction(async || {
            let id = taxes::add_rate(context, request).await?;
            let detail = json!({ "name": request.name, "country": request.country, "percent": request.percent });
            audit::record(context, None, "tax_rate.added", &id, detail).await?;
            Ok(id)
        })
        .await
}

/// `POST /api/v1/operator/tax-rates`
pub async fn create_tax_rate(context: &Context) -> Outcome {
    let id = new_tax_rate(context, &context.json()?).await?;
    response::created(&json!({ "id": id }))
}

pub(super) async fn stop_tax_rate(context: &Context) -> Result<(), Failure> {
    let id = context.path_text("tax_rate_id");
    context
        .connection
        .transaction(async || {
            if !taxes::end_rate(context, id).await? {
                return Err(Failure::not_found());
            }
            audit::record(context, None, "tax_rate.ended", id, json!({})).await?;
            Ok(())
        })
        .await
}

/// `DELETE /api/v1/operator/tax-rates/{tax_rate_id}`: in force until now.
pub async fn end_tax_rate(context: &Context) -> Outcome {
    stop_tax_rate(context).await?;
    Ok(response::no_content())
}

pub(super) async fn new_coupon(
    context: &Context,
    request: &CouponRequest,
) -> Result<String, Failure> {
    context
        .connection
        .transaction(async || {
            let code = coupons::add_coupon(context, request).await?;
            audit::record(
                context,
                None,
                "coupon.created",
                &code,
                json!({ "percent": request.percent, "amount": request.amount }),
            )
            .await?;
            Ok(code)
        })
        .await
}

/// `POST /api/v1/operator/coupons`
pub async fn create_coupon(context: &Context) -> Outcome {
    let code = new_coupon(context, &context.json()?).await?;
    response::created(&json!({ "code": code }))
}

/// Credit that an organisation paid in, or is given.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TopUpRequest {
    /// In major units.
    pub amount: String,
    /// ISO 4217.
    pub currency: String,
    /// As the partner sees it.
    pub note: String,
}

pub(super) async fn add_credit(
    context: &Context,
    organisation_id: OrganisationId,
    request: &TopUpRequest,
) -> Result<(), Failure> {
    let currency: Currency = request
        .currency
        .trim()
        .to_ascii_uppercase()
        .parse()
        .map_err(|_| {
            Failure::field(
                "currency",
                "malformed",
                "Give an ISO 4217 code such as USD.",
            )
        })?;
    let amount = Money::from_major(currency, request.amount.trim())
        .map_err(|error| Failure::field("amount", "malformed", error.to_string()))?;
    if amount.minor <= 0 {
        return Err(Failure::field(
            "amount",
            "out_of_range",
            "Give an amount above 0.",
        ));
    }
    let note = request.note.trim();
    let connection = &context.connection;
    let known = connection
        .query_optional(
            "SELECT 1 FROM organisations WHERE organisation_id = $1",
            params![organisation_id.to_string()],
        )
        .await?;
    if known.is_none() {
        return Err(Failure::not_found());
    }
    connection
        .transaction(async || {
            accounts::lock_account(connection, organisation_id).await?;
            wallet::add_entry(context, organisation_id, amount, "top_up", None, note).await?;
            let detail =
                json!({ "amount": amount.to_major(), "currency": currency.as_str(), "note": note });
            let object = organisation_id.to_string();
            audit::record(
                context,
                Some(organisation_id),
                "wallet.topped_up",
                &object,
                detail,
            )
            .await?;
            Ok(())
        })
        .await
}

/// `POST /api/v1/operator/wallets/{partner_id}/entries`
pub async fn top_up_wallet(context: &Context) -> Outcome {
    let organisation_id = context.path_id("partner_id")?;
    add_credit(context, organisation_id, &context.json()?).await?;
    Ok(response::no_content())
}
