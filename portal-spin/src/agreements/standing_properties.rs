//! Properties of where an organisation stands with an agreement.

use proptest::prelude::*;
use shared::ids::{AgreementId, AgreementVersionId};

use super::model::{Agreement, Kind, State, Version};

/// An agreement of up to six versions, each in force no earlier than the one before.
fn agreements() -> impl Strategy<Value = Agreement> {
    prop::collection::vec((any::<bool>(), 0i64..100, 0i64..100), 1..6).prop_map(|parts| {
        let mut effective_at = 0;
        let versions = (1u32..)
            .zip(parts)
            .map(|(number, (is_material, later, grace))| {
                effective_at += later;
                Version {
                    agreement_version_id: AgreementVersionId::from_bytes([number as u8; 16]),
                    version: number,
                    label: number.to_string(),
                    locale: "en".to_owned(),
                    is_material,
                    effective_at,
                    required_from: effective_at + grace,
                    document_sha256: String::new(),
                    sentence: String::new(),
                }
            })
            .collect();
        Agreement {
            agreement_id: AgreementId::from_bytes([0; 16]),
            title: "Terms".to_owned(),
            kind: Kind::Other,
            products: None,
            versions,
        }
    })
}

/// From what refuses to what asks nothing.
fn rank(state: State) -> u8 {
    match state {
        State::Required => 0,
        State::Due => 1,
        State::Accepted | State::NotInForce => 2,
    }
}

proptest! {
    #[test]
    fn the_portal_requires_exactly_what_an_edge_refuses(agreement in agreements(), accepted in 0u32..7, now_ms in 0i64..700) {
        let is_refused = accepted < agreement.for_edges().required_at(now_ms.unsigned_abs());
        prop_assert_eq!(agreement.standing(accepted, now_ms).state == State::Required, is_refused);
    }

    #[test]
    fn accepting_more_never_makes_it_worse_and_waiting_never_better(agreement in agreements(), accepted in 0u32..6, now_ms in 0i64..700, later in 0i64..700) {
        let now = rank(agreement.standing(accepted, now_ms).state);
        prop_assert!(rank(agreement.standing(accepted + 1, now_ms).state) >= now);
        prop_assert!(rank(agreement.standing(accepted, now_ms + later).state) <= now);
    }

    #[test]
    fn what_is_due_is_required_from_that_moment_and_not_before(agreement in agreements(), accepted in 0u32..7, now_ms in 0i64..700) {
        let standing = agreement.standing(accepted, now_ms);
        if let (State::Due, Some(due_at)) = (standing.state, standing.due_at) {
            prop_assert!(due_at > now_ms);
            prop_assert_eq!(agreement.standing(accepted, due_at).state, State::Required);
            prop_assert_ne!(agreement.standing(accepted, due_at - 1).state, State::Required);
        }
    }

    #[test]
    fn the_newest_version_always_satisfies(agreement in agreements(), now_ms in 0i64..700) {
        let newest = agreement.newest().unwrap().version;
        prop_assert_eq!(agreement.standing(newest, now_ms).state, State::Accepted);
    }
}
