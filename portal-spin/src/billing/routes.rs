//! `/api/v1/…/billing` and `/api/v1/…/invoices`: what partners read and fill in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::ids::{InvoiceId, OrganisationId};
use shared::money::{Currency, Money};

use super::accounts::{self, Account};
use super::drafts::{self, DraftView};
use super::shadow::{self, Comparison, ShadowInvoice};
use super::store::{self, InvoiceView, StoredInvoice};
use super::wallet::{self, WalletEntry};
use super::{coupons, documents, taxes};
use crate::audit;
use crate::context::Context;
use crate::organisations::normalise_email;
use crate::routes::Outcome;
use crate::web::paging::{PageOf, PageRequest};
use crate::web::{Failure, response};

/// A page of invoices.
pub type InvoiceList = PageOf<InvoiceView>;

/// Everything about an organisation's money that is not an invoice yet.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BillingView {
    /// Who pays.
    pub account: AccountView,
    /// Credit left, per currency.
    pub wallet: Vec<Balance>,
    /// The newest entries of the wallet.
    pub entries: Vec<WalletEntry>,
    /// Invoices that are not issued yet.
    pub drafts: Vec<DraftView>,
    /// What the plans on offer would cost for the usage of this period as forecast. On a free plan: what
    /// you would pay.
    pub plans: Vec<Comparison>,
    /// Since when live calls are refused because an invoice is overdue.
    #[serde(with = "crate::encoding::optional_time")]
    #[schemars(with = "Option<String>")]
    pub suspended_at: Option<i64>,
}

/// Credit left in one currency.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Balance {
    /// ISO 4217.
    pub currency: String,
    /// In major units.
    pub amount: String,
}

/// Who pays, as partners fill it in.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "BillingAccountView")]
pub struct AccountView {
    /// As on invoices.
    pub legal_name: String,
    /// Street, place; several lines.
    pub address: String,
    /// ISO 3166, two letters: decides taxes.
    pub country: String,
    /// State or province, where taxes depend on it.
    pub region: String,
    /// VAT or other tax number.
    pub tax_id: String,
    /// Where invoices go; empty for everyone with the role.
    pub email: String,
    /// Alert at 50, 80 and 100 percent of this amount a period; empty for no alerts.
    pub budget: String,
    /// ISO 4217; needed with a budget.
    pub budget_currency: String,
}

impl From<&Account> for AccountView {
    fn from(account: &Account) -> Self {
        let budget = account.budget_minor.zip(account.budget_currency);
        Self {
            legal_name: account.legal_name.clone(),
            address: account.address.clone(),
            country: account.country.clone(),
            region: account.region.clone(),
            tax_id: account.tax_id.clone(),
            email: account.email.clone(),
            budget: budget
                .map(|(minor, currency)| Money::from_minor(currency, minor).to_major())
                .unwrap_or_default(),
            budget_currency: budget
                .map(|(_, currency)| currency.to_string())
                .unwrap_or_default(),
        }
    }
}

fn text(field: &str, value: &str, longest: usize) -> Result<String, Failure> {
    let value = value.trim();
    if value.chars().count() > longest {
        return Err(Failure::field(
            field,
            "too_long",
            format!("Use at most {longest} characters."),
        ));
    }
    Ok(value.to_owned())
}

impl AccountView {
    fn read(&self) -> Result<Account, Failure> {
        let email = match self.email.trim() {
            "" => String::new(),
            given => normalise_email(given).ok_or_else(|| {
                Failure::field(
                    "email",
                    "invalid_email",
                    "Give an address like accounts@example.com.",
                )
            })?,
        };
        let mut budget = None;
        if !self.budget.trim().is_empty() {
            let currency: Currency = self
                .budget_currency
                .trim()
                .to_ascii_uppercase()
                .parse()
                .map_err(|_| {
                    Failure::field(
                        "budget_currency",
                        "malformed",
                        "Give an ISO 4217 code such as USD.",
                    )
                })?;
            let money = Money::from_major(currency, self.budget.trim())
                .map_err(|error| Failure::field("budget", "malformed", error.to_string()))?;
            if money.minor <= 0 {
                return Err(Failure::field(
                    "budget",
                    "out_of_range",
                    "Give an amount above 0, or nothing.",
                ));
            }
            budget = Some(money);
        }
        Ok(Account {
            legal_name: text("legal_name", &self.legal_name, 200)?,
            address: text("address", &self.address, 500)?,
            country: taxes::read_country(&self.country)?,
            region: text("region", &self.region, 60)?,
            tax_id: text("tax_id", &self.tax_id, 40)?,
            email,
            budget_minor: budget.map(|money| money.minor),
            budget_currency: budget.map(|money| money.currency),
            ..Account::default()
        })
    }
}

pub(super) async fn billing(
    context: &Context,
    organisation_id: OrganisationId,
) -> Result<BillingView, Failure> {
    let connection = &context.connection;
    let account = accounts::find_account(connection, organisation_id).await?;
    let balances = wallet::balances(connection, organisation_id).await?;
    Ok(BillingView {
        account: AccountView::from(&account),
        suspended_at: account.suspended_at_ms,
        wallet: balances
            .iter()
            .map(|money| Balance {
                currency: money.currency.to_string(),
                amount: money.to_major(),
            })
            .collect(),
        entries: wallet::list_entries(connection, organisation_id, 20).await?,
        drafts: drafts::list_drafts(context, organisation_id).await?,
        plans: shadow::compare_plans(context, organisation_id).await?,
    })
}

/// `GET …/billing`
pub async fn get_billing(context: &Context) -> Outcome {
    response::ok(&billing(context, context.organisation_id()?).await?)
}

/// Stores what was filled in.
pub(super) async fn change_account(
    context: &Context,
    request: &AccountView,
) -> Result<(), Failure> {
    let account = request.read()?;
    let organisation_id = context.organisation_id()?;
    let connection = &context.connection;
    connection
        .transaction(async || {
            accounts::lock_account(connection, organisation_id).await?;
            accounts::put_account(connection, organisation_id, &account).await?;
            let detail = json!({ "country": account.country, "budget": request.budget });
            let object = organisation_id.to_string();
            audit::record(
                context,
                Some(organisation_id),
                "billing.account_changed",
                &object,
                detail,
            )
            .await?;
            Ok::<_, Failure>(())
        })
        .await
}

/// `PUT …/billing/account`
pub async fn put_billing_account(context: &Context) -> Outcome {
    let request: AccountView = context.json()?;
    change_account(context, &request).await?;
    response::ok(&billing(context, context.organisation_id()?).await?.account)
}

/// A coupon's code.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedemptionRequest {
    /// As you were given it.
    pub code: String,
}

pub(super) async fn redeem(context: &Context, code: &str) -> Result<(), Failure> {
    let organisation_id = context.organisation_id()?;
    let connection = &context.connection;
    connection
        .transaction(async || {
            accounts::lock_account(connection, organisation_id).await?;
            coupons::redeem(context, organisation_id, code).await?;
            let detail = json!({ "code": code });
            let object = organisation_id.to_string();
            audit::record(
                context,
                Some(organisation_id),
                "coupon.redeemed",
                &object,
                detail,
            )
            .await?;
            Ok::<_, Failure>(())
        })
        .await
}

/// `POST …/billing/coupons`
pub async fn redeem_coupon(context: &Context) -> Outcome {
    let request: RedemptionRequest = context.json()?;
    redeem(context, &request.code).await?;
    Ok(response::no_content())
}

/// What the subscription of the path would have cost on the plan that the query names, in the period of an
/// instant (now where none is given).
pub(super) async fn shadow_of_path(context: &Context) -> Result<ShadowInvoice, Failure> {
    let app = crate::apps::find_app(&context.connection, context.path_id("app_id")?)
        .await?
        .ok_or_else(Failure::not_found)?;
    let subscription_id = context.path_id("subscription_id")?;
    let plan_id = context
        .query("plan_id")
        .unwrap_or_default()
        .parse()
        .map_err(|_| {
            let detail = "Give a plan that is on offer for the subscription, pln_….";
            Failure::field("plan_id", "unknown_value", detail)
        })?;
    let at_ms = match context.query("at") {
        None => context.now_ms,
        Some(text) => text
            .parse::<jiff::Timestamp>()
            .map(jiff::Timestamp::as_millisecond)
            .ok()
            .filter(|at_ms| *at_ms <= context.now_ms)
            .ok_or_else(|| {
                Failure::field(
                    "at",
                    "malformed",
                    "Give a time that is past, like 2026-11-22T14:05:00Z, or nothing for now.",
                )
            })?,
    };
    shadow::shadow_invoice(context, &app, subscription_id, plan_id, at_ms)
        .await?
        .ok_or_else(Failure::not_found)
}

/// `GET …/subscriptions/{subscription_id}/shadow-invoice?plan_id=&at=`
pub async fn get_shadow_invoice(context: &Context) -> Outcome {
    response::ok(&shadow_of_path(context).await?)
}

/// `GET …/invoices`
pub async fn list_invoices(context: &Context) -> Outcome {
    response::ok(&own_invoices(context).await?)
}

/// The organisation's invoices, as the query of the URL asks.
pub(super) async fn own_invoices(context: &Context) -> Result<InvoiceList, Failure> {
    let page = PageRequest::read(context)?;
    let organisation_id = Some(context.organisation_id()?);
    let state = context.query("state").unwrap_or_default();
    let items = store::list_invoices(
        &context.connection,
        organisation_id,
        &page,
        &state,
        context.now_ms,
    )
    .await?;
    Ok(page.page_of(items, |invoice| invoice.id.clone()))
}

/// The invoice of the path.
pub(super) async fn of_path(context: &Context) -> Result<StoredInvoice, Failure> {
    let invoice_id: InvoiceId = context.path_id("invoice_id")?;
    store::find_invoice(&context.connection, invoice_id, context.now_ms)
        .await?
        .ok_or_else(Failure::not_found)
}

/// An invoice with its document.
#[derive(Debug, Serialize, JsonSchema)]
pub struct InvoiceDetail {
    /// The invoice.
    #[serde(flatten)]
    pub invoice: InvoiceView,
    /// Lines with formula, tiers, quantities and period; discounts, taxes, totals. It never changes.
    pub document: serde_json::Value,
}

/// `GET /api/v1/invoices/{invoice_id}`
pub async fn get_invoice(context: &Context) -> Outcome {
    let invoice = of_path(context).await?;
    let document = serde_json::from_str(&invoice.document).map_err(|error| {
        Failure::internal(&format!("a stored document does not parse: {error}"))
    })?;
    response::ok(&InvoiceDetail {
        invoice: invoice.view,
        document,
    })
}

/// `GET /api/v1/invoices/{invoice_id}/csv`
pub async fn get_invoice_csv(context: &Context) -> Outcome {
    let invoice = of_path(context).await?;
    let csv = documents::to_csv(&invoice)?;
    Ok(response::download(
        "text/csv; charset=utf-8",
        &format!("{}.csv", invoice.view.number),
        csv,
    ))
}
