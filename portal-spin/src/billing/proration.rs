//! A recurring amount for part of a period.
//!
//! Owns the three ways to prorate, the fraction and its words on the line.
//! Which part of a period was served is the subscription's to say.

use super::decimal::{Decimal, scale_half_up};
use super::period::{Calendar, Period, PeriodProblem};
use serde::{Deserialize, Serialize};
use shared::money::Currency;

/// How a plan charges a period that was served in part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proration {
    /// By elapsed seconds; an hour that a clock change adds or takes counts.
    BySecond,
    /// By calendar days in the period's time zone.
    #[default]
    ByDay,
    /// A period begun is a period charged.
    Off,
}

/// The part of a period that is charged: `numerator` of `denominator`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fraction {
    pub numerator: u64,
    pub denominator: u64,
    /// What is counted: `seconds`, `days`, or `period` where nothing is prorated.
    unit: std::borrow::Cow<'static, str>,
}

impl Proration {
    /// The part of `period` that `served` covers. What lies outside the period
    /// does not count; nothing in common is the fraction 0.
    pub fn fraction(
        self,
        calendar: &Calendar,
        period: &Period,
        served: &Period,
    ) -> Result<Fraction, PeriodProblem> {
        let shared = period.intersect(served);
        let (numerator, denominator, unit) = match self {
            Self::Off => (u64::from(shared.is_some()), 1, "period"),
            Self::BySecond => (
                shared.map_or(0, |part| part.seconds()),
                period.seconds(),
                "seconds",
            ),
            Self::ByDay => {
                let days = shared
                    .map(|part| calendar.days(&part))
                    .transpose()?
                    .unwrap_or(0);
                (days, calendar.days(period)?, "days")
            }
        };
        Ok(Fraction {
            numerator,
            denominator,
            unit: unit.into(),
        })
    }
}

impl Fraction {
    /// So many of so many `days` or `seconds`.
    pub fn new(numerator: u64, denominator: u64, unit: &'static str) -> Self {
        Self {
            numerator,
            denominator,
            unit: unit.into(),
        }
    }

    pub fn is_whole(&self) -> bool {
        self.numerator == self.denominator
    }

    /// The amount for this part, rounded once. A period without length, which
    /// only a clock can make, costs nothing.
    pub fn of(&self, amount: &Decimal, currency: Currency) -> Decimal {
        let places = u32::from(currency.decimals());
        scale_half_up(amount, self.numerator, self.denominator, places).unwrap_or_default()
    }

    /// The words on the line: `17 of 31 days`.
    pub fn describe(&self) -> String {
        match self.unit.as_ref() {
            "period" if self.numerator == 0 => "not served in this period".to_owned(),
            "period" => "whole period, not prorated".to_owned(),
            "days" => format!("{} of {} days", self.numerator, self.denominator),
            unit => format!("{} of {} {unit}", self.numerator, self.denominator),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::decimal::parse_decimal;
    use crate::billing::period::Cycle;
    use jiff::Timestamp;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn prorated(proration: Proration, zone: &str, from: &str, until: &str) -> (String, String) {
        let calendar = Calendar::new(Cycle::Month, zone).unwrap();
        let period = calendar
            .period_containing(at("2026-03-15T00:00:00Z"))
            .unwrap();
        let served = Period {
            start_ms: at(from),
            end_ms: at(until),
        };
        let fraction = proration.fraction(&calendar, &period, &served).unwrap();
        let amount = fraction.of(&parse_decimal("31").unwrap(), "USD".parse().unwrap());
        (amount.to_plain_string(), fraction.describe())
    }

    #[test]
    fn a_part_is_stated_and_rounded_once() {
        let words = |amount: &str, text: &str| (amount.to_owned(), text.to_owned());
        let (from, until) = ("2026-03-15T12:00:00Z", "2026-06-01T00:00:00Z");
        assert_eq!(
            prorated(Proration::ByDay, "UTC", from, until),
            words("17.00", "17 of 31 days")
        );
        assert_eq!(
            prorated(Proration::BySecond, "UTC", from, until),
            words("16.50", "1425600 of 2678400 seconds")
        );
        assert_eq!(
            prorated(Proration::Off, "UTC", from, until),
            words("31.00", "whole period, not prorated")
        );
    }

    #[test]
    fn a_whole_period_is_whole_and_none_of_it_is_nothing() {
        for proration in [Proration::BySecond, Proration::ByDay, Proration::Off] {
            assert_eq!(
                prorated(
                    proration,
                    "UTC",
                    "2026-01-01T00:00:00Z",
                    "2027-01-01T00:00:00Z"
                )
                .0,
                "31.00"
            );
            assert_eq!(
                prorated(
                    proration,
                    "UTC",
                    "2026-04-01T00:00:00Z",
                    "2027-01-01T00:00:00Z"
                )
                .0,
                "0.00"
            );
        }
    }

    #[test]
    fn a_clock_change_counts_by_second_and_not_by_day() {
        // Berlin's March of 2026 has one hour less than 31 days.
        let (from, until) = ("2026-02-28T23:00:00Z", "2026-03-28T23:00:00Z");
        assert_eq!(
            prorated(Proration::ByDay, "Europe/Berlin", from, until).1,
            "28 of 31 days"
        );
        assert_eq!(
            prorated(Proration::BySecond, "Europe/Berlin", from, until).1,
            "2419200 of 2674800 seconds"
        );
    }

    #[test]
    fn a_day_that_is_split_is_paid_once() {
        let (from, change, until) = (
            "2026-03-01T00:00:00Z",
            "2026-03-10T15:00:00Z",
            "2026-04-01T00:00:00Z",
        );
        assert_eq!(
            prorated(Proration::ByDay, "UTC", from, change).1,
            "9 of 31 days"
        );
        assert_eq!(
            prorated(Proration::ByDay, "UTC", change, until).1,
            "22 of 31 days"
        );
    }
}
