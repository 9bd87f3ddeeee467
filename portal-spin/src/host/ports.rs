//! Clock, randomness, outbound HTTP and variables.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use spin_sdk::http::body::IncomingBodyExt;
use spin_sdk::http::{FullBody, send};

use crate::ports::{Clock, HttpClient, PortFuture, Randomness, Settings};

pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // the one place that reads the clock
    fn now_ms(&self) -> i64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .ok()
            .and_then(|since| i64::try_from(since.as_millis()).ok())
            .unwrap_or_default()
    }
}

pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn fill(&self, buffer: &mut [u8]) {
        let mut filled = 0;
        // The host may give fewer bytes than asked for.
        while filled < buffer.len() {
            let missing = buffer.len() - filled;
            let bytes = spin_sdk::wasip3::random::random::get_random_bytes(missing as u64);
            for (to, from) in buffer.iter_mut().skip(filled).zip(&bytes) {
                *to = *from;
            }
            filled += bytes.len().min(missing);
        }
    }
}

pub struct SpinHttp;

impl HttpClient for SpinHttp {
    fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> PortFuture<'_, Result<http::Response<Bytes>, String>> {
        Box::pin(async move {
            let response = send(request.map(FullBody::new))
                .await
                .map_err(|error| error.to_string())?;
            let (parts, body) = response.into_parts();
            let body = body.bytes().await.map_err(|error| error.to_string())?;
            Ok(http::Response::from_parts(parts, body))
        })
    }
}

pub struct SpinVariables;

impl Settings for SpinVariables {
    fn get<'a>(&'a self, name: &'a str) -> PortFuture<'a, Option<String>> {
        Box::pin(async move { spin_sdk::variables::get(name).await.ok() })
    }
}
