//! What several reports share: their head, links to partners, columns of call counters.

use super::period::Days;
use super::report::{Column, Datum, Report, defined};
use super::store;

/// Where partners' pages stand.
pub fn partner_link(organisation_id: &str, name: &str) -> Datum {
    Datum::Link(
        name.to_owned(),
        format!("/operator/analytics/partner?organisation_id={organisation_id}"),
    )
}

/// A report over the same span.
pub fn report_link(name: &str, days: Days) -> String {
    let (from, to) = days.labels();
    format!("/operator/analytics/{name}?from={from}&to={to}")
}

pub(super) fn frame(name: &'static str, title: &str, question: &'static str, days: Days) -> Report {
    let (from, to) = days.labels();
    Report {
        name,
        title: title.to_owned(),
        question,
        from,
        to,
        ..Report::default()
    }
}

/// Headings of a partner table's counters.
pub fn call_columns() -> Vec<Column> {
    vec![
        defined(
            "Live calls",
            "let through by the gateway, whatever the answer",
        ),
        defined("Errors", "answered 4xx or 5xx, of the live calls"),
        defined(
            "Limited",
            "refused by a rate limit or the quota, of all live calls and refusals",
        ),
    ]
}

/// Their values.
pub fn call_values(calls: &store::Calls) -> Vec<Datum> {
    vec![
        Datum::Count(calls.calls),
        Datum::Share(calls.client_errors + calls.server_errors, calls.calls),
        Datum::Share(calls.limited(), calls.all()),
    ]
}
