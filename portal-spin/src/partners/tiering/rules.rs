//! What it takes to be in a tier. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::money::{Currency, Money};

use crate::web::{Failure, FieldError};

/// What it takes to be in a tier, all of it; what is left out does not matter. Without anything nobody is
/// moved here by rules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TierRules {
    /// At least so much revenue in the window, in major units of the programme's main currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_revenue: Option<String>,
    /// At least so many live calls let through in the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_calls: Option<i64>,
    /// At most so many of 100 live calls answered 4xx or 5xx; who did not call has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_error_percent: Option<i64>,
    /// In the programme for at least so many days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_tenure_days: Option<i64>,
}

/// A partner's numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Revenue in the window, minor units.
    pub revenue_minor: i64,
    /// Live calls let through.
    pub calls: i64,
    /// Of these, answered 4xx or 5xx.
    pub errors: i64,
    /// Days since the organisation exists.
    pub tenure_days: i64,
}

/// A tier and what it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuledTier {
    /// The tier.
    pub tier: String,
    /// What it takes.
    pub rules: TierRules,
    /// Whether it is the one for everybody else.
    pub is_default: bool,
}

impl TierRules {
    /// Whether anybody is moved here by rules.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Names every field at fault.
    pub fn check(&self, currency: Currency) -> Result<(), Failure> {
        let mut errors = Vec::new();
        let mut wrong = |field: &str, detail: &str| {
            errors.push(FieldError {
                field: field.to_owned(),
                code: "out_of_range".to_owned(),
                detail: detail.to_owned(),
            });
        };
        let amount = self.min_revenue.as_deref();
        if amount.is_some_and(|text| minor(currency, text).is_none_or(|minor| minor < 0)) {
            wrong(
                "min_revenue",
                "Give an amount like 500.00, or leave it empty.",
            );
        }
        if self.min_calls.is_some_and(|calls| calls < 0) {
            wrong("min_calls", "Give a whole number, or leave it empty.");
        }
        if self
            .max_error_percent
            .is_some_and(|percent| !(0..=100).contains(&percent))
        {
            wrong(
                "max_error_percent",
                "Give a whole number from 0 to 100, or leave it empty.",
            );
        }
        if self
            .min_tenure_days
            .is_some_and(|days| !(0..=36_500).contains(&days))
        {
            wrong(
                "min_tenure_days",
                "Give a number of days, or leave it empty.",
            );
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Failure::fields(errors))
        }
    }

    /// Why a partner meets them, in words; `None` if it does not.
    pub fn met_by(&self, numbers: &Numbers, currency: Currency) -> Option<String> {
        if self.is_empty() {
            return None;
        }
        let mut why = Vec::new();
        if let Some(least) = &self.min_revenue {
            if numbers.revenue_minor < minor(currency, least)? {
                return None;
            }
            let revenue = Money::from_minor(currency, numbers.revenue_minor).to_major();
            why.push(format!(
                "revenue {revenue} {}, at least {least}",
                currency.as_str()
            ));
        }
        if let Some(least) = self.min_calls {
            if numbers.calls < least {
                return None;
            }
            why.push(format!("{} calls, at least {least}", numbers.calls));
        }
        if let Some(most) = self.max_error_percent {
            if i128::from(numbers.errors) * 100 > i128::from(numbers.calls) * i128::from(most) {
                return None;
            }
            why.push(format!(
                "{} of {} calls in error, at most {most} %",
                numbers.errors, numbers.calls
            ));
        }
        if let Some(least) = self.min_tenure_days {
            if numbers.tenure_days < least {
                return None;
            }
            why.push(format!(
                "{} days in the programme, at least {least}",
                numbers.tenure_days
            ));
        }
        Some(why.join("; "))
    }
}

fn minor(currency: Currency, text: &str) -> Option<i64> {
    Money::from_major(currency, text.trim())
        .ok()
        .map(|money| money.minor)
}

/// The tier that a partner belongs to, and why: the first of these (highest first) whose rules it meets, else
/// the default. `None` where there is neither.
pub fn tier_for<'a>(
    tiers: &'a [RuledTier],
    numbers: &Numbers,
    currency: Currency,
) -> Option<(&'a str, String)> {
    let met = tiers.iter().find_map(|tier| {
        let why = tier.rules.met_by(numbers, currency)?;
        Some((tier.tier.as_str(), why))
    });
    met.or_else(|| {
        let usual = tiers.iter().find(|tier| tier.is_default)?;
        Some((
            usual.tier.as_str(),
            "meets the rules of no other tier".to_owned(),
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_tier_whose_rules_are_all_met_is_given() {
        let usd: Currency = "USD".parse().unwrap();
        let ruled = |tier: &str, rules, is_default| RuledTier {
            tier: tier.to_owned(),
            rules,
            is_default,
        };
        let tiers = [
            ruled(
                "gold",
                TierRules {
                    min_revenue: Some("500".to_owned()),
                    max_error_percent: Some(5),
                    ..TierRules::default()
                },
                false,
            ),
            ruled(
                "silver",
                TierRules {
                    min_calls: Some(100),
                    ..TierRules::default()
                },
                false,
            ),
            ruled("honorary", TierRules::default(), false),
            ruled("standard", TierRules::default(), true),
        ];
        let mut numbers = Numbers {
            revenue_minor: 50_000,
            calls: 100,
            errors: 5,
            tenure_days: 1,
        };
        let given = |numbers: &Numbers| tier_for(&tiers, numbers, usd).unwrap();
        assert_eq!(given(&numbers).0, "gold");
        assert!(
            given(&numbers)
                .1
                .contains("revenue 500.00 USD, at least 500")
        );
        numbers.errors = 6;
        assert_eq!(given(&numbers).0, "silver");
        numbers.calls = 99;
        assert_eq!(
            given(&numbers),
            ("standard", "meets the rules of no other tier".to_owned())
        );
    }

    #[test]
    fn rules_that_make_no_sense_are_refused_field_by_field() {
        let usd: Currency = "USD".parse().unwrap();
        let rules = TierRules {
            min_revenue: Some("lots".to_owned()),
            min_calls: Some(-1),
            max_error_percent: Some(101),
            min_tenure_days: Some(-1),
        };
        let errors = rules.check(usd).unwrap_err().errors;
        let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "min_revenue",
                "min_calls",
                "max_error_percent",
                "min_tenure_days"
            ]
        );
    }
}
