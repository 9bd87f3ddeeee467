//! Subscriptions: an app on a plan, from the sandbox to production, between plans, to its end.
//!
//! Owns which plan is in force, the environments a subscription opens, billing-period boundaries as
//! edges know them, wishes (go live, change plan) and who decides them by which policy. Does not own
//! prices or invoices (`billing`), limits (`catalogue` and the edge) nor usage (`metering`).

mod changes;
mod decisions;
mod model;
mod notices;
mod pages;
mod periods;
mod plan_changes;
mod plan_migrations;
mod policy;
mod queue;
mod queue_pages;
mod routes;
mod standing;
mod store;

#[cfg(test)]
mod state_properties;
#[cfg(test)]
mod tests;

pub use changes::{
    apply_due_changes, cancel_all, open_for_live, publish_again, subscribe_to_defaults,
};
pub use model::{RequestView, Subscription, SubscriptionView};
pub use pages::*;
pub use periods::extend_periods;
pub use plan_changes::{PlanChangeBody, PlanChangePreview, change_plan, preview_plan_change};
pub use plan_migrations::{
    MigrationRule, MigrationView, PublicationBody, PublicationPreview, begin_migration,
    count_subscribers, find_migration, migrate_subscribers, preview_publication,
};
pub use policy::SandboxFacts;
pub use queue::QueuedRequest;
pub use queue_pages::*;
pub use routes::*;
pub use standing::{check_live_credentials, has_agreement, list_scopes, outstanding_agreements};
pub use store::{
    Allowance, Terms, find_allowance, find_subscription, list_of_app, list_terms_of_app,
};
