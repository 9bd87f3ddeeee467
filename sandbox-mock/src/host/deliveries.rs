//! Sends what is due through `wasi:http`. Which hosts may be reached is in the application's manifest
//! (`allowed_outbound_hosts`).

use crate::events::{Outgoing, due, settle};
use crate::mock::Context;
use crate::state::Store;
use spin_sdk::http::{FullBody, Request, send};

/// How many go out before the answer: the caller waits for them.
const MOST: usize = 5;

pub(super) async fn send_due<S: Store>(store: &mut S, context: &Context) {
    let ready = due(store, context).await;
    for outgoing in ready.into_iter().take(MOST) {
        let id = outgoing.delivery.clone();
        let outcome = attempt(outgoing).await;
        settle(store, context, &id, outcome).await;
    }
}

async fn attempt(outgoing: Outgoing) -> Result<u16, String> {
    let mut request = Request::builder()
        .method(outgoing.method.as_str())
        .uri(outgoing.url.as_str());
    for (name, value) in &outgoing.headers {
        request = request.header(name, value);
    }
    let body = FullBody::new(bytes::Bytes::from(outgoing.body));
    let request = request.body(body).map_err(|error| error.to_string())?;
    let answer = send(request).await.map_err(|error| format!("{error:?}"))?;
    Ok(answer.status().as_u16())
}
