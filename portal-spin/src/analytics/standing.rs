//! Every partner's numbers of the last days, for tiers that are given by rules.

use std::collections::BTreeMap;

use shared::money::Currency;

use super::period::Days;
use super::revenue_sums;
use super::store;
use crate::context::Context;
use crate::web::Failure;

/// What a partner brought and did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PartnerNumbers {
    /// Revenue, in minor units of the main currency.
    pub revenue_minor: i64,
    /// Live calls let through.
    pub calls: i64,
    /// Of these, answered 4xx or 5xx.
    pub errors: i64,
}

/// The currency of most invoices.
pub async fn main_currency(context: &Context) -> Result<Currency, Failure> {
    revenue_sums::currency(context).await
}

/// Numbers of every partner that has any, of the last so many days, today included.
pub async fn numbers_of_partners(
    context: &Context,
    window_days: i64,
) -> Result<(Currency, BTreeMap<String, PartnerNumbers>), Failure> {
    let connection = &context.connection;
    let days = Days::last(context.now_ms, window_days);
    let currency = main_currency(context).await?;
    let mut partners: BTreeMap<String, PartnerNumbers> = BTreeMap::new();
    for (id, calls) in store::live_calls_by_partner(connection, days).await? {
        let numbers = partners.entry(id).or_default();
        numbers.calls = calls.calls;
        numbers.errors = calls.client_errors + calls.server_errors;
    }
    for sum in revenue_sums::by_partner_and_product(connection, currency, days).await? {
        partners
            .entry(sum.organisation_id)
            .or_default()
            .revenue_minor += sum.minor;
    }
    Ok((currency, partners))
}
