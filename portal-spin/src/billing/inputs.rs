//! The inputs of invoices: items with the buyer, coupons, taxes, credit and gaps that apply to them.
//! Read for many organisations in a statement each.

use std::collections::{BTreeMap, HashMap};

use shared::ids::OrganisationId;
use shared::money::Currency;

use super::invoice::Inputs;
use super::items::Item;
use super::{accounts, coupons, taxes, wallet};
use crate::context::Context;
use crate::database::{Connection, DatabaseError};
use crate::edges::{self, Gap};

/// What an organisation owes at a boundary.
pub struct Due {
    pub organisation_id: OrganisationId,
    pub bill_at_ms: i64,
    pub items: Vec<Item>,
}

/// The inputs of what one organisation owes at one boundary, per currency.
pub async fn inputs_of(
    context: &Context,
    organisation_id: OrganisationId,
    bill_at_ms: i64,
    items: Vec<Item>,
) -> Result<Vec<Inputs>, DatabaseError> {
    let due = Due {
        organisation_id,
        bill_at_ms,
        items,
    };
    let mut inputs = list_inputs(context, vec![due]).await?;
    Ok(inputs.pop().unwrap_or_default())
}

/// The inputs of what each organisation owes, per currency, in the same order. An organisation is due at
/// one boundary at a time.
pub async fn list_inputs(
    context: &Context,
    dues: Vec<Due>,
) -> Result<Vec<Vec<Inputs>>, DatabaseError> {
    let connection = &context.connection;
    let ids: Vec<OrganisationId> = dues
        .iter()
        .filter(|due| !due.items.is_empty())
        .map(|due| due.organisation_id)
        .collect();
    if ids.is_empty() {
        return Ok(dues.iter().map(|_| Vec::new()).collect());
    }
    let accounts = accounts::list_accounts(connection, &ids).await?;
    let coupons = coupons::list_redeemed(connection, &ids).await?;
    let rates = taxes::list_rates_for(connection, accounts.values()).await?;
    let wallets = wallet::list_balances(connection, &ids).await?;
    let mut gaps = Gaps::default();
    let mut all = Vec::with_capacity(dues.len());
    for due in dues {
        let mut by_currency: BTreeMap<Currency, Vec<Item>> = BTreeMap::new();
        for item in due.items {
            by_currency.entry(item.currency).or_default().push(item);
        }
        let mut of_one = Vec::with_capacity(by_currency.len());
        for (currency, items) in by_currency {
            let account = accounts.get(&due.organisation_id).ok_or_else(|| {
                DatabaseError::Shape("an organisation with usage is gone".to_owned())
            })?;
            of_one.push(Inputs {
                seller: context.configuration().get("invoice_seller").to_owned(),
                buyer: account.party(due.organisation_id),
                currency,
                period: period_of(&items, due.bill_at_ms),
                coupons: coupons
                    .get(&due.organisation_id)
                    .map(|redeemed| coupons::applying(redeemed, currency))
                    .unwrap_or_default(),
                taxes: taxes::applying(&rates, account, due.bill_at_ms),
                wallet_minor: wallets
                    .get(&(due.organisation_id, currency))
                    .copied()
                    .unwrap_or_default(),
                gaps: gaps.of(connection, &items).await?,
                items,
            });
        }
        all.push(of_one);
    }
    Ok(all)
}

/// What was served until now; where nothing was, what is charged in advance; a moment else.
fn period_of(items: &[Item], bill_at_ms: i64) -> (i64, i64) {
    let new = items.iter().filter(|item| item.billed.is_none());
    let served_from_ms = new
        .clone()
        .map(|item| item.served.0)
        .filter(|start| *start < bill_at_ms)
        .min();
    match served_from_ms {
        Some(start_ms) => (start_ms, bill_at_ms),
        None => (
            bill_at_ms,
            new.map(|item| item.served.1).max().unwrap_or(bill_at_ms),
        ),
    }
}

/// Gaps of spans, each span read once.
#[derive(Default)]
struct Gaps(HashMap<(i64, i64), Vec<String>>);

impl Gaps {
    /// Gaps in the spans whose usage is billed for the first time. They concern every caller of an edge.
    async fn of(
        &mut self,
        connection: &Connection,
        items: &[Item],
    ) -> Result<Vec<String>, DatabaseError> {
        let new = items
            .iter()
            .filter(|item| item.billed.is_none() && item.quantity().is_some());
        let Some(from_ms) = new.clone().map(|item| item.served.0).min() else {
            return Ok(Vec::new());
        };
        let until_ms = new.map(|item| item.served.1).max().unwrap_or(from_ms);
        if let Some(known) = self.0.get(&(from_ms, until_ms)) {
            return Ok(known.clone());
        }
        let gaps = edges::boots::list_gaps(connection, from_ms, until_ms).await?;
        let gaps: Vec<String> = gaps.iter().map(Gap::describe).collect();
        self.0.insert((from_ms, until_ms), gaps.clone());
        Ok(gaps)
    }
}
