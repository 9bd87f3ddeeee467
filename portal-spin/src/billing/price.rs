//! A price as an operator writes it: one of seven models, in one currency.
//!
//! Owns what a valid price is. A [`Price`] exists only once it has been read and
//! checked, so the rating never meets a tier out of order or a package of size
//! zero. Reading the JSON is `price_json`; what a price costs is `rating`.

use super::decimal::Decimal;
use bigdecimal::{Signed, Zero};
use serde::{Deserialize, Serialize};
use shared::money::Currency;

/// What is wrong with a price or with the usage beside it, by field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct FieldProblem {
    /// The field as a path from the document's root: `price.tiers[1].up_to`.
    pub field: String,
    /// What is wrong and what to write instead.
    pub problem: String,
}

impl FieldProblem {
    pub(super) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            problem: problem.into(),
        }
    }
}

/// A checked price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    pub(super) currency: Currency,
    pub(super) model: Model,
    pub(super) minimum: Option<Decimal>,
    pub(super) maximum: Option<Decimal>,
    pub(super) included_units: Decimal,
    pub(super) zero_usage: ZeroUsage,
}

/// How an amount follows from a quantity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Model {
    /// One amount, whatever the quantity.
    Flat { flat_amount: Decimal },
    /// Every unit costs the same.
    PerUnit { unit_amount: Decimal },
    /// Every unit costs what its own tier says.
    Graduated { tiers: Vec<Tier> },
    /// Every unit costs what the tier of the whole quantity says.
    Volume { tiers: Vec<Tier> },
    /// One amount, that of the tier of the whole quantity.
    Stairstep { tiers: Vec<Tier> },
    /// Units are sold by the package; a started package is a sold one.
    Package {
        package_amount: Decimal,
        package_size: Decimal,
        free_units: Decimal,
    },
    /// A share of the quantity (itself an amount), and a fee for each event.
    Percentage {
        rate: Decimal,
        fixed_per_event: Decimal,
        free_units: Decimal,
        free_events: u64,
    },
}

impl Model {
    /// The model's name in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Flat { .. } => "flat",
            Self::PerUnit { .. } => "per_unit",
            Self::Graduated { .. } => "graduated",
            Self::Volume { .. } => "volume",
            Self::Stairstep { .. } => "stairstep",
            Self::Package { .. } => "package",
            Self::Percentage { .. } => "percentage",
        }
    }

    fn tiers(&self) -> Option<&[Tier]> {
        match self {
            Self::Graduated { tiers } | Self::Volume { tiers } | Self::Stairstep { tiers } => {
                Some(tiers)
            }
            _ => None,
        }
    }
}

/// A range of quantities, from the tier before it (exclusive) to `up_to` (inclusive).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    /// `None`: without end.
    pub up_to: Option<Decimal>,
    pub flat_amount: Option<Decimal>,
    pub unit_amount: Option<Decimal>,
}

/// What a period without usage costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ZeroUsage {
    /// The flat amount (of the price, or of the first tier) is charged.
    #[default]
    ChargeFlat,
    /// The flat amount is charged only once something is used. A minimum stands.
    Skip,
}

impl Price {
    pub fn currency(&self) -> Currency {
        self.currency
    }

    pub fn model(&self) -> &Model {
        &self.model
    }

    pub fn minimum(&self) -> Option<&Decimal> {
        self.minimum.as_ref()
    }

    pub fn maximum(&self) -> Option<&Decimal> {
        self.maximum.as_ref()
    }

    /// Units taken off the quantity before the model sees it.
    pub fn included_units(&self) -> &Decimal {
        &self.included_units
    }

    pub fn zero_usage(&self) -> ZeroUsage {
        self.zero_usage
    }

    /// Whether every amount in it is 0, so that nothing ever costs anything.
    pub fn is_free(&self) -> bool {
        let no_minimum = self.minimum.as_ref().is_none_or(Zero::is_zero);
        let is_zero = |amount: &Option<Decimal>| amount.as_ref().is_none_or(Zero::is_zero);
        no_minimum
            && match &self.model {
                Model::Flat { flat_amount } => flat_amount.is_zero(),
                Model::PerUnit { unit_amount } => unit_amount.is_zero(),
                Model::Graduated { tiers }
                | Model::Volume { tiers }
                | Model::Stairstep { tiers } => tiers
                    .iter()
                    .all(|tier| is_zero(&tier.flat_amount) && is_zero(&tier.unit_amount)),
                Model::Package { package_amount, .. } => package_amount.is_zero(),
                Model::Percentage {
                    rate,
                    fixed_per_event,
                    ..
                } => rate.is_zero() && fixed_per_event.is_zero(),
            }
    }

    /// Checks that every quantity has a price, which a plan needs before it is
    /// published. A price read from elsewhere may end at a last bound (Kill
    /// Bill's capacity prices do); rating past it is an error then, not a guess.
    pub fn check_open_ended(&self) -> Result<(), FieldProblem> {
        let Some(tiers) = self.model.tiers() else {
            return Ok(());
        };
        match tiers.last() {
            Some(last) if last.up_to.is_some() => Err(FieldProblem::new(
                format!("price.tiers[{}].up_to", tiers.len() - 1),
                "the last tier must have no end, or usage past it has no price: write null",
            )),
            _ => Ok(()),
        }
    }

    /// The rules between fields. Each field by itself was checked when it was read.
    pub(super) fn check(self) -> Result<Self, FieldProblem> {
        if let Some(tiers) = self.model.tiers() {
            check_tiers(&self.model, tiers)?;
        }
        if let Model::Package { package_size, .. } = &self.model
            && !package_size.is_positive()
        {
            return Err(FieldProblem::new(
                "price.package_size",
                "must be more than 0: write how many units one package holds",
            ));
        }
        if let (Some(minimum), Some(maximum)) = (&self.minimum, &self.maximum)
            && minimum > maximum
        {
            return Err(FieldProblem::new(
                "price.minimum",
                format!("is more than maximum ({maximum}): lower the minimum or raise the maximum"),
            ));
        }
        Ok(self)
    }
}

fn check_tiers(model: &Model, tiers: &[Tier]) -> Result<(), FieldProblem> {
    if tiers.is_empty() {
        return Err(FieldProblem::new(
            "price.tiers",
            "is empty: write at least one tier",
        ));
    }
    let mut bound_before: Option<&Decimal> = None;
    for (index, tier) in tiers.iter().enumerate() {
        let is_last = index + 1 == tiers.len();
        let up_to = || format!("price.tiers[{index}].up_to");
        match (&tier.up_to, bound_before) {
            (None, _) if !is_last => {
                return Err(FieldProblem::new(
                    up_to(),
                    "is null, which only the last tier may be: write the tier's upper bound",
                ));
            }
            (Some(bound), Some(before)) if bound <= before => {
                return Err(FieldProblem::new(
                    up_to(),
                    format!(
                        "is {bound}, not more than the tier before it ({before}): write the tiers in ascending order"
                    ),
                ));
            }
            _ => {}
        }
        bound_before = tier.up_to.as_ref();
        let flat_only = matches!(model, Model::Stairstep { .. });
        if flat_only && tier.flat_amount.is_none() {
            return Err(FieldProblem::new(
                format!("price.tiers[{index}].flat_amount"),
                "is missing: a stairstep tier has one flat_amount; write \"0\" for a free step",
            ));
        }
        if tier.flat_amount.is_none() && tier.unit_amount.is_none() {
            return Err(FieldProblem::new(
                format!("price.tiers[{index}]"),
                "has neither flat_amount nor unit_amount: write at least one; \"0\" makes the tier free",
            ));
        }
    }
    Ok(())
}
