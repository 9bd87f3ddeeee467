//! How a call ended: its outcome, its quantities, and whether it counts.

use crate::ports::{Host, Number};
use crate::request::header_pairs;
use crate::usage;
use crate::verdict::Stream;
use shared::plan::MeterSource;
use shared::problem::Code;

/// Response flag: the client closed the connection or reset the stream.
const CLIENT_GONE: u64 = 0x4 | 0x1_0000 | 0x2_0000;

/// How a call ended.
pub(super) struct Ending {
    pub outcome: usage::Outcome,
    pub status: u16,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub true_weight: Option<u64>,
    metered: Vec<(String, u64)>,
}

impl Ending {
    pub fn refused(code: Code) -> Self {
        Self {
            outcome: usage::Outcome::Refused(code),
            status: code.status(),
            bytes_in: 0,
            bytes_out: 0,
            true_weight: None,
            metered: Vec::new(),
        }
    }

    pub fn read(host: &impl Host, record: &Stream) -> Self {
        let headers = host.response_headers();
        let weight_header = record
            .plan
            .as_ref()
            .and_then(|plan| plan.counting.weight_header.as_deref());
        let is_metered = |name: &str| {
            let meters = record.meters.as_ref().map_or(&[][..], |(meters, _)| meters);
            meters.iter().any(|meter| {
                matches!(&meter.source, MeterSource::ResponseHeader { name: own } if own == name)
            })
        };
        let (mut status, mut length) = (0, None);
        let (mut true_weight, mut metered) = (None, Vec::new());
        for (name, value) in header_pairs(&headers) {
            let (Ok(name), Ok(value)) = (core::str::from_utf8(name), core::str::from_utf8(value))
            else {
                continue;
            };
            let number = || value.trim().parse::<u64>().ok();
            match name {
                ":status" => status = value.parse().unwrap_or(0),
                "content-length" => length = number(),
                _ => {}
            }
            if weight_header == Some(name) {
                true_weight = number();
            }
            if is_metered(name) {
                metered.push((name.to_owned(), number().unwrap_or(0)));
            }
        }
        let flags = host.number(Number::ResponseFlags).unwrap_or(0);
        let is_aborted = status == 0 || flags & CLIENT_GONE != 0;
        let bytes_out = match length {
            Some(length) if !is_aborted && record.method != "HEAD" => length,
            _ => host.number(Number::ResponseBytes).unwrap_or(0),
        };
        let has_body = !matches!(record.method.as_str(), "GET" | "HEAD" | "OPTIONS");
        let bytes_in = match record.content_length {
            Some(length) if !is_aborted => length,
            None if !has_body => 0,
            _ => host.number(Number::RequestBytes).unwrap_or(0),
        };
        Self {
            outcome: if is_aborted {
                usage::Outcome::Aborted
            } else {
                usage::Outcome::Status(status)
            },
            status,
            bytes_in,
            bytes_out,
            true_weight,
            metered,
        }
    }

    pub fn counts(&self, record: &Stream) -> bool {
        let Some(counting) = record.plan.as_ref().map(|plan| &plan.counting) else {
            return false;
        };
        match self.outcome {
            usage::Outcome::Refused(_) => false,
            usage::Outcome::Aborted => counting.aborted,
            usage::Outcome::Status(status) => counting
                .status_classes
                .iter()
                .any(|class| u16::from(*class) == status / 100),
        }
    }

    pub fn units(&self, record: &Stream) -> Vec<u64> {
        let meters = record.meters.as_ref().map_or(&[][..], |(meters, _)| meters);
        let quantity = |source: &MeterSource| match source {
            MeterSource::Calls => 1,
            MeterSource::Weight => self.true_weight.unwrap_or(u64::from(record.weight)),
            MeterSource::Bytes => self.bytes_in.saturating_add(self.bytes_out),
            MeterSource::ResponseHeader { name } => self
                .metered
                .iter()
                .find(|(other, _)| other == name)
                .map_or(0, |(_, units)| *units),
        };
        let is_refused = matches!(self.outcome, usage::Outcome::Refused(_));
        meters
            .iter()
            .map(|meter| {
                if is_refused {
                    0
                } else {
                    quantity(&meter.source)
                }
            })
            .collect()
    }
}
