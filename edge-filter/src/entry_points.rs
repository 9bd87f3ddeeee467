//! Every parser that strangers reach, by bytes: what the fuzz targets in `fuzz/`
//! call, and what an ordinary test calls with seeded bytes.
//!
//! Owns: turning bytes into the parsers' arguments, and what must hold of every
//! result. A door that breaks its promise panics, which is what a fuzzer looks for.
//! Not part of a release: compiled for tests and with the feature `fuzzing`.

use crate::access::TokenGrant;
use crate::account::{AccountKey, accounts, find_account, with_account};
use crate::configuration::Configuration;
use crate::credential::find_presented;
use crate::feed_log::{Head, Replay, Writer};
use crate::matcher::{Matcher, climbs};
use crate::programme::Programme;
use crate::request::{RequestView, encode_pairs, header_pairs};
use crate::testing::MemoryHost;
use crate::token::{Expectations, TokenCache, VerificationKeys};
use shared::credential::{Environment, check_key, inspect_key};
use shared::ids::SubscriptionId;
use shared::usage::ReportAnswer;

/// A door: its name and what takes the bytes.
pub type Door = (&'static str, fn(&[u8]));

/// All of them, as the fuzz targets are named.
pub const DOORS: [Door; 7] = [
    ("key", key),
    ("token", token),
    ("headers", headers),
    ("path", path),
    ("configuration", configuration),
    ("feed", feed),
    ("lease", lease),
];

/// An API key: what passes the check is what inspection says it is.
pub fn key(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if check_key(&text, "pk").is_ok() {
        let holds = inspect_key(&text).is_ok_and(|parts| parts.checksum_holds);
        assert!(holds && text.len() == "pk_live_".len() + 36);
    }
}

/// An access token beside a key set; the two are divided at the first line break.
pub fn token(bytes: &[u8]) {
    let (set, token) = divided(bytes);
    let set = serde_json::from_slice(set).unwrap_or_default();
    let token = String::from_utf8_lossy(token);
    let keys = VerificationKeys::read(&set);
    let expected = Expectations {
        issuer: "https://portal.example",
        audience: "https://api.example",
        now_ms: 1_767_225_600_000,
    };
    let verified = TokenCache::default().verify(&MemoryHost::at(1), &keys, &token, &expected);
    if let Ok(verified) = verified {
        // Nobody who fuzzes has a private key; the set could only be his own.
        assert!(set.get("keys").is_some() && verified.grant != TokenGrant::default());
    }
}

/// A header list as Envoy encodes it: read and written it is the same, and no
/// credential is found that no header carried.
pub fn headers(bytes: &[u8]) {
    let pairs: Vec<_> = header_pairs(bytes).collect();
    let again = encode_pairs(&pairs);
    assert!(header_pairs(&again).eq(pairs.iter().copied()));
    let view = RequestView::read(bytes);
    if let Ok(Some(found)) = find_presented(&view, Some("api_key")) {
        assert!(found.in_authorization || found.in_api_key || found.target_without.is_some());
        if let Some(target) = &found.target_without {
            let stripped = RequestView {
                target,
                ..RequestView::default()
            };
            let left = find_presented(&stripped, Some("api_key"));
            assert!(left.is_ok_and(|left| left.is_none()), "{target}");
        }
    }
}

/// Templates, line by line, and a path behind the last line break.
pub fn path(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (templates, path) = text.rsplit_once('\n').unwrap_or(("", &text));
    let mut matcher = Matcher::default();
    for (number, template) in templates.lines().take(64).enumerate() {
        matcher.insert("GET", template, number);
    }
    let found = matcher.find("GET", path);
    assert!(found.is_none() || !climbs(path));
    assert_eq!(found.is_some(), matcher.find("HEAD", path).is_some());
}

/// A plugin configuration: what is refused is refused with a field's name.
pub fn configuration(bytes: &[u8]) {
    let secret = |_: &str| Some("x".repeat(40));
    if let Err(error) = Configuration::parse(bytes, secret) {
        let text = error.to_string();
        assert!(
            text.starts_with("portico: configuration refused: `"),
            "{text}"
        );
    }
}

/// The feed: each line as a change, the whole as a log that workers replay.
pub fn feed(bytes: &[u8]) {
    let host = MemoryHost::at(1);
    let mut programme = Programme::default();
    let mut writer = Writer::new(1);
    for line in bytes.split(|byte| *byte == b'\n').take(64) {
        let _ = programme.apply_json(line);
        writer.change(&host, line);
    }
    programme.settle();
    writer.packed(&host, bytes);
    writer.snapshot_end(&host);
    writer.flush(&host);
    let head = writer.head(Head::default(), 1, 1);
    let (mut programme, mut replay) = (Programme::default(), Replay::default());
    while replay.advance(&host, &head, &mut programme, || true) {}
    assert!(replay.is_ready && replay.applied_position == 1);
}

/// What the portal answers about leases, and what lies in a slot of accounts.
pub fn lease(bytes: &[u8]) {
    let answer = serde_json::from_slice::<ReportAnswer>(bytes);
    let key = AccountKey {
        subscription: SubscriptionId::from_bytes([5; 16]),
        environment: Environment::Live,
    };
    let mut account = find_account(bytes, key);
    for grant in answer.iter().flat_map(|answer| &answer.leases) {
        let period = (grant.key.period_start_ms, u64::MAX);
        let Some(lease) = account.lease_mut(period, 1_000, true) else {
            continue;
        };
        lease.apply(grant);
        let unspent = lease.unspent();
        let wish = lease.request(grant.key, 1, false);
        assert!(
            wish.given_back <= wish.granted.max(lease.given_back) && lease.unspent() <= unspent
        );
    }
    let slot = with_account(bytes, &account, 1);
    assert!(accounts(&slot).any(|kept| kept == account));
}

fn divided(bytes: &[u8]) -> (&[u8], &[u8]) {
    let place = bytes.iter().position(|byte| *byte == b'\n');
    let (first, rest) = bytes.split_at(place.unwrap_or(bytes.len()));
    (first, rest.get(1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts that lead past the first checks; bytes of them are changed, doubled,
    /// left out and mixed.
    const SEEDS: [&[u8]; 12] = [
        b"pk_live_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        b"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"a\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}\neyJhbGciOiJFZERTQSIsImtpZCI6ImEifQ.eyJleHAiOjF9.c2ln",
        b"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"e\",\"x\":\"AA\",\"y\":\"AA\"},{\"kty\":\"RSA\",\"kid\":\"r\",\"n\":\"AQ\",\"e\":\"AQAB\"}]}\ne30.e30.e30",
        b"\x02\0\0\0\x05\0\0\0\x0f\0\0\0\x09\0\0\0\x02\0\0\0:path\0/x?api_key=k%31&a\0x-api-key\0k1\0",
        b"\x01\0\0\0\x0d\0\0\0\x0a\0\0\0authorization\0Basic azE6\0",
        b"/v1/orders/{id}\n/v1/{any}/export\n/v1/orders/{id}.json\n/v1/orders/7.json",
        b"/a/{b}\n/a/%2e%2e;x/..\\b",
        b"{\"portal_cluster\":\"p\",\"portal_authority\":\"a\",\"public_paths\":[\"/x*\"],\"sample_every\":5}",
        b"{\"kind\":\"credential\",\"state\":{\"credential\":\"crd_081040g2081040g2081040g208\",\"app\":\"app_081040g2081040g2081040g208\",\"environment\":\"live\",\"hash\":\"00112233445566778899aabbccddeeff\",\"addresses\":[\"10.0.0.0/8\"]}}",
        b"{\"kind\":\"product\",\"state\":{\"product\":\"prd_081040g2081040g2081040g208\",\"operations\":[{\"name\":\"a\",\"method\":\"GET\",\"path\":\"/a/{b}\"}],\"meters\":[]}}",
        b"{\"acknowledged\":1,\"head\":1,\"now_ms\":1,\"leases\":[{\"subscription\":\"sub_081040g2081040g2081040g208\",\"environment\":\"live\",\"period_start_ms\":1,\"granted\":100,\"pool\":5,\"ends_at_ms\":9}]}",
        b"\x40\0\0\0\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x01\x01\0\x01\0",
    ];

    fn roll(state: &mut u64) -> usize {
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (*state ^ *state >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed ^ mixed >> 27) as usize
    }

    fn hostile(state: &mut u64) -> Vec<u8> {
        let mut bytes = SEEDS[roll(state) % SEEDS.len()].to_vec();
        for _ in 0..roll(state) % 6 {
            let place = roll(state) % (bytes.len() + 1);
            match roll(state) % 5 {
                0 => bytes.insert(place, roll(state) as u8),
                1 => bytes.truncate(place),
                2 => {
                    let other = SEEDS[roll(state) % SEEDS.len()];
                    bytes.extend_from_slice(&other[roll(state) % other.len()..]);
                }
                3 => {
                    let copied = bytes[place..].to_vec();
                    bytes.splice(place..place, copied);
                }
                _ => {
                    if let Some(byte) = bytes.get_mut(place) {
                        *byte ^= 1 << (roll(state) % 8);
                    }
                }
            }
        }
        bytes.truncate(4_096);
        bytes
    }

    /// 10^5 inputs over all doors, without a fuzzer. `PORTICO_HOSTILE_INPUTS` sets how many.
    #[test]
    fn no_hostile_input_breaks_a_door() {
        let wanted = std::env::var("PORTICO_HOSTILE_INPUTS");
        let inputs: usize = wanted.map_or(100_000, |text| text.parse().unwrap());
        let mut state = 1;
        for number in 0..inputs {
            let bytes = hostile(&mut state);
            let (name, door) = DOORS[number % DOORS.len()];
            let held = std::panic::catch_unwind(|| door(&bytes));
            assert!(
                held.is_ok(),
                "{name}: {:?}",
                String::from_utf8_lossy(&bytes)
            );
        }
    }

    #[test]
    fn every_door_has_a_fuzz_target() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
        for (name, _) in DOORS {
            let target = std::fs::read_to_string(folder.join(format!("{name}.rs"))).unwrap();
            assert!(target.contains(&format!("entry_points::{name}(")), "{name}");
        }
    }
}
