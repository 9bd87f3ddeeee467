//! Coupons: an amount or a percentage off, for a number of invoices or for good.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::ids::OrganisationId;
use shared::money::{Currency, Money};

use super::accounts::ids;
use super::invoice::Coupon;
use super::taxes::read_percent;
use crate::context::Context;
use crate::database::{Connection, DatabaseError, placeholders};
use crate::params;
use crate::web::Failure;

/// A new coupon: `percent`, or `amount` with `currency`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CouponRequest {
    /// What partners type: 3 to 40 letters, digits, `-` or `_`.
    pub code: String,
    /// Percentage off, a decimal string.
    #[serde(default)]
    pub percent: Option<String>,
    /// Amount off each invoice, a decimal string in major units.
    #[serde(default)]
    pub amount: Option<String>,
    /// ISO 4217; needed with `amount`.
    #[serde(default)]
    pub currency: Option<String>,
    /// For how many invoices; for good where left out.
    #[serde(default)]
    pub periods: Option<u32>,
    /// How many organisations may redeem it.
    #[serde(default)]
    pub most_redemptions: Option<u32>,
    /// Until when it may be redeemed.
    #[serde(default, with = "crate::encoding::optional_time")]
    #[schemars(with = "Option<String>")]
    pub expires_at: Option<i64>,
}

/// A coupon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CouponView {
    /// What partners type.
    pub code: String,
    /// What it takes off, in words.
    pub takes_off: String,
    /// For how many invoices; null for good.
    pub periods: Option<i64>,
    /// How many organisations redeemed it.
    pub redemptions: i64,
    /// How many may; null for any number.
    pub most_redemptions: Option<i64>,
    /// Until when it may be redeemed.
    #[serde(with = "crate::encoding::optional_time")]
    #[schemars(with = "Option<String>")]
    pub expires_at: Option<i64>,
}

fn read_code(text: &str) -> Option<String> {
    let code = text.trim().to_ascii_uppercase();
    let is_plain = code
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    ((3..=40).contains(&code.len()) && is_plain).then_some(code)
}

/// Adds a coupon. Call it inside a transaction.
pub async fn add_coupon(context: &Context, request: &CouponRequest) -> Result<String, Failure> {
    let code = read_code(&request.code).ok_or_else(|| {
        Failure::field("code", "malformed", "Give 3 to 40 letters, digits, - or _.")
    })?;
    let percent = request.percent.as_deref().map(read_percent).transpose()?;
    let mut amount_minor = None;
    let mut currency_code = String::new();
    match (&percent, &request.amount) {
        (Some(_), None) => {}
        (None, Some(amount)) => {
            let currency: Currency = request
                .currency
                .as_deref()
                .unwrap_or_default()
                .parse()
                .map_err(|_| {
                    Failure::field(
                        "currency",
                        "malformed",
                        "Give an ISO 4217 code such as USD.",
                    )
                })?;
            let money = Money::from_major(currency, amount)
                .map_err(|error| Failure::field("amount", "malformed", error.to_string()))?;
            if money.minor <= 0 {
                return Err(Failure::field(
                    "amount",
                    "out_of_range",
                    "Take off more than nothing.",
                ));
            }
            amount_minor = Some(money.minor);
            currency_code = currency.to_string();
        }
        _ => {
            return Err(Failure::field(
                "percent",
                "required",
                "Give either a percentage or an amount.",
            ));
        }
    }
    if request.periods == Some(0) {
        return Err(Failure::field(
            "periods",
            "out_of_range",
            "Give at least 1, or leave it out for good.",
        ));
    }
    let taken = context
        .connection
        .query_optional("SELECT 1 FROM coupons WHERE code = $1", params![&code])
        .await?;
    if taken.is_some() {
        return Err(Failure::field(
            "code",
            "taken",
            "There is a coupon of this code.",
        ));
    }
    context
        .connection
        .execute(
            "INSERT INTO coupons (coupon_id, code, percent, amount_minor, currency, periods,
                most_redemptions, expires_at_ms, created_at_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            params![
                format!(
                    "{:012x}{}",
                    context.now_ms,
                    crate::encoding::hex(&context.random::<4>())
                ),
                &code,
                percent,
                amount_minor,
                currency_code,
                request.periods.map(i64::from),
                request.most_redemptions.map(i64::from),
                request.expires_at,
                context.now_ms,
            ],
        )
        .await?;
    Ok(code)
}

/// Redeems a coupon for an organisation. Call it inside a transaction, behind the account's lock.
pub async fn redeem(
    context: &Context,
    organisation_id: OrganisationId,
    code: &str,
) -> Result<(), Failure> {
    let unknown = || {
        Failure::field(
            "code",
            "unknown",
            "There is no such coupon, or it has expired.",
        )
    };
    let code = read_code(code).ok_or_else(unknown)?;
    // The update is the lock: two organisations cannot take the last redemption.
    let row = context
        .connection
        .query_optional(
            "UPDATE coupons SET code = code WHERE code = $1 AND withdrawn_at_ms IS NULL
                AND (expires_at_ms IS NULL OR expires_at_ms > $2)
             RETURNING coupon_id, most_redemptions",
            params![&code, context.now_ms],
        )
        .await?
        .ok_or_else(unknown)?;
    let (coupon_id, most): (String, Option<i64>) = (row.get(0)?, row.get(1)?);
    let redeemed: i64 = context
        .connection
        .query_one(
            "SELECT COUNT(*) FROM coupon_redemptions WHERE coupon_id = $1 AND organisation_id <> $2",
            params![&coupon_id, organisation_id.to_string()],
        )
        .await?
        .get(0)?;
    if most.is_some_and(|most| redeemed >= most) {
        return Err(Failure::field(
            "code",
            "used_up",
            "This coupon was redeemed as often as it may be.",
        ));
    }
    let inserted = context
        .connection
        .execute(
            "INSERT INTO coupon_redemptions (redemption_id, coupon_id, organisation_id, redeemed_at_ms)
             VALUES ($1, $2, $3, $4) ON CONFLICT (coupon_id, organisation_id) DO NOTHING",
            params![
                format!("{:012x}{}", context.now_ms, crate::encoding::hex(&context.random::<4>())),
                coupon_id,
                organisation_id.to_string(),
                context.now_ms
            ],
        )
        .await?;
    if inserted == 0 {
        return Err(Failure::field(
            "code",
            "taken",
            "Your organisation has redeemed this coupon before.",
        ));
    }
    Ok(())
}

/// A coupon that an organisation redeemed: the discount, and the currency it is for, if only for one.
pub struct Redeemed {
    coupon: Coupon,
    currency: Option<Currency>,
}

/// What these organisations redeemed and have not used up. Each coupon states which of its uses the next
/// invoice is.
pub async fn list_redeemed(
    connection: &Connection,
    organisations: &[OrganisationId],
) -> Result<HashMap<OrganisationId, Vec<Redeemed>>, DatabaseError> {
    let sql = format!(
        "SELECT r.organisation_id, r.redemption_id, c.code, c.percent, c.amount_minor, c.periods,
            (SELECT COUNT(*) FROM coupon_uses u WHERE u.redemption_id = r.redemption_id), c.currency
         FROM coupon_redemptions r JOIN coupons c ON c.coupon_id = r.coupon_id
         WHERE r.organisation_id IN {} ORDER BY r.redemption_id",
        placeholders(1, organisations.len())
    );
    let mut all: HashMap<OrganisationId, Vec<Redeemed>> = HashMap::new();
    for row in connection.query(&sql, ids(organisations)).await? {
        let used: i64 = row.get(6)?;
        let periods: Option<i64> = row.get(5)?;
        if periods.is_some_and(|periods| used >= periods) {
            continue;
        }
        let currency: String = row.get(7)?;
        all.entry(row.parse(0)?).or_default().push(Redeemed {
            coupon: Coupon {
                redemption_id: row.get(1)?,
                code: row.get(2)?,
                percent: row.get(3)?,
                amount_minor: row.get(4)?,
                use_number: used + 1,
                periods,
            },
            currency: currency.parse().ok(),
        });
    }
    Ok(all)
}

/// Those that apply to an invoice in a currency.
pub fn applying(redeemed: &[Redeemed], currency: Currency) -> Vec<Coupon> {
    redeemed
        .iter()
        .filter(|one| one.currency.is_none_or(|only| only == currency))
        .map(|one| one.coupon.clone())
        .collect()
}

/// Every coupon, newest first.
pub async fn list_coupons(connection: &Connection) -> Result<Vec<CouponView>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT code, percent, amount_minor, currency, periods, most_redemptions, expires_at_ms,
                (SELECT COUNT(*) FROM coupon_redemptions r WHERE r.coupon_id = c.coupon_id)
             FROM coupons c WHERE withdrawn_at_ms IS NULL ORDER BY coupon_id DESC LIMIT 500",
            vec![],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let percent: Option<String> = row.get(1)?;
            let amount: Option<i64> = row.get(2)?;
            let currency: String = row.get(3)?;
            let takes_off = match (percent, amount, currency.parse::<Currency>()) {
                (Some(percent), _, _) => format!("{percent}%"),
                (None, Some(minor), Ok(currency)) => {
                    format!(
                        "{} {currency}",
                        Money::from_minor(currency, minor).to_major()
                    )
                }
                _ => String::new(),
            };
            Ok(CouponView {
                code: row.get(0)?,
                takes_off,
                periods: row.get(4)?,
                most_redemptions: row.get(5)?,
                expires_at: row.get(6)?,
                redemptions: row.get(7)?,
            })
        })
        .collect()
}
