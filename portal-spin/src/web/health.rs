//! `/healthz`: whether this instance can serve.

use crate::context::Context;
use crate::routes::Outcome;
use crate::web::response;

/// 200 once the database answers and its schema is current (the dispatcher has seen to both).
pub async fn get_health(context: &Context) -> Outcome {
    context.connection.query("SELECT 1", vec![]).await?;
    response::ok(&serde_json::json!({ "status": "ok" }))
}
