//! Endpoints, deliveries and the schedule of tries, without I/O.

use schemars::JsonSchema;
use serde::Serialize;
use shared::ids::{OrganisationId, WebhookEndpointId};

/// Waits before the second and further tries, as the specification has them: 75 h 35 min 05 s in all.
pub const RETRY_AFTER_MS: [i64; 9] = [
    5_000, 300_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000, 50_400_000, 72_000_000,
    86_400_000,
];
/// The longest wait that an endpoint may ask for with `Retry-After`.
const LONGEST_WAIT_MS: i64 = 86_400_000;

/// Where events are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The endpoint.
    pub id: WebhookEndpointId,
    /// Whose; the operator's without.
    pub organisation_id: Option<OrganisationId>,
    /// Where to.
    pub url: String,
    /// What people call it.
    pub description: String,
    /// Which events; every one if empty.
    pub event_types: Vec<String>,
    /// When it was added.
    pub created_at_ms: i64,
    /// Since when nothing arrived there, if the last try failed.
    pub failing_since_ms: Option<i64>,
    /// When deliveries stopped.
    pub disabled_at_ms: Option<i64>,
    /// Why.
    pub disabled_reason: String,
}

/// An endpoint in JSON. Never its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct EndpointView {
    /// The endpoint.
    pub id: String,
    /// Whose; null for the operator's.
    pub organisation_id: Option<String>,
    /// Where to.
    pub url: String,
    /// What people call it.
    pub description: String,
    /// Which events; every one if empty.
    pub event_types: Vec<String>,
    /// `active`, `failing` (the last try failed) or `disabled`.
    pub state: String,
    /// Why it is disabled.
    pub disabled_reason: String,
    /// When it was added.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub created_at: i64,
    /// Since when nothing arrived there.
    #[serde(with = "crate::encoding::optional_time")]
    #[schemars(with = "Option<String>")]
    pub failing_since: Option<i64>,
}

impl From<&Endpoint> for EndpointView {
    fn from(endpoint: &Endpoint) -> Self {
        let state = if endpoint.disabled_at_ms.is_some() {
            "disabled"
        } else if endpoint.failing_since_ms.is_some() {
            "failing"
        } else {
            "active"
        };
        Self {
            id: endpoint.id.to_string(),
            organisation_id: endpoint.organisation_id.map(|id| id.to_string()),
            url: endpoint.url.clone(),
            description: endpoint.description.clone(),
            event_types: endpoint.event_types.clone(),
            state: state.to_owned(),
            disabled_reason: endpoint.disabled_reason.clone(),
            created_at: endpoint.created_at_ms,
            failing_since: endpoint.failing_since_ms,
        }
    }
}

/// An event on its way to one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DeliveryView {
    /// The event: `webhook-id`, the same on every try.
    pub event_id: String,
    /// Its kind.
    pub event_type: String,
    /// `pending`, `delivered` or `failed` (no further try by itself).
    pub state: String,
    /// Tries since it was queued or last sent again by hand.
    pub tries: i64,
    /// When it happened.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub created_at: i64,
    /// The next try, while it is pending.
    #[serde(with = "crate::encoding::optional_time")]
    #[schemars(with = "Option<String>")]
    pub next_try_at: Option<i64>,
    /// When the endpoint took it.
    #[serde(with = "crate::encoding::optional_time")]
    #[schemars(with = "Option<String>")]
    pub delivered_at: Option<i64>,
}

/// One try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AttemptView {
    /// From 1, over all tries of this delivery.
    pub number: i64,
    /// When.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub attempted_at: i64,
    /// How long the endpoint took, in milliseconds.
    pub took_ms: i64,
    /// What it answered; null where nothing came back.
    pub status: Option<i64>,
    /// `delivered`, or what went wrong, with the beginning of the answer.
    pub outcome: String,
}

/// What follows from a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// 2xx: done.
    Delivered,
    /// Again at this time.
    Again(i64),
    /// No further try by itself.
    GivenUp,
    /// 410: the endpoint wants nothing more.
    Gone,
}

/// Judges a try: the status that came back (none where nothing did), how many tries there were with
/// this one, and how long the endpoint asked to be left alone.
pub fn judge(status: Option<u16>, tries: i64, now_ms: i64, retry_after_ms: Option<i64>) -> Verdict {
    match status {
        Some(200..=299) => return Verdict::Delivered,
        Some(410) => return Verdict::Gone,
        _ => {}
    }
    let wait = usize::try_from(tries - 1)
        .ok()
        .and_then(|index| RETRY_AFTER_MS.get(index));
    match wait {
        None => Verdict::GivenUp,
        Some(wait) => {
            let asked = retry_after_ms.unwrap_or(0).clamp(0, LONGEST_WAIT_MS);
            Verdict::Again(now_ms + asked.max(*wait))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_schedule_is_the_specifications() {
        let mut at = 0;
        for tries in 1..=9 {
            let Verdict::Again(next) = judge(Some(500), tries, at, None) else {
                panic!("try {tries}");
            };
            at = next;
        }
        assert_eq!(at, ((75 * 60 + 35) * 60 + 5) * 1000);
        assert_eq!(judge(None, 10, at, None), Verdict::GivenUp);
    }

    proptest! {
        #[test]
        fn only_2xx_counts_as_taken_and_no_wait_is_shorter_than_asked(
            status in prop::option::of(100u16..600), tries in 1i64..15, asked in prop::option::of(0i64..200_000_000)
        ) {
            match judge(status, tries, 1_000, asked) {
                Verdict::Delivered => prop_assert!(status.is_some_and(|status| status / 100 == 2)),
                Verdict::Gone => prop_assert_eq!(status, Some(410)),
                Verdict::GivenUp => prop_assert!(tries >= 10),
                Verdict::Again(at) => {
                    prop_assert!(tries < 10);
                    prop_assert!(at - 1_000 >= asked.unwrap_or(0).min(86_400_000));
                }
            }
        }
    }
}
