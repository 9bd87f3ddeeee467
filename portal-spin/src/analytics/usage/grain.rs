//! How fine a span is drawn: by the minute, the hour or the day.

use super::super::calendar::{day_label, day_of};
use crate::analytics::period::Days;
use crate::context::Context;
use crate::encoding::readable_time;
use crate::text_enum::text_enum;
use crate::web::Failure;

text_enum! {
    /// The width of a point.
    Grain {
        /// A day, from the days that were rolled up.
        Day = "day",
        /// An hour.
        Hour = "hour",
        /// A minute, as the gateway counted it.
        Minute = "minute",
    }
}

impl Grain {
    /// `?by=`; without it, hours of up to three days and days of longer spans. Minutes are read of a day
    /// at most, hours of a month: longer spans have days for that.
    pub fn read(context: &Context, days: Days) -> Result<Self, Failure> {
        let length = days.to - days.from;
        let Some(text) = context.query("by").filter(|text| !text.is_empty()) else {
            return Ok(if length <= 3 { Self::Hour } else { Self::Day });
        };
        let grain: Self = text.parse().map_err(|_| {
            Failure::field("by", "unknown_value", "Give `day`, `hour` or `minute`.")
        })?;
        if length > grain.longest_days() {
            let detail = "Minutes are shown of one day, hours of 31 days at most: choose a shorter span, or days.";
            return Err(Failure::field("by", "out_of_range", detail));
        }
        Ok(grain)
    }

    const fn longest_days(self) -> i64 {
        match self {
            Self::Day => i64::MAX,
            Self::Hour => 31,
            Self::Minute => 1,
        }
    }

    /// How many minutes a point has.
    pub const fn minutes(self) -> i64 {
        match self {
            Self::Day => 1_440,
            Self::Hour => 60,
            Self::Minute => 1,
        }
    }

    /// The heading of its column.
    pub const fn heading(self) -> &'static str {
        match self {
            Self::Day => "Day",
            Self::Hour => "Hour",
            Self::Minute => "Minute",
        }
    }

    /// A point's name.
    pub fn label(self, minute: i64) -> String {
        match self {
            Self::Day => day_label(day_of(minute * 60_000)),
            Self::Hour | Self::Minute => readable_time(minute * 60_000),
        }
    }
}
