//! Metering: usage as edges count it, kept once, read by everyone.
//!
//! Owns usage cells (merged by maximum, so that nothing is lost and nothing counted twice), the hours
//! and days derived from them, the request log, and the reads on which usage page, quota and invoice all rest. Does not own what is
//! counted at the edge, nor money (`billing` rates what [`used_units`] answers).

mod cells;
mod exports;
mod latencies;
mod meter_use;
mod model;
mod organisation_reads;
mod pages;
mod production;
mod quantities;
mod reads;
mod rollup_routes;
mod rollups;
mod routes;
mod samples;
mod spans;

#[cfg(test)]
mod rollup_tests;
#[cfg(test)]
mod tests;

pub use cells::merge_cells;
pub use exports::export_usage;
pub use latencies::{LatencySum, list_latencies};
pub use meter_use::MeterUse;
pub use model::{Granularity, QuotaView, UsageView, is_refusal, percentile};
pub use organisation_reads::{
    CallFilter, CallSum, SampledRequest, busiest_minutes, list_calls, list_sampled_requests,
};
pub use pages::show_usage_page;
pub use production::{Behaviour, list_behaviour};
pub use quantities::{UsageSum, counts, distinct_installations, list_usage, used_units};
pub use reads::{counted_calls, insert_calls_of_days, last_used, sandbox_facts, take_changed_days};
pub use rollup_routes::{RollupCheckView, check_rollups, rebuild_rollups};
pub use rollups::{check_next as check_next_rollup, roll_up};
pub use routes::{LoggedRequest, RequestLog, last_day, list_requests, quotas_of_app, show_usage};
pub use samples::{drop_old as drop_old_samples, keep_samples};
