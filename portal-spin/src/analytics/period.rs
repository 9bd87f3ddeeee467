//! The span of days that a report is about, and the one before it.

use super::calendar::{
    DAY_MS, day_label, day_of, first_day_of_month, month_label, month_of_day, parse_day,
};
use crate::context::Context;
use crate::web::Failure;

/// The longest span: as long as anything is kept.
const LONGEST_DAYS: i64 = 3_660;

/// Whole days, UTC; the end is not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    /// First day.
    pub from: i64,
    /// The day behind the last.
    pub to: i64,
}

impl Days {
    /// `?from=2026-01-01&to=2026-01-31`, both included; without them, so many months up to the present
    /// one.
    pub fn read(context: &Context, months: i64) -> Result<Self, Failure> {
        let present = month_of_day(day_of(context.now_ms));
        let day = |name: &str| match context.query(name) {
            None => Ok(None),
            Some(text) => parse_day(&text)
                .map(Some)
                .ok_or_else(|| Failure::field(name, "malformed", "Give a day like 2026-01-31.")),
        };
        let days = Self {
            from: day("from")?.unwrap_or_else(|| first_day_of_month(present + 1 - months)),
            to: day("to")?.map_or_else(|| first_day_of_month(present + 1), |last| last + 1),
        };
        if days.from >= days.to || days.to - days.from > LONGEST_DAYS {
            return Err(Failure::field(
                "from",
                "out_of_range",
                "Give a first day that is not after the last, and at most ten years.",
            ));
        }
        Ok(days)
    }

    /// As [`Days::read`]; without a span asked for, the last so many days.
    pub fn read_or_last(context: &Context, days: i64) -> Result<Self, Failure> {
        match (context.query("from"), context.query("to")) {
            (None, None) => Ok(Self::last(context.now_ms, days)),
            _ => Self::read(context, 1),
        }
    }

    /// The last so many days, the present one included.
    pub fn last(now_ms: i64, days: i64) -> Self {
        let to = day_of(now_ms) + 1;
        Self {
            from: to - days,
            to,
        }
    }

    /// The months, if the span is whole months.
    pub fn months(self) -> Option<(i64, i64)> {
        let (from, to) = (month_of_day(self.from), month_of_day(self.to));
        let is_whole = first_day_of_month(from) == self.from && first_day_of_month(to) == self.to;
        is_whole.then_some((from, to))
    }

    /// The whole months inside, and the days before and behind them.
    pub fn parts(self) -> Parts {
        let from = month_of_day(self.from - 1) + 1;
        let to = month_of_day(self.to);
        if from >= to {
            return Parts {
                months: None,
                days: vec![self],
            };
        }
        let edges = [
            Self {
                from: self.from,
                to: first_day_of_month(from),
            },
            Self {
                from: first_day_of_month(to),
                to: self.to,
            },
        ];
        Parts {
            months: Some((from, to)),
            days: edges
                .into_iter()
                .filter(|days| days.from < days.to)
                .collect(),
        }
    }

    /// The same, widened to whole months.
    pub fn whole_months(self) -> Self {
        Self {
            from: first_day_of_month(month_of_day(self.from)),
            to: first_day_of_month(month_of_day(self.to - 1) + 1),
        }
    }

    /// The span of the same length before: the same number of months where it is whole months.
    pub fn before(self) -> Self {
        let from = match self.months() {
            Some((from, to)) => first_day_of_month(2 * from - to),
            None => 2 * self.from - self.to,
        };
        Self {
            from,
            to: self.from,
        }
    }

    /// Whether a moment is in it.
    pub fn holds(self, at_ms: i64) -> bool {
        at_ms >= self.from * DAY_MS && at_ms < self.to * DAY_MS
    }

    /// First and last day, as in a query.
    pub fn labels(self) -> (String, String) {
        (day_label(self.from), day_label(self.to - 1))
    }

    /// The months that it touches, with their names.
    pub fn month_names(self) -> Vec<(i64, String)> {
        (month_of_day(self.from)..=month_of_day(self.to - 1))
            .map(|month| (month, month_label(month)))
            .collect()
    }
}

/// A span as sums are kept for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// Whole months; the end is not part of it.
    pub months: Option<(i64, i64)>,
    /// What is left: less than a month at each end, or all of a short span.
    pub days: Vec<Days>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(from: &str, to: &str) -> Days {
        Days {
            from: parse_day(from).unwrap(),
            to: parse_day(to).unwrap(),
        }
    }

    #[test]
    fn the_period_before_is_as_long_and_ends_where_this_begins() {
        assert_eq!(
            days("2026-03-01", "2026-05-01").before(),
            days("2026-01-01", "2026-03-01")
        );
        assert_eq!(
            days("2026-03-02", "2026-03-12").before(),
            days("2026-02-20", "2026-03-02")
        );
        assert_eq!(days("2026-03-02", "2026-05-01").months(), None);
    }

    #[test]
    fn a_span_is_its_whole_months_and_the_days_around_them() {
        let march = month_of_day(parse_day("2026-03-01").unwrap());
        assert_eq!(
            days("2026-02-11", "2026-05-04").parts(),
            Parts {
                months: Some((march, march + 2)),
                days: vec![
                    days("2026-02-11", "2026-03-01"),
                    days("2026-05-01", "2026-05-04")
                ]
            }
        );
        assert_eq!(
            days("2026-03-01", "2026-04-01").parts(),
            Parts {
                months: Some((march, march + 1)),
                days: vec![]
            }
        );
        let short = days("2026-03-02", "2026-04-30");
        assert_eq!(short.parts().days, [short]);
    }
}
