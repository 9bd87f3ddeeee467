//! Whatever bytes come, nothing panics and everything ends: clients, a portal of
//! another version, another plugin that writes into our shared data.

use crate::account::{Account, AccountKey, accounts, find_account, with_account};
use crate::address::Network;
use crate::configuration::Configuration;
use crate::feed_log::{Head, Replay};
use crate::leader::Ledger;
use crate::ports::SharedData;
use crate::programme::Programme;
use crate::request_log::RequestLog;
use crate::shared_state::{FEED_HEAD, LEDGER, chunk_key, presences, slot_key};
use crate::testing::MemoryHost;
use crate::token::{Expectations, TokenCache, VerificationKeys};
use crate::usage::{Outcome, Quantities, Series, UsageTable, cells_of};
use proptest::prelude::*;
use shared::credential::Environment;
use shared::ids::SubscriptionId;
use shared::usage::ReportAnswer;

const KINDS: [&str; 11] = [
    "credential",
    "app",
    "subscription",
    "organisation",
    "installation",
    "credential_removed",
    "plan",
    "product",
    "agreement",
    "programme",
    "jwks",
];

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        "[a-z_/{}.:0-9]{0,12}".prop_map(Into::into),
    ];
    let member = "hash|app|kid|kty|keys|plan|periods|limit|operations|path|method|x|n|e|crv";
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::hash_map(member, inner, 0..5)
                .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #[test]
    fn no_configuration_makes_the_parser_panic(bytes: Vec<u8>, value in json()) {
        let _ = Configuration::parse(&bytes, |_| None);
        let text = value.to_string();
        let _ = Configuration::parse(text.as_bytes(), |_| Some("x".repeat(40)));
    }

    #[test]
    fn no_change_in_the_feed_makes_the_programme_panic(
        kind in prop::sample::select(&KINDS[..]), state in json(), bytes: Vec<u8>,
    ) {
        let mut programme = Programme::default();
        let _ = programme.apply_json(&bytes);
        let change = serde_json::json!({ "kind": kind, "state": state }).to_string();
        let _ = programme.apply_json(change.as_bytes());
        programme.settle();
        let _ = programme.operations("GET", "/a/b");
    }

    #[test]
    fn no_log_of_the_feed_makes_its_reader_panic_or_go_on_for_ever(
        chunks in 0u32..4, last_bytes: u32, chunk in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let host = MemoryHost::at(1);
        for number in 0..chunks {
            host.write(&chunk_key(1, number), &chunk, None);
        }
        let head = Head { generation: 1, chunks, last_bytes, ..Head::default() };
        let mut replay = Replay::default();
        for _ in 0..4 {
            let mut records = 0;
            let _ = replay.advance(&host, &head, &mut Programme::default(), || {
                records += 1;
                records < 64
            });
        }
    }

    #[test]
    fn no_shared_bytes_make_their_readers_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), id: [u8; 16]) {
        let host = MemoryHost::at(1);
        for key in [FEED_HEAD, LEDGER, &slot_key(0)] {
            host.write(key, &bytes, None);
        }
        let _ = (Head::read(&host), Ledger::read(&host), presences(&host).len());
        let _ = RequestLog::read(&bytes);
        let key = AccountKey {
            subscription: SubscriptionId::from_bytes(id),
            environment: Environment::Live,
        };
        let _ = (accounts(&bytes).count(), find_account(&bytes, key));
        let slot = with_account(&bytes, &Account::new(key), 1);
        prop_assert_eq!(find_account(&slot, key), Account::new(key));
        let _ = cells_of(1, &bytes);
        let mut table = UsageTable::default();
        let series = Series {
            credential: None,
            subscription: None,
            installation: None,
            meters: &[],
            operation: "a",
            outcome: Outcome::Aborted,
        };
        let quantities = Quantities { units: &[], bytes_in: 0, bytes_out: 0, latency_us: 1 };
        let place = table.count(&series, &quantities, 60_000);
        table.adopt(place.bucket(), bytes);
        table.count(&series, &quantities, 60_000);
        table.drop_before(9);
    }

    #[test]
    fn no_token_and_no_key_set_makes_the_verifier_panic(
        set in json(), parts in prop::collection::vec("[A-Za-z0-9_-]{0,40}", 0..5), text: String,
    ) {
        let keys = VerificationKeys::read(&set);
        let expected = Expectations { issuer: "i", audience: "a", now_ms: 1 };
        let host = MemoryHost::at(1);
        for token in [parts.join("."), text] {
            let _ = TokenCache::default().verify(&host, &keys, &token, &expected);
        }
    }

    #[test]
    fn no_network_and_no_answer_makes_its_parser_panic(text: String, bytes: Vec<u8>) {
        let _ = Network::parse(&text);
        let _ = serde_json::from_slice::<ReportAnswer>(&bytes);
    }
}
