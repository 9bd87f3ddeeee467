//! One HTTP exchange over a connection to an address that was looked up, and judged, before.
//!
//! Owns connecting, TLS and the three time limits of `wasi:http`. wasmtime's own sender looks the name
//! up by itself, so that between the judgement and the connection the name could lead elsewhere.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{Either, select};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

/// What `wasi:http` allows where the component sets no limit.
const LONGEST: Duration = Duration::from_secs(600);

/// An answer whose body arrives while the future is driven.
pub type Sent = (
    http::Response<WasiBody>,
    Box<dyn Future<Output = Result<(), Error>> + Send>,
);

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Sends a request to the first of these addresses that takes a connection. The request's URI still
/// names the host: for TLS and for the answer.
pub async fn send(
    request: http::Request<WasiBody>,
    addresses: &[SocketAddr],
    options: Option<RequestOptions>,
) -> Result<Sent, Error> {
    let options = options.unwrap_or_default();
    let stream = timeout(
        options.connect_timeout.unwrap_or(LONGEST),
        connect(request.uri(), addresses),
    )
    .await
    .map_err(|_| Error::ConnectionTimeout)??;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut connection = Box::pin(connection);
    let first_byte = options.first_byte_timeout.unwrap_or(LONGEST);
    let answer = Box::pin(timeout(
        first_byte,
        sender.send_request(in_origin_form(request)?),
    ));
    let (answer, connection) = match select(answer, &mut connection).await {
        Either::Left((answer, _)) => (answer, Some(connection)),
        Either::Right((ended, answer)) => {
            ended?;
            (answer.await, None)
        }
    };
    let answer = answer.map_err(|_| Error::ConnectionReadTimeout)??;
    let between = options.between_bytes_timeout.unwrap_or(LONGEST);
    let rest = async move {
        if let Some(connection) = connection {
            connection.await?;
        }
        Ok(())
    };
    let answer = answer.map(|incoming| {
        let body = Timed {
            incoming,
            between,
            deadline: Box::pin(sleep(between)),
        };
        body.boxed_unsync()
    });
    Ok((answer, Box::new(rest)))
}

/// The path alone: the rest of a URI is for proxies.
fn in_origin_form(mut request: http::Request<WasiBody>) -> Result<http::Request<WasiBody>, Error> {
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse().map_err(|_| Error::HttpRequestUriInvalid)?;
    Ok(request)
}

async fn connect(uri: &http::Uri, addresses: &[SocketAddr]) -> Result<Box<dyn Stream>, Error> {
    let stream = TcpStream::connect(addresses)
        .await
        .map_err(Error::Connect)?;
    if uri.scheme() != Some(&http::uri::Scheme::HTTPS) {
        return Ok(Box::new(stream));
    }
    let host = uri.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned()).map_err(|_| Error::HttpRequestUriInvalid)?;
    let roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.into(),
    };
    let provider = Arc::new(crypto::ring::default_provider());
    let configuration = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Tls(std::io::Error::other(error)))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TlsConnector::from(Arc::new(configuration))
        .connect(name, stream)
        .await
        .map_err(Error::Tls)?;
    Ok(Box::new(stream))
}

/// A body whose parts must not keep one waiting too long.
struct Timed {
    incoming: Incoming,
    between: Duration,
    deadline: Pin<Box<Sleep>>,
}

impl Body for Timed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(context) {
            let next = Instant::now() + self.between;
            self.deadline.as_mut().reset(next);
            return Poll::Ready(frame.map(|frame| frame.map_err(Error::from)));
        }
        ready!(self.deadline.as_mut().poll(context));
        Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
