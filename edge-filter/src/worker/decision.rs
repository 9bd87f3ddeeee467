//! Deciding a request: from its header list to a verdict.

use super::Worker;
use crate::access::{Denial, Question, TokenGrant, judge};
use crate::account::{AccountKey, Charge, Decision, Outcome};
use crate::address::parse_peer;
use crate::configuration::Configuration;
use crate::credential::{Presented, find_presented};
use crate::leader::portal_answers;
use crate::limit_fields::{LimitFields, state_of, whole_secs};
use crate::metrics::{Metric, Metrics};
use crate::ports::{Host, Stored};
use crate::prepared::Prepared;
use crate::quota::NoRoom;
use crate::refusal::{Circumstances, Refusal};
use crate::request::RequestView;
use crate::shared_state::{ACCOUNT_SLOTS, TRIES, URGENT, update_account_in};
use crate::token::{Expectations, is_token};
use crate::verdict::{Action, Changes, Stream, Verdict, method_of};
use shared::credential::{KeyHash, check_key};
use shared::feed::Programme as Settings;
use shared::plan::WhenStale;
use shared::problem::Code;
use std::rc::Rc;

/// What a call is told that finds the lease spent while the pool has more.
const LEASE_SPENT: &str = "This gateway has spent its share of the allowance and is fetching more. Try again in a second; the allowance itself is not used up.";

impl Worker {
    /// Decides a request from its header list.
    pub fn decide<'a>(&mut self, host: &impl Host, stream: u32, pairs: &'a [u8]) -> Verdict<'a> {
        self.presence.decided += 1;
        self.judge_stream(host, stream, pairs, |_| ())
    }

    pub(super) fn judge_stream<'a>(
        &mut self,
        host: &impl Host,
        stream: u32,
        pairs: &'a [u8],
        remember: impl FnOnce(&mut Stream),
    ) -> Verdict<'a> {
        let request = RequestView::read(pairs);
        let now_ns = host.now_ns();
        let mut record = Stream {
            started_ns: now_ns,
            method: method_of(request.method),
            request_id: request.request_id.to_owned(),
            content_length: request.content_length,
            ..Stream::default()
        };
        remember(&mut record);
        if self.slot.is_none() {
            self.ensure_slot(host, now_ns / 1_000_000);
        }
        // A position was told as applied: its first call may come before the next tick.
        self.open(host, now_ns / 1_000_000);
        #[cfg(feature = "fault-injection")]
        crate::fault::inject(request.fault, crate::fault::Moment::Request);
        let verdict = self.judge_request(host, &request, &mut record, now_ns);
        if verdict.is_held {
            self.hold(stream, pairs, &record);
            self.streams.insert(stream, record);
            return verdict;
        }
        self.presence.passed += u64::from(record.refused.is_none());
        self.metrics.add(
            match (&record.refused, &record.prepared) {
                (Some(_), _) => Metric::Refused,
                (None, Some(_)) => Metric::Accepted,
                (None, None) => Metric::Public,
            },
            1,
        );
        self.streams.insert(stream, record);
        verdict
    }

    /// Takes the time that a request has cost, of those that are timed.
    pub fn time_request(&mut self, host: &impl Host, stream: u32) {
        if !Metrics::times(stream) {
            return;
        }
        if let Some(record) = self.streams.get(&stream) {
            let own_ns = host.now_ns().saturating_sub(record.started_ns);
            self.metrics.add(Metric::TimedNs, own_ns);
        }
    }

    fn judge_request<'a>(
        &self,
        host: &impl Host,
        request: &RequestView<'a>,
        record: &mut Stream,
        now_ns: u64,
    ) -> Verdict<'a> {
        let Some(configuration) = &self.configuration else {
            return self.refuse(&Code::PortalStale.into(), request, record);
        };
        let mut remove = request.forged.clone();
        let path = request.path();
        let mut public = configuration.public_paths.iter();
        if public.any(|public| public.covers(path)) {
            let environment = configuration.public_environment.as_str();
            let changes = Changes {
                remove,
                add: Rc::new([("x-portico-environment", environment.into())]),
                target: None,
                reroutes: configuration.routes_by_identity,
            };
            return Verdict {
                action: Action::Pass(changes),
                metadata: configuration
                    .describes_accepted
                    .then(|| "code=public".into()),
                is_held: false,
            };
        }
        let (presented, prepared) =
            match self.prepare(host, configuration, request, record, now_ns / 1_000_000) {
                Ok(found) => found,
                Err(denial) => return self.refuse(&denial, request, record),
            };
        record.prepared = Some(Rc::clone(&prepared));
        let Some(decision) = self.charge(host, &prepared, record, now_ns) else {
            return self.refuse(&Code::PortalStale.into(), request, record);
        };
        let now_ms = now_ns / 1_000_000;
        if prepared.policy.is_some() {
            record.limit_state =
                state_of(&prepared.permit.plan, &decision, prepared.period, now_ms);
        }
        if decision.outcome != Outcome::Pass {
            let is_held = self.may_wait(&prepared, &decision.outcome, record, now_ms);
            let refusal = self.refuse_limit(&prepared, &decision, request, record, now_ms);
            return Verdict { is_held, ..refusal };
        }
        if presented.in_authorization {
            remove.push("authorization");
        }
        if presented.in_api_key {
            remove.push("x-api-key");
        }
        let changes = Changes {
            remove,
            add: Rc::clone(&prepared.identity),
            target: presented.target_without,
            reroutes: configuration.routes_by_identity,
        };
        Verdict {
            action: Action::Pass(changes),
            metadata: if decision.shadow_refused {
                Some(format!("{} shadow=refused", prepared.passed).into())
            } else {
                let describes = configuration.describes_accepted;
                describes.then(|| Rc::clone(&prepared.passed))
            },
            is_held: false,
        }
    }

    /// Everything but limits: from the request to what it is decided under.
    fn prepare<'a>(
        &self,
        host: &impl Host,
        configuration: &Configuration,
        request: &RequestView<'a>,
        record: &mut Stream,
        now_ms: u64,
    ) -> Result<(Presented<'a>, Rc<Prepared>), Denial> {
        let settings = self
            .programme
            .settings
            .as_ref()
            .filter(|_| self.is_open)
            .ok_or(Code::PortalStale)?;
        let presented = find_presented(request, settings.query_parameter.as_deref())?
            .ok_or(Code::MissingCredential)?;
        let fresh_at_ms = self.head.map_or(0, |head| head.fresh_at_ms);
        let budget_ms = u64::from(settings.staleness_budget_secs) * 1_000;
        let is_stale = now_ms > fresh_at_ms.saturating_add(budget_ms);
        let client = || host.client_address().as_deref().and_then(parse_peer);

        let operations = self.programme.operations(request.method, request.path());
        let mut cache = self.prepared.borrow_mut();
        cache.follow(self.programme.version);
        if let Some(known) = cache.find(&presented.text, operations, now_ms) {
            let stands = !is_stale || known.permit.plan.when_stale == WhenStale::Open;
            if stands && known.allows(client) {
                record.credential = Some(known.permit.credential);
                return Ok((presented, Rc::clone(known)));
            }
        }

        let (hash, grant) =
            self.identify(host, configuration, settings, &presented.text, now_ms)?;
        let found = self
            .programme
            .find_credential(&hash)
            .ok_or(Code::UnknownCredential)?;
        record.credential = Some(found.credential);
        let question = Question {
            method: request.method,
            path: request.path(),
            environments: &configuration.environments,
            token: grant.as_ref(),
            now_ms,
            is_stale,
        };
        let permit = judge(&self.programme, &found, &question, client)?;
        let prepared = Rc::new(Prepared::new(
            permit,
            found.extras,
            &self.programme,
            &configuration.identity_headers,
            now_ms,
        ));
        if grant.is_none() {
            cache.keep(&presented.text, operations, Rc::clone(&prepared));
        }
        Ok((presented, prepared))
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
        prepared: &Prepared,
        record: &mut Stream,
        now_ns: u64,
    ) -> Option<Decision> {
        let permit = &prepared.permit;
        let now_ms = now_ns / 1_000_000;
        let charge = Charge {
            plan: &permit.plan,
            credential: permit.credential,
            operation: &permit.operation.name,
            weight: permit.operation.weight,
            period: prepared.period,
            now_ns,
            portal_answers: self.head.is_some_and(|head| portal_answers(&head, now_ms)),
        };
        let (slot, key) = (&prepared.account_slot, prepared.account);
        let decision = update_account_in(host, slot, key, now_ns, |account| {
            let decision = account.charge(&charge);
            let stores = decision.is_changed;
            (decision, stores)
        })?;
        let is_short = decision.lease_is_low || decision.needs_lease;
        if is_short && prepared.asks_at(now_ms) {
            ask_for_lease(host, key);
        }
        let has_quota = permit.plan.quota.is_some() && prepared.period.is_some();
        if decision.outcome == Outcome::Pass && has_quota {
            record.reserved = Some(u64::from(permit.operation.weight));
        }
        Some(decision)
    }

    fn refuse_limit<'a>(
        &self,
        prepared: &Prepared,
        decision: &Decision,
        request: &RequestView<'_>,
        record: &mut Stream,
        now_ms: u64,
    ) -> Verdict<'a> {
        let plan = &prepared.permit.plan;
        let detail = match &decision.outcome {
            Outcome::QuotaExceeded(NoRoom::LeaseSpent) => Some(LEASE_SPENT),
            _ => None,
        };
        let (code, violated, retry_after_secs) = match &decision.outcome {
            Outcome::RateLimited { violated, wait_ns } => {
                let limits = violated.iter().filter_map(|at| plan.rate_limits.get(*at));
                let names = limits.map(|limit| limit.name.clone()).collect();
                (Code::RateLimited, names, whole_secs(*wait_ns))
            }
            Outcome::QuotaExceeded(no_room) => {
                let end_ms = prepared.period.map_or(0, |(_, end)| end);
                let wait_secs = match no_room {
                    NoRoom::UsedUp => end_ms.saturating_sub(now_ms).div_ceil(1_000),
                    NoRoom::LeaseSpent => 1,
                };
                let name = plan.quota.as_ref().map(|quota| quota.name.clone());
                (Code::QuotaExceeded, name.into_iter().collect(), wait_secs)
            }
            Outcome::Pass => (Code::PortalStale, Vec::new(), 1),
        };
        let limits = prepared.policy.clone().map(|policy| LimitFields {
            policy,
            state: core::mem::take(&mut record.limit_state),
        });
        let circumstances = Circumstances {
            detail,
            violated,
            retry_after_secs: Some(retry_after_secs),
            limits,
            ..self.circumstances(request)
        };
        refused(&code.into(), circumstances, record)
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

    fn refuse<'a>(
        &self,
        denial: &Denial,
        request: &RequestView<'_>,
        record: &mut Stream,
    ) -> Verdict<'a> {
        refused(denial, self.circumstances(request), record)
    }
}

fn refused<'a>(
    denial: &Denial,
    circumstances: Circumstances<'_>,
    record: &mut Stream,
) -> Verdict<'a> {
    record.refused = Some(denial.code);
    let mut metadata = String::with_capacity(160);
    metadata.push_str("code=");
    metadata.push_str(denial.code.as_str());
    match (&record.prepared, record.credential) {
        (Some(prepared), _) => metadata.push_str(&prepared.description),
        (None, Some(credential)) => {
            metadata.push_str(" credential=");
            metadata.push_str(&credential.to_string());
        }
        (None, None) => {}
    }
    Verdict {
        metadata: Some(metadata.into()),
        action: Action::Refuse(Refusal::of(denial, circumstances)),
        is_held: false,
    }
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
