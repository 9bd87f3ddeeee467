//! `POST /internal/tick`: background work, called every few seconds by whoever runs the portal.
//!
//! Idempotent: each step looks for what is due and does it; two ticks at once do no harm.

use serde::Serialize;

use super::{boots, programme};
use crate::context::Context;
use crate::routes::Outcome;
use crate::web::response;
use crate::{
    agreements, analytics, billing, credentials, emails, metering, oauth, partners, reviews, seed,
    subscriptions, visitors, webhooks,
};

/// What a tick did.
#[derive(Debug, Default, Serialize, schemars::JsonSchema)]
pub struct TickView {
    /// Visitors whose day is over without an account.
    pub visitors_swept: u64,
    /// Subscriptions whose coming period boundaries were published.
    pub periods_extended: u64,
    /// Plan changes and ends carried out.
    pub changes_applied: u64,
    /// Subscriptions that were moved to a new version of their plan, or set to move.
    pub subscribers_moved: u64,
    /// Submissions whose provisional approval ended.
    pub review_deadlines: u64,
    /// Edges that went silent since the last tick.
    pub edges_silent: u64,
    /// Revoked credentials that edges may forget.
    pub credentials_forgotten: u64,
    /// Hours of usage rolled up.
    pub hours_rolled_up: u64,
    /// Hours and days that differed from their minutes and will be done again.
    pub rollups_wrong: u64,
    /// Days of usage summed for analytics.
    pub days_analysed: u64,
    /// Partners that rules moved to another tier.
    pub partners_moved: u64,
    /// Lines dropped from request logs.
    pub samples_dropped: u64,
    /// Organisations reminded of an agreement that is due.
    pub reminders_sent: u64,
    /// Invoices and credit notes issued.
    pub invoices_issued: u64,
    /// Reminders of invoices, and stops of live calls.
    pub dunning_steps: u64,
    /// Alerts of usage and budgets.
    pub alerts_sent: u64,
    /// E-mails that the provider took.
    pub emails_sent: u64,
    /// Invoices that the payment provider was told of.
    pub payments_pushed: u64,
    /// Events sent to the usage sink.
    pub usage_exported: u64,
    /// Webhook deliveries that were tried.
    pub webhooks_tried: u64,
    /// Old events that were forgotten.
    pub events_dropped: u64,
}

/// `POST /internal/tick`
pub async fn run_tick(context: &Context) -> Outcome {
    let connection = &context.connection;
    programme::ensure_published(connection, context.configuration(), context.now_ms).await?;
    oauth::ensure_keys_published(context).await?;
    if seed::history::is_running(context).await? {
        // The demonstration's story does these jobs, at its own time.
        let done = TickView {
            visitors_swept: visitors::sweep(context).await?,
            edges_silent: boots::find_silent_boots(connection, context.now_ms).await?,
            emails_sent: emails::send_due_emails(context).await?,
            webhooks_tried: webhooks::send_due_deliveries(context).await?,
            ..TickView::default()
        };
        return response::ok(&done);
    }
    let done = TickView {
        review_deadlines: reviews::apply_deadlines(context).await?,
        visitors_swept: visitors::sweep(context).await?,
        periods_extended: subscriptions::extend_periods(context).await?,
        changes_applied: subscriptions::apply_due_changes(context).await?,
        subscribers_moved: subscriptions::migrate_subscribers(context).await?,
        edges_silent: boots::find_silent_boots(connection, context.now_ms).await?,
        credentials_forgotten: credentials::forget_old(connection, context.now_ms).await?,
        hours_rolled_up: metering::roll_up(connection, context.now_ms).await?,
        rollups_wrong: metering::check_next_rollup(connection, context.now_ms).await?,
        days_analysed: analytics::refresh(context).await?,
        partners_moved: partners::run_due(context).await?,
        samples_dropped: metering::drop_old_samples(connection, context.now_ms).await?,
        reminders_sent: agreements::publishing::send_reminders(context).await?,
        invoices_issued: billing::run_billing(context).await?,
        dunning_steps: billing::run_dunning(context).await?,
        alerts_sent: billing::send_alerts(context).await?,
        emails_sent: emails::send_due_emails(context).await?,
        events_dropped: webhooks::drop_old_events(context).await?,
        payments_pushed: billing::push_payments(context).await?,
        usage_exported: metering::export_usage(context).await?,
        // Last: it waits for other people's servers.
        webhooks_tried: webhooks::send_due_deliveries(context).await?,
    };
    response::ok(&done)
}
