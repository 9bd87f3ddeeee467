//! Billing periods: where they begin and end, in a place's own time.
//!
//! Owns the calendar (days, weeks, months, months counted from an anchor), the
//! rule for short months and for clock changes, and counting days and seconds.
//! Owns no clock: every function is given its instant. Quota windows and
//! invoices use the same periods, so that neither can end before the other.
//!
//! The time-zone data are bundled with the program; the machine's own are not
//! read, so that every replica draws the same boundaries.

pub use jiff::civil::Weekday;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};

/// Why there is no such period.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeriodProblem {
    #[error(
        "time_zone: \"{0}\" is no IANA time zone: write a name like \"Europe/Berlin\" or \"UTC\""
    )]
    UnknownZone(String),
    #[error("months: write how many months a period has, from 1 to 120")]
    MonthCount,
    #[error("the time is outside the years the calendar covers")]
    OutOfRange,
}

/// How periods follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cycle {
    /// From local midnight to the next.
    Day,
    /// Seven local days from `first_day`.
    Week { first_day: Weekday },
    /// From the first of a month to the first of the next.
    Month,
    /// Every `months` months from `anchor_ms`, at the anchor's local time of day.
    /// An anchor on the 31st falls on the last day of a shorter month and comes
    /// back to the 31st afterwards.
    Anchored { anchor_ms: i64, months: u32 },
}

/// The longest anchored period: ten years.
const MAX_MONTHS: u32 = 120;

/// Periods of one cycle in one time zone.
#[derive(Clone, Debug)]
pub struct Calendar {
    cycle: Cycle,
    zone: TimeZone,
}

/// A half-open span of time, `start_ms` included and `end_ms` not, in Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    pub start_ms: i64,
    pub end_ms: i64,
}

impl Period {
    pub fn contains(&self, instant_ms: i64) -> bool {
        self.start_ms <= instant_ms && instant_ms < self.end_ms
    }

    /// What this period and another share; `None` when that is nothing.
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        let start_ms = self.start_ms.max(other.start_ms);
        let end_ms = self.end_ms.min(other.end_ms);
        (start_ms < end_ms).then_some(Self { start_ms, end_ms })
    }

    /// Whole seconds from start to end. Counted between the seconds the ends
    /// fall in, so that the parts of a split period sum to the whole.
    pub fn seconds(&self) -> u64 {
        let seconds = self.end_ms.div_euclid(1_000) - self.start_ms.div_euclid(1_000);
        u64::try_from(seconds).unwrap_or(0)
    }
}

impl Calendar {
    /// A calendar in the named zone (`Europe/Berlin`, `UTC`).
    pub fn new(cycle: Cycle, zone: &str) -> Result<Self, PeriodProblem> {
        if let Cycle::Anchored { months, .. } = cycle
            && !(1..=MAX_MONTHS).contains(&months)
        {
            return Err(PeriodProblem::MonthCount);
        }
        let zone = find_zone(zone)?;
        Ok(Self { cycle, zone })
    }

    /// The time zone, as IANA writes it.
    pub fn zone_name(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    /// The period an instant falls in.
    pub fn period_containing(&self, instant_ms: i64) -> Result<Period, PeriodProblem> {
        match self.cycle {
            Cycle::Anchored { anchor_ms, months } => self.anchored(anchor_ms, months, instant_ms),
            Cycle::Day => {
                self.between_midnights(instant_ms, |date| Some((date, date.tomorrow().ok()?)))
            }
            Cycle::Week { first_day } => self.between_midnights(instant_ms, |date| {
                let start = date
                    .checked_sub(date.weekday().since(first_day).days())
                    .ok()?;
                Some((start, start.checked_add(7.days()).ok()?))
            }),
            Cycle::Month => self.between_midnights(instant_ms, |date| {
                Some((date.first_of_month(), date.last_of_month().tomorrow().ok()?))
            }),
        }
    }

    /// The period that begins where this one ends.
    pub fn period_after(&self, period: &Period) -> Result<Period, PeriodProblem> {
        self.period_containing(period.end_ms)
    }

    /// The period that ends where this one begins.
    pub fn period_before(&self, period: &Period) -> Result<Period, PeriodProblem> {
        self.period_containing(
            period
                .start_ms
                .checked_sub(1)
                .ok_or(PeriodProblem::OutOfRange)?,
        )
    }

    /// The local date of an instant.
    pub fn date_of(&self, instant_ms: i64) -> Result<Date, PeriodProblem> {
        Ok(self.local(instant_ms)?.date())
    }

    /// Calendar days in a span. A day belongs to whoever has its last moment: a
    /// span that begins at noon counts that day, one that ends at noon does not,
    /// so the parts of a split period sum to the whole and no day is paid twice.
    pub fn days(&self, span: &Period) -> Result<u64, PeriodProblem> {
        let (start, end) = (self.date_of(span.start_ms)?, self.date_of(span.end_ms)?);
        let days = start
            .until(end)
            .map_err(|_| PeriodProblem::OutOfRange)?
            .get_days();
        Ok(u64::try_from(days).unwrap_or(0))
    }

    /// The period in words: `2026-02-01 to 2026-02-28 (Europe/Berlin)` when it
    /// runs from midnight to midnight, with the times of day otherwise.
    pub fn describe(&self, period: &Period) -> Result<String, PeriodProblem> {
        let (start, end) = (self.local(period.start_ms)?, self.local(period.end_ms)?);
        let zone = self.zone_name();
        let is_midnight = |ms: i64, local: DateTime| {
            self.midnight(local.date())
                .is_ok_and(|midnight| midnight == ms)
        };
        if is_midnight(period.start_ms, start) && is_midnight(period.end_ms, end) {
            let last = end
                .date()
                .yesterday()
                .map_err(|_| PeriodProblem::OutOfRange)?;
            return Ok(if start.date() == last {
                format!("{last} ({zone})")
            } else {
                format!("{} to {last} ({zone})", start.date())
            });
        }
        let minute =
            |local: DateTime| format!("{} {:02}:{:02}", local.date(), local.hour(), local.minute());
        Ok(format!("{} to {} ({zone})", minute(start), minute(end)))
    }

    fn local(&self, instant_ms: i64) -> Result<DateTime, PeriodProblem> {
        let instant =
            Timestamp::from_millisecond(instant_ms).map_err(|_| PeriodProblem::OutOfRange)?;
        Ok(self.zone.to_datetime(instant))
    }

    /// The instant of a local time. A time that a clock change skips is the
    /// moment after the gap; one that happens twice is the first.
    fn instant(&self, local: DateTime) -> Result<i64, PeriodProblem> {
        let zoned = local
            .to_zoned(self.zone.clone())
            .map_err(|_| PeriodProblem::OutOfRange)?;
        Ok(zoned.timestamp().as_millisecond())
    }

    fn midnight(&self, date: Date) -> Result<i64, PeriodProblem> {
        self.instant(date.at(0, 0, 0, 0))
    }

    fn between_midnights(
        &self,
        instant_ms: i64,
        dates: impl Fn(Date) -> Option<(Date, Date)>,
    ) -> Result<Period, PeriodProblem> {
        let mut date = self.date_of(instant_ms)?;
        loop {
            let (start, end) = dates(date).ok_or(PeriodProblem::OutOfRange)?;
            let period = Period {
                start_ms: self.midnight(start)?,
                end_ms: self.midnight(end)?,
            };
            if period.contains(instant_ms) {
                return Ok(period);
            }
            // A clock set back across midnight, as in Newfoundland until 2011, shows the former
            // date again once the next has begun; one set forward across it shows the next early.
            date = if instant_ms < period.start_ms {
                start.yesterday().map_err(|_| PeriodProblem::OutOfRange)?
            } else {
                end
            };
        }
    }

    fn anchored(
        &self,
        anchor_ms: i64,
        months: u32,
        instant_ms: i64,
    ) -> Result<Period, PeriodProblem> {
        let anchor = self.local(anchor_ms)?;
        let boundary = |index: i64| -> Result<i64, PeriodProblem> {
            if index == 0 {
                return Ok(anchor_ms);
            }
            // Always from the anchor itself: adding month by month would turn a
            // 31st into a 28th for good.
            let added = Span::new()
                .try_months(index * i64::from(months))
                .map_err(|_| PeriodProblem::OutOfRange)?;
            self.instant(
                anchor
                    .checked_add(added)
                    .map_err(|_| PeriodProblem::OutOfRange)?,
            )
        };
        let local = self.local(instant_ms)?;
        let months_since = i64::from(local.year() - anchor.year()) * 12
            + i64::from(local.month() - anchor.month());
        let mut index = months_since.div_euclid(i64::from(months));
        // The month alone may be one period off in either direction.
        while boundary(index)? > instant_ms {
            index -= 1;
        }
        while boundary(index + 1)? <= instant_ms {
            index += 1;
        }
        Ok(Period {
            start_ms: boundary(index)?,
            end_ms: boundary(index + 1)?,
        })
    }
}

fn find_zone(name: &str) -> Result<TimeZone, PeriodProblem> {
    if name == "UTC" {
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(name).map_err(|_| PeriodProblem::UnknownZone(name.chars().take(64).collect()))
}

/// A span in words, in a zone: `2026-02-01 to 2026-02-28 (Europe/Berlin)`; the day alone where it is a moment.
pub fn describe_span(start_ms: i64, end_ms: i64, zone: &str) -> Result<String, PeriodProblem> {
    let calendar = Calendar::new(Cycle::Day, zone)?;
    if start_ms < end_ms {
        return calendar.describe(&Period { start_ms, end_ms });
    }
    Ok(format!(
        "{} ({})",
        calendar.date_of(start_ms)?,
        calendar.zone_name()
    ))
}

/// Every place whose time zone is known, and UTC: what a form offers.
pub fn zone_names() -> Vec<String> {
    let mut names: Vec<String> = jiff::tz::db()
        .available()
        .map(|name| name.to_string())
        .filter(|name| name.contains('/') && !name.starts_with("Etc/"))
        .collect();
    names.push("UTC".to_owned());
    names.sort_unstable();
    names
}
