//! One virtual machine: what happens at each callback of the proxy.
//!
//! Owns: the order of things per request, and the worker's own bookkeeping in
//! shared data. Does not own: any single decision; those are in their modules.

mod ending;

use crate::access::{Denial, Permit, Question, TokenGrant, judge};
use crate::account::{AccountKey, Charge, Decision, Outcome};
use crate::address::parse_peer;
use crate::configuration::Configuration;
use crate::credential::find_presented;
use crate::feed_log::{Head, Replay};
use crate::leader::{Leader, Ledger, PortalAnswer, Surroundings, portal_answers};
use crate::limit_fields::{LimitFields, whole_secs};
use crate::ports::{Host, Level, Stored};
use crate::programme::Programme;
use crate::quota::NoRoom;
use crate::refusal::{Circumstances, Refusal};
use crate::request::RequestView;
use crate::request_log::RequestLog;
use crate::shared_state::{
    ACCOUNT_SLOTS, Presence, TRIES, URGENT, claim_slot, create_keys, read_presence, samples_key,
    slot_key, update_account, usage_key,
};
use crate::token::{Expectations, TokenCache, is_token};
use crate::usage::{BUCKETS, Quantities, Series, UsageTable};
use crate::verdict::{Action, Changes, Reservation, Stream, Verdict};
use core::cell::RefCell;
use ending::Ending;
use shared::credential::{KeyHash, check_key};
use shared::feed::Programme as Settings;
use shared::problem::Code;
use shared::usage::RequestSample;
use std::collections::HashMap;

/// Work on a tick stops after this long.
const SLICE_NS: u64 = 2_000_000;
/// Time between ticks.
pub const TICK_MS: u32 = 50;
/// Time between ticks while there is a backlog.
pub const BUSY_TICK_MS: u32 = 5;
/// How long a virtual machine may replay the feed before its first request:
/// after a crash its state is back at once unless the programme is large.
const START_NS: u64 = 100_000_000;
/// How often a worker says that it lives.
const HEARTBEAT_MS: u64 = 250;
/// How often it looks whether finished minutes may be dropped.
const DROP_MS: u64 = 1_000;

/// How long the first calls may be held back for the first leases.
const LEASES_WITHIN_MS: u64 = 3_000;

/// One virtual machine's state.
#[derive(Default)]
pub struct Worker {
    configuration: Option<Configuration>,
    edge_name: String,
    owner: u64,
    slot: Option<u16>,
    presence: Presence,
    told: Presence,
    programme: Programme,
    replay: Replay,
    ready_at_ms: Option<u64>,
    is_open: bool,
    tokens: RefCell<TokenCache>,
    head: Option<Head>,
    usage: UsageTable,
    request_log: RequestLog,
    leader: Leader,
    streams: HashMap<u32, Stream>,
    drop_at_ms: u64,
    malformed_told: u64,
}

impl Worker {
    /// Takes a configuration.
    ///
    /// # Errors
    /// What is wrong with it, by field.
    pub fn configure(
        &mut self,
        host: &impl Host,
        json: &[u8],
        variable: impl Fn(&str) -> Option<String>,
        edge_name: &str,
    ) -> Result<(), String> {
        let configuration =
            Configuration::parse(json, variable).map_err(|error| error.to_string())?;
        self.configuration = Some(configuration);
        self.edge_name = edge_name.to_owned();
        create_keys(host);
        if self.owner == 0 {
            let mut random = [0; 8];
            host.fill_random(&mut random);
            self.owner = u64::from_le_bytes(random) | 1;
            self.catch_up(host, host.now_ns(), START_NS);
        }
        Ok(())
    }

    /// The regular callback; after how long it is wanted again.
    pub fn tick(&mut self, host: &impl Host) -> u32 {
        let now_ns = host.now_ns();
        let now_ms = now_ns / 1_000_000;
        self.ensure_slot(host, now_ms);
        let is_busy = self.catch_up(host, now_ns, SLICE_NS);
        self.show_presence(host, now_ms);
        if let (Some(slot), Some(bytes)) = (self.slot, self.request_log.take_changed()) {
            host.write(&samples_key(slot), &bytes, None);
        }
        if now_ms >= self.drop_at_ms {
            self.drop_at_ms = now_ms + DROP_MS;
            self.drop_stored(host);
        }
        let (Some(slot), Some(configuration)) = (self.slot, &self.configuration) else {
            return TICK_MS;
        };
        let around = Surroundings {
            host,
            configuration,
            edge_name: &self.edge_name,
            programme: &self.programme,
            position: self.replay.applied_position,
            now_ms,
        };
        self.leader.tick(&around, (slot, &self.presence));
        if is_busy { BUSY_TICK_MS } else { TICK_MS }
    }

    /// Replays what is new of the feed for at most `slice_ns`; whether there is more.
    fn catch_up(&mut self, host: &impl Host, now_ns: u64, slice_ns: u64) -> bool {
        let Some((head, _)) = Head::read(host) else {
            return false;
        };
        self.head = Some(head);
        let has_time = || host.now_ns().saturating_sub(now_ns) < slice_ns;
        let more = self
            .replay
            .advance(host, &head, &mut self.programme, has_time);
        self.open(host, now_ns / 1_000_000);
        if self.replay.malformed > self.malformed_told {
            self.malformed_told = self.replay.malformed;
            host.log(
                Level::Warning,
                "portico: the feed has changes that this version cannot read",
            );
        }
        more
    }

    /// Begins to serve: after the snapshot, and after the first leases, without
    /// which a call under a hard quota would be refused although there is room.
    /// A portal that falls silent in between holds nobody back for long.
    fn open(&mut self, host: &impl Host, now_ms: u64) {
        if self.is_open || !self.replay.is_ready {
            return;
        }
        let ready_at_ms = *self.ready_at_ms.get_or_insert(now_ms);
        let has_leases = Ledger::read(host).is_some_and(|ledger| ledger.leased_position > 0);
        self.is_open = has_leases || now_ms >= ready_at_ms + LEASES_WITHIN_MS;
    }

    fn ensure_slot(&mut self, host: &impl Host, now_ms: u64) {
        if self.slot.is_some() {
            return;
        }
        let Some((slot, presence)) = claim_slot(host, self.owner, now_ms) else {
            return;
        };
        self.slot = Some(slot);
        self.presence = presence;
        self.told = presence;
        for bucket in 0..BUCKETS {
            if let Some((bytes, _)) = host.read(&usage_key(slot, bucket)) {
                self.usage.adopt(bucket, bytes);
            }
        }
        if let Some(log) = host
            .read(&samples_key(slot))
            .and_then(|(bytes, _)| RequestLog::read(&bytes))
        {
            self.request_log = log;
        }
    }

    fn show_presence(&mut self, host: &impl Host, now_ms: u64) {
        let Some(slot) = self.slot else {
            return;
        };
        self.presence.applied_position = self.replay.applied_position;
        let is_news = self.presence.applied_position != self.told.applied_position
            || (self.told.served == 0) != (self.presence.served == 0);
        if !is_news && now_ms.abs_diff(self.told.seen_at_ms) < HEARTBEAT_MS {
            return;
        }
        match read_presence(host, slot) {
            Some(shown) if shown.owner != self.owner => {
                // After a stall of many seconds the slot is another's, with its cells.
                self.slot = None;
                self.usage = UsageTable::default();
                self.request_log = RequestLog::default();
                self.ensure_slot(host, now_ms);
            }
            _ => {}
        }
        self.presence.seen_at_ms = now_ms;
        self.told = self.presence;
        if let Some(slot) = self.slot {
            host.write(&slot_key(slot), &self.presence.to_bytes(), None);
        }
    }

    fn drop_stored(&mut self, host: &impl Host) {
        let (Some(slot), Some(ledger)) = (self.slot, Ledger::read(host)) else {
            return;
        };
        for bucket in self.usage.drop_before(ledger.stored_before) {
            host.write(&usage_key(slot, bucket), self.usage.bucket(bucket), None);
        }
    }

    /// Decides a request from its header list.
    pub fn decide(&mut self, host: &impl Host, stream: u32, pairs: &[u8]) -> Verdict {
        let request = RequestView::read(pairs);
        let now_ns = host.now_ns();
        let mut record = Stream {
            started_ns: now_ns,
            method: request.method.to_owned(),
            request_id: request.request_id.to_owned(),
            content_length: request.content_length,
            ..Stream::default()
        };
        if self.slot.is_none() {
            self.ensure_slot(host, now_ns / 1_000_000);
        }
        self.presence.decided += 1;
        self.presence.served += 1;
        #[cfg(feature = "fault-injection")]
        crate::fault::inject(request.fault, crate::fault::Moment::Request);
        let verdict = self.judge_request(host, &request, &mut record, now_ns);
        self.streams.insert(stream, record);
        verdict
    }

    fn judge_request(
        &self,
        host: &impl Host,
        request: &RequestView<'_>,
        record: &mut Stream,
        now_ns: u64,
    ) -> Verdict {
        let Some(configuration) = &self.configuration else {
            return self.refuse(&Code::PortalStale.into(), request, record, None);
        };
        let mut changes = Changes {
            remove: request
                .forged
                .iter()
                .map(|name| (*name).to_owned())
                .collect(),
            ..Changes::default()
        };
        let path = request.path();
        if configuration
            .public_paths
            .iter()
            .any(|public| public.covers(path))
        {
            let environment = configuration.public_environment.as_str();
            changes
                .add
                .push(("x-portico-environment", environment.to_owned()));
            return Verdict {
                action: Action::Pass(changes),
                metadata: "code=public".to_owned(),
            };
        }
        let permit = match self.permit(host, configuration, request, &mut changes, record, now_ns) {
            Ok(permit) => permit,
            Err(denial) => return self.refuse(&denial, request, record, None),
        };
        let decision = match self.charge(host, &permit, record, now_ns) {
            Some(decision) => decision,
            None => return self.refuse(&Code::PortalStale.into(), request, record, Some(&permit)),
        };
        let period = permit.subscription.period_at(now_ns / 1_000_000);
        let limits = LimitFields::of(&permit.plan, &decision, period, now_ns / 1_000_000);
        if decision.outcome != Outcome::Pass {
            return self.refuse_limit(&permit, &decision, limits, request, record, now_ns);
        }
        record.limits = limits;
        record.plan = Some(permit.plan.clone());
        let mut metadata = describe("ok", Some(&permit), record);
        if decision.shadow_refused {
            metadata.push_str(" shadow=refused");
        }
        Verdict {
            action: Action::Pass(changes.identify(&permit)),
            metadata,
        }
    }

    /// Everything but limits: from the request to the subscription it is decided under.
    fn permit(
        &self,
        host: &impl Host,
        configuration: &Configuration,
        request: &RequestView<'_>,
        changes: &mut Changes,
        record: &mut Stream,
        now_ns: u64,
    ) -> Result<Permit, Denial> {
        let settings = self
            .programme
            .settings
            .as_ref()
            .filter(|_| self.is_open)
            .ok_or(Code::PortalStale)?;
        let presented = find_presented(request, settings.query_parameter.as_deref())?
            .ok_or(Code::MissingCredential)?;
        if presented.in_authorization {
            changes.remove.push("authorization".to_owned());
        }
        if presented.in_api_key {
            changes.remove.push("x-api-key".to_owned());
        }
        changes.target = presented.target_without;
        let now_ms = now_ns / 1_000_000;
        let (hash, grant) =
            self.identify(host, configuration, settings, &presented.text, now_ms)?;
        let found = self
            .programme
            .find_credential(&hash)
            .ok_or(Code::UnknownCredential)?;
        record.credential = Some(found.credential);
        let fresh_at_ms = self.head.map_or(0, |head| head.fresh_at_ms);
        let budget_ms = u64::from(settings.staleness_budget_secs) * 1_000;
        let question = Question {
            method: request.method,
            path: request.path(),
            environments: &configuration.environments,
            token: grant.as_ref(),
            now_ms,
            is_stale: now_ms > fresh_at_ms.saturating_add(budget_ms),
        };
        let client = || host.client_address().as_deref().and_then(parse_peer);
        let permit = judge(&self.programme, &found, &question, client)?;
        record.subscription = Some(permit.subscription.subscription);
        record.installation = permit.installation;
        record.operation = Some(permit.operation.name.clone());
        record.weight = permit.operation.weight;
        record.meters = self
            .programme
            .product(&permit.operation.product)
            .map(|product| (product.meters.clone(), product.meter_ids.clone()));
        Ok(permit)
    }

    /// The digest that a credential's text is known under, and what a token adds.
    fn identify(
        &self,
        host: &impl Host,
        configuration: &Configuration,
        settings: &Settings,
        text: &str,
        now_ms: u64,
    ) -> Result<(KeyHash, Option<TokenGrant>), Denial> {
        if !is_token(text) {
            // The prefix is part of what is digested: test and live never cross.
            check_key(text, &settings.brand).map_err(|_| Code::MalformedCredential)?;
            return Ok((configuration.pepper.digest(text), None));
        }
        let expected = Expectations {
            issuer: &settings.issuer,
            audience: &settings.audience,
            now_ms,
        };
        let mut tokens = self.tokens.borrow_mut();
        tokens.follow(self.programme.keys_version);
        let token = tokens.verify(host, &self.programme.keys, text, &expected)?;
        Ok((
            configuration.pepper.digest(&token.client_id),
            Some(token.grant),
        ))
    }

    /// Takes what the call needs of limits and quota.
    fn charge(
        &self,
        host: &impl Host,
        permit: &Permit,
        record: &mut Stream,
        now_ns: u64,
    ) -> Option<Decision> {
        let now_ms = now_ns / 1_000_000;
        let period = permit.subscription.period_at(now_ms);
        let charge = Charge {
            plan: &permit.plan,
            credential: permit.credential,
            operation: &permit.operation.name,
            weight: permit.operation.weight,
            period,
            now_ns,
            portal_answers: self.head.is_some_and(|head| portal_answers(&head, now_ms)),
        };
        let key = AccountKey {
            subscription: permit.subscription.subscription,
            environment: permit.environment,
        };
        let decision = update_account(host, key, now_ns, |account| {
            let decision = account.charge(&charge);
            let stores = decision.outcome == Outcome::Pass || decision.opened_lease;
            (decision, stores)
        })?;
        if decision.lease_is_low || decision.opened_lease {
            ask_for_lease(host, key);
        }
        if let (Outcome::Pass, Some(_), Some(period)) =
            (&decision.outcome, &permit.plan.quota, period)
        {
            let units = u64::from(permit.operation.weight);
            record.reservation = Some(Reservation {
                account: key,
                period,
                units,
            });
        }
        Some(decision)
    }

    fn refuse_limit(
        &self,
        permit: &Permit,
        decision: &Decision,
        limits: Option<LimitFields>,
        request: &RequestView<'_>,
        record: &mut Stream,
        now_ns: u64,
    ) -> Verdict {
        let quota = permit.plan.quota.as_ref();
        let (code, violated, retry_after_secs) = match &decision.outcome {
            Outcome::RateLimited { violated, wait_ns } => {
                let limits = &permit.plan.rate_limits;
                let names = violated.iter().filter_map(|place| limits.get(*place));
                (
                    Code::RateLimited,
                    names.map(|limit| limit.name.clone()).collect(),
                    whole_secs(*wait_ns),
                )
            }
            Outcome::QuotaExceeded(no_room) => {
                let period = permit.subscription.period_at(now_ns / 1_000_000);
                let left_ms = period.map_or(0, |(_, end)| end.saturating_sub(now_ns / 1_000_000));
                let wait_secs = match no_room {
                    NoRoom::UsedUp => left_ms.div_ceil(1_000),
                    NoRoom::LeaseSpent => 1,
                };
                (
                    Code::QuotaExceeded,
                    quota.map(|quota| quota.name.clone()).into_iter().collect(),
                    wait_secs,
                )
            }
            Outcome::Pass => (Code::PortalStale, Vec::new(), 1),
        };
        let circumstances = Circumstances {
            violated,
            retry_after_secs: Some(retry_after_secs),
            limits,
            ..self.circumstances(request)
        };
        record.refused = Some(code);
        Verdict {
            metadata: describe(code.as_str(), Some(permit), record),
            action: Action::Refuse(Refusal::of(&code.into(), circumstances)),
        }
    }

    fn circumstances<'a>(&'a self, request: &RequestView<'a>) -> Circumstances<'a> {
        let settings = self.programme.settings.as_ref();
        Circumstances {
            request_id: request.request_id,
            help_base: settings.map_or("", |settings| &settings.help_base),
            realm: self.configuration.as_ref().map_or("api", |own| &own.realm),
            ..Circumstances::default()
        }
    }

    fn refuse(
        &self,
        denial: &Denial,
        request: &RequestView<'_>,
        record: &mut Stream,
        permit: Option<&Permit>,
    ) -> Verdict {
        record.refused = Some(denial.code);
        Verdict {
            metadata: describe(denial.code.as_str(), permit, record),
            action: Action::Refuse(Refusal::of(denial, self.circumstances(request))),
        }
    }

    /// What to add to the response of a call that passed.
    #[must_use]
    pub fn response_fields(&self, stream: u32) -> Option<&LimitFields> {
        let record = self.streams.get(&stream)?;
        record.limits.as_ref().filter(|_| record.refused.is_none())
    }

    /// Counts a call that has ended.
    pub fn finish(&mut self, host: &impl Host, stream: u32) {
        let Some(record) = self.streams.remove(&stream) else {
            return;
        };
        let now_ns = host.now_ns();
        let latency_us = now_ns.saturating_sub(record.started_ns) / 1_000;
        let ending = match record.refused {
            Some(code) => Ending::refused(code),
            None => Ending::read(host, &record),
        };
        self.settle(host, &record, &ending, now_ns);
        let now_ms = now_ns / 1_000_000;
        let meter_ids = record.meters.as_ref().map(|(_, ids)| ids.clone());
        let series = Series {
            credential: record.credential,
            subscription: record.subscription,
            installation: record.installation,
            meters: meter_ids.as_deref().unwrap_or_default(),
            operation: record.operation.as_deref().unwrap_or_default(),
            outcome: ending.outcome,
        };
        let units = ending.units(&record);
        let quantities = Quantities {
            units: &units,
            bytes_in: ending.bytes_in,
            bytes_out: ending.bytes_out,
            latency_us,
        };
        let bucket = self.usage.count(&series, &quantities, now_ms);
        if let Some(slot) = self.slot {
            host.write(&usage_key(slot, bucket), self.usage.bucket(bucket), None);
        }
        self.sample(&record, &ending, now_ms, latency_us);
    }

    fn sample(&mut self, record: &Stream, ending: &Ending, now_ms: u64, latency_us: u64) {
        let is_failure = ending.status >= 400 || ending.status == 0;
        let every = self
            .configuration
            .as_ref()
            .map_or(100, |own| own.sample_every);
        if !self
            .request_log
            .wants(record.credential, is_failure, every, now_ms)
        {
            return;
        }
        self.request_log.push(RequestSample {
            at_ms: now_ms,
            request_id: record.request_id.clone(),
            credential: record.credential,
            installation: record.installation,
            operation: record.operation.as_deref().unwrap_or_default().to_owned(),
            method: record.method.clone(),
            status: ending.status,
            code: record.refused.map(|code| code.as_str().to_owned()),
            latency_us,
        });
    }

    /// Settles what was reserved of the quota to what the call came to.
    fn settle(&self, host: &impl Host, record: &Stream, ending: &Ending, now_ns: u64) {
        let Some(reservation) = record.reservation else {
            return;
        };
        let actual = if ending.counts(record) {
            ending.true_weight.unwrap_or(reservation.units)
        } else {
            0
        };
        if actual == reservation.units {
            return;
        }
        update_account(host, reservation.account, now_ns, |account| {
            let mut leases = account.leases.iter_mut();
            let lease = leases.find(|lease| lease.period_start_ms == reservation.period.0);
            let stores = lease.is_some();
            if let Some(lease) = lease {
                lease.settle(reservation.units, actual);
            }
            ((), stores)
        });
    }

    /// Takes the portal's answer to a background call.
    pub fn take_portal_answer(&mut self, host: &impl Host, token: u32, answer: &PortalAnswer<'_>) {
        let Some(configuration) = &self.configuration else {
            return;
        };
        let around = Surroundings {
            host,
            configuration,
            edge_name: &self.edge_name,
            programme: &self.programme,
            position: self.replay.applied_position,
            now_ms: host.now_ns() / 1_000_000,
        };
        self.leader.take_answer(&around, token, answer);
    }

    /// The Envoy process ends, or this configuration does.
    pub fn end(&mut self, host: &impl Host) {
        let now_ms = host.now_ns() / 1_000_000;
        self.told.seen_at_ms = 0;
        self.show_presence(host, now_ms);
        if let (Some(slot), Some(bytes)) = (self.slot, self.request_log.take_changed()) {
            host.write(&samples_key(slot), &bytes, None);
        }
        let Some(configuration) = &self.configuration else {
            return;
        };
        let around = Surroundings {
            host,
            configuration,
            edge_name: &self.edge_name,
            programme: &self.programme,
            position: self.replay.applied_position,
            now_ms,
        };
        self.leader.end(&around);
    }
}

/// The decision in a line. Names in it have no spaces; an operation that does is
/// told apart by standing last.
fn describe(code: &str, permit: Option<&Permit>, record: &Stream) -> String {
    let mut text = String::with_capacity(160);
    text.push_str("code=");
    text.push_str(code);
    let mut add = |name: &str, value: &str| {
        text.push(' ');
        text.push_str(name);
        text.push('=');
        text.push_str(value);
    };
    match permit {
        Some(permit) => {
            add("credential", &permit.texts.credential);
            add("app", &permit.texts.app);
            add("plan", &permit.texts.plan);
            add("operation", &permit.operation.name);
        }
        None => {
            if let Some(credential) = record.credential {
                add("credential", &credential.to_string());
            }
        }
    }
    text
}

/// Puts an account's slot on the list that the elected worker looks at on every tick.
fn ask_for_lease(host: &impl Host, key: AccountKey) {
    let slot = (key.hash() % ACCOUNT_SLOTS).to_le_bytes();
    for _ in 0..TRIES {
        let Some((mut bytes, version)) = host.read(URGENT) else {
            return;
        };
        if bytes.chunks_exact(8).any(|listed| listed == slot) {
            return;
        }
        bytes.extend_from_slice(&slot);
        if host.write(URGENT, &bytes, Some(version)) != Stored::Changed {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
