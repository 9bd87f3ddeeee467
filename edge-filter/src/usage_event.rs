//! Usage as CloudEvents 1.0, for a sink beside the portal.
//!
//! Owns: what an event says, and its id: the same cell of a minute has the same id
//! whoever sends it and however often, so that a sink which knows ids counts it
//! once. Does not own: when events are sent; see `leader`.

use crate::bytes::hash64;
use serde::Serialize;
use shared::ids::EdgeBootId;
use shared::usage::{Cell, MINUTE_MS};

/// The media type of a batch in structured mode.
pub const BATCH_TYPE: &str = "application/cloudevents-batch+json";
/// The type of an event with a cell of a finished minute.
pub const USAGE: &str = "portico.edge.usage";
/// The type of an event that tells of events that were given up.
pub const GAP: &str = "portico.edge.usage.gap";

/// Who tells.
#[derive(Debug, Clone, Copy)]
pub struct Teller<'a> {
    /// The boot of the edge: the events' source.
    pub boot: EdgeBootId,
    /// The edge's stable name.
    pub edge: &'a str,
}

#[derive(Serialize)]
struct Event<'a, D> {
    specversion: &'static str,
    id: String,
    source: String,
    r#type: &'static str,
    subject: String,
    time: String,
    datacontenttype: &'static str,
    data: Data<'a, D>,
}

#[derive(Serialize)]
struct Data<'a, D> {
    edge: &'a str,
    #[serde(flatten)]
    what: D,
}

/// Events that a sink was away for too long to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Gap {
    /// How many.
    pub events: u64,
    /// The first minute that they were about, as whole minutes since the Unix epoch.
    pub from_minute: u32,
    /// The last.
    pub until_minute: u32,
}

impl Teller<'_> {
    /// The event of a cell. `touched` is the minute in which it was last counted into:
    /// a cell that took in later minutes, because there were too many, is told again
    /// under another id, and the greater count stands.
    #[must_use]
    pub fn usage(&self, cell: &Cell, touched: u32) -> Vec<u8> {
        let mut id = format!("{}-{}-{:016x}", cell.slot, cell.minute, series_of(cell));
        if u64::from(touched) != cell.minute {
            id.push_str(&format!("-{touched}"));
        }
        let subscription = cell.subscription.map(|id| id.to_string());
        let credential = || cell.credential.map(|id| id.to_string());
        let subject = subscription.or_else(credential);
        let subject = subject.unwrap_or_else(|| "unknown".to_owned());
        self.event(id, USAGE, subject, cell.minute, cell)
    }

    /// The event of a gap, told in the batch of that number.
    #[must_use]
    pub fn gap(&self, gap: Gap, batch: u64) -> Vec<u8> {
        let minute = u64::from(gap.from_minute);
        self.event(
            format!("gap-{batch}"),
            GAP,
            self.edge_or_boot(),
            minute,
            gap,
        )
    }

    fn edge_or_boot(&self) -> String {
        if self.edge.is_empty() {
            self.boot.to_string()
        } else {
            self.edge.to_owned()
        }
    }

    fn event<D: Serialize>(
        &self,
        id: String,
        r#type: &'static str,
        subject: String,
        minute: u64,
        what: D,
    ) -> Vec<u8> {
        let event = Event {
            specversion: "1.0",
            id,
            source: format!("urn:portico:edge:{}", self.boot),
            r#type,
            subject,
            time: minute_as_text(minute),
            datacontenttype: "application/json",
            data: Data {
                edge: self.edge,
                what,
            },
        };
        serde_json::to_vec(&event).unwrap_or_default()
    }
}

fn series_of(cell: &Cell) -> u64 {
    let id = |id: Option<&[u8; 16]>| id.copied().unwrap_or_default();
    hash64(&[
        &id(cell.credential.as_ref().map(|id| id.as_bytes())),
        &id(cell.subscription.as_ref().map(|id| id.as_bytes())),
        &id(cell.installation.as_ref().map(|id| id.as_bytes())),
        &id(cell.meter.as_ref().map(|id| id.as_bytes())),
        cell.operation.as_bytes(),
        cell.outcome.as_bytes(),
    ])
}

/// The start of a minute after RFC 3339. The calendar is counted from March, so that
/// a leap day is the last of its year.
fn minute_as_text(minute: u64) -> String {
    let (days, minute) = (minute * MINUTE_MS / 86_400_000, minute % 1_440);
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:00Z",
        minute / 60,
        minute % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::ids::{CredentialId, MeterId, SubscriptionId};

    fn teller() -> Teller<'static> {
        Teller {
            boot: EdgeBootId::from_bytes([7; 16]),
            edge: "edge-1",
        }
    }

    fn cell() -> Cell {
        Cell {
            slot: 2,
            credential: Some(CredentialId::from_bytes([1; 16])),
            subscription: Some(SubscriptionId::from_bytes([2; 16])),
            installation: None,
            meter: Some(MeterId::from_bytes([3; 16])),
            operation: "getOrder".into(),
            outcome: "2xx".into(),
            minute: 29_500_000,
            count: 4,
            units: 5,
            bytes_in: 0,
            bytes_out: 9,
            latency: vec![(3, 4)],
        }
    }

    fn read(event: &[u8]) -> serde_json::Value {
        serde_json::from_slice(event).unwrap()
    }

    #[test]
    fn an_event_has_what_cloudevents_asks_for() {
        let event = read(&teller().usage(&cell(), 29_500_000));
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["type"], USAGE);
        assert_eq!(
            event["source"],
            format!("urn:portico:edge:{}", teller().boot)
        );
        assert_eq!(event["time"], "2026-02-02T02:40:00Z");
        assert_eq!(event["subject"], cell().subscription.unwrap().to_string());
        assert_eq!(event["data"]["edge"], "edge-1");
        assert_eq!(event["data"]["units"], 5);
        // Attribute names are lower-case letters and digits alone.
        for name in event.as_object().unwrap().keys() {
            assert!(name.bytes().all(|b| b.is_ascii_lowercase()), "{name}");
        }
        let stranger = Cell {
            credential: None,
            subscription: None,
            ..cell()
        };
        assert_eq!(
            read(&teller().usage(&stranger, 29_500_000))["subject"],
            "unknown"
        );
    }

    #[test]
    fn the_same_cell_has_the_same_id_and_any_other_another() {
        let id = |cell: &Cell, touched| read(&teller().usage(cell, touched))["id"].clone();
        let own = id(&cell(), 29_500_000);
        let grown = Cell { count: 5, ..cell() };
        assert_eq!(own, id(&grown, 29_500_000));
        assert_ne!(own, id(&cell(), 29_500_001));
        for other in [
            Cell { slot: 3, ..cell() },
            Cell {
                minute: 29_500_001,
                ..cell()
            },
            Cell {
                meter: None,
                ..cell()
            },
            Cell {
                outcome: "4xx".into(),
                ..cell()
            },
            Cell {
                operation: "listOrders".into(),
                ..cell()
            },
        ] {
            assert_ne!(own, id(&other, u32::try_from(other.minute).unwrap()));
        }
    }

    #[test]
    fn a_gap_names_how_many_events_of_which_minutes_were_given_up() {
        let gap = Gap {
            events: 12,
            from_minute: 29_500_000,
            until_minute: 29_500_003,
        };
        let event = read(&teller().gap(gap, 5));
        assert_eq!(
            (&event["type"], &event["id"]),
            (&GAP.into(), &"gap-5".into())
        );
        assert_eq!(event["data"]["events"], 12);
        assert_eq!(event["data"]["until_minute"], 29_500_003);
    }

    #[test]
    fn minutes_are_written_as_the_calendar_has_them() {
        for (minute, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (15_778_079, "1999-12-31T23:59:00Z"),
            (15_863_040, "2000-02-29T00:00:00Z"),
            (15_864_480, "2000-03-01T00:00:00Z"),
            (68_374_079, "2099-12-31T23:59:00Z"),
        ] {
            assert_eq!(minute_as_text(minute), text);
        }
    }
}
