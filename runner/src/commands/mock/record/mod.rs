//! `portico mock record`: exchanges with production, as Envoy's tap filter hands them out, redacted before they are
//! written.
//!
//! Owns asking Envoy and the end of a recording. What Envoy sends goes through this process's memory only; nothing
//! that was not redacted is ever on a disk.

mod trace;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use sandbox_mock::drift::read_exchange;
use serde_json::{Value, json};

use trace::{Skipped, Traces, exchange_of};

/// Bodies above this are cut by Envoy, and their exchanges left out.
const LARGEST_BODY: u32 = 1 << 20;

#[derive(clap::Args)]
pub struct Arguments {
    /// Envoy's admin address.
    #[arg(long, default_value = "http://127.0.0.1:9901")]
    envoy_admin: String,
    /// The `config_id` of the tap filter in Envoy's configuration.
    #[arg(long, default_value = "portico")]
    config_id: String,
    /// Record calls of this environment.
    #[arg(long, default_value = "live")]
    environment: String,
    /// How many percent of the calls to record.
    #[arg(long, default_value_t = 100.0)]
    percent: f64,
    /// Stop after so many exchanges; else at Ctrl-C.
    #[arg(long)]
    limit: Option<u64>,
    /// The trace; exchanges are added to its end.
    #[arg(short, long)]
    output: PathBuf,
}

pub async fn run(arguments: &Arguments) -> Result<ExitCode> {
    if !(0.0..=100.0).contains(&arguments.percent) {
        bail!("--percent is a number from 0 to 100");
    }
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&arguments.output)
        .with_context(|| format!("{} cannot be written", arguments.output.display()))?;
    let mut recording = Recording {
        output: file,
        written: 0,
        skipped: [0; Skipped::ALL.len()],
        limit: arguments.limit.unwrap_or(u64::MAX),
    };
    let outcome = tokio::select! {
        outcome = tap(arguments, &mut recording) => outcome,
        stopped = crate::signals::wait_for_stop() => stopped,
    };
    eprintln!("{}", recording.summary());
    outcome?;
    Ok(ExitCode::SUCCESS)
}

struct Recording<W> {
    output: W,
    written: u64,
    skipped: [u64; Skipped::ALL.len()],
    limit: u64,
}

impl<W: Write> Recording<W> {
    /// Keeps a trace of Envoy's; whether more are wanted.
    fn add(&mut self, trace: &[u8]) -> Result<bool> {
        match exchange_of(trace) {
            Err(reason) => self.skipped[reason as usize] += 1,
            Ok(line) => {
                let exchange = read_exchange(line.as_bytes())
                    .context("Envoy sent something that is no exchange")?;
                writeln!(self.output, "{}", exchange.redacted_line())?;
                self.written += 1;
            }
        }
        Ok(self.written < self.limit)
    }

    fn summary(&self) -> String {
        let mut text = format!("{} exchanges recorded", self.written);
        for reason in Skipped::ALL {
            let count = self.skipped[reason as usize];
            if count > 0 {
                text.push_str(&format!(", {count} left out: {}", reason.in_words()));
            }
        }
        text
    }
}

/// Asks Envoy for traces until the recording has enough.
async fn tap(arguments: &Arguments, recording: &mut Recording<std::fs::File>) -> Result<()> {
    let admin: Uri = format!("{}/tap", arguments.envoy_admin.trim_end_matches('/'))
        .parse()
        .context("--envoy-admin is an address such as http://127.0.0.1:9901")?;
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let wanted = configuration(arguments).to_string();
    let request = Request::post(admin.clone()).body(Full::from(wanted))?;
    let answer = client
        .request(request)
        .await
        .with_context(|| format!("Envoy's admin does not answer at {admin}"))?;
    let status = answer.status();
    let mut body = answer.into_body();
    if !status.is_success() {
        let said = body.collect().await?.to_bytes();
        bail!(
            "Envoy refuses to tap ({status}): {}. The filter envoy.filters.http.tap with the config_id {:?} must stand behind portico.edge (it is a comment in deploy/envoy/static.yaml)",
            String::from_utf8_lossy(&said).trim(),
            arguments.config_id
        );
    }
    eprintln!("recording to {}", arguments.output.display());
    let mut traces = Traces::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.context("Envoy ended the recording")?;
        for trace in traces.push(frame.data_ref().map_or(&[][..], |data| data))? {
            if !recording.add(&trace)? {
                return Ok(());
            }
        }
    }
    bail!("Envoy ended the recording");
}

/// What Envoy is asked for.
fn configuration(arguments: &Arguments) -> Value {
    // Hundredths of a percent.
    let share = (arguments.percent * 100.0).round() as u64;
    json!({
        "config_id": arguments.config_id,
        "tap_config": {
            "match": { "http_request_headers_match": { "headers": [{
                "name": "x-portico-environment",
                "string_match": { "exact": arguments.environment },
            }] } },
            "tap_enabled": { "default_value": { "numerator": share, "denominator": "TEN_THOUSAND" } },
            "output_config": {
                "max_buffered_rx_bytes": LARGEST_BODY,
                "max_buffered_tx_bytes": LARGEST_BODY,
                "sinks": [{ "format": "JSON_BODY_AS_BYTES", "streaming_admin": {} }],
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = r#"{"http_buffered_trace": {
      "request": {"headers": [
          {"key": ":path", "value": "/v1/customers?token=t0psecret", "raw_value": ""}, {"key": ":method", "value": "POST", "raw_value": ""},
          {"key": "authorization", "value": "Bearer live-thing", "raw_value": ""}, {"key": "x-portico-organisation", "value": "org_1", "raw_value": ""},
          {"key": "content-type", "value": "application/json", "raw_value": ""}],
        "body": {"as_bytes": "eyJlbWFpbCI6ImluZXNAc2hvcC5leGFtcGxlIiwibm90ZSI6Int9In0=", "truncated": false}},
      "response": {"headers": [{"key": ":status", "value": "201", "raw_value": ""}, {"key": "content-type", "value": "application/json", "raw_value": ""}],
        "body": {"as_bytes": "eyJpZCI6ImN1c18xIn0=", "truncated": false}}}}"#;

    #[test]
    fn what_is_written_holds_no_secret_and_no_person_and_can_be_compared() {
        let mut recording = Recording {
            output: Vec::new(),
            written: 0,
            skipped: [0; Skipped::ALL.len()],
            limit: 2,
        };
        assert!(recording.add(TRACE.as_bytes()).unwrap());
        let cut = TRACE.replacen("\"truncated\": false", "\"truncated\": true", 1);
        assert!(recording.add(cut.as_bytes()).unwrap());
        assert!(!recording.add(TRACE.as_bytes()).unwrap());
        assert_eq!(
            recording.summary(),
            "2 exchanges recorded, 1 left out: a body was longer than 1 MiB"
        );
        let text = String::from_utf8(recording.output).unwrap();
        for secret in ["t0psecret", "live-thing", "ines@", "org_1"] {
            assert!(!text.contains(secret), "{text}");
        }
        let lines: Vec<&str> = text.lines().collect();
        let exchange = read_exchange(lines[0].as_bytes()).unwrap();
        assert_eq!((exchange.method.as_str(), exchange.status), ("POST", 201));
        assert_eq!(exchange.path, "/v1/customers");
        let body = exchange.response_body.map(|body| body.to_string());
        assert_eq!(body.as_deref(), Some(r#"{"id":"cus_1"}"#));
    }
}
