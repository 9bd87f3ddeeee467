//! Spin: the component's entry point and its implementations of the ports. The only place that names
//! `spin_sdk`.

mod ports;
mod postgres;
mod sqlite;

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use spin_sdk::http::body::IncomingBodyExt;
use spin_sdk::http::{FullBody, Request};
use spin_sdk::http_service;

use crate::app::{App, Ports};
use crate::ports::{Database, Settings};

/// Larger bodies are refused; the largest that the portal takes is an OpenAPI document.
const LARGEST_BODY_BYTES: usize = 8 * 1024 * 1024;

thread_local! {
    /// An instance serves many requests, some at the same time; it has one thread.
    static APP: RefCell<Option<Rc<App>>> = const { RefCell::new(None) };
}

#[http_service]
async fn handle(request: Request) -> http::Response<FullBody<Bytes>> {
    let app = app().await;
    let (parts, body) = request.into_parts();
    let body = match body.bytes().await {
        Ok(body) if body.len() <= LARGEST_BODY_BYTES => body,
        Ok(_) => return refuse(http::StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => return refuse(http::StatusCode::BAD_REQUEST),
    };
    app.handle(http::Request::from_parts(parts, body))
        .await
        .map(FullBody::new)
}

fn refuse(status: http::StatusCode) -> http::Response<FullBody<Bytes>> {
    let mut response = http::Response::new(FullBody::new(Bytes::new()));
    *response.status_mut() = status;
    response
}

async fn app() -> Rc<App> {
    if let Some(app) = APP.with_borrow(Clone::clone) {
        return app;
    }
    let settings = ports::SpinVariables;
    let database: Box<dyn Database> = match settings.get("database").await.as_deref() {
        None | Some("" | "sqlite") => Box::new(sqlite::SpinSqlite::default()),
        Some(address) => Box::new(postgres::SpinPostgres::new(address)),
    };
    let ports = Ports {
        database,
        clock: Box::new(ports::SystemClock),
        randomness: Box::new(ports::SystemRandomness),
        http: Box::new(ports::SpinHttp),
    };
    let app = App::new(ports, &settings).await;
    APP.with_borrow_mut(|kept| Rc::clone(kept.get_or_insert(app)))
}
