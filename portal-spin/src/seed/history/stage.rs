//! Calling the portal's own URLs at a moment of the story, as somebody of the story.
//!
//! A handler gets its time and its caller from its context. Here both are of the story; everything else
//! is what a request of today runs.

use bytes::Bytes;
use http::Method;
use serde_json::Value as Json;
use shared::credential::Environment;
use shared::ids::{AppId, CredentialId, OrganisationId, PersonId, SessionId, SubscriptionId};

use super::super::acting;
use crate::context::{Caller, Context, SignedIn};
use crate::database::DatabaseError;
use crate::organisations::{MemberRole, OperatorRole, store as people};
use crate::params;
use crate::routes::{self, Found};
use crate::web::Failure;

/// What is stored of a partner so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The address they registered with.
    pub email: String,
    /// The person.
    pub person_id: PersonId,
    /// The organisation.
    pub organisation_id: OrganisationId,
    /// Its app.
    pub app_id: Option<AppId>,
    /// The app's subscription.
    pub subscription_id: Option<SubscriptionId>,
    /// From when it is live.
    pub live_from_ms: Option<i64>,
    /// When it ended.
    pub ended_at_ms: Option<i64>,
    /// Whether live calls are stopped for want of payment.
    pub is_stopped: bool,
    /// The first test key and the first live one.
    pub keys: [Option<CredentialId>; 2],
}

/// Where the story is played.
pub struct Stage {
    /// At the moment of the story.
    pub context: Context,
}

impl Stage {
    /// With a connection of its own.
    pub async fn new(context: &Context) -> Result<Self, DatabaseError> {
        Ok(Self {
            context: acting(context, Caller::Nobody).await?,
        })
    }

    /// Goes to a moment.
    pub fn go_to(&mut self, at_ms: i64) {
        self.context.now_ms = at_ms;
    }

    /// From here on nobody who is known acts.
    pub fn as_nobody(&mut self) {
        self.context.caller = Caller::Nobody;
    }

    /// From here on this person acts, as the owner of this organisation.
    pub fn as_owner(&mut self, known: &Known) {
        let membership = Some((known.organisation_id, MemberRole::Owner));
        self.act_as(known.person_id, &known.email, Vec::new(), membership);
    }

    /// From here on the operator acts.
    pub async fn as_operator(&mut self) -> Result<(), Failure> {
        let email = super::super::programme::OPERATOR_EMAIL;
        let person = people::find_person_by_email(&self.context.connection, email)
            .await?
            .ok_or_else(Failure::not_found)?;
        self.act_as(
            person.person_id,
            email,
            vec![OperatorRole::Administrator],
            None,
        );
        Ok(())
    }

    /// From here on a customer acts, who is made where there is none.
    pub async fn as_customer(&mut self, number: i64) -> Result<(), Failure> {
        let email = format!("owner{number:02}@shop.example");
        let known = people::find_person_by_email(&self.context.connection, &email).await?;
        let person_id = match known {
            Some(person) => person.person_id,
            None => {
                people::insert_person(&self.context, &email, &format!("Shop {number:02}"), "")
                    .await?
            }
        };
        self.act_as(person_id, &email, Vec::new(), None);
        Ok(())
    }

    fn act_as(
        &mut self,
        person_id: PersonId,
        email: &str,
        operator_roles: Vec<OperatorRole>,
        membership: Option<(OrganisationId, MemberRole)>,
    ) {
        self.context.caller = Caller::Person(SignedIn {
            person_id,
            session_id: self.context.new_id(SessionId::new),
            email: email.to_owned(),
            name: email.to_owned(),
            operator_roles,
            has_second_factor: false,
            language: None,
            membership,
            csrf_token: String::new(),
        });
    }

    /// Sends JSON to a URL of the portal and reads the answer; null where it has no JSON.
    pub async fn send(&mut self, method: &str, path: &str, body: &Json) -> Result<Json, Failure> {
        let bytes = if body.is_null() {
            Bytes::new()
        } else {
            Bytes::from(body.to_string())
        };
        self.send_bytes(method, path, "application/json", bytes)
            .await
    }

    /// Sends anything to a URL of the portal.
    pub async fn send_bytes(
        &mut self,
        method: &str,
        path: &str,
        media_type: &str,
        body: Bytes,
    ) -> Result<Json, Failure> {
        let method: Method = method
            .parse()
            .map_err(|_| Failure::internal("the demonstration uses an unknown method"))?;
        let request = http::Request::builder()
            .method(method.clone())
            .uri(path)
            .header("content-type", media_type)
            .body(body)
            .map_err(|error| Failure::internal(&format!("{path}: {error}")))?;
        let Found::Route(route, parameters) = routes::find(&method, request.uri().path()) else {
            return Err(Failure::internal(&format!(
                "the demonstration uses {path}, which is no URL"
            )));
        };
        self.context.request = request;
        self.context.route = route;
        self.context.path = parameters;
        let answer = (route.handler)(&self.context).await?;
        Ok(serde_json::from_slice(answer.body()).unwrap_or(Json::Null))
    }

    /// What is stored of everyone who belongs to the story, or of the one with this address.
    pub async fn list_known(&self, email: Option<&str>) -> Result<Vec<Known>, DatabaseError> {
        let connection = &self.context.connection;
        let rows = connection
            .query(
                "SELECT p.email, p.person_id, m.organisation_id, a.app_id, s.subscription_id, s.live_from_ms,
                    COALESCE(s.cancelled_at_ms, s.ends_at_ms), b.suspended_at_ms,
                    (SELECT MIN(c.credential_id) FROM credentials c WHERE c.app_id = a.app_id AND c.environment = 'test'),
                    (SELECT MIN(c.credential_id) FROM credentials c WHERE c.app_id = a.app_id AND c.environment = 'live')
                 FROM people p JOIN members m ON m.person_id = p.person_id
                 LEFT JOIN apps a ON a.organisation_id = m.organisation_id AND a.deleted_at_ms IS NULL
                 LEFT JOIN subscriptions s ON s.app_id = a.app_id
                 LEFT JOIN billing_accounts b ON b.organisation_id = m.organisation_id
                 WHERE p.email = $1 OR ($1 = '' AND p.email LIKE 'hello@%.example')
                 ORDER BY p.email",
                params![email.unwrap_or_default()],
            )
            .await?;
        rows.iter()
            .map(|row| {
                let is_stopped = row.get::<Option<i64>>(7)?.is_some();
                Ok(Known {
                    email: row.get(0)?,
                    person_id: row.parse(1)?,
                    organisation_id: row.parse(2)?,
                    app_id: row.parse_optional(3)?,
                    subscription_id: row.parse_optional(4)?,
                    live_from_ms: row.get(5)?,
                    ended_at_ms: row.get(6)?,
                    is_stopped,
                    keys: [row.parse_optional(8)?, row.parse_optional(9)?],
                })
            })
            .collect()
    }
}

impl Known {
    /// The key for an environment.
    pub const fn key(&self, environment: Environment) -> Option<CredentialId> {
        let [test, live] = self.keys;
        match environment {
            Environment::Test => test,
            Environment::Live => live,
        }
    }
}
