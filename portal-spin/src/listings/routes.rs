//! `/api/v1/apps/{app_id}/listing`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::content::{Content, Visibility, check_bounds};
use super::counts::{Funnel, read_funnel};
use super::store::{self, Listing};
use crate::apps::{self, App};
use crate::audit;
use crate::context::Context;
use crate::organisations::normalise_email;
use crate::routes::Outcome;
use crate::web::{Failure, FieldError, response};

/// How many days the funnel looks back.
const FUNNEL_DAYS: i64 = 30;

/// A listing in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ListingView {
    /// The listing.
    pub id: String,
    /// Its app.
    pub app_id: String,
    /// Its name in URLs.
    pub slug: String,
    /// Who may install it.
    pub visibility: Visibility,
    /// Addresses of customers who may install it while it is private.
    pub customers: Vec<String>,
    /// What is being edited.
    pub draft: Content,
    /// When the draft was last saved.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub changed_at: i64,
    /// The submission that customers see.
    pub live_submission_id: Option<String>,
}

impl From<&Listing> for ListingView {
    fn from(listing: &Listing) -> Self {
        Self {
            id: listing.id.to_string(),
            app_id: listing.app_id.to_string(),
            slug: listing.slug.clone(),
            visibility: listing.visibility,
            customers: listing.customers.clone(),
            draft: listing.draft.clone(),
            changed_at: listing.changed_at_ms,
            live_submission_id: listing.live_submission_id.map(|id| id.to_string()),
        }
    }
}

/// What a listing is changed to. Members left out stay.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListingBody {
    /// Who may install it.
    #[serde(default)]
    pub visibility: Option<Visibility>,
    /// Addresses of customers who may install it while it is private.
    #[serde(default)]
    pub customers: Option<Vec<String>>,
    /// The whole draft.
    #[serde(default)]
    pub draft: Option<Content>,
}

/// The app of the path.
pub async fn app_of_path(context: &Context) -> Result<App, Failure> {
    apps::find_app(&context.connection, context.path_id("app_id")?)
        .await?
        .ok_or_else(Failure::not_found)
}

/// The listing of the path's app.
pub async fn listing_of_path(context: &Context) -> Result<Listing, Failure> {
    let app = app_of_path(context).await?;
    Ok(store::ensure_listing(context, &app).await?)
}

/// Changes a listing.
pub async fn change_listing(
    context: &Context,
    mut listing: Listing,
    body: ListingBody,
) -> Result<Listing, Failure> {
    let mut faults = Vec::new();
    if let Some(customers) = &body.customers {
        let addresses: Option<Vec<String>> =
            customers.iter().map(|text| normalise_email(text)).collect();
        match addresses {
            Some(addresses) if addresses.len() <= 200 => listing.customers = addresses,
            _ => faults.push(FieldError {
                field: "customers".to_owned(),
                code: "invalid_email".to_owned(),
                detail: "Give at most 200 addresses like ada@example.com.".to_owned(),
            }),
        }
    }
    if let Some(draft) = body.draft {
        faults.extend(check_bounds(&draft));
        listing.draft = draft;
    }
    if let Some(visibility) = body.visibility {
        if visibility == Visibility::Private && listing.live_submission_id.is_some() {
            return Err(Failure::conflict(
                "already_published",
                "A published app cannot become private: customers rely on it. Unlist it instead.",
            ));
        }
        listing.visibility = visibility;
    }
    if !faults.is_empty() {
        return Err(Failure::fields(faults));
    }
    listing.changed_at_ms = context.now_ms;
    context
        .connection
        .transaction(async || {
            let detail = json!({
                "app_id": listing.app_id.to_string(), "visibility": listing.visibility.as_str(),
            });
            let object = listing.id.to_string();
            audit::record(
                context,
                Some(listing.organisation_id),
                "listing.changed",
                &object,
                detail,
            )
            .await?;
            store::save_draft(&context.connection, &listing, context.now_ms).await?;
            Ok::<_, Failure>(())
        })
        .await?;
    Ok(listing)
}

/// `GET /api/v1/apps/{app_id}/listing`
pub async fn show_listing(context: &Context) -> Outcome {
    response::ok(&ListingView::from(&listing_of_path(context).await?))
}

/// `PATCH /api/v1/apps/{app_id}/listing`
pub async fn update_listing(context: &Context) -> Outcome {
    let body: ListingBody = context.json()?;
    let listing = change_listing(context, listing_of_path(context).await?, body).await?;
    response::ok(&ListingView::from(&listing))
}

/// `GET /api/v1/apps/{app_id}/listing/funnel`
pub async fn show_funnel(context: &Context) -> Outcome {
    response::ok(&funnel_of_path(context).await?)
}

/// The counts of the path's app.
pub async fn funnel_of_path(context: &Context) -> Result<Funnel, Failure> {
    let app_id = context.path_id("app_id")?;
    Ok(read_funnel(&context.connection, app_id, FUNNEL_DAYS, context.now_ms).await?)
}
