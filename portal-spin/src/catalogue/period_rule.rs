//! How the billing periods of a plan follow one another: by the calendar of a place, or from the start of
//! each subscription.
//!
//! Owns the rule as plans state it and in words. The boundaries themselves are `billing::period`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::billing::period::{Calendar, Cycle, PeriodProblem, Weekday};

/// The zone of plans that name none.
pub const UTC: &str = "UTC";

/// How billing periods follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BillingCycle {
    /// Calendar days.
    Day,
    /// Seven calendar days, from `week_starts_on`.
    Week,
    /// Calendar months.
    #[default]
    Month,
    /// Months counted from the start of the subscription.
    Anniversary,
}

impl BillingCycle {
    /// As forms and JSON write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Anniversary => "anniversary",
        }
    }

    /// What one period is called.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Day => "day",                         // shown
            Self::Week => "week",                       // shown
            Self::Month | Self::Anniversary => "month", // shown
        }
    }
}

/// The day that weeks begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // their names say it
pub enum FirstDay {
    #[default]
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl FirstDay {
    /// As forms and JSON write it, and as people read it.
    pub const ALL: [(Self, &'static str, &'static str); 7] = [
        (Self::Monday, "monday", "Monday"),
        (Self::Tuesday, "tuesday", "Tuesday"),
        (Self::Wednesday, "wednesday", "Wednesday"),
        (Self::Thursday, "thursday", "Thursday"),
        (Self::Friday, "friday", "Friday"),
        (Self::Saturday, "saturday", "Saturday"),
        (Self::Sunday, "sunday", "Sunday"),
    ];

    fn words(self) -> (&'static str, &'static str) {
        Self::ALL
            .iter()
            .find(|(day, ..)| *day == self)
            .map_or(("monday", "Monday"), |(_, name, word)| (*name, *word))
    }

    /// As forms and JSON write it.
    pub fn as_str(self) -> &'static str {
        self.words().0
    }

    const fn weekday(self) -> Weekday {
        match self {
            Self::Monday => Weekday::Monday,
            Self::Tuesday => Weekday::Tuesday,
            Self::Wednesday => Weekday::Wednesday,
            Self::Thursday => Weekday::Thursday,
            Self::Friday => Weekday::Friday,
            Self::Saturday => Weekday::Saturday,
            Self::Sunday => Weekday::Sunday,
        }
    }
}

/// How the billing periods of a plan follow one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeriodRule {
    /// What a period is.
    pub cycle: BillingCycle,
    /// Where weeks begin.
    pub week_starts_on: FirstDay,
    /// The IANA time zone whose midnights bound days, weeks and months.
    pub time_zone: String,
}

impl PeriodRule {
    /// The calendar of a subscription's periods. Anniversaries are counted from `anchor_ms`.
    pub fn calendar(&self, anchor_ms: i64) -> Result<Calendar, PeriodProblem> {
        let cycle = match self.cycle {
            BillingCycle::Day => Cycle::Day,
            BillingCycle::Week => Cycle::Week {
                first_day: self.week_starts_on.weekday(),
            },
            BillingCycle::Month => Cycle::Month,
            BillingCycle::Anniversary => Cycle::Anchored {
                anchor_ms,
                months: 1,
            },
        };
        Calendar::new(cycle, &self.time_zone)
    }

    /// What keeps the rule from being used, in a sentence about `time_zone`.
    pub fn problem(&self) -> Option<String> {
        let Ok(calendar) = self.calendar(0) else {
            return Some(
                "Give the name of an IANA time zone, such as Europe/Berlin or UTC.".to_owned(),
            );
        };
        // The same zone is written one way everywhere.
        (calendar.zone_name() != self.time_zone)
            .then(|| format!("Write the time zone as {}.", calendar.zone_name()))
    }

    /// The rule in words: `calendar months, Europe/Berlin`.
    pub fn describe(&self) -> String {
        let what = match self.cycle {
            BillingCycle::Day => "calendar days".to_owned(),
            BillingCycle::Week => format!("weeks from {}", self.week_starts_on.words().1),
            BillingCycle::Month => "calendar months".to_owned(),
            BillingCycle::Anniversary => {
                "months counted from the start of the subscription".to_owned()
            }
        };
        format!("{what}, {}", self.time_zone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(cycle: BillingCycle, zone: &str) -> PeriodRule {
        PeriodRule {
            cycle,
            week_starts_on: FirstDay::Sunday,
            time_zone: zone.to_owned(),
        }
    }

    #[test]
    fn a_zone_is_one_that_exists_written_as_iana_writes_it() {
        for good in ["UTC", "Europe/Berlin", "Asia/Kathmandu", "Pacific/Auckland"] {
            assert_eq!(rule(BillingCycle::Day, good).problem(), None, "{good}");
        }
        for wrong in [
            "",
            "Berlin",
            "Mars/Olympus",
            "+02:00",
            "europe/berlin",
            "local",
        ] {
            assert!(
                rule(BillingCycle::Month, wrong).problem().is_some(),
                "{wrong}"
            );
        }
        assert!(
            rule(BillingCycle::Month, "europe/berlin")
                .problem()
                .is_some_and(|problem| problem.contains("Europe/Berlin"))
        );
    }

    #[test]
    fn days_and_weeks_follow_the_clocks_of_the_place() {
        // 2026-03-29T12:00:00Z, a Sunday: Berlin's clocks went forward that night.
        let noon_ms = 1_774_785_600_000;
        let period = |cycle, zone| {
            let calendar = rule(cycle, zone).calendar(0).unwrap();
            let period = calendar.period_containing(noon_ms).unwrap();
            (
                period.seconds() / 3_600,
                calendar.describe(&period).unwrap(),
            )
        };
        assert_eq!(
            period(BillingCycle::Day, "Europe/Berlin"),
            (23, "2026-03-29 (Europe/Berlin)".to_owned())
        );
        assert_eq!(
            period(BillingCycle::Week, "Europe/Berlin"),
            (167, "2026-03-29 to 2026-04-04 (Europe/Berlin)".to_owned())
        );
        assert_eq!(
            period(BillingCycle::Week, "UTC"),
            (168, "2026-03-29 to 2026-04-04 (UTC)".to_owned())
        );
        assert_eq!(period(BillingCycle::Month, "Europe/Berlin").0, 31 * 24 - 1);
    }

    #[test]
    fn the_rule_reads_as_words() {
        assert_eq!(
            rule(BillingCycle::Week, "Europe/Berlin").describe(),
            "weeks from Sunday, Europe/Berlin"
        );
        assert_eq!(
            rule(BillingCycle::Month, UTC).describe(),
            "calendar months, UTC"
        );
    }
}
