//! Listings in the database.

use shared::credential::Environment;
use shared::ids::{AppId, ListingId, OrganisationId, SubmissionId};

use super::content::{Content, Visibility};
use crate::apps::App;
use crate::catalogue::slug_of;
use crate::context::Context;
use crate::database::{Connection, DatabaseError, Row};
use crate::params;

/// A listing.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    /// The listing.
    pub id: ListingId,
    /// Its app.
    pub app_id: AppId,
    /// The app's owner.
    pub organisation_id: OrganisationId,
    /// Its name in URLs.
    pub slug: String,
    /// Who may install it.
    pub visibility: Visibility,
    /// Addresses of customers who may install it while it is private.
    pub customers: Vec<String>,
    /// What is being edited.
    pub draft: Content,
    /// When the draft was last saved.
    pub changed_at_ms: i64,
    /// The submission that customers see.
    pub live_submission_id: Option<SubmissionId>,
    /// When it was first published.
    pub published_at_ms: Option<i64>,
}

/// Who may install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// Members of the app's organisation.
    Members,
    /// They and these addresses.
    Named(Vec<String>),
    /// Everyone with an account.
    Everyone,
}

/// What a customer is offered: the content in force and who may have it.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// The listing.
    pub listing_id: ListingId,
    /// Its owner.
    pub organisation_id: OrganisationId,
    /// The content in force.
    pub content: Content,
    /// Who may install.
    pub audience: Audience,
}

pub(super) const COLUMNS: &str =
    "l.listing_id, l.app_id, a.organisation_id, l.slug, l.visibility, l.customers, l.draft,
    l.changed_at_ms, l.live_submission_id, l.published_at_ms";

pub(super) fn read(row: &Row) -> Result<Listing, DatabaseError> {
    Ok(Listing {
        id: row.parse(0)?,
        app_id: row.parse(1)?,
        organisation_id: row.parse(2)?,
        slug: row.get(3)?,
        visibility: row.parse(4)?,
        customers: parse_json(&row.get::<String>(5)?)?,
        draft: parse_json(&row.get::<String>(6)?)?,
        changed_at_ms: row.get(7)?,
        live_submission_id: row.parse_optional(8)?,
        published_at_ms: row.get(9)?,
    })
}

/// JSON of a column.
pub(crate) fn parse_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, DatabaseError> {
    serde_json::from_str(text)
        .map_err(|error| DatabaseError::Shape(format!("a stored document does not parse: {error}")))
}

/// JSON for a column.
pub(crate) fn to_json(value: &impl serde::Serialize) -> Result<String, DatabaseError> {
    serde_json::to_string(value)
        .map_err(|error| DatabaseError::Shape(format!("a document does not serialise: {error}")))
}

/// The listing of an app.
pub async fn find_listing(
    connection: &Connection,
    app_id: AppId,
) -> Result<Option<Listing>, DatabaseError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM listings l JOIN apps a ON a.app_id = l.app_id WHERE l.app_id = $1"
    );
    let row = connection.query_optional(&sql, params![app_id]).await?;
    row.as_ref().map(read).transpose()
}

/// The listing of an app; the first time an empty, private one is made.
pub async fn ensure_listing(context: &Context, app: &App) -> Result<Listing, DatabaseError> {
    if let Some(listing) = find_listing(&context.connection, app.id).await? {
        return Ok(listing);
    }
    let draft = Content {
        name: app.name.clone(),
        summary: app.description.chars().take(300).collect(),
        languages: vec!["en".to_owned()],
        ..Content::default()
    };
    let id = context.new_id(ListingId::new);
    let number = id.to_string();
    // The end of an id is random: two apps of one name get two addresses.
    let tail: String = number
        .chars()
        .skip(number.len().saturating_sub(6))
        .collect();
    let slug = format!("{}-{tail}", slug_of(&app.name));
    context
        .connection
        .execute(
            "INSERT INTO listings (listing_id, app_id, slug, visibility, customers, draft, created_at_ms, changed_at_ms)
             VALUES ($1, $2, $3, $4, '[]', $5, $6, $6) ON CONFLICT (app_id) DO NOTHING",
            params![
                id,
                app.id,
                slug.trim_start_matches('-'),
                Visibility::Private,
                to_json(&draft)?,
                context.now_ms,
            ],
        )
        .await?;
    find_listing(&context.connection, app.id)
        .await?
        .ok_or_else(|| DatabaseError::Shape("a new listing is not there".to_owned()))
}

/// Stores draft, visibility and named customers.
pub async fn save_draft(
    connection: &Connection,
    listing: &Listing,
    now_ms: i64,
) -> Result<(), DatabaseError> {
    connection
        .execute(
            "UPDATE listings SET visibility = $2, customers = $3, draft = $4, changed_at_ms = $5
             WHERE listing_id = $1",
            params![
                listing.id,
                listing.visibility,
                to_json(&listing.customers)?,
                to_json(&listing.draft)?,
                now_ms,
            ],
        )
        .await?;
    Ok(())
}

/// What customers are offered of an app in an environment; `None` if nothing. In the sandbox the draft
/// is offered to the organisation's own members; in production a private app's draft to those it names,
/// a public app's published version to everyone.
pub async fn find_offer(
    connection: &Connection,
    app_id: AppId,
    environment: Environment,
) -> Result<Option<Offer>, DatabaseError> {
    let Some(listing) = find_listing(connection, app_id).await? else {
        return Ok(None);
    };
    let offer = |content, audience| Offer {
        listing_id: listing.id,
        organisation_id: listing.organisation_id,
        content,
        audience,
    };
    if environment == Environment::Test {
        return Ok(Some(offer(listing.draft.clone(), Audience::Members)));
    }
    if listing.visibility == Visibility::Private {
        let audience = Audience::Named(listing.customers.clone());
        return Ok(Some(offer(listing.draft.clone(), audience)));
    }
    let Some(submission_id) = listing.live_submission_id else {
        return Ok(None);
    };
    let row = connection
        .query_optional(
            "SELECT content FROM submissions
             WHERE submission_id = $1 AND state IN ('published', 'unlisted')",
            params![submission_id],
        )
        .await?;
    row.map(|row| {
        let content = parse_json(&row.get::<String>(0)?)?;
        Ok(offer(content, Audience::Everyone))
    })
    .transpose()
}

/// Whether reviewers have stopped an app: suspended or revoked.
pub async fn is_stopped(connection: &Connection, app_id: AppId) -> Result<bool, DatabaseError> {
    let row = connection
        .query_optional(
            "SELECT 1 FROM submissions s JOIN listings l ON l.listing_id = s.listing_id
             WHERE l.app_id = $1 AND s.state IN ('suspended', 'revoked') LIMIT 1",
            params![app_id],
        )
        .await?;
    Ok(row.is_some())
}
