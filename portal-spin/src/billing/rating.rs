//! What usage costs: a pure function of a price and a quantity.
//!
//! Owns the arithmetic of every model, the order in which included units,
//! tiers, maximum and minimum apply, and the one rounding. Owns no time: a
//! recurring amount for part of a period is `proration`. The words that explain
//! a result are `explanation`.
//!
//! The order, fixed here and relied on by whoever redoes a line by hand:
//! 1. `included_units` come off the quantity; the model sees what is left.
//! 2. The model gives parts, each `quantity × amount`; their sum is the subtotal.
//! 3. A subtotal above `maximum` becomes it; then one below `minimum` becomes it.
//!    A minimum is a commitment: it stands at zero usage, whatever `zero_usage`.
//! 4. One rounding, half up, to the currency's minor unit.

use super::decimal::{Decimal, fixed, less, parts_started, plain, round_half_up};
use super::price::{FieldProblem, Model, Price, Tier, ZeroUsage};
use bigdecimal::{Signed, ToPrimitive, Zero};
use shared::money::{Currency, Money};

/// What was used in a period: the quantity of a meter, and the number of events
/// behind it where a price has a fee for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    quantity: Decimal,
    events: Option<u64>,
}

impl Usage {
    /// Refuses a negative quantity: what is given back is a credit note, not usage.
    pub fn new(quantity: Decimal, events: Option<u64>) -> Result<Self, FieldProblem> {
        if quantity.is_negative() {
            return Err(FieldProblem::new(
                "quantity",
                format!("is {quantity}: it must not be negative"),
            ));
        }
        Ok(Self { quantity, events })
    }

    /// Nothing used.
    pub fn none() -> Self {
        Self {
            quantity: Decimal::zero(),
            events: Some(0),
        }
    }

    pub fn quantity(&self) -> &Decimal {
        &self.quantity
    }

    pub fn events(&self) -> Option<u64> {
        self.events
    }
}

/// A rated line: the amount and everything needed to redo it by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RatedLine {
    pub currency: Currency,
    /// The quantity as metered.
    pub quantity: Decimal,
    /// What is left of it after the included units.
    pub billable: Decimal,
    /// What the subtotal is the sum of.
    pub parts: Vec<Part>,
    pub subtotal: Decimal,
    /// The commitment that replaced the subtotal, if one did.
    pub commitment: Option<Commitment>,
    /// The amount before the rounding.
    pub unrounded: Decimal,
    /// The amount, rounded to the currency's minor unit.
    pub amount: Decimal,
}

impl RatedLine {
    /// The amount in major units with the currency's digits: `235.00`.
    pub fn amount_text(&self) -> String {
        fixed(&self.amount, u32::from(self.currency.decimals()))
    }

    /// The amount in minor units; `None` when it is past what an invoice can hold.
    pub fn money(&self) -> Option<Money> {
        to_money(self.currency, &self.amount)
    }
}

/// A rounded amount as whole minor units; `None` when it does not fit.
pub(super) fn to_money(currency: Currency, amount: &Decimal) -> Option<Money> {
    let decimals = i64::from(currency.decimals());
    let minor = amount
        .with_scale(decimals)
        .into_bigint_and_scale()
        .0
        .to_i64()?;
    Some(Money::from_minor(currency, minor))
}

/// One `quantity × amount` of a subtotal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub kind: PartKind,
    /// The tier the part comes from, counted from 1, and its range.
    pub tier: Option<TierRange>,
    pub quantity: Decimal,
    pub unit_amount: Decimal,
    pub amount: Decimal,
}

/// What a part counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartKind {
    Flat,
    Units,
    Packages,
    Share,
    Events,
}

/// Where a part's tier lies: above `above`, up to and including `up_to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierRange {
    pub number: usize,
    pub above: Decimal,
    pub up_to: Option<Decimal>,
}

/// A subtotal replaced by what was agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commitment {
    Minimum,
    Maximum,
}

/// Rates usage. The same arguments give the same line, byte for byte.
pub fn rate(price: &Price, usage: &Usage) -> Result<RatedLine, FieldProblem> {
    let billable = less(&usage.quantity, &price.included_units);
    let parts = parts_of(price, &billable, usage.events)?;
    let subtotal: Decimal = parts.iter().map(|part| &part.amount).sum();
    let mut unrounded = subtotal.clone();
    let mut commitment = None;
    if let Some(maximum) = price
        .maximum
        .as_ref()
        .filter(|maximum| unrounded > **maximum)
    {
        unrounded = maximum.clone();
        commitment = Some(Commitment::Maximum);
    }
    if let Some(minimum) = price
        .minimum
        .as_ref()
        .filter(|minimum| unrounded < **minimum)
    {
        unrounded = minimum.clone();
        commitment = Some(Commitment::Minimum);
    }
    let amount = round_half_up(&unrounded, u32::from(price.currency.decimals()));
    Ok(RatedLine {
        currency: price.currency,
        quantity: usage.quantity.clone(),
        billable,
        parts,
        subtotal,
        commitment,
        unrounded,
        amount,
    })
}

/// What moving from one cumulative usage to a later one of the same period adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Increment {
    pub unrounded: Decimal,
    /// The difference of the two rounded amounts, so that what is posted piece
    /// by piece sums to the rounded whole. Negative when a volume tier is reached.
    pub amount: Decimal,
}

/// Rates the part of a period between two cumulative usages. `before` is `None`
/// for a period's first part: then the part carries what a period costs before
/// anything is used (a first tier's flat amount, a minimum).
///
/// Because each part is a difference of two ratings of the whole, the parts of
/// any partition sum to rating the period at once, minimum and maximum included.
pub fn rate_increment(
    price: &Price,
    before: Option<&Usage>,
    after: &Usage,
) -> Result<Increment, FieldProblem> {
    let after = rate(price, after)?;
    match before {
        None => Ok(Increment {
            unrounded: after.unrounded,
            amount: after.amount,
        }),
        Some(before) => {
            let before = rate(price, before)?;
            Ok(Increment {
                unrounded: after.unrounded - before.unrounded,
                amount: after.amount - before.amount,
            })
        }
    }
}

fn parts_of(
    price: &Price,
    billable: &Decimal,
    events: Option<u64>,
) -> Result<Vec<Part>, FieldProblem> {
    let flat_applies = !(billable.is_zero() && price.zero_usage == ZeroUsage::Skip);
    let mut parts = Vec::new();
    match &price.model {
        Model::Flat { flat_amount } => {
            if flat_applies {
                parts.push(flat(None, flat_amount));
            }
        }
        Model::PerUnit { unit_amount } => {
            parts.push(times(PartKind::Units, None, billable, unit_amount))
        }
        Model::Graduated { tiers } => {
            let mut above = Decimal::zero();
            for (index, tier) in tiers.iter().enumerate() {
                let entered = if index == 0 {
                    flat_applies
                } else {
                    *billable > above
                };
                if !entered {
                    break;
                }
                let end = tier
                    .up_to
                    .as_ref()
                    .filter(|bound| *bound < billable)
                    .unwrap_or(billable);
                push_tier(
                    &mut parts,
                    tier,
                    range(index, &above, tier),
                    &less(end, &above),
                );
                if let Some(bound) = &tier.up_to {
                    above = bound.clone();
                }
            }
            past_last_tier(tiers, billable)?;
        }
        Model::Volume { tiers } | Model::Stairstep { tiers } => {
            past_last_tier(tiers, billable)?;
            let holds = |tier: &&Tier| tier.up_to.as_ref().is_none_or(|bound| billable <= bound);
            let below = tiers
                .iter()
                .take_while(|tier| !holds(tier))
                .last()
                .and_then(|tier| tier.up_to.clone());
            let found = tiers.iter().enumerate().find(|(_, tier)| holds(tier));
            if let Some((index, tier)) = found.filter(|_| flat_applies) {
                push_tier(
                    &mut parts,
                    tier,
                    range(index, &below.unwrap_or_default(), tier),
                    billable,
                );
            }
        }
        Model::Package {
            package_amount,
            package_size,
            free_units,
        } => {
            // A package of no size is refused when the price is read.
            let packages =
                parts_started(&less(billable, free_units), package_size).unwrap_or_default();
            parts.push(times(PartKind::Packages, None, &packages, package_amount));
        }
        Model::Percentage {
            rate,
            fixed_per_event,
            free_units,
            free_events,
        } => {
            parts.push(times(
                PartKind::Share,
                None,
                &less(billable, free_units),
                rate,
            ));
            // Without an amount there is no transaction to charge a fee for,
            // whatever the number of events (as Lago does).
            if !fixed_per_event.is_zero() && !billable.is_zero() {
                let events = events.ok_or_else(|| {
                    FieldProblem::new(
                        "events",
                        "is missing: this price has fixed_per_event; write the number of events",
                    )
                })?;
                let charged = Decimal::from(events.saturating_sub(*free_events));
                parts.push(times(PartKind::Events, None, &charged, fixed_per_event));
            }
        }
    }
    Ok(parts)
}

fn past_last_tier(tiers: &[Tier], billable: &Decimal) -> Result<(), FieldProblem> {
    match tiers.last().and_then(|tier| tier.up_to.as_ref()) {
        Some(end) if billable > end => Err(FieldProblem::new(
            "quantity",
            format!(
                "{} is past the last tier, which ends at {}: give the last tier \"up_to\": null",
                plain(billable),
                plain(end)
            ),
        )),
        _ => Ok(()),
    }
}

fn range(index: usize, above: &Decimal, tier: &Tier) -> TierRange {
    TierRange {
        number: index + 1,
        above: above.clone(),
        up_to: tier.up_to.clone(),
    }
}

fn push_tier(parts: &mut Vec<Part>, tier: &Tier, range: TierRange, units: &Decimal) {
    if let Some(flat_amount) = &tier.flat_amount {
        parts.push(flat(Some(range.clone()), flat_amount));
    }
    if let Some(unit_amount) = &tier.unit_amount {
        parts.push(times(PartKind::Units, Some(range), units, unit_amount));
    }
}

fn flat(tier: Option<TierRange>, amount: &Decimal) -> Part {
    Part {
        kind: PartKind::Flat,
        tier,
        quantity: Decimal::from(1),
        unit_amount: amount.clone(),
        amount: amount.clone(),
    }
}

fn times(
    kind: PartKind,
    tier: Option<TierRange>,
    quantity: &Decimal,
    unit_amount: &Decimal,
) -> Part {
    Part {
        kind,
        tier,
        quantity: quantity.clone(),
        unit_amount: unit_amount.clone(),
        amount: quantity * unit_amount,
    }
}
