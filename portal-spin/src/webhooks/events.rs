//! The catalogue of events.

use schemars::JsonSchema;
use serde::Serialize;

/// Whose endpoints an event goes to. The operator's get every event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Those of the organisation that it concerns.
    Organisation,
    /// Those of every organisation.
    Everyone,
    /// The operator's only.
    Operator,
}

/// A kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct EventType {
    /// `<object>.<verb in the past>`, as in `type` of the payload.
    pub name: &'static str,
    /// Who is told.
    pub audience: Audience,
    /// When it is sent.
    pub meaning: &'static str,
}

const fn told(name: &'static str, audience: Audience, meaning: &'static str) -> EventType {
    EventType {
        name,
        audience,
        meaning,
    }
}

use Audience::{Everyone, Operator, Organisation};

/// Every event. The names are those of the audit log; each is emitted with the record of that action,
/// except those that say otherwise here.
pub const EVENTS: &[EventType] = &[
    told(
        "agreement.accepted",
        Organisation,
        "A member accepted an agreement.",
    ),
    // By the reminders, which are no change of state.
    told(
        "agreement.due",
        Organisation,
        "An agreement must be accepted soon; after `due_at` live credentials are refused.",
    ),
    told(
        "agreement.published",
        Everyone,
        "A version of an agreement was published.",
    ),
    told(
        "app.changed",
        Organisation,
        "An app's name or description changed.",
    ),
    told(
        "app.configured",
        Organisation,
        "A customer changed the configuration of an installation, or renewed it.",
    ),
    told("app.created", Organisation, "An app was created."),
    told(
        "app.deleted",
        Organisation,
        "An app was deleted; its credentials are revoked.",
    ),
    told(
        "app.installed",
        Organisation,
        "A customer installed an app.",
    ),
    told("app.subscribed", Organisation, "An app was put on a plan."),
    told(
        "app.uninstalled",
        Organisation,
        "A customer removed an installation; its tokens are refused.",
    ),
    told(
        "billing.restored",
        Organisation,
        "An overdue invoice was paid; live calls pass again.",
    ),
    told(
        "billing.suspended",
        Organisation,
        "An invoice is overdue for too long; live calls are refused.",
    ),
    told(
        "budget.threshold_reached",
        Organisation,
        "Half, 80 or 100 percent of the budget of a period is spent.",
    ),
    told(
        "credential.issued",
        Organisation,
        "A credential was issued. The key itself is never sent.",
    ),
    told(
        "credential.revoked",
        Organisation,
        "A credential was revoked.",
    ),
    told(
        "credential.rotated",
        Organisation,
        "A credential was replaced by a new one; the old key ends with the overlap.",
    ),
    told(
        "credit_note.issued",
        Organisation,
        "A credit note was issued.",
    ),
    told("invoice.issued", Organisation, "An invoice was issued."),
    told(
        "invoice.marked_uncollectible",
        Operator,
        "An invoice will not be paid by anyone.",
    ),
    told(
        "invoice.overdue",
        Organisation,
        "An invoice is past its due date.",
    ),
    told("invoice.paid", Organisation, "An invoice is paid."),
    told(
        "invoice.voided",
        Organisation,
        "An invoice is void: nothing is due on it.",
    ),
    told(
        "member.joined",
        Organisation,
        "Someone joined the organisation.",
    ),
    told(
        "member.removed",
        Organisation,
        "A member left or was removed.",
    ),
    told(
        "member.role_changed",
        Organisation,
        "A member's role changed.",
    ),
    told(
        "organisation.created",
        Organisation,
        "An organisation joined the programme.",
    ),
    told("organisation.released", Organisation, "A suspension ended."),
    told(
        "organisation.renamed",
        Organisation,
        "An organisation changed its name.",
    ),
    told(
        "organisation.suspended",
        Organisation,
        "An organisation was suspended; live credentials are refused.",
    ),
    // By rules, at the clock or by hand.
    told(
        "organisation.tier_changed",
        Organisation,
        "An organisation is in another tier now.",
    ),
    // By the policy or by a person.
    told(
        "request.decided",
        Organisation,
        "A request of a subscription was approved or refused.",
    ),
    told(
        "request.waiting",
        Operator,
        "A request of a subscription waits for a person's decision.",
    ),
    told(
        "subscription.cancelled",
        Organisation,
        "A subscription ends.",
    ),
    told(
        "subscription.ended",
        Organisation,
        "A subscription has ended.",
    ),
    told(
        "subscription.plan_change_planned",
        Organisation,
        "Another plan follows at the end of the period.",
    ),
    told(
        "subscription.plan_changed",
        Organisation,
        "A subscription is on another plan now.",
    ),
    told(
        "subscription.planned_change_withdrawn",
        Organisation,
        "A planned change of plan, or a planned end, was withdrawn.",
    ),
    told(
        "subscription.went_live",
        Organisation,
        "A subscription was opened for live calls.",
    ),
    told(
        "thread.answered",
        Organisation,
        "The programme's people answered in a thread.",
    ),
    told("thread.opened", Operator, "A thread was opened."),
    told(
        "thread.written",
        Operator,
        "A partner wrote in a thread and waits for an answer.",
    ),
    told(
        "usage.threshold_reached",
        Organisation,
        "Half, 80 or 100 percent of a quota is used in this period.",
    ),
    // By hand, to one endpoint.
    told(
        "webhook.test",
        Organisation,
        "Someone asked for a test event.",
    ),
];

/// The kind of this name.
pub fn find(name: &str) -> Option<&'static EventType> {
    EVENTS.iter().find(|event| event.name == name)
}
