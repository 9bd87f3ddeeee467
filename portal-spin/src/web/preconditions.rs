//! `If-Match` (RFC 9110, section 13.1.1): a change is made only to what the client has seen.
//!
//! The object is read as its own GET would show it, and its tag compared. Between the comparison and the
//! change another request may come first; a state machine's own conditions hold inside the transaction.

use http::{Method, StatusCode, header};

use super::Failure;
use super::response::etag_of;
use crate::context::Context;
use crate::routes::{self, Found};

/// Refuses with 412 what was meant for another state of the object.
pub async fn check(context: &mut Context) -> Result<(), Failure> {
    let is_change = matches!(
        context.route.method,
        Method::PUT | Method::PATCH | Method::DELETE
    );
    let Some(wanted) = context.header("if-match").map(str::to_owned) else {
        return Ok(());
    };
    if !is_change || !context.is_api() || wanted.trim() == "*" {
        return Ok(());
    }
    let current = current_tag(context).await?;
    let is_met = wanted
        .split(',')
        .any(|tag| Some(tag.trim()) == current.as_deref());
    if is_met {
        return Ok(());
    }
    Err(Failure::new(
        StatusCode::PRECONDITION_FAILED,
        "changed_meanwhile",
        "The object is not as `If-Match` says. Read it again, and send the `ETag` of that answer.",
    ))
}

/// The tag of what is at the path now; `None` where nothing can be read there.
async fn current_tag(context: &mut Context) -> Result<Option<String>, Failure> {
    let Found::Route(route, path) = routes::find(&Method::GET, context.request.uri().path()) else {
        return Ok(None);
    };
    let own = (context.route, std::mem::take(&mut context.path));
    (context.route, context.path) = (route, path);
    let outcome = (route.handler)(context).await;
    (context.route, context.path) = own;
    let answer = match outcome {
        Ok(answer) if answer.status() == StatusCode::OK => answer,
        Ok(_) => return Ok(None),
        // What is not there is for the operation itself to say.
        Err(failure) => return Err(failure),
    };
    let given = answer.headers().get(header::ETAG);
    let given = given.and_then(|tag| tag.to_str().ok()).map(str::to_owned);
    Ok(Some(given.unwrap_or_else(|| etag_of(answer.body()))))
}
