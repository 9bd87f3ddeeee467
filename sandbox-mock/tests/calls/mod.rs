//! One request to a mock in memory, as a test writes it.

use sandbox_mock::state::Store;
use sandbox_mock::{Context, Mock, Request, Response};

/// Sends a request with a JSON body for one tenant; the target is a path and, behind `?`, a query.
pub fn send<S: Store>(
    mock: &Mock,
    store: &mut S,
    method: &str,
    target: &str,
    body: &str,
) -> Response {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers = [("content-type".to_owned(), "application/json".to_owned())];
    let request = Request {
        method,
        path,
        query,
        headers: &headers,
        body: body.as_bytes(),
    };
    let context = Context {
        seed: 1,
        tenant: "app_one".to_owned(),
        now_ms: 0,
        stateful: true,
    };
    mock.respond_now(request, store, &context)
}
