//! Listens for requests and hands them to components, as Spin's HTTP trigger.
//!
//! Owns routing, the `spin-*` request headers and what a client sees when a
//! component fails. It knows nothing about what components do.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderName, HeaderValue};
use http::uri::{Authority, Scheme, Uri};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};

use super::Application;
use crate::routes::Match;

type Body = UnsyncBoxBody<Bytes, wasmtime_wasi_http::Error>;

/// Binds a listener; a taken port is explained in one line.
pub async fn bind(address: SocketAddr, what: &str) -> Result<TcpListener> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => bail!(
            "port {} is taken and the {what} needs it; stop what listens there or choose \
             another port",
            address.port()
        ),
        Err(error) => Err(error).with_context(|| format!("the {what} cannot listen on {address}")),
    }
}

/// Serves an application until the task is dropped.
pub async fn serve(listener: TcpListener, application: Arc<Application>) {
    loop {
        match listener.accept().await {
            Ok((stream, client)) => {
                tokio::spawn(serve_connection(stream, client, application.clone()));
            }
            Err(error) => {
                // Out of file descriptors, most likely: wait for some to close.
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve_connection(stream: TcpStream, client: SocketAddr, application: Arc<Application>) {
    // Without it a response in two pieces waits for a delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let application = application.clone();
        async move { Ok::<_, Infallible>(answer(&application, request, client).await) }
    });
    if let Err(error) = auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await
    {
        tracing::debug!("connection from {client}: {error}");
    }
}

async fn answer(
    application: &Application,
    mut request: Request<Incoming>,
    client: SocketAddr,
) -> Response<Body> {
    let path = request.uri().path().to_owned();
    if path == "/.well-known/spin/health" {
        return plain(StatusCode::OK, "OK");
    }
    let Some(found) = application.router.find_match(&path) else {
        return plain(StatusCode::NOT_FOUND, "");
    };
    let Some(served) = application.find_component(found.component) else {
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "");
    };
    if let Err(error) = prepare(&mut request, &found, client) {
        tracing::debug!("bad request from {client}: {error:#}");
        return plain(StatusCode::BAD_REQUEST, "");
    }
    let Ok(permit) = served.permits.clone().acquire_owned().await else {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "");
    };
    let request = request.map(|body| body.map_err(wasmtime_wasi_http::Error::from).boxed_unsync());
    match served.handler.handle((), request).await {
        // The permit is given back when the body has been sent.
        Ok(response) => response.map(|body| {
            body.map_err(move |error| {
                let _held = &permit;
                error
            })
            .boxed_unsync()
        }),
        Err(error) => {
            tracing::error!(component = found.component, "{path}: {error:#}");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "")
        }
    }
}

/// Makes the request absolute and sets the headers Spin sets.
fn prepare(request: &mut Request<Incoming>, found: &Match<'_>, client: SocketAddr) -> Result<()> {
    let host = match (request.headers().get(HOST), request.uri().authority()) {
        (Some(header), _) => header.to_str()?.to_owned(),
        (None, Some(authority)) => authority.as_str().to_owned(),
        (None, None) => bail!("no Host header"),
    };
    let authority: Authority = host
        .parse()
        .context("the Host header is not an authority")?;
    let mut parts = request.uri().clone().into_parts();
    if parts
        .authority
        .as_ref()
        .is_some_and(|given| *given != authority)
    {
        bail!("the Host header and the request's URI name different hosts");
    }
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority);
    let uri = Uri::from_parts(parts)?;
    let full_url = uri.to_string();
    *request.uri_mut() = uri;

    let headers = request.headers_mut();
    headers.remove(CONNECTION);
    // A client must not be able to speak in the host's name.
    let forged: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("spin-"))
        .cloned()
        .collect();
    for name in forged {
        headers.remove(name);
    }
    let mut set = |name: &str, value: &str| -> Result<()> {
        headers.insert(
            HeaderName::try_from(name)?,
            HeaderValue::from_bytes(value.as_bytes())?,
        );
        Ok(())
    };
    set("spin-path-info", &found.path_info)?;
    set("spin-full-url", &full_url)?;
    set("spin-matched-route", found.raw_route)?;
    set("spin-base-path", "/")?;
    set("spin-raw-component-route", found.raw_route)?;
    set("spin-component-route", found.route_prefix())?;
    set("spin-client-addr", &client.to_string())?;
    for (name, value) in &found.named {
        set(
            &format!("spin-path-match-{name}").to_ascii_lowercase(),
            value,
        )?;
    }
    Ok(())
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let body = Full::new(Bytes::from_static(text.as_bytes()))
        .map_err(|never| match never {})
        .boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}
