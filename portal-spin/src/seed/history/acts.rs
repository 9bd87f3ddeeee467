//! Playing one act of a story through the portal's own URLs.

use serde_json::{Value as Json, json};
use shared::ids::PlanId;

use super::super::partner::accept;
use super::super::programme::PRODUCT;
use super::listing;
use super::stage::{Known, Stage};
use super::stories::{Act, PlanName, Story};
use super::support;
use crate::agreements::Kind;
use crate::analytics;
use crate::catalogue;
use crate::database::DatabaseError;
use crate::params;
use crate::web::Failure;

/// The password of everyone in the story: it exists in development only.
pub const PASSWORD: &str = "demo partner, not for production";

/// Plays an act. A refusal by the portal is a failure below 500 and part of some stories.
pub async fn play(stage: &mut Stage, story: &Story, at_ms: i64, act: &Act) -> Result<(), Failure> {
    stage.go_to(at_ms);
    stage.as_nobody();
    match act {
        Act::Visit => return Ok(analytics::count_visit(&stage.context, story.source).await?),
        Act::Register => return register(stage, story).await,
        Act::Verify => return verify(stage, story).await,
        _ => {}
    }
    let known = stage.list_known(Some(&story.email)).await?;
    let Some(known) = known.into_iter().next() else {
        return Err(Failure::not_found());
    };
    let organisation = known.organisation_id;
    match act {
        Act::Decide(outcome) => decide(stage, &known, outcome).await,
        Act::MakeOwnPlan => make_own_plan(stage, &known).await,
        Act::Tag(tags) => {
            stage.as_operator().await?;
            let path = format!("/api/v1/operator/organisations/{organisation}");
            stage
                .send("PATCH", &path, &json!({ "tags": tags }))
                .await
                .map(drop)
        }
        Act::AskSupport(question) => support::ask(stage, &known, *question).await,
        Act::AnswerSupport(question) => support::answer(stage, &known, *question).await,
        Act::AskForChanges | Act::Approve => listing::review(stage, &known, act).await,
        Act::View | Act::Install(_) | Act::Remove(_) => {
            listing::visit_listing(stage, &known, act).await
        }
        _ => {
            stage.as_owner(&known);
            act_as_owner(stage, story, &known, act).await
        }
    }
}

async fn act_as_owner(
    stage: &mut Stage,
    story: &Story,
    known: &Known,
    act: &Act,
) -> Result<(), Failure> {
    let organisation = known.organisation_id;
    if let Act::Accept { all } = act {
        let kinds: &[Kind] = if *all {
            Kind::ANY
        } else {
            &[Kind::TermsOfService]
        };
        return accept(&stage.context, kinds).await;
    }
    if *act == Act::CreateApp {
        let path = format!("/api/v1/organisations/{organisation}/apps");
        let body = json!({
            "name": listing::app_name(story),
            "description": listing::summary(story),
        });
        return stage.send("POST", &path, &body).await.map(drop);
    }
    let app = known.app_id.ok_or_else(Failure::not_found)?;
    let subscription = known.subscription_id.ok_or_else(Failure::not_found)?;
    let subscribed = format!("/api/v1/apps/{app}/subscriptions/{subscription}");
    match act {
        Act::IssueKey(environment) => issue_key(stage, known, environment).await,
        Act::GoLive => {
            let path = format!("{subscribed}/go-live");
            stage.send("POST", &path, &json!({})).await.map(drop)
        }
        Act::Ask(plan) => {
            let plan_id = find_plan(stage, *plan, known).await?;
            let account = json!({
                "legal_name": format!("{} Ltd", story.organisation), "address": "1 Market Street", "country": "US",
            });
            let path = format!("/api/v1/organisations/{organisation}/billing/account");
            stage.send("PUT", &path, &account).await?;
            let note = "We expect to call more in the coming months.";
            let body = json!({ "plan_id": plan_id.to_string(), "note": note });
            stage
                .send("POST", &format!("{subscribed}/plan-changes"), &body)
                .await
                .map(drop)
        }
        Act::Cancel(reason) => {
            let reason: String = form_urlencoded::byte_serialize(reason.as_bytes()).collect();
            let path = format!("{subscribed}?when=now&reason={reason}");
            stage.send("DELETE", &path, &Json::Null).await.map(drop)
        }
        Act::HandIn => listing::hand_in(stage, story, known).await,
        Act::Publish => listing::publish(stage, known).await,
        _ => Ok(()),
    }
}

async fn register(stage: &mut Stage, story: &Story) -> Result<(), Failure> {
    let body = json!({
        "email": story.email, "password": PASSWORD, "name": story.person,
        "organisation_name": story.organisation, "source": story.source,
    });
    stage
        .send("POST", "/api/v1/registrations", &body)
        .await
        .map(drop)
}

async fn verify(stage: &mut Stage, story: &Story) -> Result<(), Failure> {
    let row = stage
        .context
        .connection
        .query_optional(
            "SELECT code, created_at FROM emails WHERE recipient = $1 AND code IS NOT NULL
             ORDER BY email_id DESC LIMIT 1",
            params![&story.email],
        )
        .await?
        .ok_or_else(Failure::not_found)?;
    let sent_at_ms: i64 = row.get(1)?;
    // Who comes back a day later asks for a new code first.
    if stage.context.now_ms - sent_at_ms > 9 * 60_000 {
        let body = json!({ "email": story.email });
        stage
            .send("POST", "/api/v1/registrations/resend", &body)
            .await?;
    }
    let code: String = stage
        .context
        .connection
        .query_one(
            "SELECT code FROM emails WHERE recipient = $1 AND code IS NOT NULL
             ORDER BY email_id DESC LIMIT 1",
            params![&story.email],
        )
        .await?
        .get(0)?;
    let body = json!({ "email": story.email, "code": code });
    stage
        .send("POST", "/api/v1/verifications", &body)
        .await
        .map(drop)
}

/// Issues a key and says at once that the gateway knows it: this story's edge takes no feed.
async fn issue_key(stage: &mut Stage, known: &Known, environment: &str) -> Result<(), Failure> {
    let app = known.app_id.ok_or_else(Failure::not_found)?;
    let name = if environment == "live" {
        "Production"
    } else {
        "Development"
    };
    let body = json!({ "environment": environment, "name": name });
    let issued = stage
        .send("POST", &format!("/api/v1/apps/{app}/credentials"), &body)
        .await?;
    let credential = issued
        .pointer("/credential/id")
        .and_then(Json::as_str)
        .unwrap_or_default();
    stage
        .context
        .connection
        .execute(
            "UPDATE credentials SET activated_at_ms = $2 WHERE credential_id = $1",
            params![credential, stage.context.now_ms + 640],
        )
        .await?;
    Ok(())
}

/// The newest published version of a plan that this partner may have.
async fn find_plan(stage: &Stage, plan: PlanName, known: &Known) -> Result<PlanId, Failure> {
    let connection = &stage.context.connection;
    let product = catalogue::find_product_by_slug(connection, PRODUCT)
        .await?
        .ok_or_else(Failure::not_found)?;
    catalogue::list_all_plans(connection, product.id)
        .await?
        .into_iter()
        .filter(|known_plan| known_plan.name == plan.as_str())
        .find(|known_plan| known_plan.is_offered_to(Some(known.organisation_id)))
        .map(|found| found.id)
        .ok_or_else(Failure::not_found)
}

/// A variant of Scale, for one partner, published.
async fn make_own_plan(stage: &mut Stage, known: &Known) -> Result<(), Failure> {
    let scale = find_plan(stage, PlanName::Scale, known).await?;
    stage.as_operator().await?;
    let overrides = json!({
        "price": { "included_units": "2000000" },
        "charges": [{ "kind": "recurring", "name": "Base fee", "currency": "USD", "amount": "190" }],
        "approval": { "mode": "automatic" },
        "checklist": { "successful_calls": 1, "client_error_handled": false, "rate_limit_handled": false },
    });
    let body = json!({
        "organisation_id": known.organisation_id.to_string(),
        "name": PlanName::Own.as_str(),
        "overrides": overrides,
    });
    let variant = stage
        .send(
            "POST",
            &format!("/api/v1/operator/plans/{scale}/variants"),
            &body,
        )
        .await?;
    let id = variant.get("id").and_then(Json::as_str).unwrap_or_default();
    let path = format!("/api/v1/operator/plans/{id}/publications");
    stage.send("POST", &path, &json!({})).await?;
    let path = format!("/api/v1/operator/organisations/{}", known.organisation_id);
    stage
        .send("PATCH", &path, &json!({ "tags": ["own-price"] }))
        .await
        .map(drop)
}

async fn decide(stage: &mut Stage, known: &Known, outcome: &str) -> Result<(), Failure> {
    let waiting = waiting_request(stage, known).await?;
    let Some(request_id) = waiting else {
        // The rules have decided already.
        return Ok(());
    };
    stage.as_operator().await?;
    let reason = match outcome {
        "refused" => "Starter covers what you call; ask again above 250 000 calls a month.",
        _ => "The integration works and the volume is there.",
    };
    let path = format!("/api/v1/operator/requests/{request_id}/decisions");
    let body = json!({ "outcome": outcome, "reason": reason });
    stage.send("POST", &path, &body).await.map(drop)
}

async fn waiting_request(stage: &Stage, known: &Known) -> Result<Option<String>, DatabaseError> {
    stage
        .context
        .connection
        .query_optional(
            "SELECT request_id FROM subscription_requests
             WHERE organisation_id = $1 AND outcome IS NULL ORDER BY request_id LIMIT 1",
            params![known.organisation_id],
        )
        .await?
        .map(|row| row.get(0))
        .transpose()
}
