//! A portal as the filter sees it: signed snapshot and feed, reports merged by
//! maximum, leases out of exact pools.

use crate::http::{Message, Reply, Server};
use shared::credential::{Environment, Pepper, PlainKey};
use shared::feed::{
    Change, FEED_PATH, FeedEntry, FeedPage, REPORT_PATH, SNAPSHOT_PATH, SnapshotPage, page_end,
};
use shared::lease::{LeaseGrant, LeaseKey};
use shared::share::{Holding, ShareGrant, ShareRequest, divide};
use shared::signing::{EDGE_HEADER, EdgeSecret, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use shared::usage::{Cell, Report, ReportAnswer, RequestSample};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub const EDGE_SECRET: &str = "edge-secret-of-the-tests-32-chars";
pub const KEY_PEPPER: &str = "key-pepper-of-the-tests-32-chars!";

/// The test is the host here: its clock is the real one, as Envoy's is.
#[allow(clippy::disallowed_methods)]
pub fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis() as u64
}

/// What identifies a cell: its JSON without the counters, and the boot.
type CellKey = (String, String);

#[derive(Default)]
pub struct State {
    pub log: Vec<FeedEntry>,
    /// Further pages of the snapshot.
    pub extra_snapshot: Vec<SnapshotPage>,
    pub cells: BTreeMap<CellKey, Cell>,
    pub samples: Vec<RequestSample>,
    pub reports: Vec<Report>,
    pub bad_signatures: u32,
    pub is_down: bool,
    pub delay: Duration,
    /// What leases are shares of.
    pub ceilings: HashMap<LeaseKey, u64>,
    pub granted: HashMap<(LeaseKey, String), u64>,
    pub given_back: HashMap<(LeaseKey, String), u64>,
    pub lease_ms: u64,
    /// What every boot holds of the one account whose limits are shared.
    pub holdings: BTreeMap<String, Holding>,
    /// How far the portal's clock is off.
    pub clock_off_ms: i64,
    pub feed_reads: u64,
}

impl State {
    fn now_ms(&self) -> u64 {
        now_ms().saturating_add_signed(self.clock_off_ms)
    }
}

/// The portal; shared by the server's threads.
#[derive(Clone)]
pub struct Portal {
    state: Arc<Mutex<State>>,
    server: Arc<Server>,
}

impl Portal {
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State {
            lease_ms: 60_000,
            ..State::default()
        }));
        let secret = EdgeSecret::new(EDGE_SECRET.as_bytes());
        let handled = state.clone();
        let server = Server::start(move |request| answer(&handled, &secret, &request));
        Self {
            state,
            server: Arc::new(server),
        }
    }

    pub fn port(&self) -> u16 {
        self.server.address.port()
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Publishes a change; its position.
    pub fn publish(&self, change: Change) -> u64 {
        let mut state = self.state();
        let position = state.log.len() as u64 + 1;
        state.log.push(FeedEntry {
            position,
            at_ms: now_ms(),
            change,
        });
        position
    }

    pub fn position(&self) -> u64 {
        self.state().log.len() as u64
    }

    /// Waits until `done` holds of the state.
    pub fn wait_for(&self, what: &str, mut done: impl FnMut(&State) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(15);
        while !done(&self.state()) {
            assert!(Instant::now() < deadline, "waited in vain: {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until an edge has said that all its workers know the newest position.
    pub fn wait_until_applied(&self) {
        let position = self.position();
        self.wait_for("the position applied", |state| {
            state
                .reports
                .last()
                .is_some_and(|report| report.applied_position >= position)
        });
    }

    /// Calls counted with this outcome. The programme of the tests has one
    /// meter, so a call makes one cell.
    pub fn counted(&self, outcome: &str) -> u64 {
        let state = self.state();
        let cells = state.cells.values().filter(|cell| cell.outcome == outcome);
        cells.map(|cell| cell.count).sum()
    }

    /// Waits until exactly so many calls are counted, and looks whether it stays so.
    pub fn wait_until_counted(&self, outcome: &str, calls: u64) {
        let deadline = Instant::now() + Duration::from_secs(15);
        while self.counted(outcome) < calls {
            let counted = self.counted(outcome);
            assert!(
                Instant::now() < deadline,
                "{outcome}: {counted} of {calls} calls counted"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(self.counted(outcome), calls, "{outcome}");
    }
}

fn answer(state: &Mutex<State>, secret: &EdgeSecret, request: &Message) -> Reply {
    let delay = state.lock().unwrap().delay;
    std::thread::sleep(delay);
    let mut state = state.lock().unwrap();
    if state.is_down {
        return Reply::new(503, "down");
    }
    let target = request.target().to_owned();
    let proven = secret.verify_request(
        request.method(),
        &target,
        request
            .header(TIMESTAMP_HEADER)
            .and_then(|text| text.parse().ok())
            .unwrap_or(0),
        &request.body,
        request.header(SIGNATURE_HEADER).unwrap_or_default(),
        state.now_ms(),
    );
    if proven.is_err()
        || !request
            .header(EDGE_HEADER)
            .unwrap_or_default()
            .starts_with("edg_")
    {
        state.bad_signatures += 1;
        return Reply::new(401, "signature");
    }
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let body = match path {
        SNAPSHOT_PATH => snapshot(&state, query),
        FEED_PATH => feed(&mut state, query),
        REPORT_PATH => report(&mut state, &request.body),
        _ => return Reply::new(404, "no such path"),
    };
    let signature = secret.sign_response(&target, &body);
    Reply::new(200, body).with(SIGNATURE_HEADER, signature)
}

fn snapshot(state: &State, query: &str) -> Vec<u8> {
    let page = query
        .strip_prefix("after=")
        .and_then(|text| text.parse::<usize>().ok());
    let pages = state.extra_snapshot.len();
    let position = state.log.len() as u64;
    let body = match page {
        None => {
            let mut newest = BTreeMap::new();
            for entry in &state.log {
                newest.insert(entry.change.key(), entry.change.clone());
            }
            newest.retain(|_, change| !matches!(change, Change::CredentialRemoved(_)));
            SnapshotPage {
                position,
                next: (pages > 0).then(|| "0".to_owned()),
                changes: newest.into_values().collect(),
                packed_apps: Vec::new(),
                packed_credentials: Default::default(),
            }
        }
        Some(page) => {
            let mut body = state.extra_snapshot[page].clone();
            body.position = position;
            body.next = (page + 1 < pages).then(|| (page + 1).to_string());
            body
        }
    };
    serde_json::to_vec(&body).unwrap()
}

fn feed(state: &mut State, query: &str) -> Vec<u8> {
    state.feed_reads += 1;
    let after: u64 = query.strip_prefix("after=").unwrap().parse().unwrap();
    let end = page_end(after).min(state.log.len() as u64).max(after);
    let page = FeedPage {
        after,
        next: end,
        complete: end == page_end(after),
        entries: state.log[after as usize..end as usize].to_vec(),
    };
    serde_json::to_vec(&page).unwrap()
}

fn report(state: &mut State, body: &[u8]) -> Vec<u8> {
    let report: Report = serde_json::from_slice(body).unwrap();
    let boot = report.edge.boot.to_string();
    for cell in &report.cells {
        merge_cell(state, &boot, cell);
    }
    state.samples.extend(report.requests.iter().cloned());
    let ends_at_ms = state.now_ms() + state.lease_ms;
    let mut grants = Vec::new();
    for wish in &report.leases {
        let own = (wish.key, boot.clone());
        state.given_back.insert(own.clone(), wish.given_back);
        state.granted.entry(own.clone()).or_default();
        let Some(ceiling) = state.ceilings.get(&wish.key).copied() else {
            continue;
        };
        let total = |map: &HashMap<(LeaseKey, String), u64>| -> u64 {
            map.iter()
                .filter(|((key, _), _)| *key == wish.key)
                .map(|(_, units)| units)
                .sum()
        };
        let out = total(&state.granted) - total(&state.given_back);
        let pool = ceiling.saturating_sub(out);
        let more = wish.wanted.min(pool);
        let granted = state.granted.get_mut(&own).unwrap();
        // A wish already answered is not answered twice.
        if wish.granted == *granted {
            *granted += more;
        }
        let granted = *granted;
        let out = total(&state.granted) - total(&state.given_back);
        grants.push(LeaseGrant {
            key: wish.key,
            granted,
            pool: ceiling.saturating_sub(out),
            ends_at_ms,
        });
    }
    let shares = report
        .shares
        .iter()
        .map(|wish| share(state, &boot, wish))
        .collect();
    let answer = ReportAnswer {
        acknowledged: report.sequence,
        head: state.log.len() as u64,
        now_ms: state.now_ms(),
        leases: grants,
        shares,
    };
    state.reports.push(report);
    serde_json::to_vec(&answer).unwrap()
}

fn share(state: &mut State, boot: &str, wish: &ShareRequest) -> ShareGrant {
    state.holdings.remove(boot);
    let others: Vec<Holding> = state.holdings.values().copied().collect();
    let grant = divide(wish.key, wish.held, wish.demand, &others);
    if wish.demand > 0 {
        let own = Holding {
            granted: grant.millionths,
            held: wish.held,
            demand: wish.demand,
        };
        state.holdings.insert(boot.to_owned(), own);
    }
    grant
}

fn merge_cell(state: &mut State, boot: &str, cell: &Cell) {
    let mut identity = cell.clone();
    (
        identity.count,
        identity.units,
        identity.bytes_in,
        identity.bytes_out,
    ) = (0, 0, 0, 0);
    identity.latency.clear();
    let key = (boot.to_owned(), serde_json::to_string(&identity).unwrap());
    let kept = state.cells.entry(key).or_insert_with(|| cell.clone());
    kept.count = kept.count.max(cell.count);
    kept.units = kept.units.max(cell.units);
    kept.bytes_in = kept.bytes_in.max(cell.bytes_in);
    kept.bytes_out = kept.bytes_out.max(cell.bytes_out);
}

/// A key and its digest, from a number.
pub fn key_from(seed: u64, environment: Environment) -> (String, shared::credential::KeyHash) {
    let mut next = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let key = PlainKey::generate("pk", environment, |bytes| {
        for byte in bytes {
            next ^= next << 13;
            next ^= next >> 7;
            next ^= next << 17;
            *byte = (next >> 32) as u8;
        }
    })
    .unwrap();
    let hash = Pepper::new(KEY_PEPPER.as_bytes()).digest(key.expose());
    (key.expose().to_owned(), hash)
}
