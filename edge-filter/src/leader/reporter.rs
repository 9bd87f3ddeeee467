//! Telling the portal what was counted, and keeping leases.
//!
//! Everything told is cumulative, so a report that gets lost is simply followed
//! by the next. Owns: when to report, what goes in, what an acknowledgement
//! means. Does not own: counting.

use super::events::copied_before;
use super::sharing::Sharing;
use super::{PortalAnswer, Surroundings, is_due, is_overdue, next_try_ms};
use crate::account::{Account, AccountKey, accounts, with_account};
use crate::bytes::Reader;
use crate::feed_log::Head;
use crate::ports::{Host, SharedData, Stored};
use crate::request_log::RequestLog;
use crate::shared_state::{
    ACCOUNT_SLOTS, Boot, LEDGER, Presence, URGENT, account_key, presences, samples_key,
    update_account, usage_key,
};
use crate::usage::cells_of;
use shared::feed::{REPORT_PATH, Subscription};
use shared::lease::{LeaseKey, LeaseRequest};
use shared::plan::Quota;
use shared::share::ShareRequest;
use shared::usage::{Cell, EdgeDescription, MINUTE_MS, Report, ReportAnswer, RequestSample};
use std::collections::{BTreeSet, HashMap, HashSet};

/// How often a report is sent when nothing presses.
const INTERVAL_MS: u64 = 1_000;
/// How soon calls are reported where that is cheap: what is not reported when the
/// process is ended without warning is lost.
const EAGER_MS: u64 = 250;
/// A report is cheap with so few cells …
const EAGER_CELLS: usize = 200;
/// … and a portal that answers this soon.
const EAGER_ANSWER_MS: u64 = 100;
/// Shortest time between two reports.
const PRESSING_MS: u64 = 20;
/// How long a report may take.
const TIMEOUT_MS: u32 = 5_000;
/// Most cells in a report; the rest follows at once.
const MAX_CELLS: usize = 4_000;
/// Most accounts asked about in a report.
const MAX_LEASES: usize = 2_000;
/// Most leases opened before their first call; others open with it.
const MAX_OPENED: usize = 20_000;
/// How often a new billing period is looked for.
const OPEN_AGAIN_MS: u64 = 10_000;
/// How long before a billing period its leases are opened: its first calls then
/// find them. The portal lends from five minutes before.
const OPEN_AHEAD_MS: u64 = 60_000;
/// A minute's rows are final this long after its end.
const FINAL_AFTER_MS: u64 = 2_000;

/// What outlives an elected worker.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Rows last counted into before this minute are stored in the portal.
    pub stored_before: u32,
    /// The feed position up to which every lease opened ahead has been asked for
    /// and answered; 0 before the first round.
    pub leased_position: u64,
    sequence: u64,
    /// Per slot, the number behind the last sample stored.
    samples: Vec<u64>,
}

impl Ledger {
    /// Reads the ledger.
    pub fn read(shared: &impl SharedData) -> Option<Self> {
        let (bytes, _) = shared.read(LEDGER)?;
        let mut reader = Reader::new(&bytes);
        let mut ledger = Self {
            stored_before: reader.u32()?,
            leased_position: reader.u64()?,
            sequence: reader.u64()?,
            samples: Vec::new(),
        };
        while let Some(number) = reader.u64() {
            ledger.samples.push(number);
        }
        Some(ledger)
    }

    fn write(&self, shared: &impl SharedData) {
        let mut bytes = self.stored_before.to_le_bytes().to_vec();
        bytes.extend_from_slice(&self.leased_position.to_le_bytes());
        bytes.extend_from_slice(&self.sequence.to_le_bytes());
        for number in &self.samples {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        shared.write(LEDGER, &bytes, None);
    }

    fn samples_of(&mut self, slot: u16) -> &mut u64 {
        let place = usize::from(slot);
        if self.samples.len() <= place {
            self.samples.resize(place + 1, 0);
        }
        // The line above made room.
        #[allow(clippy::indexing_slicing)]
        &mut self.samples[place]
    }
}

/// A bucket of a slot, and which version of it.
type BucketVersion = ((u16, usize), u32);

struct Sent {
    token: u32,
    sequence: u64,
    applied_position: u64,
    /// Where the log stood: a portal that is behind it has begun another history.
    known_position: u64,
    /// Versions of the buckets that went in.
    buckets: Vec<BucketVersion>,
    samples: Vec<(u16, u64)>,
    /// The leases asked for.
    leases: Vec<LeaseKey>,
    cells: usize,
    /// Rows before this minute are complete in what was sent so far; unset
    /// while cells are left over for the next report.
    complete_before: Option<u32>,
}

/// What is asked of the portal for some accounts.
#[derive(Default)]
struct Wishes {
    leases: Vec<LeaseRequest>,
    shares: Vec<ShareRequest>,
    /// Whether there is an account that will ask again.
    is_worth_a_look: bool,
}

#[derive(Default)]
struct Demand {
    spent: u64,
    at_ms: u64,
    per_sec: u64,
}

/// The elected worker's reporting.
#[derive(Default)]
pub(super) struct Reporter {
    ledger: Option<Ledger>,
    sent: Option<Sent>,
    sent_at_ms: u64,
    due_at_ms: u64,
    /// When calls that passed since the last report are worth one of their own.
    eager_at_ms: u64,
    told_passed: u64,
    failures: u32,
    told_position: u64,
    stored: HashMap<(u16, usize), u32>,
    lease_slots: Option<BTreeSet<u64>>,
    /// The slot to ask for first: a report may have no room for all.
    next_lease_slot: u64,
    /// Leases opened ahead of their first call that are not yet answered.
    unanswered: HashSet<LeaseKey>,
    demand: HashMap<LeaseKey, Demand>,
    sharing: Sharing,
    opened: HashSet<(AccountKey, u64)>,
    opened_position: u64,
    opened_at_ms: u64,
}

impl Reporter {
    pub fn tick<H: Host>(&mut self, around: &Surroundings<'_, H>, boot: &Boot) {
        self.open_leases(around);
        let now_ms = around.now_ms;
        if self.sent.is_some() {
            if !is_overdue(self.sent_at_ms, TIMEOUT_MS, now_ms) {
                return;
            }
            self.sent = None;
            self.fail(around, "an answer went astray");
        }
        let presses = now_ms.abs_diff(self.sent_at_ms) >= PRESSING_MS
            && self.failures == 0
            && (self.take_urgent(around.host)
                || self.usable_position(around) != self.told_position);
        if is_due(self.due_at_ms, now_ms) || presses || self.is_eager(around) {
            self.send(around, boot, false);
        }
    }

    /// Whether there are calls to report and reports are cheap. Refused ones can
    /// wait: garbage must not press upon the portal.
    fn is_eager<H: Host>(&self, around: &Surroundings<'_, H>) -> bool {
        around.now_ms >= self.eager_at_ms
            && self.failures == 0
            && passed_by(&presences(around.host)) != self.told_passed
    }

    /// Opens a lease for every subscription with a hard quota before its first
    /// call, which would otherwise have to be refused.
    fn open_leases<H: Host>(&mut self, around: &Surroundings<'_, H>) {
        let position = around.position;
        let is_due = around.now_ms.abs_diff(self.opened_at_ms) >= OPEN_AGAIN_MS;
        if position == 0 || (position == self.opened_position && !is_due) {
            return;
        }
        (self.opened_position, self.opened_at_ms) = (position, around.now_ms);
        for subscription in around.programme.subscriptions() {
            if self.opened.len() >= MAX_OPENED {
                return;
            }
            let quota = around
                .programme
                .plan(&subscription.plan)
                .and_then(|plan| plan.quota.as_ref());
            let (Some(ceiling), true) = (
                quota.and_then(Quota::ceiling),
                subscription.ends_at_ms.is_none_or(|at| around.now_ms < at),
            ) else {
                continue;
            };
            for period in periods_to_open(subscription, around.now_ms) {
                for environment in &subscription.environments {
                    let key = AccountKey {
                        subscription: subscription.subscription,
                        environment: *environment,
                    };
                    if self.opened.insert((key, period.0)) {
                        self.open_lease(around, key, period, ceiling);
                    }
                }
            }
        }
    }

    /// The feed position that every live worker has applied and whose leases are
    /// there: before that, a call under a new subscription could be refused for
    /// want of a lease, and the portal would show a key as active too early.
    fn usable_position<H: Host>(&mut self, around: &Surroundings<'_, H>) -> u64 {
        let opened = self.opened_position;
        let is_answered = self.unanswered.is_empty();
        let ledger = self.ledger(around.host);
        if is_answered && opened > ledger.leased_position {
            ledger.leased_position = opened;
            ledger.write(around.host);
        }
        applied_position(around).min(ledger.leased_position)
    }

    fn ledger(&mut self, shared: &impl SharedData) -> &mut Ledger {
        self.ledger
            .get_or_insert_with(|| Ledger::read(shared).unwrap_or_default())
    }

    fn open_lease<H: Host>(
        &mut self,
        around: &Surroundings<'_, H>,
        key: AccountKey,
        period: (u64, u64),
        ceiling: u64,
    ) {
        let now_ns = around.now_ms.saturating_mul(1_000_000);
        let opened = update_account(around.host, key, now_ns, |account| {
            let mut known = account.leases.iter();
            let is_new = !known.any(|own| own.period_start_ms == period.0 && own.is_hard);
            let lease = account.lease_mut(period, ceiling, true);
            let unanswered = lease
                .filter(|lease| lease.ends_at_ms == 0 || is_new)
                .map(|lease| lease.key(key.subscription, key.environment));
            (unanswered, is_new)
        });
        self.unanswered.extend(opened.flatten());
        let shared = around.host;
        let slots = self
            .lease_slots
            .get_or_insert_with(|| all_lease_slots(shared));
        slots.insert(key.hash() % ACCOUNT_SLOTS);
        self.due_at_ms = around.now_ms;
    }

    /// Takes the list of account slots that need a lease; whether there were any.
    fn take_urgent(&mut self, shared: &impl SharedData) -> bool {
        let Some((bytes, version)) = shared.read(URGENT) else {
            return false;
        };
        if bytes.is_empty() || shared.write(URGENT, &[], Some(version)) != Stored::Yes {
            return false;
        }
        let mut reader = Reader::new(&bytes);
        let known = self
            .lease_slots
            .get_or_insert_with(|| all_lease_slots(shared));
        while let Some(slot) = reader.u64() {
            known.insert(slot);
        }
        true
    }

    /// Sends a report.
    pub fn send<H: Host>(&mut self, around: &Surroundings<'_, H>, boot: &Boot, ended: bool) {
        let shared = around.host;
        let usable_position = self.usable_position(around);
        let mut ledger = std::mem::take(self.ledger(shared));
        let workers = presences(shared);
        let (cells, buckets, is_all) = self.collect_cells(shared, &workers);
        let (requests, samples) = collect_samples(shared, &workers, &mut ledger);
        ledger.sequence += 1;
        ledger.write(shared);
        let wishes = self.collect_wishes(around, ended);
        let report = Report {
            edge: EdgeDescription {
                boot: boot.id,
                name: around.edge_name.to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                started_at_ms: boot.started_at_ms,
            },
            sequence: ledger.sequence,
            sent_at_ms: around.now_ms,
            applied_position: usable_position,
            decided: workers.iter().map(|(_, worker)| worker.decided).sum(),
            ended,
            cells,
            requests,
            leases: wishes.leases,
            shares: wishes.shares,
        };
        let leases = report.leases.iter().map(|request| request.key).collect();
        let settled_ms = around.now_ms.saturating_sub(FINAL_AFTER_MS);
        let complete_before = u32::try_from(settled_ms / MINUTE_MS)
            .ok()
            .filter(|_| is_all);
        let body = serde_json::to_vec(&report).unwrap_or_default();
        let token = around.call(boot, "POST", REPORT_PATH, body, TIMEOUT_MS);
        self.sent_at_ms = around.now_ms;
        self.due_at_ms = around.now_ms + INTERVAL_MS;
        self.eager_at_ms = u64::MAX;
        self.told_passed = passed_by(&workers);
        self.sent = token.map(|token| Sent {
            token,
            sequence: report.sequence,
            applied_position: report.applied_position,
            known_position: Head::read(shared).map_or(0, |(head, _)| head.position),
            buckets,
            samples,
            leases,
            cells: report.cells.len(),
            complete_before,
        });
        self.ledger = Some(ledger);
        if token.is_none() {
            self.fail(around, "the proxy refuses the call: check `portal_cluster`");
        }
    }

    /// The cells of every bucket that changed since it was stored; whether all went in.
    fn collect_cells(
        &self,
        shared: &impl SharedData,
        workers: &[(u16, Presence)],
    ) -> (Vec<Cell>, Vec<BucketVersion>, bool) {
        let (mut cells, mut buckets) = (Vec::new(), Vec::new());
        for (slot, worker) in workers {
            for bucket in worker.touched.buckets() {
                let Some((bytes, version)) = shared.read(&usage_key(*slot, bucket)) else {
                    continue;
                };
                let place = (*slot, bucket);
                if self.stored.get(&place) == Some(&version) {
                    continue;
                }
                if cells.len() >= MAX_CELLS {
                    return (cells, buckets, false);
                }
                cells.extend(cells_of(*slot, &bytes));
                buckets.push((place, version));
            }
        }
        (cells, buckets, true)
    }

    fn collect_wishes<H: Host>(&mut self, around: &Surroundings<'_, H>, ending: bool) -> Wishes {
        let shared = around.host;
        let slots = self
            .lease_slots
            .get_or_insert_with(|| all_lease_slots(shared))
            .clone();
        let mut wishes = Wishes::default();
        let first = self.next_lease_slot;
        self.next_lease_slot = 0;
        for slot in slots.range(first..).chain(slots.range(..first)).copied() {
            if wishes.leases.len() + wishes.shares.len() >= MAX_LEASES {
                self.next_lease_slot = slot;
                break;
            }
            let of_slot = self.collect_slot_wishes(around, slot, ending);
            if !of_slot.is_worth_a_look
                && let Some(known) = &mut self.lease_slots
            {
                known.remove(&slot);
            }
            wishes.leases.extend(of_slot.leases);
            wishes.shares.extend(of_slot.shares);
        }
        wishes
    }

    fn collect_slot_wishes<H: Host>(
        &mut self,
        around: &Surroundings<'_, H>,
        slot: u64,
        ending: bool,
    ) -> Wishes {
        let (key, now_ms) = (account_key(slot), around.now_ms);
        // What is given back must be stored before it is told, or it could be spent.
        for _ in 0..100 {
            let Some((bytes, version)) = around.host.read(&key) else {
                break;
            };
            let mut changed = bytes.clone();
            let mut wishes = Wishes::default();
            for mut account in accounts(&bytes).filter(Account::asks_the_portal) {
                wishes.is_worth_a_look = true;
                wishes
                    .shares
                    .extend(self.sharing.ask(&mut account, now_ms, ending));
                let AccountKey {
                    subscription,
                    environment,
                } = account.key;
                account.leases.retain(|lease| {
                    let is_over = lease.is_over(now_ms);
                    if is_over {
                        // Nobody asks for it any more, so nobody will answer.
                        self.unanswered
                            .remove(&lease.key(subscription, environment));
                    }
                    !is_over
                });
                for lease in &mut account.leases {
                    let lease_key = lease.key(subscription, environment);
                    let per_sec = self.demand_of(lease_key, lease.spent, now_ms);
                    wishes
                        .leases
                        .push(lease.request(lease_key, per_sec, ending));
                }
                changed = with_account(&changed, &account, now_ms.saturating_mul(1_000_000));
            }
            if changed == bytes || around.host.write(&key, &changed, Some(version)) == Stored::Yes {
                return wishes;
            }
            // It is worked out anew, and not told yet.
            self.sharing.tell_again();
        }
        Wishes::default()
    }

    fn demand_of(&mut self, key: LeaseKey, spent: u64, now_ms: u64) -> u64 {
        let demand = self.demand.entry(key).or_default();
        let passed = now_ms.saturating_sub(demand.at_ms);
        if demand.at_ms == 0 || passed >= 200 {
            let units = spent.saturating_sub(demand.spent);
            let per_sec = if demand.at_ms == 0 {
                units
            } else {
                units * 1_000 / passed.max(1)
            };
            // Demand rises at once and falls by halves, so that a pause costs no lease.
            demand.per_sec = per_sec.max(demand.per_sec / 2);
            (demand.spent, demand.at_ms) = (spent, now_ms);
        }
        demand.per_sec
    }

    fn fail<H: Host>(&mut self, around: &Surroundings<'_, H>, why: &str) {
        self.sharing.tell_again();
        self.due_at_ms = next_try_ms(around, &mut self.failures, "report not stored", why);
    }

    /// Takes an answer; where it tells one, the newest feed position and whether
    /// the portal has begun another history.
    pub fn take_answer<H: Host>(
        &mut self,
        around: &Surroundings<'_, H>,
        token: u32,
        answer: &PortalAnswer<'_>,
    ) -> Option<(u64, bool)> {
        let sent = self.sent.take_if(|sent| sent.token == token)?;
        if !answer.is_proven(around.configuration, REPORT_PATH) {
            self.fail(around, &format!("the portal answers {}", answer.status));
            return None;
        }
        let stored: ReportAnswer = match serde_json::from_slice(answer.body) {
            Ok(stored) => stored,
            Err(error) => {
                self.fail(around, &format!("malformed answer: {error}"));
                return None;
            }
        };
        if stored.acknowledged < sent.sequence {
            self.fail(around, "the portal has not acknowledged it");
            return None;
        }
        self.failures = 0;
        if sent.cells <= EAGER_CELLS && around.now_ms.abs_diff(self.sent_at_ms) <= EAGER_ANSWER_MS {
            self.eager_at_ms = self.sent_at_ms + EAGER_MS;
        }
        self.told_position = sent.applied_position;
        self.stored.extend(sent.buckets);
        if let Some(ledger) = &mut self.ledger {
            for (slot, number) in sent.samples {
                *ledger.samples_of(slot) = number;
            }
            if let Some(minute) = sent.complete_before {
                // What a sink is yet to be told must stand for a moment longer.
                let told = around.configuration.sink.as_ref();
                let told = told.map_or(u32::MAX, |_| copied_before(around.host));
                let minute = minute.min(told);
                ledger.stored_before = ledger.stored_before.max(minute);
            } else {
                self.due_at_ms = around.now_ms;
            }
            ledger.write(around.host);
        }
        let now_ns = around.now_ms.saturating_mul(1_000_000);
        for grant in &stored.leases {
            let key = AccountKey {
                subscription: grant.key.subscription,
                environment: grant.key.environment,
            };
            update_account(around.host, key, now_ns, |account| {
                let mut leases = account.leases.iter_mut();
                let lease = leases.find(|lease| lease.period_start_ms == grant.key.period_start_ms);
                let stores = lease.is_some();
                if let Some(lease) = lease {
                    lease.apply(grant);
                }
                ((), stores)
            });
        }
        for key in &sent.leases {
            self.unanswered.remove(key);
        }
        let due_at_ms = self
            .sharing
            .take(around.host, &stored.shares, around.now_ms);
        self.due_at_ms = self.due_at_ms.min(due_at_ms.unwrap_or(u64::MAX));
        if !self.unanswered.is_empty() {
            self.due_at_ms = around.now_ms;
        }
        Some((stored.head, stored.head < sent.known_position))
    }
}

/// The billing period in which calls come, and the next where it is near.
fn periods_to_open(
    subscription: &Subscription,
    now_ms: u64,
) -> impl Iterator<Item = (u64, u64)> + use<> {
    let current = subscription.period_at(now_ms);
    let next = current
        .filter(|(_, end_ms)| *end_ms <= now_ms.saturating_add(OPEN_AHEAD_MS))
        .and_then(|(_, end_ms)| subscription.period_at(end_ms))
        .filter(|next| Some(*next) != current);
    current.into_iter().chain(next)
}

fn all_lease_slots(shared: &impl SharedData) -> BTreeSet<u64> {
    (0..ACCOUNT_SLOTS)
        .filter(|slot| {
            shared
                .read(&account_key(*slot))
                .is_some_and(|(bytes, _)| accounts(&bytes).any(|account| account.asks_the_portal()))
        })
        .collect()
}

/// Calls that all workers let pass.
fn passed_by(workers: &[(u16, Presence)]) -> u64 {
    workers.iter().map(|(_, worker)| worker.passed).sum()
}

fn collect_samples(
    shared: &impl SharedData,
    workers: &[(u16, Presence)],
    ledger: &mut Ledger,
) -> (Vec<RequestSample>, Vec<(u16, u64)>) {
    let (mut requests, mut numbers) = (Vec::new(), Vec::new());
    for (slot, _) in workers {
        let log = shared
            .read(&samples_key(*slot))
            .and_then(|(bytes, _)| RequestLog::read(&bytes));
        if let Some(log) = log {
            let (samples, end) = log.since(*ledger.samples_of(*slot));
            requests.extend(samples);
            numbers.push((*slot, end));
        }
    }
    (requests, numbers)
}

/// The feed position that every live worker has applied.
fn applied_position<H: Host>(around: &Surroundings<'_, H>) -> u64 {
    let newest = Head::read(around.host).map_or(0, |(head, _)| head.position);
    presences(around.host)
        .iter()
        .filter(|(_, worker)| worker.is_alive(around.now_ms))
        .map(|(_, worker)| worker.applied_position)
        .min()
        .unwrap_or(0)
        .min(newest)
}
