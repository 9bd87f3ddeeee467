//! Reading the portal's feed and writing it into the log that workers replay.
//!
//! Owns: when to ask for what, what to do with each answer. Does not own: the
//! log's layout; see `feed_log`.

use super::{PortalAnswer, Surroundings, backoff_ms, is_due, is_overdue};
use crate::credential::percent_encoded;
use crate::feed_log::{Head, Writer, forget_chunks};
use crate::ports::{Host, Level, Stored};
use crate::shared_state::Boot;
use serde::Deserialize;
use serde_json::value::RawValue;
use shared::feed::{FEED_PATH, PackedCredentials, SNAPSHOT_PATH};
use shared::ids::AppId;

/// How often the feed is asked for.
const POLL_MS: u64 = 200;
/// How long a page may take.
const TIMEOUT_MS: u32 = 5_000;
/// How long readers have to move on from a former generation.
const FORGET_AFTER_MS: u64 = 30_000;

#[derive(Deserialize)]
struct FeedPage<'a> {
    next: u64,
    complete: bool,
    #[serde(borrow)]
    entries: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct SnapshotPage<'a> {
    position: u64,
    #[serde(default)]
    next: Option<String>,
    #[serde(borrow)]
    changes: Vec<&'a RawValue>,
    #[serde(default)]
    packed_apps: Vec<AppId>,
    #[serde(default)]
    packed_credentials: PackedCredentials,
}

enum Awaited {
    Feed { after: u64 },
    Snapshot,
}

struct Call {
    at_ms: u64,
    token: u32,
    path: String,
    awaited: Awaited,
}

struct Snapshot {
    writer: Writer,
    /// Of the first page: what changes while the others are read is repeated behind it.
    position: Option<u64>,
    cursor: Option<String>,
}

/// The elected worker's reading of the feed.
#[derive(Default)]
pub(super) struct Subscriber {
    call: Option<Call>,
    due_at_ms: u64,
    failures: u32,
    writer: Option<Writer>,
    snapshot: Option<Snapshot>,
    /// A former generation's number and chunks, to be emptied at that time.
    former: Option<(u32, u32, u64)>,
}

impl Subscriber {
    pub fn tick<H: Host>(&mut self, around: &Surroundings<'_, H>, boot: &Boot) {
        if let Some((generation, chunks, at_ms)) = self.former
            && around.now_ms >= at_ms
        {
            forget_chunks(around.host, generation, chunks);
            self.former = None;
        }
        let now_ms = around.now_ms;
        let is_overdue = |call: &mut Call| is_overdue(call.at_ms, TIMEOUT_MS, now_ms);
        if self.call.take_if(is_overdue).is_some() {
            self.fail(around, "an answer went astray");
        }
        if self.call.is_none() && is_due(self.due_at_ms, now_ms) {
            self.ask(around, boot);
        }
    }

    /// The portal has said how far its feed is, and whether it has begun
    /// another history, which can only be learnt from a snapshot.
    pub fn hear_of<H: Host>(&mut self, around: &Surroundings<'_, H>, newest: u64, is_other: bool) {
        let Some((head, _)) = Head::read(around.host) else {
            return;
        };
        if is_other && self.snapshot.is_none() {
            self.begin_snapshot(around);
        } else if newest > head.position && self.failures == 0 {
            self.due_at_ms = around.now_ms;
        }
    }

    fn begin_snapshot<H: Host>(&mut self, around: &Surroundings<'_, H>) {
        let generation = Head::read(around.host).map_or(0, |(head, _)| head.generation) + 1;
        self.snapshot = Some(Snapshot {
            writer: Writer::new(generation),
            position: None,
            cursor: None,
        });
        self.writer = None;
    }

    fn ask<H: Host>(&mut self, around: &Surroundings<'_, H>, boot: &Boot) {
        let head = Head::read(around.host).map(|(head, _)| head);
        // Two generations' keys alternate: the former must be empty before the next begins.
        let is_long = head.is_some_and(|head| head.is_long()) && self.former.is_none();
        if self.snapshot.is_none() && (head.is_none() || is_long) {
            self.begin_snapshot(around);
        }
        let (path, awaited) = match (&self.snapshot, head) {
            (Some(snapshot), _) => match &snapshot.cursor {
                None => (SNAPSHOT_PATH.to_owned(), Awaited::Snapshot),
                Some(cursor) => (
                    format!("{SNAPSHOT_PATH}?after={}", percent_encoded(cursor)),
                    Awaited::Snapshot,
                ),
            },
            (None, Some(head)) => (
                format!("{FEED_PATH}?after={}", head.position),
                Awaited::Feed {
                    after: head.position,
                },
            ),
            (None, None) => return,
        };
        match around.call(boot, "GET", &path, Vec::new(), TIMEOUT_MS) {
            Some(token) => {
                self.call = Some(Call {
                    at_ms: around.now_ms,
                    token,
                    path,
                    awaited,
                })
            }
            None => self.fail(around, "the proxy refuses the call: check `portal_cluster`"),
        }
    }

    fn fail<H: Host>(&mut self, around: &Surroundings<'_, H>, why: &str) {
        if self.failures.is_multiple_of(64) {
            around
                .host
                .log(Level::Warning, &format!("portico: no feed: {why}"));
        }
        self.failures = self.failures.saturating_add(1);
        self.due_at_ms = around.now_ms + backoff_ms(around.host, self.failures);
    }

    /// Takes an answer; whether it was this one's.
    pub fn take_answer<H: Host>(
        &mut self,
        around: &Surroundings<'_, H>,
        boot: &Boot,
        token: u32,
        answer: &PortalAnswer<'_>,
    ) -> bool {
        let Some(call) = self.call.take_if(|call| call.token == token) else {
            return false;
        };
        if !answer.is_proven(around.configuration, &call.path) {
            // A cursor that the portal no longer knows: start over.
            if matches!(answer.status, 400 | 404 | 409 | 410) {
                self.begin_snapshot(around);
            }
            let why = match answer.status {
                0 => "the portal does not answer".to_owned(),
                401 | 403 => "the portal refuses the signature: check that both sides have the same edge secret".to_owned(),
                200..300 => "the answer is not signed with this edge secret".to_owned(),
                status => format!("the portal answers {status}"),
            };
            self.fail(around, &why);
            return true;
        }
        let outcome = match call.awaited {
            Awaited::Feed { after } => self.take_feed(around, after, answer.body),
            Awaited::Snapshot => self.take_snapshot(around, answer.body),
        };
        match outcome {
            Err(why) => self.fail(around, &why),
            Ok(has_more) => {
                if self.failures > 0 {
                    around
                        .host
                        .log(Level::Info, "portico: the feed is being read again");
                }
                self.failures = 0;
                self.due_at_ms = around.now_ms + if has_more { 0 } else { POLL_MS };
                if has_more {
                    self.ask(around, boot);
                }
            }
        }
        true
    }

    fn take_feed<H: Host>(
        &mut self,
        around: &Surroundings<'_, H>,
        after: u64,
        body: &[u8],
    ) -> Result<bool, String> {
        let page: FeedPage<'_> =
            serde_json::from_slice(body).map_err(|error| format!("malformed page: {error}"))?;
        let Some((head, version)) = Head::read(around.host) else {
            return Ok(true);
        };
        if head.position != after || page.next < after {
            // Another worker led for a while: its log counts, not ours.
            self.writer = None;
            return Ok(true);
        }
        let shared = around.host;
        let writer = self
            .writer
            .get_or_insert_with(|| Writer::resume(shared, &head));
        for entry in &page.entries {
            writer.change(shared, entry.get().as_bytes());
        }
        writer.flush(shared);
        let mut next = writer.head(head, page.next, around.now_ms);
        next.change_bytes += writer.take_written();
        if next.publish(shared, Some(version)) != Stored::Yes {
            self.writer = None;
        }
        Ok(page.complete)
    }

    fn take_snapshot<H: Host>(
        &mut self,
        around: &Surroundings<'_, H>,
        body: &[u8],
    ) -> Result<bool, String> {
        let page: SnapshotPage<'_> =
            serde_json::from_slice(body).map_err(|error| format!("malformed snapshot: {error}"))?;
        let Some(snapshot) = &mut self.snapshot else {
            return Ok(true);
        };
        let shared = around.host;
        let position = *snapshot.position.get_or_insert(page.position);
        for change in &page.changes {
            snapshot.writer.change(shared, change.get().as_bytes());
        }
        if !page.packed_credentials.is_empty() {
            snapshot.writer.packed_apps(shared, &page.packed_apps);
            snapshot
                .writer
                .packed(shared, page.packed_credentials.as_bytes());
        }
        snapshot.cursor = page.next;
        if snapshot.cursor.is_some() {
            return Ok(true);
        }
        let Some(mut snapshot) = self.snapshot.take() else {
            return Ok(true);
        };
        snapshot.writer.snapshot_end(shared);
        snapshot.writer.flush(shared);
        let (former, version) = match Head::read(shared) {
            Some((head, version)) => (Some(head), Some(version)),
            None => (None, None),
        };
        let mut head = snapshot
            .writer
            .head(Head::default(), position, around.now_ms);
        head.snapshot_bytes = snapshot.writer.take_written();
        if head.publish(shared, version) == Stored::Yes {
            self.former = former.map(|head| {
                (
                    head.generation,
                    head.chunks,
                    around.now_ms + FORGET_AFTER_MS,
                )
            });
            self.writer = Some(snapshot.writer);
        }
        Ok(true)
    }
}
