//! How a call ended: its outcome, its quantities, whether it counts, and the
//! cell and the sample it goes into.

use super::Worker;
use crate::metrics::{Metric, Metrics};
use crate::ports::{Host, Number};
use crate::prepared::Prepared;
use crate::request::header_pairs;
use crate::shared_state::update_account_in;
use crate::usage::{Outcome, Quantities, Series};
use crate::verdict::{ResponseView, Stream};
use shared::plan::{Meter, MeterSource};
use shared::usage::RequestSample;
use std::rc::Rc;

/// Response flag: the client closed the connection or reset the stream.
const CLIENT_GONE: u64 = 0x4 | 0x1_0000 | 0x2_0000;

/// How a call ended.
struct Ending {
    outcome: Outcome,
    status: u16,
    bytes_in: u64,
    bytes_out: u64,
}

impl Ending {
    fn of(host: &impl Host, record: &Stream) -> Self {
        if let Some(code) = record.refused {
            return Self {
                outcome: Outcome::Refused(code),
                status: code.status(),
                bytes_in: 0,
                bytes_out: 0,
            };
        }
        let status = record.response.status;
        let flags = host.number(Number::ResponseFlags).unwrap_or(0);
        let is_aborted = status == 0 || flags & CLIENT_GONE != 0;
        let bytes_out = match record.response.content_length {
            Some(length) if !is_aborted && record.method != "HEAD" => length,
            _ => host.number(Number::ResponseBytes).unwrap_or(0),
        };
        let has_body = !matches!(&*record.method, "GET" | "HEAD" | "OPTIONS");
        let bytes_in = match record.content_length {
            Some(length) if !is_aborted => length,
            None if !has_body => 0,
            _ => host.number(Number::RequestBytes).unwrap_or(0),
        };
        Self {
            outcome: if is_aborted {
                Outcome::Aborted
            } else {
                Outcome::Status(status)
            },
            status,
            bytes_in,
            bytes_out,
        }
    }

    fn counts(&self, prepared: &Prepared) -> bool {
        let counting = &prepared.permit.plan.counting;
        match self.outcome {
            Outcome::Refused(_) => false,
            Outcome::Aborted => counting.aborted,
            Outcome::Status(status) => counting
                .status_classes
                .iter()
                .any(|class| u16::from(*class) == status / 100),
        }
    }

    /// What the call adds to a meter.
    fn units(&self, meter: &Meter, record: &Stream) -> u64 {
        if matches!(self.outcome, Outcome::Refused(_)) {
            return 0;
        }
        match &meter.source {
            MeterSource::Calls => 1,
            MeterSource::Weight => weight_of(record),
            MeterSource::Bytes => self.bytes_in.saturating_add(self.bytes_out),
            MeterSource::ResponseHeader { name } => {
                let mut metered = record.response.metered.iter();
                let found = metered.find(|(other, _)| other == name);
                found.map_or(0, |(_, units)| *units)
            }
        }
    }
}

/// The call's true weight, or else the operation's.
fn weight_of(record: &Stream) -> u64 {
    let prepared = record.prepared.as_ref();
    let usual = prepared.map_or(0, |prepared| prepared.permit.operation.weight);
    record.response.weight.unwrap_or(u64::from(usual))
}

fn meters_of(prepared: Option<&Rc<Prepared>>) -> &[Meter] {
    let meters = prepared.and_then(|prepared| prepared.meters.as_ref());
    meters.map_or(&[], |(meters, _)| meters)
}

fn read_response(pairs: &[u8], prepared: Option<&Rc<Prepared>>) -> ResponseView {
    let weight_header =
        prepared.and_then(|prepared| prepared.permit.plan.counting.weight_header.as_deref());
    let meters = meters_of(prepared).iter();
    let metered = meters.filter_map(|meter| match &meter.source {
        MeterSource::ResponseHeader { name } => Some(name),
        _ => None,
    });
    let any_matters = weight_header.is_some() || metered.clone().next().is_some();
    let mut view = ResponseView::default();
    for (name, value) in header_pairs(pairs) {
        let text = || core::str::from_utf8(value).ok();
        let number = || text()?.trim().parse::<u64>().ok();
        match name {
            b":status" => view.status = text().and_then(|text| text.parse().ok()).unwrap_or(0),
            b"content-length" => view.content_length = number(),
            _ => {}
        }
        if !any_matters {
            continue;
        }
        if weight_header.is_some_and(|own| own.as_bytes() == name) {
            view.weight = number();
        }
        if let Some(own) = metered.clone().find(|own| own.as_bytes() == name) {
            view.metered.push((own.clone(), number().unwrap_or(0)));
        }
    }
    view
}

impl Worker {
    /// Takes note of a response and adds the limit fields to it.
    pub fn take_response(&mut self, host: &impl Host, stream: u32) {
        let began_ns = Metrics::times(stream).then(|| host.now_ns());
        self.note_response(host, stream);
        if let Some(began_ns) = began_ns {
            let own_ns = host.now_ns().saturating_sub(began_ns);
            self.metrics.add(Metric::TimedNs, own_ns);
        }
    }

    fn note_response(&mut self, host: &impl Host, stream: u32) {
        let Some(record) = self.streams.get_mut(&stream) else {
            return;
        };
        if record.refused.is_some() {
            return;
        }
        let prepared = record.prepared.as_ref();
        record.response = read_response(&host.response_headers(), prepared);
        if let Some(policy) = prepared.and_then(|prepared| prepared.policy.as_ref()) {
            host.add_response_header("ratelimit-policy", policy);
            host.add_response_header("ratelimit", &record.limit_state);
        }
    }

    /// Counts a call that has ended.
    pub fn finish(&mut self, host: &impl Host, stream: u32) {
        let Some(record) = self.streams.remove(&stream) else {
            return;
        };
        if record.waits_until_ms.is_some() {
            self.stop_waiting(stream);
        }
        let now_ns = host.now_ns();
        let latency_us = now_ns.saturating_sub(record.started_ns) / 1_000;
        let ending = Ending::of(host, &record);
        settle(host, &record, &ending, now_ns);
        let prepared = record.prepared.as_ref();
        let permit = prepared.map(|prepared| &prepared.permit);
        let meters = meters_of(prepared).iter();
        let units: Vec<u64> = meters.map(|meter| ending.units(meter, &record)).collect();
        let meter_ids = prepared.and_then(|prepared| prepared.meters.as_ref());
        let series = || Series {
            credential: record.credential,
            subscription: permit.map(|permit| permit.subscription.subscription),
            installation: permit.and_then(|permit| permit.installation),
            meters: meter_ids.map_or(&[], |(_, ids)| ids),
            operation: permit.map_or("", |permit| &permit.operation.name),
            outcome: ending.outcome,
        };
        let quantities = Quantities {
            units: &units,
            bytes_in: ending.bytes_in,
            bytes_out: ending.bytes_out,
            latency_us,
        };
        let now_ms = now_ns / 1_000_000;
        // What was prepared stands for one series per outcome.
        let known = prepared.and_then(|prepared| prepared.counted.get());
        let again = known.and_then(|known| {
            self.usage
                .count_again(known, ending.outcome, &quantities, now_ms)
        });
        let bucket = again.unwrap_or_else(|| {
            let place = self.usage.count(&series(), &quantities, now_ms);
            if let Some(prepared) = prepared {
                prepared.counted.set(Some(place));
            }
            place.bucket()
        });
        self.mirror(host, bucket);
        self.sample(&record, &ending, now_ms, latency_us);
        if Metrics::times(stream) {
            let own_ns = host.now_ns().saturating_sub(now_ns);
            self.metrics.add(Metric::TimedNs, own_ns);
            self.metrics.add(Metric::Timed, 1);
        }
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
        let permit = record.prepared.as_ref().map(|prepared| &prepared.permit);
        self.request_log.push(RequestSample {
            at_ms: now_ms,
            request_id: record.request_id.clone(),
            credential: record.credential,
            installation: permit.and_then(|permit| permit.installation),
            operation: permit.map_or_else(String::new, |permit| permit.operation.name.to_string()),
            method: record.method.to_string(),
            status: ending.status,
            code: record.refused.map(|code| code.as_str().to_owned()),
            latency_us,
        });
    }
}

/// Settles what was reserved of the quota to what the call came to.
fn settle(host: &impl Host, record: &Stream, ending: &Ending, now_ns: u64) {
    let (Some(reserved), Some(prepared)) = (record.reserved, &record.prepared) else {
        return;
    };
    let actual = if ending.counts(prepared) {
        weight_of(record)
    } else {
        0
    };
    let (Some((period_start_ms, _)), true) = (prepared.period, actual != reserved) else {
        return;
    };
    let (slot, key) = (&prepared.account_slot, prepared.account);
    update_account_in(host, slot, key, now_ns, |account| {
        let mut leases = account.leases.iter_mut();
        let lease = leases.find(|lease| lease.period_start_ms == period_start_ms);
        let stores = lease.is_some();
        if let Some(lease) = lease {
            lease.settle(reserved, actual);
        }
        ((), stores)
    });
}
