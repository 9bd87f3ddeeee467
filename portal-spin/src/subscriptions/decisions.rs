//! Wishes: asked, decided by policy or by a person, carried out.

use shared::ids::OrganisationId;

use super::model::{Request, RequestKind, Subscription};
use super::policy::{self, ChecklistItem, Facts, Findings};
use super::standing::{agreement_names, outstanding_agreements};
use super::store;
use super::{changes, notices};
use crate::apps::App;
use crate::audit;
use crate::billing::accounts::find_account;
use crate::catalogue::{self, Plan, Verdict};
use crate::context::Context;
use crate::encoding::hex;
use crate::metering;
use crate::organisations::store::find_organisation;
use crate::partners::list_tags;
use crate::web::Failure;

/// What is known of an app that asks for something of this subscription's product.
pub async fn collect_facts(
    context: &Context,
    app: &App,
    subscription: &Subscription,
) -> Result<Facts, Failure> {
    let connection = &context.connection;
    let outstanding = outstanding_agreements(
        connection,
        app.organisation_id,
        &[subscription.product_id],
        context.now_ms,
    )
    .await?;
    let operations = catalogue::published_operations(connection, subscription.product_id).await?;
    let sandbox = metering::sandbox_facts(connection, app.id, &operations).await?;
    let organisation = find_organisation(connection, app.organisation_id)
        .await?
        .ok_or_else(Failure::not_found)?;
    let account = find_account(connection, app.organisation_id).await?;
    let email = context
        .person_optional()
        .map_or("", |person| person.email.as_str());
    let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain);
    Ok(Facts {
        email_domain: domain.to_ascii_lowercase(),
        partner_type: organisation.partner_type,
        tier: organisation.tier,
        tags: list_tags(connection, app.organisation_id).await?,
        missing_billing_details: account
            .missing_details()
            .into_iter()
            .map(str::to_owned)
            .collect(),
        outstanding_agreements: agreement_names(connection, &outstanding).await?,
        app_suspended: app.suspended_at_ms.is_some(),
        app_created_at_ms: app.created_at_ms,
        sandbox,
    })
}

/// The go-live checklist of a subscription as it stands.
pub async fn checklist(
    context: &Context,
    app: &App,
    subscription: &Subscription,
    plan: &Plan,
) -> Result<Vec<ChecklistItem>, Failure> {
    let facts = collect_facts(context, app, subscription).await?;
    let planned = planned_for_live(context, subscription).await?;
    Ok(checklist_of(plan, planned.as_ref(), &facts))
}

/// The plan that would follow once the subscription is live: what is planned in the sandbox, where any plan
/// may be tried, is judged when it goes live.
async fn planned_for_live(
    context: &Context,
    subscription: &Subscription,
) -> Result<Option<Plan>, Failure> {
    match (subscription.live_from_ms, subscription.next_plan) {
        (None, Some((plan_id, _))) => Ok(catalogue::find_plan(&context.connection, plan_id).await?),
        _ => Ok(None),
    }
}

fn checklist_of(plan: &Plan, planned: Option<&Plan>, facts: &Facts) -> Vec<ChecklistItem> {
    let own = |plan: &Plan| policy::checklist(&plan.terms.checklist, plan.terms.is_priced(), facts);
    match planned {
        Some(planned) => policy::merge_checklists(own(plan), own(planned)),
        None => own(plan),
    }
}

/// Refuses what would change a subscription under a request that waits: what is approved must be what was
/// asked for.
pub async fn check_nothing_waits(
    context: &Context,
    subscription: &Subscription,
) -> Result<(), Failure> {
    let waiting = store::find_newest_request(&context.connection, subscription.id).await?;
    if waiting.is_some_and(|request| request.outcome.is_none()) {
        return Err(Failure::conflict(
            "request_waiting",
            "A request of this subscription waits for a decision. Withdraw it before making another.",
        ));
    }
    Ok(())
}

/// Asks for a wish to be granted. The policy answers at once, unless it wants a person; what it
/// approves is carried out in the same transaction. `takes_effect` is the period's end that a change of plan
/// is asked for; without, it is made at once.
pub async fn ask(
    context: &Context,
    app: &App,
    subscription: &mut Subscription,
    plan: &Plan,
    kind: RequestKind,
    note: &str,
    takes_effect: Option<i64>,
) -> Result<Request, Failure> {
    check_nothing_waits(context, subscription).await?;
    let facts = collect_facts(context, app, subscription).await?;
    let planned = match kind {
        RequestKind::GoLive => planned_for_live(context, subscription).await?,
        RequestKind::ChangePlan => None,
    };
    let checklist = checklist_of(plan, planned.as_ref(), &facts);
    if kind == RequestKind::GoLive
        && let Some(open) = checklist.iter().find(|item| !item.is_met)
    {
        let open_labels: Vec<String> = checklist
            .iter()
            .filter(|item| !item.is_met)
            .map(|item| format!("{} ({})", item.label, item.detail))
            .collect();
        let code = if open.code == "agreements" {
            "agreement_required"
        } else {
            "checklist_incomplete"
        };
        return Err(Failure::conflict(
            code,
            format!("Before going live: {}", open_labels.join("; ")),
        ));
    }
    let decision = policy::all_of(
        std::iter::once(plan)
            .chain(planned.as_ref())
            .map(|plan| policy::decide(&plan.terms.approval, &facts, context.now_ms))
            .collect(),
    );
    let reason = decision.reasons.last().cloned().unwrap_or_default();
    let person = context.person_optional();
    let is_decided = decision.verdict != Verdict::Ask;
    let sla_ms = i64::from(plan.terms.approval.sla_hours()) * 3_600_000;
    let request = Request {
        // Sorts by time, like the ids of `shared`.
        id: format!("req_{:012x}{}", context.now_ms, hex(&context.random::<8>())),
        subscription_id: subscription.id,
        organisation_id: app.organisation_id.to_string(),
        kind,
        plan_id: plan.id,
        note: note.to_owned(),
        requested_at_ms: context.now_ms,
        requested_by: person.map_or(String::new(), |person| person.person_id.to_string()),
        due_at_ms: context.now_ms + sla_ms,
        findings: Findings {
            reasons: decision.reasons,
            checklist,
            takes_effect,
        },
        outcome: match decision.verdict {
            Verdict::Approve => Some("approved".to_owned()),
            Verdict::Refuse => Some("refused".to_owned()),
            Verdict::Ask => None,
        },
        reason,
        decided_at_ms: is_decided.then_some(context.now_ms),
        decided_by: if is_decided {
            "policy".to_owned()
        } else {
            String::new()
        },
    };
    context
        .connection
        .transaction(async || {
            record(context, app.organisation_id, &request).await?;
            store::put_request(&context.connection, &request).await?;
            if request.outcome.is_none() {
                notices::tell_staff(context, app, &request).await?;
            }
            if decision.verdict == Verdict::Approve {
                carry_out(context, app.organisation_id, &request, subscription, plan).await?;
            }
            Ok::<(), Failure>(())
        })
        .await?;
    Ok(request)
}

/// Decides a waiting wish by a person.
pub async fn decide(
    context: &Context,
    request: &mut Request,
    outcome: &str,
    reason: &str,
) -> Result<(), Failure> {
    if request.outcome.is_some() {
        return Err(already_decided());
    }
    let organisation_id: OrganisationId = request
        .organisation_id
        .parse()
        .map_err(|_| Failure::internal("a request names no organisation"))?;
    let connection = &context.connection;
    let mut subscription = store::find_subscription(connection, request.subscription_id)
        .await?
        .ok_or_else(Failure::not_found)?;
    let plan = catalogue::find_plan(connection, request.plan_id)
        .await?
        .ok_or_else(Failure::not_found)?;
    request.outcome = Some(outcome.to_owned());
    reason.clone_into(&mut request.reason);
    request.decided_at_ms = Some(context.now_ms);
    request.decided_by = context.person()?.person_id.to_string();
    connection
        .transaction(async || {
            record(context, organisation_id, request).await?;
            // Two people at once: the second is told, and what it recorded is rolled back.
            if !store::put_request(connection, request).await? {
                return Err(already_decided());
            }
            if outcome != "withdrawn" {
                notices::tell_partner(context, organisation_id, &subscription, request).await?;
            }
            if outcome == "approved" && subscription.cancelled_at_ms.is_none() {
                carry_out(context, organisation_id, request, &mut subscription, &plan).await?;
            }
            Ok(())
        })
        .await
}

fn already_decided() -> Failure {
    Failure::conflict("already_decided", "The request is already decided.")
}

async fn record(
    context: &Context,
    organisation_id: OrganisationId,
    request: &Request,
) -> Result<(), Failure> {
    let action = match request.outcome.as_deref() {
        None => "request.waiting",
        Some("withdrawn") => "request.withdrawn",
        Some(_) => "request.decided",
    };
    let detail = serde_json::json!({
        "kind": request.kind.as_str(),
        "subscription_id": request.subscription_id.to_string(),
        "plan_id": request.plan_id.to_string(),
        "outcome": request.outcome,
        "reason": request.reason,
    });
    audit::record(context, Some(organisation_id), action, &request.id, detail).await?;
    Ok(())
}

async fn carry_out(
    context: &Context,
    organisation_id: OrganisationId,
    request: &Request,
    subscription: &mut Subscription,
    plan: &Plan,
) -> Result<(), Failure> {
    match request.kind {
        RequestKind::GoLive => changes::go_live(context, organisation_id, subscription).await?,
        RequestKind::ChangePlan => match request.findings.takes_effect {
            Some(from_ms) if from_ms > context.now_ms => {
                changes::change_plan_later(context, organisation_id, subscription, plan, from_ms)
                    .await?
            }
            // Asked for at once, or the period ended while the request waited.
            _ => changes::change_plan_now(context, organisation_id, subscription, plan).await?,
        },
    }
    Ok(())
}
