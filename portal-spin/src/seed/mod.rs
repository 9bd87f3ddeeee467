//! The demonstration programme: `POST /dev/seed`, in development only.
//!
//! Owns what a fresh installation shows before the operator has set anything up: a product from the
//! demo API's document, agreements, three plans, guides, an operator's and a partner's log-in, an app with a
//! test and a live key; and with `?months=14` a programme that began so long ago, whose past `history`
//! tells afterwards. Every step first looks whether it is done, so that a start that was cut short
//! goes on and a second one changes nothing.

mod guides;
pub mod history;
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
use crate::web::{Failure, response};

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
    /// The owner of a partner with a past, where the programme has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partner_with_history: Option<LogIn>,
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

/// `POST /dev/seed?months=`
pub async fn seed(context: &Context) -> Outcome {
    let months = match context.query("months") {
        None => 0,
        Some(text) => text.parse().map_err(|_| {
            Failure::field(
                "months",
                "malformed",
                "Give a number of months, such as 14.",
            )
        })?,
    };
    edges::programme::ensure_published(
        &context.connection,
        context.configuration(),
        context.now_ms,
    )
    .await?;
    crate::oauth::ensure_keys_published(context).await?;
    let mut before = acting(context, Caller::Nobody).await?;
    let began_ms = history::plan(context, months).await?;
    before.now_ms = began_ms.unwrap_or(context.now_ms);
    let operator = programme::make_operator(&before).await?;
    programme::make_programme(&before).await?;
    guides::make_guides(context).await?;
    let mut seeded = partner::make_partner(context, operator).await?;
    seeded.partner_with_history = began_ms.map(|_| history::best_known());
    response::ok(&seeded)
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
        language: crate::web::languages::english(),
        caller,
    })
}
