//! Outbound HTTP of components (`wasi:http/client`), as Spin allows it.
//!
//! Owns the checks against `allowed_outbound_hosts` and blocked networks, and
//! requests of an application to itself. Service chaining (`*.spin.internal`) is refused: the
//! runner serves one application per listener.

use std::net::SocketAddr;
use std::sync::Arc;

use http::Uri;
use http::uri::Scheme;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::allowed_hosts::AllowedHosts;
use crate::blocked_networks::BlockedNetworks;
use crate::outbound_connection::{self, Sent};

/// Where an application's requests to itself go.
#[derive(Debug, Clone)]
pub struct SelfOrigin(pub SocketAddr);

/// The outbound side of one component instance.
pub struct OutboundHttp {
    allowed_hosts: Arc<AllowedHosts>,
    blocked_networks: Arc<BlockedNetworks>,
    origin: SelfOrigin,
}

impl OutboundHttp {
    pub fn new(
        allowed_hosts: Arc<AllowedHosts>,
        blocked_networks: Arc<BlockedNetworks>,
        origin: SelfOrigin,
    ) -> Self {
        Self {
            allowed_hosts,
            blocked_networks,
            origin,
        }
    }

    /// The URI to send to, and whether it is the application's own; or the refusal.
    fn find_destination(&self, uri: &Uri) -> Result<(Uri, bool), Error> {
        // A relative URL comes here with an empty host.
        let host = uri.host().filter(|host| !host.is_empty());
        let Some(host) = host.filter(|host| *host != "self.alt") else {
            if !self.allowed_hosts.allows_self() {
                return Err(Error::HttpRequestDenied);
            }
            let path = uri.path_and_query().map_or("/", |path| path.as_str());
            let own = format!("http://{}{path}", self.origin.0);
            let own = own.parse().map_err(|_| Error::HttpRequestUriInvalid)?;
            return Ok((own, true));
        };
        let scheme = uri.scheme_str().unwrap_or("https");
        let is_chained = host.ends_with(".spin.internal");
        if is_chained || !self.allowed_hosts.allows(scheme, host, uri.port_u16()) {
            tracing::warn!(
                "a component may not send requests to {scheme}://{}; add it to its \
                 allowed_outbound_hosts if it should",
                uri.authority().map_or(host, |authority| authority.as_str())
            );
            return Err(Error::HttpRequestDenied);
        }
        Ok((uri.clone(), false))
    }
}

impl WasiHttpHooks for OutboundHttp {
    fn send_request(
        &mut self,
        mut request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _consumed: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        let destination = self.find_destination(request.uri());
        let blocked = self.blocked_networks.clone();
        Box::new(async move {
            let (uri, is_own) = destination?;
            let mut addresses = resolve(&uri).await?;
            if !is_own {
                addresses.retain(|address| !blocked.blocks(address.ip()));
            }
            if addresses.is_empty() {
                tracing::warn!(
                    "a component may not connect to {}: it is in a blocked network; start with \
                     --block-networks none if it should",
                    uri.host().unwrap_or_default()
                );
                return Err(Error::DestinationIpProhibited);
            }
            *request.uri_mut() = uri;
            if let Some(authority) = request.uri().authority() {
                let host = http::HeaderValue::from_str(authority.as_str())
                    .map_err(|_| Error::HttpRequestUriInvalid)?;
                request.headers_mut().insert(http::header::HOST, host);
            }
            outbound_connection::send(request, &addresses, options).await
        })
    }
}

/// The addresses of a URI's host, at least one.
async fn resolve(uri: &Uri) -> Result<Vec<SocketAddr>, Error> {
    let authority = uri.authority().ok_or(Error::HttpRequestUriInvalid)?;
    let port = authority.port_u16().unwrap_or_else(|| {
        if uri.scheme() == Some(&Scheme::HTTP) {
            80
        } else {
            443
        }
    });
    let host = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    let found = tokio::net::lookup_host((host, port)).await;
    let addresses: Vec<SocketAddr> = found.into_iter().flatten().collect();
    if addresses.is_empty() {
        return Err(Error::DnsError {
            rcode: Some("address not available".to_owned()),
            info_code: Some(0),
        });
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::variables::Variables;

    fn outbound(entries: &[&str]) -> OutboundHttp {
        let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
        OutboundHttp::new(
            Arc::new(AllowedHosts::parse(&entries, &Variables::default()).unwrap()),
            Arc::default(),
            SelfOrigin("127.0.0.1:3000".parse().unwrap()),
        )
    }

    fn destination(outbound: &OutboundHttp, uri: &str) -> Result<String, Error> {
        let (uri, _) = outbound.find_destination(&uri.parse().unwrap())?;
        Ok(uri.to_string())
    }

    #[test]
    fn a_host_that_is_not_listed_is_denied() {
        let outbound = outbound(&["https://hooks.example.com"]);
        assert!(destination(&outbound, "https://hooks.example.com/a").is_ok());
        for uri in [
            "https://example.com/",
            "http://hooks.example.com/",
            "https://hooks.example.com:8443/",
            "http://127.0.0.1/",
            "http://self.alt/",
            "/relative",
        ] {
            assert!(
                matches!(destination(&outbound, uri), Err(Error::HttpRequestDenied)),
                "{uri}"
            );
        }
    }

    #[test]
    fn a_request_to_the_application_itself_goes_to_its_listener() {
        let outbound = outbound(&["http://self"]);
        for uri in ["/a?b=c", "http://self.alt/a?b=c"] {
            assert_eq!(
                destination(&outbound, uri).unwrap(),
                "http://127.0.0.1:3000/a?b=c",
                "{uri}"
            );
        }
    }

    #[test]
    fn service_chaining_is_refused_even_when_all_hosts_are_allowed() {
        let outbound = outbound(&["*://*:*"]);
        assert!(destination(&outbound, "http://sandbox.spin.internal/").is_err());
        assert!(destination(&outbound, "http://example.com/").is_ok());
    }
}
