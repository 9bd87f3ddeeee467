//! `/api/v1/account/passkeys` and `/api/v1/sessions/passkey`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::ids::PersonId;

use super::ceremony::{
    CeremonyError, RelyingParty, challenge_of, check_assertion, check_registration,
};
use super::cose::ALGORITHMS;
use super::store::{self, PasskeyView};
use crate::audit;
use crate::context::Context;
use crate::encoding::{base64url, from_base64url};
use crate::organisations::sessions::note_second_factor;
use crate::organisations::store::find_person;
use crate::organisations::{Faults, log_in, recovery};
use crate::routes::Outcome;
use crate::sign_on;
use crate::web::paging::{PageOf, whole};
use crate::web::throttle::{Limit, count_attempt_by_address};
use crate::web::{Failure, response};

const MOST_PASSKEYS: usize = 20;
const PER_ADDRESS: Limit = Limit {
    name: "passkey_by_address",
    attempts: 300,
    window_ms: 3_600_000,
};

/// The password again; not needed within ten minutes of logging in.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmationBody {
    /// The present password.
    #[serde(default)]
    pub current_password: String,
}

/// What to hand to `navigator.credentials`.
#[derive(Serialize, JsonSchema)]
pub struct PasskeyOptions {
    /// `PublicKeyCredentialCreationOptionsJSON` or `PublicKeyCredentialRequestOptionsJSON` of WebAuthn.
    pub public_key: Value,
}

/// A new passkey.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PasskeyBody {
    /// What to call it.
    #[serde(default)]
    pub name: String,
    /// `RegistrationResponseJSON` of WebAuthn.
    #[schemars(with = "Value")]
    pub credential: Credential,
}

/// Logging in with a passkey.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PasskeyLogInBody {
    /// `AuthenticationResponseJSON` of WebAuthn.
    #[schemars(with = "Value")]
    pub credential: Credential,
}

/// A browser's answer; all bytes in base64url.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Credential {
    id: String,
    response: CredentialResponse,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CredentialResponse {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    #[serde(default)]
    attestation_object: String,
    #[serde(default)]
    authenticator_data: String,
    #[serde(default)]
    signature: String,
    #[serde(default)]
    user_handle: Option<String>,
}

/// A person's passkeys.
pub type PasskeyList = PageOf<PasskeyView>;

/// Whom passkeys are for: the host of `public_url`. On a development machine `localhost` stands in for
/// the address 127.0.0.1, which cannot have passkeys.
fn relying_party(context: &Context) -> Result<RelyingParty, Failure> {
    let configuration = context.configuration();
    if configuration.development
        && let Some(host) = context.authority()
        && host.split(':').next() == Some("localhost")
    {
        return Ok(RelyingParty {
            id: "localhost".to_owned(),
            origin: format!("http://{host}"),
        });
    }
    let origin = configuration.public_url.clone();
    let id = origin
        .split_once("://")
        .and_then(|(_, authority)| authority.split(':').next())
        .filter(|host| !host.is_empty())
        .ok_or_else(|| Failure::internal("passkeys need `public_url`"))?
        .to_owned();
    Ok(RelyingParty { id, origin })
}

fn invalid(error: CeremonyError) -> Failure {
    Failure::field(
        "credential",
        "invalid_passkey",
        format!("The passkey was not accepted: {error}. Start again."),
    )
}

fn bytes_of(text: &str) -> Result<Vec<u8>, CeremonyError> {
    from_base64url(text).ok_or(CeremonyError::Malformed)
}

/// `POST /api/v1/account/passkeys/options`: what to ask the authenticator for.
pub async fn begin_passkey(context: &Context) -> Outcome {
    let body: ConfirmationBody = context.json()?;
    recovery::confirm_identity(context, &body.current_password).await?;
    let person = context.person()?;
    let party = relying_party(context)?;
    let known = store::list_credential_ids(&context.connection, person.person_id).await?;
    let challenge = store::give_challenge(context, Some(person.person_id)).await?;
    let excluded: Vec<Value> = known
        .iter()
        .map(|id| json!({ "type": "public-key", "id": base64url(id) }))
        .collect();
    let algorithms: Vec<Value> = ALGORITHMS
        .iter()
        .map(|algorithm| json!({ "type": "public-key", "alg": algorithm }))
        .collect();
    response::ok(&PasskeyOptions {
        public_key: json!({
            "challenge": challenge,
            "rp": { "id": party.id, "name": context.configuration().get("programme_name") },
            // The id says nothing of the person to who finds the authenticator.
            "user": {
                "id": base64url(person.person_id.to_string().as_bytes()),
                "name": person.email,
                "displayName": person.name,
            },
            "pubKeyCredParams": algorithms,
            "timeout": 300_000,
            "excludeCredentials": excluded,
            "authenticatorSelection": { "residentKey": "required", "userVerification": "required" },
            "attestation": "none",
        }),
    })
}

/// Adds the passkey that the browser made.
pub(super) async fn add(context: &Context, body: &PasskeyBody) -> Result<String, Failure> {
    let person_id = context.person()?.person_id;
    let name = match body.name.trim() {
        "" => "Passkey",
        name => name,
    };
    let mut faults = Faults::default();
    let name = faults.name("name", name);
    faults.check()?;
    let answer = &body.credential.response;
    let client_data = bytes_of(&answer.client_data).map_err(invalid)?;
    let attestation = bytes_of(&answer.attestation_object).map_err(invalid)?;
    let challenge = challenge_of(&client_data).map_err(invalid)?;
    if !store::take_challenge(context, &challenge, Some(person_id)).await? {
        return Err(invalid(CeremonyError::WrongChallenge));
    }
    let party = relying_party(context)?;
    let new =
        check_registration(&party, &challenge, &client_data, &attestation).map_err(invalid)?;
    if from_base64url(&body.credential.id).as_ref() != Some(&new.credential_id) {
        return Err(invalid(CeremonyError::Malformed));
    }
    let known = store::list_credential_ids(&context.connection, person_id).await?;
    if known.len() >= MOST_PASSKEYS {
        return Err(Failure::conflict(
            "too_many_passkeys",
            format!("An account has at most {MOST_PASSKEYS} passkeys. Remove one first."),
        ));
    }
    context
        .connection
        .transaction(async || {
            let passkey_id = store::insert_passkey(context, person_id, &name, &new)
                .await?
                .ok_or_else(|| {
                    Failure::conflict("passkey_known", "This passkey is registered already.")
                })?;
            // It verified its user just now.
            note_second_factor(context).await?;
            let detail = json!({ "name": name, "is_synced": new.is_synced });
            audit::record(context, None, "passkey.added", &passkey_id, detail).await?;
            tell(context, "A passkey was added to your account", &name).await?;
            Ok(passkey_id)
        })
        .await
}

async fn tell(
    context: &Context,
    change: &str,
    name: &str,
) -> Result<(), crate::database::DatabaseError> {
    let to = context
        .person_optional()
        .map_or_else(String::new, |person| person.email.clone());
    let link = format!("{}/account/passkeys", context.configuration().public_url);
    let values = [("change", change), ("passkey", name), ("link", &link)];
    crate::emails::send(context, "passkey-changed", &to, &values).await
}

/// `POST /api/v1/account/passkeys`
pub async fn add_passkey(context: &Context) -> Outcome {
    let body: PasskeyBody = context.json()?;
    let passkey_id = add(context, &body).await?;
    let person_id = context.person()?.person_id;
    let added = store::list_passkeys(&context.connection, person_id)
        .await?
        .into_iter()
        .find(|known| known.passkey_id == passkey_id)
        .ok_or_else(Failure::not_found)?;
    response::created(&added)
}

/// `GET /api/v1/account/passkeys`
pub async fn list_passkeys(context: &Context) -> Outcome {
    let person_id = context.person()?.person_id;
    let items = store::list_passkeys(&context.connection, person_id).await?;
    response::ok(&whole(context, items, |item| item.passkey_id.to_string())?)
}

/// Removes the passkey of the path.
pub(super) async fn remove(context: &Context, current_password: &str) -> Result<(), Failure> {
    recovery::confirm_identity(context, current_password).await?;
    let person_id = context.person()?.person_id;
    let passkey_id = context.path_text("passkey_id");
    context
        .connection
        .transaction(async || {
            if !store::delete_passkey(&context.connection, person_id, passkey_id).await? {
                return Err(Failure::not_found());
            }
            audit::record(context, None, "passkey.removed", passkey_id, json!({})).await?;
            tell(
                context,
                "A passkey was removed from your account",
                passkey_id,
            )
            .await?;
            Ok(())
        })
        .await
}

/// `DELETE /api/v1/account/passkeys/{passkey_id}`
pub async fn remove_passkey(context: &Context) -> Outcome {
    let body: ConfirmationBody = context.json()?;
    remove(context, &body.current_password).await?;
    Ok(response::no_content())
}

/// `POST /api/v1/sessions/passkey-options`: what to ask any of the visitor's passkeys for. The same for
/// everyone: the browser offers what it has, so nothing tells who has an account.
pub async fn begin_passkey_log_in(context: &Context) -> Outcome {
    count_attempt_by_address(context, PER_ADDRESS).await?;
    let party = relying_party(context)?;
    let challenge = store::give_challenge(context, None).await?;
    response::ok(&PasskeyOptions {
        public_key: json!({
            "challenge": challenge,
            "rpId": party.id,
            "timeout": 300_000,
            "allowCredentials": [],
            "userVerification": "required",
        }),
    })
}

/// Logs in with what the browser answered. Answers the person and the session's token.
pub(super) async fn log_in_with(
    context: &Context,
    credential: &Credential,
) -> Result<(PersonId, String), Failure> {
    count_attempt_by_address(context, PER_ADDRESS).await?;
    match check_log_in(context, credential).await? {
        Ok(person_id) => {
            let person = find_person(&context.connection, person_id)
                .await?
                .ok_or_else(Failure::not_found)?;
            sign_on::check_password_allowed(context, person_id, &person.email).await?;
            let token = log_in::open_session(context, person_id, Some(context.now_ms)).await?;
            Ok((person_id, token))
        }
        Err((object, reason)) => {
            let detail = json!({ "address": context.address(), "reason": reason });
            context
                .connection
                .transaction(async || {
                    audit::record_by(
                        context,
                        "visitor",
                        None,
                        "passkey.refused",
                        &object,
                        detail.clone(),
                    )
                    .await
                })
                .await?;
            Err(Failure::new(
                http::StatusCode::UNAUTHORIZED,
                "passkey_refused",
                "This passkey is not known here, or it could not be checked. Try again, or log in with your password.",
            ))
        }
    }
}

/// The person; or what was refused and why, for the audit log only.
type Checked = Result<PersonId, (String, String)>;

async fn check_log_in(context: &Context, credential: &Credential) -> Result<Checked, Failure> {
    let answer = &credential.response;
    let refused = |error: CeremonyError| Ok(Err(("passkey".to_owned(), error.to_string())));
    let (Ok(id), Ok(client_data), Ok(data), Ok(signature)) = (
        bytes_of(&credential.id),
        bytes_of(&answer.client_data),
        bytes_of(&answer.authenticator_data),
        bytes_of(&answer.signature),
    ) else {
        return refused(CeremonyError::Malformed);
    };
    let Ok(challenge) = challenge_of(&client_data) else {
        return refused(CeremonyError::Malformed);
    };
    if !store::take_challenge(context, &challenge, None).await? {
        return refused(CeremonyError::WrongChallenge);
    }
    let Some((passkey_id, person_id, known)) =
        store::find_passkey(&context.connection, &id).await?
    else {
        return Ok(Err(("passkey".to_owned(), "unknown".to_owned())));
    };
    let handle = answer.user_handle.as_deref().and_then(from_base64url);
    if handle.is_some_and(|handle| handle != person_id.to_string().as_bytes()) {
        return Ok(Err((passkey_id, "another person's".to_owned())));
    }
    let party = relying_party(context)?;
    match check_assertion(&party, &challenge, &known, &client_data, &data, &signature) {
        Err(error) => Ok(Err((passkey_id, error.to_string()))),
        Ok(count) => {
            if store::note_use(context, &passkey_id, known.sign_count, count).await? {
                Ok(Ok(person_id))
            } else {
                Ok(Err((
                    passkey_id,
                    CeremonyError::CounterWentBack.to_string(),
                )))
            }
        }
    }
}

/// `POST /api/v1/sessions/passkey`
pub async fn create_passkey_session(context: &Context) -> Outcome {
    let body: PasskeyLogInBody = context.json()?;
    let (person_id, token) = log_in_with(context, &body.credential).await?;
    response::created(&log_in::session_answer(context, person_id, token).await?)
}
