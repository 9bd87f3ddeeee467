//! E-mails about requests. Each link opens exactly the item it tells of.

use shared::ids::OrganisationId;

use super::model::{Request, RequestKind, Subscription};
use crate::apps::App;
use crate::context::Context;
use crate::database::DatabaseError;
use crate::emails::{compose, queue_email};
use crate::encoding::readable_time;
use crate::organisations::MemberRole;
use crate::organisations::store::{find_organisation, list_member_emails};
use crate::params;

fn wish(request: &Request) -> &'static str {
    match request.kind {
        RequestKind::GoLive => "to go live",
        RequestKind::ChangePlan => "to change its plan",
    }
}

/// Tells those who decide that a request waits. Call it inside the transaction that stores it.
pub async fn tell_staff(
    context: &Context,
    app: &App,
    request: &Request,
) -> Result<(), DatabaseError> {
    let connection = &context.connection;
    let organisation = find_organisation(connection, app.organisation_id).await?;
    let organisation = organisation.map(|known| known.name).unwrap_or_default();
    let staff = connection
        .query(
            "SELECT DISTINCT p.email FROM operator_members o JOIN people p ON p.person_id = o.person_id
             WHERE o.role IN ('manager', 'administrator') AND p.disabled_at IS NULL ORDER BY p.email",
            params![],
        )
        .await?;
    for row in staff {
        let (to, due): (String, _) = (row.get(0)?, readable_time(request.due_at_ms));
        let portal = &context.configuration().public_url;
        let link = format!("{portal}/operator/requests/{}", request.id);
        let values = [
            ("organisation", organisation.as_str()),
            ("wish", wish(request)),
            ("app", &app.name),
            ("due", &due),
            ("link", &link),
        ];
        let message = compose(context, "request-waiting", &to, &values).await?;
        queue_email(context, &message).await?;
    }
    Ok(())
}

/// Tells a partner what was decided and why. Call it inside the transaction that stores it.
pub async fn tell_partner(
    context: &Context,
    organisation_id: OrganisationId,
    subscription: &Subscription,
    request: &Request,
) -> Result<(), DatabaseError> {
    let outcome = request.outcome.as_deref().unwrap_or_default();
    let readers = [MemberRole::Owner, MemberRole::Developer];
    for to in list_member_emails(&context.connection, organisation_id, &readers).await? {
        let portal = &context.configuration().public_url;
        let link = format!("{portal}/apps/{}/subscriptions", subscription.app_id);
        let values = [
            ("wish", wish(request)),
            ("outcome", outcome),
            ("reason", &request.reason),
            ("link", &link),
        ];
        let message = compose(context, "request-decided", &to, &values).await?;
        queue_email(context, &message).await?;
    }
    Ok(())
}
