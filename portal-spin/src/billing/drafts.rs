//! Invoices that are not issued yet: so far, forecast, and what a change of plan would put on the next one.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;
use shared::ids::{OrganisationId, PlanId, SubscriptionId};

use super::facts::{PlanCache, Subject};
use super::gather;
use super::inputs;
use super::invoice::{Document, compose};
use super::items::{Item, ItemKey, Owed};
use super::period::describe_span;
use super::price::FieldProblem;
use super::timeline::Phase;
use crate::context::Context;
use crate::database::DatabaseError;
use crate::encoding::rfc3339;

/// How the forecast is made; printed beside it.
pub const FORECAST_METHOD: &str =
    "linear: usage so far × length of the part ÷ time elapsed; fixed amounts as agreed";

/// An invoice that is not issued yet.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DraftView {
    /// The boundary at which its period ends.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub period_end: i64,
    /// When it will be issued: the grace for late usage included.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub issue_at: i64,
    /// `running`, or `closing` once the period has ended.
    pub state: String,
    /// ISO 4217.
    pub currency: String,
    /// The invoice as it would be without another call.
    #[schemars(with = "serde_json::Value")]
    pub so_far: Document,
    /// What it will come to if usage goes on as it did.
    pub forecast_total: String,
    /// How the forecast is made.
    pub forecast_method: String,
}

impl DraftView {
    /// The period's last day, in the time zone of its lines.
    pub fn last_day(&self) -> String {
        let last_ms = self.period_end - 1;
        let zone = self.so_far.time_zone.as_deref().unwrap_or("UTC");
        describe_span(last_ms, last_ms, zone).unwrap_or_else(|_| rfc3339(self.period_end))
    }
}

pub(super) fn shape(problem: &FieldProblem) -> DatabaseError {
    DatabaseError::Shape(format!("an invoice cannot be computed: {problem}"))
}

/// The drafts of an organisation: of periods that close, and of those that run.
pub async fn list_drafts(
    context: &Context,
    organisation_id: OrganisationId,
) -> Result<Vec<DraftView>, DatabaseError> {
    let connection = &context.connection;
    let plans = PlanCache::default();
    let subjects = plans.list_subjects(connection, organisation_id).await?;
    // Each subscription's next boundary; where that is past and waits for its grace, the one after too.
    let mut boundaries: BTreeSet<i64> = BTreeSet::new();
    for subject in subjects
        .iter()
        .filter(|subject| !has_ended(subject, context.now_ms))
    {
        boundaries.insert(subject.next_bill_at_ms);
        if subject.next_bill_at_ms <= context.now_ms {
            boundaries.insert(subject.timeline.boundary_after(context.now_ms)?);
        }
    }
    let mut drafts = Vec::new();
    let mut seen: BTreeSet<ItemKey> = BTreeSet::new();
    for bill_at_ms in boundaries {
        let mut items = Vec::new();
        for subject in subjects
            .iter()
            .filter(|subject| subject.next_bill_at_ms <= bill_at_ms)
        {
            let is_own = subject.next_bill_at_ms == bill_at_ms
                || subject.timeline.boundary_after(context.now_ms)? == bill_at_ms;
            if !is_own {
                continue;
            }
            for item in gather::list_items(connection, &plans, subject, bill_at_ms).await? {
                if seen.insert(item.key.clone()) {
                    items.push(item);
                }
            }
        }
        for mut inputs in inputs::inputs_of(context, organisation_id, bill_at_ms, items).await? {
            let so_far = compose(&inputs).map_err(|problem| shape(&problem))?;
            for item in &mut inputs.items {
                extrapolate(item, context.now_ms);
            }
            let forecast = compose(&inputs).map_err(|problem| shape(&problem))?;
            drafts.push(DraftView {
                period_end: bill_at_ms,
                issue_at: bill_at_ms + super::run::grace_ms(context),
                state: if bill_at_ms <= context.now_ms {
                    "closing"
                } else {
                    "running"
                }
                .to_owned(),
                currency: inputs.currency.to_string(),
                so_far: so_far.document,
                forecast_total: forecast.document.total,
                forecast_method: FORECAST_METHOD.to_owned(),
            });
        }
    }
    Ok(drafts)
}

fn has_ended(subject: &Subject, now_ms: i64) -> bool {
    subject.timeline.ends_at_ms.is_some_and(|end| end <= now_ms)
        && subject.next_bill_at_ms > now_ms
        && subject
            .timeline
            .ends_at_ms
            .is_some_and(|end| end < subject.next_bill_at_ms - gather::LOOK_BACK_MS)
}

/// Extends usage of a part that runs to the part's end.
pub(super) fn extrapolate(item: &mut Item, now_ms: i64) {
    let (start, end) = item.served;
    let elapsed = now_ms.clamp(start, end) - start;
    if let Owed::Usage {
        quantity, events, ..
    } = &mut item.owed
        && now_ms < end
        && elapsed > 0
        && let Ok(so_far) = quantity.parse::<i128>()
    {
        let scale = |number: i128| number * i128::from(end - start) / i128::from(elapsed);
        *quantity = scale(so_far).to_string();
        *events = u64::try_from(scale(i128::from(*events))).unwrap_or(u64::MAX);
    }
}

/// What a change of plan at an instant would put on the next invoice of a subscription, if nothing more
/// were used: the same lines that will be issued.
pub async fn preview_change(
    context: &Context,
    organisation_id: OrganisationId,
    subscription_id: SubscriptionId,
    plan_id: PlanId,
    from_ms: i64,
) -> Result<Vec<Document>, DatabaseError> {
    let connection = &context.connection;
    let plans = PlanCache::default();
    let mut subjects = plans.list_subjects(connection, organisation_id).await?;
    subjects.retain(|subject| subject.id == subscription_id);
    let Some(mut subject) = subjects.pop() else {
        // Not live: nothing is billed.
        return Ok(Vec::new());
    };
    let facts = plans.plan(connection, plan_id).await?;
    let anchor_ms = subject.anchor_ms;
    subject
        .timeline
        .phases
        .retain(|phase| phase.from_ms != from_ms);
    subject.timeline.phases.push(Phase {
        from_ms,
        plan_id,
        calendar: plans.calendar(connection, plan_id, anchor_ms).await?,
        trial_days: facts.trial_days,
    });
    // A change at the period's end shows on the invoice of that boundary: its amounts in advance.
    let bill_at_ms = subject.next_bill_at_ms.max(from_ms);
    let items = gather::list_items(connection, &plans, &subject, bill_at_ms).await?;
    let mut documents = Vec::new();
    for inputs in inputs::inputs_of(context, organisation_id, bill_at_ms, items).await? {
        documents.push(
            compose(&inputs)
                .map_err(|problem| shape(&problem))?
                .document,
        );
    }
    Ok(documents)
}
