//! Publishing: from Markdown to a version that is in force, told to edges and to partners; reminders
//! while a grace period runs.

use pulldown_cmark::{Event, Tag, TagEnd, html};
use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use shared::feed::Change;
use shared::ids::{AgreementId, AgreementVersionId, OrganisationId, ProductId};

use super::model::{Agreement, Kind, State, Version};
use super::store;
use crate::context::Context;
use crate::database::DatabaseError;
use crate::emails;
use crate::encoding::{hex, readable_time, rfc3339};
use crate::organisations::{Faults, MemberRole, store::list_member_emails};
use crate::web::markdown::harmless_events;
use crate::web::{Failure, languages};
use crate::{audit, edges, params, webhooks};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Reminders are sent when so many days are left.
const REMIND_AT_DAYS: &[i64] = &[14, 7, 1];
/// The sentence next to the box, where the document does not bring its own.
const SENTENCE: &str = "I have read this document and accept it for my organisation.";

/// A new document.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgreementRequest {
    /// The title.
    pub title: String,
    /// What it is about.
    pub kind: Kind,
    /// The products that need it; leave out where all do.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub product_ids: Option<Vec<ProductId>>,
}

/// A new version. It is published at once and never changes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VersionRequest {
    /// As printed on the document, e.g. `2026-1`.
    pub label: String,
    /// The text, in Markdown. Raw HTML is shown as text.
    pub markdown: String,
    /// The document's language.
    #[serde(default)]
    pub locale: Option<String>,
    /// Whether partners must accept it anew. The first version always is.
    #[serde(default)]
    pub is_material: bool,
    /// From when it holds (RFC 3339); now if left out.
    #[serde(default, with = "crate::encoding::optional_time")]
    #[schemars(with = "Option<String>")]
    pub effective_at: Option<i64>,
    /// How many days after that live credentials still work without it.
    #[serde(default)]
    pub grace_days: u32,
    /// The sentence next to the box.
    #[serde(default)]
    pub sentence: Option<String>,
}

/// Adds a document. It asks nothing of anyone before its first version.
pub async fn create_agreement(
    context: &Context,
    request: &AgreementRequest,
) -> Result<AgreementId, Failure> {
    let mut faults = Faults::default();
    let title = faults.name("title", &request.title);
    faults.check()?;
    let agreement_id = context.new_id(AgreementId::new);
    let products = request
        .product_ids
        .as_ref()
        .map(serde_json::to_string)
        .transpose()
        .map_err(|error| Failure::internal(&error.to_string()))?;
    context
        .connection
        .transaction(async || {
            context
                .connection
                .execute(
                    "INSERT INTO agreements (agreement_id, title, kind, products, created_at)
                     VALUES ($1, $2, $3, $4, $5)",
                    params![
                        agreement_id,
                        title.as_str(),
                        request.kind,
                        products,
                        context.now_ms
                    ],
                )
                .await?;
            let detail = serde_json::json!({ "title": title, "kind": request.kind });
            audit::record(
                context,
                None,
                "agreement.created",
                &agreement_id.to_string(),
                detail,
            )
            .await
        })
        .await?;
    Ok(agreement_id)
}

/// Publishes a version.
pub async fn publish_version(
    context: &Context,
    agreement_id: AgreementId,
    request: &VersionRequest,
) -> Result<Version, Failure> {
    let agreement = store::find_agreement(&context.connection, agreement_id)
        .await?
        .ok_or_else(Failure::not_found)?;
    let mut faults = Faults::default();
    let label = faults.name("label", &request.label);
    if request.markdown.trim().is_empty() {
        faults.add("markdown", "required", "Give the text of the document.");
    } else if request.markdown.len() > 500_000 {
        faults.add("markdown", "too_long", "Use at most 500 000 bytes.");
    }
    let is_locale = |text: &str| {
        (2..=35).contains(&text.len())
            && text.split('-').all(|part| {
                !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
            })
    };
    if request
        .locale
        .as_deref()
        .is_some_and(|text| !is_locale(text))
    {
        faults.add(
            "locale",
            "malformed",
            "Give a language tag such as en or pt-BR.",
        );
    }
    if request
        .sentence
        .as_deref()
        .is_some_and(|text| text.chars().count() > 1_000)
    {
        faults.add("sentence", "too_long", "Use at most 1 000 characters.");
    }
    let effective_at = request.effective_at.unwrap_or(context.now_ms);
    if agreement
        .newest()
        .is_some_and(|newest| effective_at < newest.effective_at)
    {
        faults.add(
            "effective_at",
            "before_earlier_version",
            "A version cannot take effect before the one it follows.",
        );
    }
    if request.grace_days > 3650 {
        faults.add("grace_days", "out_of_range", "Give at most 3650 days.");
    }
    faults.check()?;
    let document = render_document(&agreement.title, &label, &request.markdown);
    let locale = request.locale.clone().unwrap_or_else(|| "en".to_owned());
    let language = languages::find(&locale).unwrap_or(languages::english());
    let version = Version {
        agreement_version_id: context.new_id(AgreementVersionId::new),
        version: agreement.newest().map_or(1, |newest| newest.version + 1),
        label,
        locale,
        is_material: request.is_material,
        effective_at,
        required_from: effective_at + i64::from(request.grace_days) * DAY_MS,
        document_sha256: hex(&Sha256::digest(document.as_bytes())),
        sentence: request
            .sentence
            .clone()
            .unwrap_or_else(|| language.say(SENTENCE)),
    };
    context
        .connection
        .transaction(async || {
            insert_version(context, &agreement, &version, &request.markdown, &document).await?;
            let mut published = agreement.clone();
            published.versions.push(version.clone());
            let change = Change::Agreement(published.for_edges());
            edges::feed::publish(&context.connection, context.now_ms, &change).await?;
            audit::record(
                context,
                None,
                "agreement.published",
                &version.agreement_version_id.to_string(),
                serde_json::json!({
                    "agreement_id": agreement.agreement_id,
                    "version": version.version,
                    "document_sha256": version.document_sha256,
                    "is_material": version.is_material,
                }),
            )
            .await?;
            if version.is_binding() {
                tell_partners(context, &published, &version).await?;
            }
            Ok::<_, Failure>(())
        })
        .await?;
    Ok(version)
}

async fn insert_version(
    context: &Context,
    agreement: &Agreement,
    version: &Version,
    markdown: &str,
    document: &str,
) -> Result<(), Failure> {
    let publisher = context
        .person_optional()
        .map_or_else(|| "seed".to_owned(), |person| person.person_id.to_string());
    let inserted = context
        .connection
        .execute(
            "INSERT INTO agreement_versions (agreement_version_id, agreement_id, version, label, locale,
                markdown, html, html_sha256, sentence, is_material, published_at, published_by,
                effective_at, required_from)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            params![
                version.agreement_version_id,
                agreement.agreement_id,
                version.version,
                version.label.as_str(),
                version.locale.as_str(),
                markdown,
                document,
                version.document_sha256.as_str(),
                version.sentence.as_str(),
                i64::from(version.is_material),
                context.now_ms,
                publisher,
                version.effective_at,
                version.required_from,
            ],
        )
        .await;
    match inserted {
        Err(DatabaseError::Conflict(_)) => Err(Failure::conflict(
            "published_meanwhile",
            "Someone else published a version just now. Look at it, then publish again.",
        )),
        other => Ok(other.map(|_| ())?),
    }
}

async fn tell_partners(
    context: &Context,
    agreement: &Agreement,
    version: &Version,
) -> Result<(), DatabaseError> {
    for (organisation_id, accepted) in list_accepting(context, agreement).await? {
        // Who has never accepted anything meets the newest version on the way to production.
        if accepted > 0 {
            notify(context, organisation_id, agreement, version, None).await?;
        }
    }
    Ok(())
}

/// Organisations that have accepted a version of an agreement, with the newest they accepted.
async fn list_accepting(
    context: &Context,
    agreement: &Agreement,
) -> Result<Vec<(OrganisationId, u32)>, DatabaseError> {
    context
        .connection
        .query(
            "SELECT organisation_id, MAX(version) FROM acceptances WHERE agreement_id = $1
             GROUP BY organisation_id ORDER BY organisation_id",
            params![agreement.agreement_id],
        )
        .await?
        .iter()
        .map(|row| Ok((row.parse(0)?, row.get(1)?)))
        .collect()
}

async fn notify(
    context: &Context,
    organisation_id: OrganisationId,
    agreement: &Agreement,
    version: &Version,
    days_left: Option<i64>,
) -> Result<(), DatabaseError> {
    let headline = match days_left {
        None => format!("New version of {}", agreement.title),
        Some(1) => format!("1 day left to accept {}", agreement.title),
        Some(days) => format!("{days} days left to accept {}", agreement.title),
    };
    let link = format!(
        "{}/organisations/{organisation_id}/agreements/{}",
        context.configuration().public_url,
        agreement.agreement_id,
    );
    let effective = readable_time(version.effective_at);
    let required = readable_time(version.required_from);
    let values = [
        ("headline", headline.as_str()),
        ("agreement", &agreement.title),
        ("version", &version.label),
        ("effective", &effective),
        ("required", &required),
        ("link", &link),
    ];
    for to in list_member_emails(&context.connection, organisation_id, &[MemberRole::Owner]).await?
    {
        emails::send(context, "agreement-version", &to, &values).await?;
    }
    Ok(())
}

/// Sends the reminders that are due. Called by the scheduler; answers how many organisations were
/// reminded.
pub async fn send_reminders(context: &Context) -> Result<u64, DatabaseError> {
    let mut reminded = 0;
    for agreement in store::list_agreements(&context.connection).await? {
        let Some(newest) = agreement.newest().cloned() else {
            continue;
        };
        for (organisation_id, accepted) in list_accepting(context, &agreement).await? {
            let standing = agreement.standing(accepted, context.now_ms);
            let (State::Due, Some(due_at)) = (standing.state, standing.due_at) else {
                continue;
            };
            let left_ms = due_at - context.now_ms;
            let reached = REMIND_AT_DAYS
                .iter()
                .filter(|days| left_ms <= **days * DAY_MS)
                .min();
            let Some(days_left) = reached.copied() else {
                continue;
            };
            let is_new = context
                .connection
                .transaction(async || {
                    let inserted = context
                        .connection
                        .execute(
                            "INSERT INTO agreement_reminders (organisation_id, agreement_version_id,
                                days_left, sent_at) VALUES ($1, $2, $3, $4)
                             ON CONFLICT (organisation_id, agreement_version_id, days_left) DO NOTHING",
                            params![
                                organisation_id,
                                newest.agreement_version_id,
                                days_left,
                                context.now_ms
                            ],
                        )
                        .await?;
                    if inserted == 1 {
                        let data = serde_json::json!({
                            "agreement_id": agreement.agreement_id,
                            "agreement_version_id": newest.agreement_version_id,
                            "due_at": rfc3339(due_at),
                        });
                        webhooks::emit(context, Some(organisation_id), "agreement.due", data).await?;
                        notify(context, organisation_id, &agreement, &newest, Some(days_left)).await?;
                    }
                    Ok::<_, DatabaseError>(inserted)
                })
                .await?;
            reminded += is_new;
        }
    }
    Ok(reminded)
}

/// The exact bytes that are shown, hashed and kept. Raw HTML in the source is shown as text, and links
/// lead only to web and mail addresses.
pub fn render_document(title: &str, label: &str, markdown: &str) -> String {
    let mut document = String::new();
    let heading = Event::Text(format!("{title} ({label})").into());
    html::push_html(
        &mut document,
        [
            Event::Start(Tag::Heading {
                level: pulldown_cmark::HeadingLevel::H1,
                id: None,
                classes: Vec::new(),
                attrs: Vec::new(),
            }),
            heading,
            Event::End(TagEnd::Heading(pulldown_cmark::HeadingLevel::H1)),
        ]
        .into_iter(),
    );
    html::push_html(&mut document, harmless_events(markdown));
    document
}
