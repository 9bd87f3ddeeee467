//! Clock, randomness, outbound HTTP and variables.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use spin_sdk::http::body::IncomingBodyExt;
use spin_sdk::http::{FullBody, send};
use spin_sdk::wasip3::sockets::ip_name_lookup;
use spin_sdk::wasip3::sockets::types::IpAddress;

use crate::ports::{Clock, HttpClient, PortFuture, Randomness, Settings};

/// The Standard Webhooks specification asks for 15 to 30 seconds; e-mail providers need less.
const TIMEOUT: Duration = Duration::from_secs(15);
const LONGEST_ANSWER_BYTES: usize = 1024 * 1024;

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
            let exchange = pin!(exchange(request));
            let timeout = pin!(spin_sdk::time::sleep(TIMEOUT));
            match select(exchange, timeout).await {
                Either::Left((answer, _)) => answer,
                Either::Right(_) => Err(format!("no answer within {} s", TIMEOUT.as_secs())),
            }
        })
    }

    fn resolve<'a>(&'a self, name: &'a str) -> PortFuture<'a, Result<Option<Vec<IpAddr>>, String>> {
        Box::pin(async move {
            match ip_name_lookup::resolve_addresses(name.to_owned()).await {
                Ok(addresses) => Ok(Some(addresses.into_iter().map(address).collect())),
                Err(ip_name_lookup::ErrorCode::AccessDenied) => Ok(None),
                Err(error) => Err(format!("the name {name} cannot be looked up: {error}")),
            }
        })
    }
}

async fn exchange(mut request: http::Request<Bytes>) -> Result<http::Response<Bytes>, String> {
    // Without it the body goes out in chunks, which not every receiver of webhooks can read.
    if !request.body().is_empty() {
        let length = http::HeaderValue::from(request.body().len());
        request
            .headers_mut()
            .insert(http::header::CONTENT_LENGTH, length);
    }
    let response = send(request.map(FullBody::new))
        .await
        .map_err(|error| error.to_string())?;
    let (parts, body) = response.into_parts();
    let mut frames = body.stream();
    let mut read = BytesMut::new();
    while let Some(frame) = frames.next().await {
        read.extend_from_slice(&frame.map_err(|error| error.to_string())?);
        // A receiver of webhooks is judged by its status, however much it says; JSON that ends early is
        // refused by whoever reads it.
        if read.len() >= LONGEST_ANSWER_BYTES {
            read.truncate(LONGEST_ANSWER_BYTES);
            break;
        }
    }
    Ok(http::Response::from_parts(parts, read.freeze()))
}

fn address(address: IpAddress) -> IpAddr {
    match address {
        IpAddress::Ipv4((a, b, c, d)) => Ipv4Addr::new(a, b, c, d).into(),
        IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => Ipv6Addr::new(a, b, c, d, e, f, g, h).into(),
    }
}

pub struct SpinVariables;

impl Settings for SpinVariables {
    fn get<'a>(&'a self, name: &'a str) -> PortFuture<'a, Option<String>> {
        Box::pin(async move { spin_sdk::variables::get(name).await.ok() })
    }
}
