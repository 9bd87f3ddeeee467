//! The partner's side of the demonstration programme.

use serde_json::{Value, json};
use shared::ids::{AppId, OrganisationId, PersonId, SessionId};

use super::programme::find_or_make_person;
use super::{LogIn, SeedView, acting};
use crate::agreements::acceptance::{AcceptanceRequest, accept_agreement};
use crate::agreements::{Kind, store as agreements};
use crate::apps::{self, App, AppBody};
use crate::context::{Caller, Context, SignedIn};
use crate::credentials::{self, CredentialBody};
use crate::organisations::{MemberRole, store as people};
use crate::params;
use crate::subscriptions;
use crate::web::Failure;

const PARTNER_EMAIL: &str = "partner@acme.example";
const PARTNER_PASSWORD: &str = "demo partner, not for production";
const CUSTOMER_EMAIL: &str = "customer@shop.example";
const CUSTOMER_PASSWORD: &str = "demo customer, not for production";
const ORGANISATION: &str = "Acme Integrations";
const SEED: &str = "demo";

/// The demo organisation with accepted agreements, an app and two keys.
pub async fn make_partner(context: &Context, operator: LogIn) -> Result<SeedView, Failure> {
    let log_in = LogIn {
        email: PARTNER_EMAIL.to_owned(),
        password: PARTNER_PASSWORD.to_owned(),
    };
    let person_id = find_or_make_person(context, "Demo partner", &log_in).await?;
    let organisation_id = find_or_make_organisation(context, person_id).await?;
    let owner = SignedIn {
        person_id,
        session_id: context.new_id(SessionId::new),
        email: log_in.email.clone(),
        name: "Demo partner".to_owned(),
        operator_roles: Vec::new(),
        membership: Some((organisation_id, MemberRole::Owner)),
        csrf_token: String::new(),
        has_second_factor: false,
        language: None,
    };
    let owner = acting(context, Caller::Person(owner)).await?;
    accept(&owner, Kind::ANY).await?;
    let app = find_or_make_app(&owner, organisation_id).await?;
    let customer = LogIn {
        email: CUSTOMER_EMAIL.to_owned(),
        password: CUSTOMER_PASSWORD.to_owned(),
    };
    find_or_make_person(context, "Demo customer", &customer).await?;
    let (test_key, live_key) = make_keys(&owner, &app).await?;
    Ok(SeedView {
        already_seeded: test_key.is_none(),
        operator,
        partner: log_in,
        customer,
        partner_with_history: None,
        organisation_id: organisation_id.to_string(),
        app_id: app.id.to_string(),
        test_key,
        live_key,
    })
}

async fn find_or_make_organisation(
    context: &Context,
    person_id: PersonId,
) -> Result<OrganisationId, Failure> {
    let row = context
        .connection
        .query_optional(
            "SELECT organisation_id FROM members WHERE person_id = $1 ORDER BY organisation_id LIMIT 1",
            params![person_id],
        )
        .await?;
    if let Some(row) = row {
        return Ok(row.parse(0)?);
    }
    context
        .connection
        .transaction(async || {
            let organisation_id = people::insert_organisation(context, ORGANISATION, SEED).await?;
            people::insert_member(context, organisation_id, person_id, MemberRole::Owner).await?;
            crate::reactions::organisation_created(context, organisation_id).await?;
            Ok(organisation_id)
        })
        .await
}

/// Accepts the newest version of every agreement of these kinds; what is accepted already stays as it is.
pub async fn accept(owner: &Context, kinds: &[Kind]) -> Result<(), Failure> {
    for agreement in agreements::list_agreements(&owner.connection).await? {
        if !kinds.contains(&agreement.kind) {
            continue;
        }
        let Some(version) = agreement.newest() else {
            continue;
        };
        let request = AcceptanceRequest {
            agreement_version_id: version.agreement_version_id.to_string(),
            has_authority: true,
            stated_role: "Demonstration".to_owned(),
            document_sha256: None,
        };
        accept_agreement(owner, &request, "demonstration data").await?;
    }
    Ok(())
}

async fn find_or_make_app(
    owner: &Context,
    organisation_id: OrganisationId,
) -> Result<App, Failure> {
    let row = owner
        .connection
        .query_optional(
            "SELECT app_id FROM apps WHERE organisation_id = $1 AND deleted_at_ms IS NULL
             ORDER BY app_id LIMIT 1",
            params![organisation_id.to_string()],
        )
        .await?;
    if let Some(row) = row {
        let app_id: AppId = row.parse(0)?;
        return apps::find_app(&owner.connection, app_id)
            .await?
            .ok_or_else(Failure::not_found);
    }
    let body = AppBody {
        name: Some("Order sync".to_owned()),
        description: Some("Keeps a warehouse and its Meridian shop in step.".to_owned()),
    };
    apps::create(owner, organisation_id, &body).await
}

/// The two keys, the first time. Later they cannot be shown again.
async fn make_keys(
    owner: &Context,
    app: &App,
) -> Result<(Option<String>, Option<String>), Failure> {
    let connection = &owner.connection;
    let made = connection
        .query_optional("SELECT made FROM seeds WHERE name = $1", params![SEED])
        .await?;
    if made.is_some() {
        return Ok((None, None));
    }
    subscriptions::open_for_live(owner, app).await?;
    let test_key = make_key(owner, app, "test").await?;
    let live_key = make_key(owner, app, "live").await?;
    connection
        .execute(
            "INSERT INTO seeds (name, made) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
            params![SEED, json!({ "app_id": app.id.to_string() }).to_string()],
        )
        .await?;
    Ok((Some(test_key), Some(live_key)))
}

async fn make_key(owner: &Context, app: &App, environment: &str) -> Result<String, Failure> {
    let body: Value = json!({ "environment": environment, "name": "Demo" });
    let body: CredentialBody = serde_json::from_value(body).map_err(|error| {
        Failure::internal(&format!("a demo credential does not parse: {error}"))
    })?;
    let (_, key) = credentials::issue(owner, app, &body).await?;
    Ok(key.expose().to_owned())
}
