//! The elected worker: one virtual machine per Envoy speaks with the portal for
//! all of them.
//!
//! Owns: the election by compare-and-swap, with a preference for the main
//! thread's virtual machine, which serves no calls; and who is told what when.
//! The conversation itself is in `subscriber` (the feed), `reporter` (usage
//! and leases) and `events` (a sink beside the portal).

mod events;
mod reporter;
mod sharing;
mod subscriber;

use crate::bytes::Reader;
use crate::configuration::Configuration;
use crate::feed_log::Head;
use crate::ports::{Host, Level, PortalCall, Stored};
use crate::programme::Programme;
use crate::shared_state::{Boot, LEADER, Presence, presences, read_boot};
#[cfg(test)]
pub(crate) use events::BATCHES as MOST_BATCHES;
pub use events::EventCounts;
use events::Events;
pub use reporter::Ledger;
use reporter::Reporter;
use shared::signing;
use subscriber::Subscriber;

/// How long an election holds without renewal.
const TERM_MS: u64 = 2_000;
/// Renewed when less than this is left.
const RENEW_MS: u64 = 1_400;
/// How much longer a worker that serves calls waits before it stands.
const RELUCTANCE_MS: u64 = 500;
/// For how long a virtual machine must have served nothing to be left the lead.
const IDLE_MS: u64 = 3_000;

/// What the elected worker works with.
pub(crate) struct Surroundings<'a, H: Host> {
    /// The proxy.
    pub host: &'a H,
    /// The configuration.
    pub configuration: &'a Configuration,
    /// The stable name of the edge.
    pub edge_name: &'a str,
    /// What this virtual machine knows of the programme.
    pub programme: &'a Programme,
    /// The feed position that stands for.
    pub position: u64,
    /// The time.
    pub now_ms: u64,
}

impl<H: Host> Surroundings<'_, H> {
    /// Signs and starts a call to the portal.
    fn call(
        &self,
        boot: &Boot,
        method: &'static str,
        path: &str,
        body: Vec<u8>,
        timeout_ms: u32,
    ) -> Option<u32> {
        let signature =
            self.configuration
                .edge_secret
                .sign_request(method, path, self.now_ms, &body);
        let mut headers = vec![
            (signing::EDGE_HEADER, boot.id.to_string()),
            (signing::TIMESTAMP_HEADER, self.now_ms.to_string()),
            (signing::SIGNATURE_HEADER, signature),
        ];
        if method == "POST" {
            headers.push(("content-type", "application/json".to_owned()));
        }
        let call = PortalCall {
            method,
            path: path.to_owned(),
            headers,
            body,
            timeout_ms,
        };
        let Configuration {
            portal_cluster,
            portal_authority,
            ..
        } = self.configuration;
        self.host
            .call_portal(portal_cluster, portal_authority, &call)
    }
}

/// The portal's answer to a call.
#[derive(Debug, Clone, Copy)]
pub struct PortalAnswer<'a> {
    /// The HTTP status; 0 where there was no answer.
    pub status: u16,
    /// The signature header.
    pub signature: &'a str,
    /// The body.
    pub body: &'a [u8],
}

impl PortalAnswer<'_> {
    /// Whether it is a success that the portal signed for this path.
    fn is_proven(&self, configuration: &Configuration, path: &str) -> bool {
        (200..300).contains(&self.status)
            && configuration
                .edge_secret
                .verify_response(path, self.body, self.signature)
                .is_ok()
    }
}

/// Nothing is put off for longer than this: what is due later was put off before
/// the clock stepped back.
const LONGEST_WAIT_MS: u64 = 10_000;

/// Whether what was put off until `at_ms` is due.
const fn is_due(at_ms: u64, now_ms: u64) -> bool {
    now_ms >= at_ms || at_ms - now_ms > LONGEST_WAIT_MS
}

/// Whether the answer to a call made at `called_at_ms` will not come any more. It
/// may have come and been left out, while this one did not lead for a moment.
const fn is_overdue(called_at_ms: u64, timeout_ms: u32, now_ms: u64) -> bool {
    now_ms.abs_diff(called_at_ms) > timeout_ms as u64 + 2_000
}

/// Waits longer after every failure, up to two seconds, by a random part so
/// that edges do not return in step.
fn backoff_ms(host: &impl Host, failures: u32) -> u64 {
    let mut random = [0];
    host.fill_random(&mut random);
    let most = (200u64 << failures.min(4)).min(2_000);
    most / 2 + most * u64::from(random[0]) / 512
}

/// Counts a failure in a row, warns of every 64th, and answers when to try again.
fn next_try_ms<H: Host>(
    around: &Surroundings<'_, H>,
    failures: &mut u32,
    what: &str,
    why: &str,
) -> u64 {
    if failures.is_multiple_of(64) {
        let message = format!("portico: {what}: {why}");
        around.host.log(Level::Warning, &message);
    }
    *failures = failures.saturating_add(1);
    around.now_ms + backoff_ms(around.host, *failures)
}

/// Whether a term that ends then runs. One that ends implausibly late was written
/// before the clock stepped back.
const fn is_running(ends_ms: u64, now_ms: u64) -> bool {
    now_ms < ends_ms && ends_ms - now_ms <= TERM_MS + RELUCTANCE_MS
}

/// This virtual machine's part in the lead.
#[derive(Default)]
pub struct Leader {
    term_ends_ms: u64,
    stands_from_ms: u64,
    boot: Option<Boot>,
    subscriber: Subscriber,
    reporter: Reporter,
    events: Events,
}

impl Leader {
    /// What became of events since this was last asked.
    pub fn take_event_counts(&mut self) -> EventCounts {
        core::mem::take(&mut self.events.counts)
    }

    /// Whether this virtual machine has the lead.
    #[must_use]
    pub const fn leads(&self, now_ms: u64) -> bool {
        is_running(self.term_ends_ms, now_ms)
    }

    /// Does what is due.
    pub(crate) fn tick<H: Host>(&mut self, around: &Surroundings<'_, H>, own: (u16, &Presence)) {
        let was_leading = self.term_ends_ms != 0;
        if !self.elect(around, own) {
            if was_leading {
                self.resign();
            }
            return;
        }
        if !was_leading {
            self.begin_anew();
            self.boot = read_boot(around.host);
        }
        if let Some(boot) = self.boot {
            self.subscriber.tick(around, &boot);
            // Before a report, whose acknowledgement lets rows be dropped.
            self.events.tick(around, &boot);
            self.reporter.tick(around, &boot);
        }
    }

    fn resign(&mut self) {
        self.term_ends_ms = 0;
        self.begin_anew();
    }

    fn begin_anew(&mut self) {
        self.subscriber = Subscriber::default();
        self.reporter = Reporter::default();
        let counts = self.events.counts;
        self.events = Events::default();
        self.events.counts = counts;
    }

    /// Stands for election or renews the term; whether this one leads.
    fn elect<H: Host>(&mut self, around: &Surroundings<'_, H>, own: (u16, &Presence)) -> bool {
        let (slot, presence) = own;
        let now_ms = around.now_ms;
        if self.leads(now_ms) && self.term_ends_ms > now_ms + RENEW_MS {
            return true;
        }
        let Some((bytes, version)) = around.host.read(LEADER) else {
            return false;
        };
        let mut reader = Reader::new(&bytes);
        let (leader, ends_ms) = (
            reader.u64().unwrap_or_default(),
            reader.u64().unwrap_or_default(),
        );
        let is_own = leader == presence.owner;
        let runs = is_running(ends_ms, now_ms);
        if runs && !is_own {
            return false;
        }
        if !is_own {
            let reluctance = if presence.served > 0 {
                RELUCTANCE_MS
            } else {
                0
            };
            let free_at_ms = ends_ms.saturating_add(reluctance);
            if !is_due(self.stands_from_ms, now_ms) || is_running(free_at_ms, now_ms) {
                return false;
            }
        }
        let yields = is_own && runs && presence.served > 0 && self.has_idle_peer(around, slot);
        let term_ends_ms = if yields { 0 } else { now_ms + TERM_MS };
        let mut term = presence.owner.to_le_bytes().to_vec();
        term.extend_from_slice(&term_ends_ms.to_le_bytes());
        let stored = around.host.write(LEADER, &term, Some(version));
        if yields || stored != Stored::Yes {
            self.stands_from_ms = now_ms + TERM_MS;
            self.term_ends_ms = 0;
            return false;
        }
        self.term_ends_ms = term_ends_ms;
        true
    }

    /// Whether another virtual machine lives and has served nothing: the main
    /// thread's never does.
    fn has_idle_peer<H: Host>(&self, around: &Surroundings<'_, H>, own: u16) -> bool {
        let old_enough = self
            .boot
            .is_some_and(|boot| around.now_ms > boot.started_at_ms + IDLE_MS);
        old_enough
            && presences(around.host).iter().any(|(slot, other)| {
                *slot != own && other.served == 0 && other.is_alive(around.now_ms)
            })
    }

    /// Takes the portal's answer to a call.
    pub(crate) fn take_answer<H: Host>(
        &mut self,
        around: &Surroundings<'_, H>,
        token: u32,
        answer: &PortalAnswer<'_>,
    ) {
        let Some(boot) = self.boot.filter(|_| self.leads(around.now_ms)) else {
            return;
        };
        if self.subscriber.take_answer(around, &boot, token, answer)
            || self.events.take_answer(around, token, answer)
        {
            return;
        }
        if let Some((newest, is_other)) = self.reporter.take_answer(around, token, answer) {
            self.subscriber.hear_of(around, newest, is_other);
        }
    }

    /// The last words of the one that leads. The boot has ended only if nobody
    /// else lives: where the filter was loaded anew, the new one goes on with
    /// boot, cells and leases, and is left the lead at once.
    pub(crate) fn end<H: Host>(&mut self, around: &Surroundings<'_, H>) {
        let Some(boot) = self.boot.filter(|_| self.leads(around.now_ms)) else {
            return;
        };
        let is_last = !presences(around.host)
            .iter()
            .any(|(_, worker)| worker.is_alive(around.now_ms));
        self.reporter.send(around, &boot, is_last);
        if is_last {
            self.events.end(around, &boot);
        }
        if let Some((_, version)) = around.host.read(LEADER) {
            around.host.write(LEADER, &[], Some(version));
        }
        self.resign();
    }
}

/// Whether the portal has answered lately.
pub(crate) fn portal_answers(head: &Head, now_ms: u64) -> bool {
    now_ms < head.fresh_at_ms.saturating_add(3_000)
}
