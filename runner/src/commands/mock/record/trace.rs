//! What Envoy's tap filter sends: JSON objects one after the other, one for each exchange.

use anyhow::{Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// A trace has two bodies of a mebibyte in base64 at most, and headers.
const LONGEST_TRACE: usize = 8 << 20;
/// Headers that the gateway adds; they are not between the partner and the API.
const GATEWAYS: [&str; 5] = [
    ":",
    "x-envoy-",
    "x-forwarded-",
    "x-portico-",
    "x-request-id",
];

/// Cuts the stream into objects.
#[derive(Default)]
pub(super) struct Traces {
    buffer: Vec<u8>,
    /// How far the buffer was looked at.
    seen: usize,
    depth: usize,
    in_text: bool,
    is_escaped: bool,
}

impl Traces {
    /// Adds what came and takes the objects that are complete.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
        self.buffer.extend_from_slice(bytes);
        let mut complete = Vec::new();
        while let Some(byte) = self.buffer.get(self.seen) {
            self.seen += 1;
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' if self.in_text => self.is_escaped = true,
                b'"' => self.in_text = !self.in_text,
                b'{' if !self.in_text => self.depth += 1,
                b'}' if !self.in_text && self.depth > 0 => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        complete.push(self.buffer.drain(..self.seen).collect());
                        self.seen = 0;
                    }
                }
                _ => {}
            }
        }
        if self.buffer.len() > LONGEST_TRACE {
            bail!("Envoy sent a trace of more than {LONGEST_TRACE} bytes");
        }
        Ok(complete)
    }
}

/// Why an exchange is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Skipped {
    Unanswered,
    Cut,
    Encoded,
}

impl Skipped {
    pub(super) const ALL: [Skipped; 3] = [Skipped::Unanswered, Skipped::Cut, Skipped::Encoded];

    pub(super) fn in_words(self) -> &'static str {
        match self {
            Skipped::Unanswered => "there was no answer",
            Skipped::Cut => "a body was longer than 1 MiB",
            Skipped::Encoded => "a body was compressed",
        }
    }
}

/// The exchange of a trace as one line; not yet redacted.
pub(super) fn exchange_of(trace: &[u8]) -> Result<String, Skipped> {
    let trace: Value = serde_json::from_slice(trace).map_err(|_| Skipped::Unanswered)?;
    let trace = &trace["http_buffered_trace"];
    let request = Message::read(&trace["request"])?;
    let response = Message::read(&trace["response"])?;
    let status = response
        .pseudo(":status")
        .and_then(|text| text.parse::<u16>().ok());
    let (Some(method), Some(target), Some(status)) =
        (request.pseudo(":method"), request.pseudo(":path"), status)
    else {
        return Err(Skipped::Unanswered);
    };
    let line = json!({
        "request": { "method": method, "url": target, "headers": request.own_headers(), "body": request.body },
        "response": { "status": status, "headers": response.own_headers(), "body": response.body },
    });
    Ok(line.to_string())
}

struct Message {
    headers: Vec<(String, String)>,
    body: String,
}

impl Message {
    fn read(part: &Value) -> Result<Message, Skipped> {
        let listed = part["headers"].as_array().ok_or(Skipped::Unanswered)?;
        let headers = listed.iter().filter_map(|header| {
            let value = match header["value"].as_str() {
                Some(value) if !value.is_empty() => value.to_owned(),
                _ => text_of(&header["raw_value"]),
            };
            Some((header["key"].as_str()?.to_ascii_lowercase(), value))
        });
        let message = Message {
            headers: headers.collect(),
            body: text_of(&part["body"]["as_bytes"]),
        };
        if part["body"]["truncated"] == true {
            return Err(Skipped::Cut);
        }
        let encoding = message.pseudo("content-encoding").unwrap_or("identity");
        if encoding != "identity" && !message.body.is_empty() {
            return Err(Skipped::Encoded);
        }
        Ok(message)
    }

    fn pseudo(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    fn own_headers(&self) -> Vec<&(String, String)> {
        let is_own = |name: &str| GATEWAYS.iter().all(|gateways| !name.starts_with(gateways));
        self.headers
            .iter()
            .filter(|(name, _)| is_own(name))
            .collect()
    }
}

fn text_of(base64: &Value) -> String {
    let bytes = base64.as_str().and_then(|text| STANDARD.decode(text).ok());
    String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_cut_wherever_the_stream_is_broken() {
        let stream = br#"{"a": {"b": "}{\"}"}}
        {"c": "\\"}{}"#;
        for size in 1..stream.len() {
            let mut traces = Traces::default();
            let mut found = Vec::new();
            for piece in stream.chunks(size) {
                found.extend(traces.push(piece).unwrap());
            }
            let values: Vec<Value> = found
                .iter()
                .map(|bytes| serde_json::from_slice(bytes).unwrap())
                .collect();
            let expected = [json!({"a": {"b": "}{\"}"}}), json!({"c": "\\"}), json!({})];
            assert_eq!(values, expected, "pieces of {size}");
        }
    }

    #[test]
    fn a_trace_that_does_not_end_is_given_up() {
        let mut traces = Traces::default();
        let piece = vec![b'{'; 1 << 20];
        let outcome = (0..9).try_for_each(|_| traces.push(&piece).map(|_| ()));
        assert!(outcome.is_err());
    }

    #[test]
    fn what_was_cut_compressed_or_not_answered_is_left_out() {
        let with = |headers: Value, response: Value| {
            let trace = json!({ "http_buffered_trace": {
                "request": { "headers": [{ "key": ":path", "value": "/" }, { "key": ":method", "value": "GET" }] },
                "response": { "headers": headers, "body": response } } });
            exchange_of(trace.to_string().as_bytes())
        };
        let status = json!({ "key": ":status", "value": "200" });
        let zipped = json!({ "key": "content-encoding", "value": "gzip" });
        assert!(with(json!([status]), Value::Null).is_ok());
        assert_eq!(with(json!([]), Value::Null), Err(Skipped::Unanswered));
        assert_eq!(
            with(json!([status]), json!({ "truncated": true })),
            Err(Skipped::Cut)
        );
        let body = json!({ "as_bytes": "H4sI", "truncated": false });
        assert_eq!(with(json!([status, zipped]), body), Err(Skipped::Encoded));
        assert_eq!(exchange_of(b"{}"), Err(Skipped::Unanswered));
    }
}
