//! The demonstration programme: `POST /dev/seed`, in development only.
//!
//! Owns what a fresh installation shows before the operator has set anything up: a product from the
//! demo API's document, agreements, three plans, guides, an operator's and a partner's log-in, an app with a
//! test and a live key. Every step first looks whether it is done, so that a start that was cut short
//! goes on and a second one changes nothing.

mod guides;
mod partner;
mod programme;

#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::Serialize;

use crate::context::{Caller, Context};
use crate::database::DatabaseError;
use crate::edges;
use crate::routes::Outcome;
use crate::web::response;

/// A log-in of the demonstration programme. The passwords are public: they exist in development only.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LogIn {
    /// The e-mail address.
    pub email: String,
    /// The password.
    pub password: String,
}

/// What the demonstration programme offers.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SeedView {
    /// Whether it was there before.
    pub already_seeded: bool,
    /// The operator's administrator.
    pub operator: LogIn,
    /// The owner of the demo organisation.
    pub partner: LogIn,
    /// A customer of the operator, who installs apps and belongs to no organisation.
    pub customer: LogIn,
    /// The demo organisation.
    pub organisation_id: String,
    /// Its app.
    pub app_id: String,
    /// A test key; absent when it was shown before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_key: Option<String>,
    /// A live key; absent when it was shown before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_key: Option<String>,
}

/// `POST /dev/seed`
pub async fn seed(context: &Context) -> Outcome {
    edges::programme::ensure_published(
        &context.connection,
        context.configuration(),
        context.now_ms,
    )
    .await?;
    crate::oauth::ensure_keys_published(context).await?;
    let operator = programme::make_operator(context).await?;
    programme::make_programme(context).await?;
    guides::make_guides(context).await?;
    response::ok(&partner::make_partner(context, operator).await?)
}

/// A context of its own for someone who acts here.
async fn acting(context: &Context, caller: Caller) -> Result<Context, DatabaseError> {
    Ok(Context {
        app: std::rc::Rc::clone(&context.app),
        connection: context.app.connect().await?,
        now_ms: context.now_ms,
        request_id: context.request_id.clone(),
        request: http::Request::default(),
        route: context.route,
        path: Vec::new(),
        caller,
    })
}
