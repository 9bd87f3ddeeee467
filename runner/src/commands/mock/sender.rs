//! Sends the sandbox's webhooks and callbacks.
//!
//! Owns where they may go: addresses come from partners, so only public ones are connected to, by the address that
//! was checked and no other, and no redirect is followed. `--webhooks-to-loopback` allows this machine besides, for
//! trying things out.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::Uri;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use sandbox_mock::events::Outgoing;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Sends with TLS for `https`.
pub struct Sender {
    allows_loopback: bool,
    tls: Arc<ClientConfig>,
}

impl Sender {
    pub fn new(allows_loopback: bool) -> Result<Sender> {
        let roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        let provider = Arc::new(crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Sender {
            allows_loopback,
            tls: Arc::new(tls),
        })
    }

    async fn try_send(&self, outgoing: Outgoing) -> Result<u16> {
        let uri: Uri = outgoing.url.parse().context("the URL cannot be read")?;
        let host = uri.host().context("the URL has no host")?;
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let is_secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => bail!("the URL must begin with http:// or https://"),
        };
        let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), port))
            .await
            .with_context(|| format!("{host} is not known"))?
            .collect();
        let address = self.choose(&addresses)?;
        let stream = TcpStream::connect(address).await?;
        if !is_secure {
            return exchange(stream, &uri, outgoing).await;
        }
        let name = ServerName::try_from(host).context("the host cannot have a certificate")?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        exchange(connector.connect(name, stream).await?, &uri, outgoing).await
    }

    /// The address to connect to. One that may not be reached among them spoils all: such a name is made to deceive.
    fn choose(&self, addresses: &[SocketAddr]) -> Result<SocketAddr> {
        let may_be_reached = |address: &SocketAddr| {
            let ip = address.ip().to_canonical();
            is_public(ip) || (self.allows_loopback && ip.is_loopback())
        };
        match addresses.first() {
            None => bail!("the host has no address"),
            Some(first) if addresses.iter().all(may_be_reached) => Ok(*first),
            Some(_) => bail!(
                "the address is not public: it is not sent to (--webhooks-to-loopback allows this machine)"
            ),
        }
    }
}

impl sandbox_mock::serve::Sender for Sender {
    fn send(
        &self,
        outgoing: Outgoing,
    ) -> Pin<Box<dyn Future<Output = Result<u16, String>> + Send + '_>> {
        Box::pin(async move {
            match tokio::time::timeout(TIMEOUT, self.try_send(outgoing)).await {
                Ok(Ok(status)) => Ok(status),
                Ok(Err(error)) => Err(format!("{error:#}")),
                Err(_) => Err(format!("no answer within {} s", TIMEOUT.as_secs())),
            }
        })
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    uri: &Uri,
    outgoing: Outgoing,
) -> Result<u16> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let authority = uri.authority().context("the URL has no host")?;
    // User and password in a URL are no part of the host.
    let host = authority.as_str().rsplit('@').next().unwrap_or_default();
    let mut request = http::Request::builder()
        .method(outgoing.method.as_str())
        .uri(target)
        .header(http::header::HOST, host)
        .header(http::header::USER_AGENT, "portico-sandbox");
    for (name, value) in &outgoing.headers {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(Bytes::from(outgoing.body)))?;
    let driven = tokio::spawn(connection);
    let answer = sender.send_request(request).await;
    driven.abort();
    Ok(answer?.status().as_u16())
}

/// Whether an address belongs to the public internet.
fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => {
            let [first, second, third, ..] = ip.segments();
            // Of the global unicast block, without documentation, 6to4, Teredo and other tunnels to IPv4.
            (first & 0xe000) == 0x2000
                && !(first == 0x2001 && (second < 0x0200 || second == 0x0db8))
                && first != 0x2002
                && !(first == 0x3fff && second < 0x1000)
                && !(first == 0x2620 && second == 0x004f && third == 0x8000)
        }
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [first, second, third, _] = ip.octets();
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_documentation()
        || first == 0
        || first >= 240
        || (first == 100 && (64..128).contains(&second))
        || (first == 192 && second == 0 && third == 0)
        || (first == 192 && second == 88 && third == 99)
        || (first == 198 && (18..20).contains(&second)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sandbox_mock::serve::Sender as _;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn outgoing(url: String) -> Outgoing {
        Outgoing {
            delivery: "msg_1".to_owned(),
            method: "POST".to_owned(),
            url,
            headers: vec![("webhook-id".to_owned(), "msg_1".to_owned())],
            body: b"{}".to_vec(),
        }
    }

    #[test]
    fn only_public_addresses_are_reached() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.0.8",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001:db8::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in ["1.1.1.1", "93.184.216.34", "2606:4700::1111"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn a_name_with_one_private_address_is_not_reached_at_all() {
        let sender = Sender::new(false).unwrap();
        let mixed = [
            "1.1.1.1:443".parse().unwrap(),
            "10.0.0.1:443".parse().unwrap(),
        ];
        assert!(sender.choose(&mixed).is_err());
        assert!(sender.choose(&mixed[..1]).is_ok());
        assert!(sender.choose(&[]).is_err());
    }

    #[tokio::test]
    async fn this_machine_is_reached_only_where_that_is_allowed() {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let url = format!("http://{}/hook?a=1", listener.local_addr().unwrap());
        let refused = Sender::new(false)
            .unwrap()
            .send(outgoing(url.clone()))
            .await;
        assert!(refused.unwrap_err().contains("not public"));
        let received = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = vec![0; 4096];
            let length = stream.read(&mut bytes).await.unwrap();
            stream
                .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
                .await
                .unwrap();
            String::from_utf8_lossy(&bytes[..length]).into_owned()
        });
        let sender = Sender::new(true).unwrap();
        assert_eq!(sender.send(outgoing(url)).await, Ok(204));
        let text = received.await.unwrap();
        assert!(text.starts_with("POST /hook?a=1 HTTP/1.1\r\n"), "{text}");
        assert!(text.contains("webhook-id: msg_1"), "{text}");
    }
}
