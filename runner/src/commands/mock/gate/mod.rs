//! The gateway in front of the mock: the edge filter's core, run natively.
//!
//! Owns the one thread that the core lives on and what passes to it. It decides nothing: which credential, route,
//! limit or quota refuses is the filter's business, and so are the words of the refusal.

mod host;
mod portal;

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use edge_filter::account::AccountKey;
use edge_filter::credential::find_presented;
use edge_filter::leader::PortalAnswer;
use edge_filter::ports::SharedData;
use edge_filter::request::{IDENTITY_PREFIX, RequestView, encode_pairs};
use edge_filter::shared_state::slot_of;
use edge_filter::verdict::{Action, Verdict};
use edge_filter::worker::Worker;
use host::LocalHost;
use portal::LocalPortal;
use sandbox_mock::Response;
use sandbox_mock::serve::{Asked, Judgement, Pass};
use shared::credential::{Environment, KeyHash, Pepper};
use shared::feed::Change;
use shared::ids::SubscriptionId;
use shared::problem::Code;
use shared::signing::EdgeSecret;
use tokio::sync::oneshot;

const TICK: Duration = Duration::from_millis(50);
/// More than the longest pause between two reports that press.
const STEP_MS: u64 = 25;
/// The stream of calls that need no credential: the filter never sees them.
const OPEN: u32 = 0;

/// Judges requests as the gateway does.
pub struct Gate {
    orders: Sender<Order>,
}

enum Order {
    Judge(Asked, SocketAddr, oneshot::Sender<Judgement>),
    Finish {
        stream: u32,
        status: u16,
        headers: Vec<(String, String)>,
        body_bytes: u64,
    },
    Publish(Vec<Change>),
    MoveClock {
        tenant: String,
        by_ms: u64,
    },
}

impl Gate {
    /// Starts the core with a programme. `secret` keys the digests that the programme's credentials have.
    pub fn start(programme: Vec<Change>, secret: String) -> Result<Gate> {
        let (orders, inbox) = channel();
        let (ready, started) = channel();
        std::thread::Builder::new()
            .name("gate".to_owned())
            .spawn(move || match Core::new(programme, &secret) {
                Ok(core) => {
                    // Nobody waits when the program is ending.
                    let _ = ready.send(Ok(()));
                    core.run(&inbox);
                }
                Err(error) => {
                    let _ = ready.send(Err(error));
                }
            })
            .context("no thread for the gate")?;
        started.recv().context("the gate did not start")??;
        Ok(Gate { orders })
    }

    /// Publishes a changed programme.
    pub fn publish(&self, changes: Vec<Change>) {
        let _ = self.orders.send(Order::Publish(changes));
    }
}

impl sandbox_mock::serve::Gate for Gate {
    fn judge(
        &self,
        asked: Asked,
        peer: SocketAddr,
    ) -> Pin<Box<dyn Future<Output = Judgement> + Send + '_>> {
        let (answer, judged) = oneshot::channel();
        let sent = self.orders.send(Order::Judge(asked, peer, answer));
        Box::pin(async move {
            let judgement = match sent {
                Ok(()) => judged.await.ok(),
                Err(_) => None,
            };
            judgement.unwrap_or_else(|| Judgement::Refuse(stale()))
        })
    }

    fn finish(&self, stream: u32, answer: &Response) {
        if stream == OPEN {
            return;
        }
        let _ = self.orders.send(Order::Finish {
            stream,
            status: answer.status,
            headers: answer.headers.clone(),
            body_bytes: answer.body.len() as u64,
        });
    }

    fn move_clock(&self, tenant: &str, by_ms: u64) {
        let _ = self.orders.send(Order::MoveClock {
            tenant: tenant.to_owned(),
            by_ms,
        });
    }
}

fn stale() -> Response {
    let problem = Code::PortalStale.problem("", "");
    Response {
        status: Code::PortalStale.status(),
        headers: vec![(
            "content-type".to_owned(),
            shared::problem::CONTENT_TYPE.to_owned(),
        )],
        body: serde_json::to_vec(&problem).unwrap_or_default(),
    }
}

/// The core with what it needs; it stays on one thread.
struct Core {
    worker: Worker,
    host: LocalHost,
    portal: LocalPortal,
    secret: EdgeSecret,
    streams: u32,
    /// When the core last had a turn.
    turned_ms: u64,
    pepper: Pepper,
    query_parameter: Option<String>,
    apps: HashMap<KeyHash, String>,
    subscriptions: HashMap<String, SubscriptionId>,
    /// By how much the clocks of apps are ahead.
    ahead_ms: HashMap<String, u64>,
}

impl Core {
    fn new(programme: Vec<Change>, secret: &str) -> Result<Core> {
        let host = LocalHost::default();
        let now_ms = wall_clock_ms();
        host.set_now_ms(now_ms);
        let mut worker = Worker::default();
        let configuration = br#"{"portal_cluster":"portal","portal_authority":"portal"}"#;
        worker
            .configure(&host, configuration, |_| Some(secret.to_owned()), "mock")
            .map_err(|error| anyhow!(error))?;
        let mut core = Core {
            worker,
            host,
            portal: LocalPortal::default(),
            secret: EdgeSecret::new(secret.as_bytes()),
            streams: 0,
            turned_ms: now_ms,
            pepper: Pepper::new(secret.as_bytes()),
            query_parameter: None,
            apps: HashMap::new(),
            subscriptions: HashMap::new(),
            ahead_ms: HashMap::new(),
        };
        core.publish(programme);
        Ok(core)
    }

    fn publish(&mut self, changes: Vec<Change>) {
        for change in &changes {
            match change {
                Change::Programme(settings) => {
                    self.query_parameter.clone_from(&settings.query_parameter);
                }
                Change::Credential(credential) => {
                    self.apps
                        .insert(credential.hash, credential.app.to_string());
                }
                Change::Subscription(subscription) => {
                    self.subscriptions
                        .insert(subscription.app.to_string(), subscription.subscription);
                }
                _ => {}
            }
        }
        self.portal.publish(changes, wall_clock_ms());
        // Election, snapshot, leases: each takes a turn or two.
        self.settle(60);
    }

    fn presents_credential(&self, pairs: &[u8]) -> bool {
        let view = RequestView::read(pairs);
        !matches!(
            find_presented(&view, self.query_parameter.as_deref()),
            Ok(None)
        )
    }

    /// By how much the clock of the app that asks is ahead.
    fn ahead_ms(&self, pairs: &[u8]) -> u64 {
        if self.ahead_ms.is_empty() {
            return 0;
        }
        let view = RequestView::read(pairs);
        let presented = find_presented(&view, self.query_parameter.as_deref());
        let Ok(Some(presented)) = presented else {
            return 0;
        };
        let app = self.apps.get(&self.pepper.digest(&presented.text));
        app.and_then(|app| self.ahead_ms.get(app))
            .copied()
            .unwrap_or(0)
    }

    fn run(mut self, inbox: &Receiver<Order>) {
        loop {
            match inbox.recv_timeout(TICK) {
                Ok(Order::Judge(asked, peer, answer)) => {
                    let judgement = self.judge(&asked, peer);
                    // The client may have gone.
                    let _ = answer.send(judgement);
                }
                Ok(Order::Finish {
                    stream,
                    status,
                    headers,
                    body_bytes,
                }) => {
                    self.host.set_now_ms(wall_clock_ms());
                    self.host.set_answer(status, headers, body_bytes);
                    self.worker.take_response(&self.host, stream);
                    self.host.take_added();
                    self.worker.finish(&self.host, stream);
                }
                Ok(Order::Publish(changes)) => self.publish(changes),
                Ok(Order::MoveClock { tenant, by_ms }) => self.move_clock(tenant, by_ms),
                Err(RecvTimeoutError::Timeout) => self.turn(0),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn move_clock(&mut self, app: String, ahead_ms: u64) {
        let before_ms = self.ahead_ms.insert(app.clone(), ahead_ms).unwrap_or(0);
        if ahead_ms >= before_ms {
            return;
        }
        // What was spent in a time that has not come yet would be held against the app until then.
        if let Some(subscription) = self.subscriptions.get(&app) {
            for environment in [Environment::Test, Environment::Live] {
                let account = AccountKey {
                    subscription: *subscription,
                    environment,
                };
                self.host.write(&slot_of(account), &[], None);
            }
            self.settle(4);
        }
    }

    /// Several turns at once, so that what the portal has to say is known before the next request.
    fn settle(&mut self, turns: u64) {
        for _ in 0..turns {
            // The core spaces its reports: its turns follow each other faster than the clock.
            self.turn(self.turned_ms + STEP_MS);
        }
    }

    fn turn(&mut self, at_least_ms: u64) {
        let now_ms = at_least_ms.max(wall_clock_ms());
        self.turned_ms = now_ms;
        self.host.set_now_ms(now_ms);
        self.worker.tick(&self.host);
        for (token, call) in self.host.take_calls() {
            let body = self.portal.answer(&call.path, &call.body, now_ms);
            let answered = body
                .inspect_err(|error| tracing::warn!("the gate asked for {}: {error}", call.path));
            let body = answered.unwrap_or_default();
            let signature = self.secret.sign_response(&call.path, &body);
            let answer = PortalAnswer {
                status: 200,
                signature: &signature,
                body: &body,
            };
            self.worker.take_portal_answer(&self.host, token, &answer);
        }
    }

    fn judge(&mut self, asked: &Asked, peer: SocketAddr) -> Judgement {
        self.streams = self.streams.wrapping_add(1).max(OPEN + 1);
        let stream = self.streams;
        let mut pairs = vec![
            (":method".to_owned(), asked.method.clone()),
            (":path".to_owned(), asked.target.clone()),
        ];
        let named = asked.headers.iter().any(|(name, _)| name == "x-request-id");
        let request_id = (!named).then(|| new_request_id(&self.host));
        pairs.extend(asked.headers.iter().cloned());
        if let Some(id) = &request_id {
            pairs.push(("x-request-id".to_owned(), id.clone()));
        }
        let pairs = encode_pairs(&pairs);
        if asked.open && !self.presents_credential(&pairs) {
            let headers = asked.headers.iter();
            let identity = headers.filter(|(name, _)| name.starts_with(IDENTITY_PREFIX));
            return Judgement::Pass(Pass {
                stream: OPEN,
                remove: identity.map(|(name, _)| name.clone()).collect(),
                add: request_id
                    .map(|id| ("x-request-id".to_owned(), id))
                    .into_iter()
                    .collect(),
                ..Pass::default()
            });
        }
        self.host.set_client(peer.to_string());
        let now_ms = wall_clock_ms().saturating_add(self.ahead_ms(&pairs));
        self.host.set_now_ms(now_ms);
        let mut verdict = self.worker.decide(&self.host, stream, &pairs);
        if is_quota_refusal(&verdict) {
            // A new billing period: its lease is there as soon as it was asked for.
            self.settle(4);
            self.host.set_now_ms(now_ms);
            verdict = self.worker.decide(&self.host, stream, &pairs);
        }
        match verdict.action {
            Action::Refuse(refusal) => {
                self.worker.finish(&self.host, stream);
                Judgement::Refuse(Response {
                    status: refusal.code.status(),
                    headers: refusal
                        .headers
                        .into_iter()
                        .map(|(name, value)| (name.to_owned(), value))
                        .collect(),
                    body: refusal.body,
                })
            }
            Action::Pass(changes) => {
                let mut add: Vec<(String, String)> = changes
                    .add
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), value.to_string()))
                    .collect();
                add.extend(request_id.map(|id| ("x-request-id".to_owned(), id)));
                // The limits are known already; how the call ended is told when it has.
                self.host.set_answer(200, Vec::new(), 0);
                self.worker.take_response(&self.host, stream);
                Judgement::Pass(Pass {
                    stream,
                    remove: changes
                        .remove
                        .iter()
                        .map(|name| (*name).to_owned())
                        .collect(),
                    add,
                    target: changes.target,
                    fields: self.host.take_added(),
                })
            }
        }
    }
}

fn is_quota_refusal(verdict: &Verdict<'_>) -> bool {
    matches!(&verdict.action, Action::Refuse(refusal) if refusal.code == Code::QuotaExceeded)
}

fn new_request_id(host: &LocalHost) -> String {
    use edge_filter::ports::Host;
    let mut random = [0; 16];
    host.fill_random(&mut random);
    uuid::Builder::from_random_bytes(random)
        .into_uuid()
        .to_string()
}

pub(super) fn wall_clock_ms() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "the gate is the host: it reads the clock and hands the time on"
    )]
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
