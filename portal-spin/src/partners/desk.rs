//! Several partners at once: type, tier, tags and suspension, and taking that back.

use schemars::JsonSchema;
use serde::Deserialize;
use shared::ids::OrganisationId;

use super::attributes::{AttributesBody, list_tags, set_attributes};
use super::pages::partners_page;
use crate::context::Context;
use crate::organisations::operator::set_suspension;
use crate::organisations::store::{Organisation, find_organisation};
use crate::routes::Outcome;
use crate::web::bulk::{self, Done, Report, Task};
use crate::web::forms::{Form, Shown};
use crate::web::{Failure, response};

const PATH: &str = "/operator/partners";

/// A change of several partners.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PartnerChangesBody {
    /// The organisations, at most 100.
    pub organisation_ids: Vec<String>,
    /// What is done to each.
    pub change: PartnerChange,
}

/// What is done to a partner; what is left out stays.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PartnerChange {
    /// Its partner type.
    #[serde(default)]
    pub partner_type: Option<String>,
    /// Its tier.
    #[serde(default)]
    pub tier: Option<String>,
    /// Tags that it gets.
    #[serde(default)]
    pub add_tags: Vec<String>,
    /// Tags that it loses.
    #[serde(default)]
    pub remove_tags: Vec<String>,
    /// Whether its live credentials are stopped.
    #[serde(default)]
    pub is_suspended: Option<bool>,
    /// Why, to suspend: the partner reads it.
    #[serde(default)]
    pub reason: String,
    /// All of its tags, where they are put back.
    #[serde(skip)]
    #[schemars(skip)]
    tags: Option<Vec<String>>,
}

fn read(form: &Form) -> Result<PartnerChange, Failure> {
    let given = |name: &str| Some(form.text(name)).filter(|text| !text.is_empty());
    let change = PartnerChange {
        partner_type: given("partner_type"),
        tier: given("tier"),
        add_tags: bulk::words(&form.text("add_tags")),
        remove_tags: bulk::words(&form.text("remove_tags")),
        is_suspended: match form.text("is_suspended").as_str() {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        },
        reason: form.text("reason"),
        tags: form.all("tags").first().map(|text| bulk::words(text)),
    };
    check(&change)?;
    Ok(change)
}

fn check(change: &PartnerChange) -> Result<(), Failure> {
    let is_empty = change.partner_type.is_none()
        && change.tier.is_none()
        && change.tags.is_none()
        && change.add_tags.is_empty()
        && change.remove_tags.is_empty()
        && change.is_suspended.is_none();
    if is_empty {
        let detail = "Say what to change: the type, the tier, tags, or whether it is suspended.";
        return Err(Failure::field("change", "required", detail));
    }
    if change.is_suspended == Some(true) && change.reason.trim().is_empty() {
        let detail = "Say why: the partner reads it.";
        return Err(Failure::field("reason", "required", detail));
    }
    Ok(())
}

async fn find(context: &Context, id: &str) -> Result<(OrganisationId, Organisation), Failure> {
    let organisation_id: OrganisationId = id.parse().map_err(|_| Failure::not_found())?;
    let found = find_organisation(&context.connection, organisation_id).await?;
    Ok((organisation_id, found.ok_or_else(Failure::not_found)?))
}

/// Sorts and suspends one partner as the single actions do; what is so already is left alone.
async fn change_one(context: &Context, id: &str, change: &PartnerChange) -> Result<Done, Failure> {
    let (organisation_id, before) = find(context, id).await?;
    let tags_before = list_tags(&context.connection, organisation_id).await?;
    let tags = match &change.tags {
        Some(tags) => tags.clone(),
        None => bulk::retagged(&tags_before, &change.add_tags, &change.remove_tags),
    };
    let differs = |wanted: &Option<String>, now: &str| wanted.clone().filter(|new| new != now);
    let attributes = AttributesBody {
        partner_type: differs(&change.partner_type, &before.partner_type),
        tier: differs(&change.tier, &before.tier),
        tags: (tags != tags_before).then_some(tags),
    };
    let mut undo = Vec::new();
    if attributes.partner_type.is_some() {
        undo.push(("partner_type", before.partner_type.clone()));
    }
    if attributes.tier.is_some() {
        undo.push(("tier", before.tier.clone()));
    }
    if attributes.tags.is_some() {
        undo.push(("tags", tags_before.join(" ")));
    }
    let is_sorted = !undo.is_empty();
    let suspension = change
        .is_suspended
        .filter(|wanted| *wanted != before.suspended_at.is_some());
    match suspension {
        Some(true) => undo.push(("is_suspended", "no".to_owned())),
        Some(false) => {
            undo.push(("is_suspended", "yes".to_owned()));
            undo.push((
                "reason",
                before.suspension_reason.clone().unwrap_or_default(),
            ));
        }
        None => {}
    }
    if undo.is_empty() {
        return Err(bulk::no_change());
    }
    if is_sorted {
        set_attributes(context, organisation_id, &attributes).await?;
    }
    if let Some(is_suspended) = suspension {
        let reason = is_suspended.then_some(change.reason.as_str());
        set_suspension(context, organisation_id, reason).await?;
    }
    Ok(Done::until(before.name, undo))
}

async fn change_each(context: &Context, tasks: &[Task<PartnerChange>]) -> Report {
    bulk::run(context, tasks, PATH, async |id, change| {
        change_one(context, id, change).await
    })
    .await
}

/// `POST /api/v1/operator/partner-changes`
pub async fn change_partners(context: &Context) -> Outcome {
    let body: PartnerChangesBody = context.json()?;
    check(&body.change)?;
    let tasks = bulk::tasks_of(&body.organisation_ids, &body.change)?;
    response::ok(&change_each(context, &tasks).await.told)
}

/// `POST /operator/partners`
pub async fn submit_partner_changes(context: &Context) -> Outcome {
    let form = context.form();
    match bulk::tasks_of_form(&form, read) {
        Ok(tasks) => {
            let report = change_each(context, &tasks).await;
            response::html(&partners_page(context, Shown::default(), Some(report)).await?)
        }
        Err(failure) => again(context, form, failure).await,
    }
}

/// `POST /operator/partners/{organisation_id}`: the list again, with what takes the change back.
pub async fn submit_partner(context: &Context) -> Outcome {
    let form = context.form();
    let id = context.path_text("organisation_id");
    let changed = match read(&form) {
        Ok(change) => change_one(context, id, &change).await,
        Err(failure) => Err(failure),
    };
    match changed {
        Ok(done) => {
            let report = Report::of_one(id, done, PATH);
            response::html(&partners_page(context, Shown::default(), Some(report)).await?)
        }
        Err(failure) if failure.code == "no_change" => {
            Ok(response::see_other("/operator/partners?done=saved"))
        }
        Err(failure) => again(context, form, failure).await,
    }
}

async fn again(context: &Context, form: Form, failure: Failure) -> Outcome {
    let status = failure.status;
    let shown = bulk::refused(form, failure)?;
    response::html_with(status, &partners_page(context, shown, None).await?)
}
