//! `POST /api/v1/visitors`: a test key for who has no account yet.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::store;
use crate::context::Context;
use crate::credentials::{Awaited, STEPS_OF_PAGE, wait_for};
use crate::home;
use crate::routes::Outcome;
use crate::web::throttle::{Limit, count_attempt_by_address};
use crate::web::{Failure, response};

const PER_ADDRESS: Limit = Limit {
    name: "visitors_by_address",
    attempts: 10,
    window_ms: 3_600_000,
};

/// Nothing to say yet; an object, so that there can be.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VisitorRequest {}

/// A test key that nobody owns yet.
#[derive(Debug, Serialize, JsonSchema)]
pub struct VisitorView {
    /// The key: shown once. It reaches the sandbox and nothing else.
    pub test_key: String,
    /// Send it as `visitor_token` when registering: the key, its app and its calls become yours.
    pub visitor_token: String,
    /// The key is refused after this, unless it was claimed.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub expires_at: i64,
    /// A call to begin with.
    pub first_call: String,
}

/// Opens a visitor with a key that the gateway knows.
pub(super) async fn open(context: &Context) -> Result<VisitorView, Failure> {
    if context.configuration().get("visitor_calls") == "off" {
        return Err(Failure::forbidden(
            "visitors_off",
            "Calls without an account are switched off in this programme. Create an account; it takes a minute.",
        ));
    }
    count_attempt_by_address(context, PER_ADDRESS).await?;
    let (visitor, visitor_token) = store::open(context).await?;
    let (credential, test_key) = store::issue_key(context, &visitor).await?;
    wait_for(context, credential, Awaited::Active, STEPS_OF_PAGE).await?;
    let path = home::example_path(context, Some(visitor.app_id)).await?;
    let gateway = context.configuration().get("gateway_url");
    Ok(VisitorView {
        first_call: format!("curl -H 'Authorization: Bearer {test_key}' {gateway}{path}"),
        test_key,
        visitor_token,
        expires_at: visitor.expires_at,
    })
}

/// `POST /api/v1/visitors`
pub async fn open_visitor(context: &Context) -> Outcome {
    let VisitorRequest {} = context.json()?;
    response::created(&open(context).await?)
}
