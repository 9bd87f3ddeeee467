//! `/api/v1/operator/brand`.

use serde_json::json;

use super::model::BrandSettings;
use super::store;
use crate::audit;
use crate::context::Context;
use crate::routes::Outcome;
use crate::web::{Failure, response};

/// Checks and keeps new settings, and shows them at once on this instance.
pub(super) async fn save(context: &Context, settings: &BrandSettings) -> Result<(), Failure> {
    let problems = settings.problems();
    if !problems.is_empty() {
        return Err(Failure::fields(problems));
    }
    let body = serde_json::to_string(settings)
        .map_err(|error| Failure::internal(&format!("a brand does not serialise: {error}")))?;
    context
        .connection
        .transaction(async || {
            let detail = json!({ "name": settings.name, "mail_from": settings.mail_from });
            audit::record(context, None, "brand.replaced", "brand", detail).await?;
            store::save_brand(&context.connection, &body, context.now_ms).await
        })
        .await?;
    context.app.set_brand(settings, context.now_ms);
    Ok(())
}

/// `GET /api/v1/operator/brand`
pub async fn show_brand(context: &Context) -> Outcome {
    response::ok(&store::load_brand(&context.connection).await?)
}

/// `PUT /api/v1/operator/brand`
pub async fn replace_brand(context: &Context) -> Outcome {
    let settings: BrandSettings = context.json()?;
    save(context, &settings).await?;
    response::ok(&settings)
}
