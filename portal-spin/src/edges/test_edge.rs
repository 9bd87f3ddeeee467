//! An edge for tests: signs its requests, keeps what it was told, counts calls.

use serde::de::DeserializeOwned;
use shared::credential::{KeyHash, Pepper};
use shared::feed::{Change, FeedPage, SnapshotPage};
use shared::ids::{CredentialId, EdgeBootId, MeterId, SubscriptionId};
use shared::lease::LeaseRequest;
use shared::share::{ShareGrant, ShareRequest};
use shared::signing::{EDGE_HEADER, EdgeSecret, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use shared::usage::{Cell, EdgeDescription, Report, ReportAnswer, RequestSample};

use crate::testing::{Answer, TestPortal};

pub struct TestEdge {
    pub description: EdgeDescription,
    pub sequence: u64,
    pub applied_position: u64,
    pub decided: u64,
    /// Everything the snapshot and the feed said, newest last.
    pub changes: Vec<Change>,
    /// Digests and ids of packed credentials.
    pub packed: Vec<(KeyHash, CredentialId)>,
}

impl TestEdge {
    pub fn new(portal: &TestPortal, name: &str, number: u8) -> Self {
        let started_at_ms = portal.now_ms().unsigned_abs();
        Self {
            description: EdgeDescription {
                boot: EdgeBootId::new(started_at_ms, &[number; 10]),
                name: name.to_owned(),
                version: "0.1.0".to_owned(),
                started_at_ms,
            },
            sequence: 0,
            applied_position: 0,
            decided: 0,
            changes: Vec::new(),
            packed: Vec::new(),
        }
    }

    fn secret(portal: &TestPortal) -> EdgeSecret {
        EdgeSecret::new(
            portal
                .app
                .configuration
                .secret("edge_secret")
                .unwrap()
                .as_bytes(),
        )
    }

    /// A signed request; the answer's signature is checked.
    pub async fn request<T: DeserializeOwned>(
        &self,
        portal: &TestPortal,
        method: &str,
        path: &str,
        body: &str,
    ) -> T {
        let answer = self.send(portal, method, path, body).await.expect(200);
        Self::secret(portal)
            .verify_response(path, &answer.body, answer.header(SIGNATURE_HEADER))
            .unwrap();
        serde_json::from_slice(&answer.body).unwrap()
    }

    pub async fn send(&self, portal: &TestPortal, method: &str, path: &str, body: &str) -> Answer {
        let at_ms = portal.now_ms().unsigned_abs();
        let signature = Self::secret(portal).sign_request(method, path, at_ms, body.as_bytes());
        let boot = self.description.boot.to_string();
        let headers = [
            (EDGE_HEADER, boot.as_str()),
            (TIMESTAMP_HEADER, &at_ms.to_string()),
            (SIGNATURE_HEADER, signature.as_str()),
        ];
        portal.request(method, path, &headers, body).await
    }

    /// Reads the whole snapshot.
    pub async fn start(&mut self, portal: &TestPortal) {
        let mut path = "/edge/v1/snapshot".to_owned();
        loop {
            let page: SnapshotPage = self.request(portal, "GET", &path, "").await;
            self.applied_position = page.position;
            self.changes.extend(page.changes);
            self.packed.extend(
                page.packed_credentials
                    .iter()
                    .map(|row| (row.hash, row.credential)),
            );
            let Some(next) = page.next else { return };
            path = format!("/edge/v1/snapshot?after={next}");
        }
    }

    /// Reads the feed to its end.
    pub async fn catch_up(&mut self, portal: &TestPortal) {
        loop {
            let path = format!("/edge/v1/feed?after={}", self.applied_position);
            let page: FeedPage = self.request(portal, "GET", &path, "").await;
            for (expected, entry) in (self.applied_position + 1..).zip(page.entries) {
                assert_eq!(entry.position, expected, "positions have no holes");
                self.changes.push(entry.change);
            }
            self.applied_position = page.next;
            if !page.complete {
                return;
            }
        }
    }

    pub fn report(&mut self) -> Report {
        self.sequence += 1;
        Report {
            edge: self.description.clone(),
            sequence: self.sequence,
            sent_at_ms: self.description.started_at_ms,
            applied_position: self.applied_position,
            decided: self.decided,
            ended: false,
            cells: Vec::new(),
            requests: Vec::new(),
            leases: Vec::new(),
            shares: Vec::new(),
        }
    }

    pub async fn post(&self, portal: &TestPortal, report: &Report) -> ReportAnswer {
        let report = Report {
            sent_at_ms: portal.now_ms().unsigned_abs(),
            ..report.clone()
        };
        let body = serde_json::to_string(&report).unwrap();
        self.request(portal, "POST", "/edge/v1/report", &body).await
    }

    /// Catches up and reports.
    pub async fn beat(&mut self, portal: &TestPortal) -> ReportAnswer {
        self.catch_up(portal).await;
        let report = self.report();
        self.post(portal, &report).await
    }

    pub async fn report_cells(&mut self, portal: &TestPortal, cells: Vec<Cell>) -> ReportAnswer {
        let report = Report {
            cells,
            ..self.report()
        };
        self.post(portal, &report).await
    }

    pub async fn report_requests(
        &mut self,
        portal: &TestPortal,
        requests: Vec<RequestSample>,
    ) -> ReportAnswer {
        let report = Report {
            requests,
            ..self.report()
        };
        self.post(portal, &report).await
    }

    pub async fn ask_lease(
        &mut self,
        portal: &TestPortal,
        lease: LeaseRequest,
    ) -> shared::lease::LeaseGrant {
        let report = Report {
            leases: vec![lease],
            ..self.report()
        };
        self.post(portal, &report).await.leases[0]
    }

    pub async fn ask_share(
        &mut self,
        portal: &TestPortal,
        share: ShareRequest,
    ) -> Option<ShareGrant> {
        let report = Report {
            shares: vec![share],
            ..self.report()
        };
        self.post(portal, &report).await.shares.first().copied()
    }

    /// The credential that this key is known as.
    pub fn find_key(&self, portal: &TestPortal, key: &str) -> Option<CredentialId> {
        let pepper = portal.app.configuration.secret("key_pepper").unwrap();
        let hash = Pepper::new(pepper.as_bytes()).digest(key);
        let told = self.changes.iter().rev().find_map(|change| match change {
            Change::Credential(credential) if credential.hash == hash => {
                Some(credential.credential)
            }
            _ => None,
        });
        told.or_else(|| {
            self.packed
                .iter()
                .find(|(known, _)| *known == hash)
                .map(|(_, id)| *id)
        })
    }

    /// The newest state told of what `pick` picks.
    pub fn newest<T>(&self, pick: impl Fn(&Change) -> Option<T>) -> Option<T> {
        self.changes.iter().rev().find_map(pick)
    }

    /// The subscription and calls meter that an app's calls are counted under.
    pub fn subscription_of(&self, app_id: &str) -> (SubscriptionId, MeterId) {
        let (subscription, product) = self
            .newest(|change| match change {
                Change::Subscription(known) if known.app.to_string() == app_id => {
                    Some((known.subscription, known.product))
                }
                _ => None,
            })
            .expect("the edge knows a subscription of the app");
        let meter = self
            .newest(|change| match change {
                Change::Product(known) if known.product == product => Some(known.meters[0].meter),
                _ => None,
            })
            .expect("the edge knows the product");
        (subscription, meter)
    }

    /// A cell of `count` calls of `listOrders` in the running minute.
    pub fn cell(
        &self,
        portal: &TestPortal,
        app_id: &str,
        credential: CredentialId,
        outcome: &str,
        count: u64,
    ) -> Cell {
        let (subscription, meter) = self.subscription_of(app_id);
        Cell {
            slot: 0,
            credential: Some(credential),
            subscription: Some(subscription),
            installation: None,
            meter: Some(meter),
            operation: "listOrders".to_owned(),
            outcome: outcome.to_owned(),
            minute: portal.now_ms().unsigned_abs() / 60_000,
            count,
            units: count,
            bytes_in: 0,
            bytes_out: 100 * count,
            latency: vec![(4, count)],
        }
    }
}
