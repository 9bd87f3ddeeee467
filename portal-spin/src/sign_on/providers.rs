//! Identity providers: the operator's from the settings, partners' own from the database.

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use shared::ids::OrganisationId;

use crate::audit;
use crate::context::Context;
use crate::database::{DatabaseError, Row};
use crate::encoding::base64url;
use crate::organisations::MemberRole;
use crate::params;
use crate::routes::Outcome;
use crate::text_enum::text_enum;
use crate::web::{Failure, response};
use crate::webhooks::address::{check_address, check_url};

text_enum! {
    /// Whom a provider vouches for.
    Audience {
        /// The operator's staff.
        Staff = "staff",
        /// The operator's customers: neither staff nor members of a partner.
        Customers = "customers",
        /// The people of one partner.
        Organisation = "organisation",
    }
}

/// Whom a log-in goes to.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Whom it vouches for.
    pub audience: Audience,
    /// Whose it is; none where it is the operator's.
    pub organisation_id: Option<OrganisationId>,
    /// Its name for itself.
    pub issuer: String,
    /// Ours for it.
    pub client_id: String,
    /// What proves us to it.
    pub client_secret: String,
    /// Whose addresses it may speak for; empty where it is the operator's: any.
    pub domain: String,
    /// What newcomers become.
    pub role: MemberRole,
}

/// What an organisation sets.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentityProviderBody {
    /// Such as `https://login.example.com`.
    pub issuer: String,
    /// The client registered there for this portal.
    pub client_id: String,
    /// Its secret; empty keeps the one that was given before.
    #[serde(default)]
    pub client_secret: String,
    /// The domain of your people's addresses.
    pub domain: String,
    /// Whether members with such an address may log in only there. Owners keep every way.
    #[serde(default)]
    pub is_enforced: bool,
    /// The role of people who arrive for the first time; without, `reader`.
    #[serde(default)]
    pub role: Option<MemberRole>,
}

/// An organisation's identity provider.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct IdentityProviderView {
    /// Its issuer.
    pub issuer: String,
    /// Our client there.
    pub client_id: String,
    /// Where it sends browsers back to; register this there.
    pub redirect_uri: String,
    /// The domain of your people's addresses.
    pub domain: String,
    /// When it was proved.
    #[serde(with = "crate::encoding::optional_time")]
    #[schemars(with = "Option<String>")]
    pub domain_verified_at: Option<i64>,
    /// What proves it: serve this text at `domain_proof_url`, then ask for the check.
    pub domain_proof: String,
    /// Where the check looks.
    pub domain_proof_url: String,
    /// Whether members may log in only there.
    pub is_enforced: bool,
    /// The role of people who arrive for the first time.
    pub role: MemberRole,
}

/// An organisation's identity provider, if it has one.
#[derive(Debug, Serialize, JsonSchema)]
pub struct IdentityProviderAnswer {
    /// Null where there is none.
    pub identity_provider: Option<IdentityProviderView>,
}

/// Where providers send browsers back to.
pub fn redirect_uri(context: &Context) -> String {
    format!("{}/log-in/callback", context.configuration().public_url)
}

/// The operator's provider for its staff or its customers, if the settings have one.
pub fn configured_provider(context: &Context, audience: Audience) -> Option<Provider> {
    let [issuer, client_id, client_secret] = match audience {
        Audience::Staff => ["staff_issuer", "staff_client_id", "staff_client_secret"],
        Audience::Customers => [
            "customer_issuer",
            "customer_client_id",
            "customer_client_secret",
        ],
        Audience::Organisation => return None,
    }
    .map(|name| context.configuration().get(name).to_owned());
    (!issuer.is_empty()).then_some(Provider {
        audience,
        organisation_id: None,
        issuer,
        client_id,
        client_secret,
        domain: String::new(),
        role: MemberRole::Reader,
    })
}

const PROVIDER: &str =
    "SELECT organisation_id, issuer, client_id, client_secret, domain, role, is_enforced,
    domain_token, domain_verified_at_ms FROM identity_providers";

fn provider_of(context: &Context, row: &Row) -> Result<Provider, Failure> {
    Ok(Provider {
        audience: Audience::Organisation,
        organisation_id: Some(row.parse(0)?),
        issuer: row.get(1)?,
        client_id: row.get(2)?,
        client_secret: open_secret(context, &row.get::<Vec<u8>>(3)?)?,
        domain: row.get(4)?,
        role: row.parse(5)?,
    })
}

/// The provider that speaks for an address's domain.
pub async fn find_by_email(context: &Context, email: &str) -> Result<Option<Provider>, Failure> {
    let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain);
    let row = context
        .connection
        .query_optional(
            &format!("{PROVIDER} WHERE domain = $1 AND domain_verified_at_ms IS NOT NULL"),
            params![domain],
        )
        .await?;
    row.map(|row| provider_of(context, &row)).transpose()
}

/// An organisation's provider, if its domain is proved.
pub async fn find_of_organisation(
    context: &Context,
    organisation_id: OrganisationId,
) -> Result<Option<Provider>, Failure> {
    let row = context
        .connection
        .query_optional(
            &format!("{PROVIDER} WHERE organisation_id = $1 AND domain_verified_at_ms IS NOT NULL"),
            params![organisation_id],
        )
        .await?;
    row.map(|row| provider_of(context, &row)).transpose()
}

fn cipher(context: &Context) -> Result<ChaCha20Poly1305, Failure> {
    let pepper = context
        .configuration()
        .secret("key_pepper")
        .ok_or_else(|| Failure::internal("`key_pepper` is not set"))?;
    let mut digest = Sha256::new();
    digest.update(b"portico identity provider secret\0");
    digest.update(pepper.as_bytes());
    let key: [u8; 32] = digest.finalize().into();
    Ok(ChaCha20Poly1305::new(&Key::from(key)))
}

fn seal_secret(context: &Context, secret: &str) -> Result<Vec<u8>, Failure> {
    let nonce = context.random::<12>();
    let text = cipher(context)?
        .encrypt(&Nonce::from(nonce), secret.as_bytes())
        .map_err(|_| Failure::internal("a client secret could not be sealed"))?;
    Ok([nonce.as_slice(), &text].concat())
}

fn open_secret(context: &Context, sealed: &[u8]) -> Result<String, Failure> {
    let unreadable =
        || Failure::internal("a client secret cannot be read: was `key_pepper` changed?");
    let (nonce, text) = sealed.split_at_checked(12).ok_or_else(unreadable)?;
    let nonce = Nonce::try_from(nonce).map_err(|_| unreadable())?;
    let plain = cipher(context)?
        .decrypt(&nonce, text)
        .map_err(|_| unreadable())?;
    String::from_utf8(plain).map_err(|_| unreadable())
}

/// Fetches a document of a provider; never from private networks.
pub async fn fetch(
    context: &Context,
    request: http::Request<bytes::Bytes>,
) -> Result<Vec<u8>, String> {
    let url = request.uri().to_string();
    let destination = check_url(&url, context.configuration().development)?;
    let http = &context.app.http;
    if let Some(name) = &destination.name
        && let Some(addresses) = http.resolve(name).await?
    {
        for address in addresses {
            check_address(address)?;
        }
    }
    let answer = http.send(request).await?;
    if answer.status() == http::StatusCode::OK {
        return Ok(answer.into_body().to_vec());
    }
    Err(format!("{url} answered {}", answer.status().as_u16()))
}

pub(super) fn get(url: &str) -> Result<http::Request<bytes::Bytes>, String> {
    http::Request::get(url)
        .header("accept", "application/json")
        .body(bytes::Bytes::new())
        .map_err(|error| error.to_string())
}

/// `GET …/identity-provider`
pub async fn show_identity_provider(context: &Context) -> Outcome {
    let identity_provider = find_view(context).await?;
    response::ok(&IdentityProviderAnswer { identity_provider })
}

/// The provider of the organisation of the path.
pub(super) async fn find_view(
    context: &Context,
) -> Result<Option<IdentityProviderView>, DatabaseError> {
    context
        .connection
        .query_optional(
            &format!("{PROVIDER} WHERE organisation_id = $1"),
            params![context.path_text("organisation_id")],
        )
        .await?
        .map(|row| {
            let domain: String = row.get(4)?;
            Ok(IdentityProviderView {
                issuer: row.get(1)?,
                client_id: row.get(2)?,
                redirect_uri: redirect_uri(context),
                domain_proof_url: proof_url(&domain),
                domain,
                role: row.parse(5)?,
                is_enforced: row.get(6)?,
                domain_proof: row.get(7)?,
                domain_verified_at: row.get(8)?,
            })
        })
        .transpose()
}

fn proof_url(domain: &str) -> String {
    format!("https://{domain}/.well-known/portico-domain.txt")
}

/// `PUT …/identity-provider`
pub async fn put_identity_provider(context: &Context) -> Outcome {
    let body: IdentityProviderBody = context.json()?;
    save(context, &body).await?;
    show_identity_provider(context).await
}

fn check_domain_name(domain: &str) -> bool {
    (4..=253).contains(&domain.len())
        && domain.contains('.')
        && domain.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        })
        && domain.bytes().any(|byte| byte.is_ascii_lowercase())
}

/// Stores the provider. Another domain has to be proved anew.
pub(super) async fn save(context: &Context, body: &IdentityProviderBody) -> Result<(), Failure> {
    let organisation_id = context.organisation_id()?;
    let development = context.configuration().development;
    let issuer = body.issuer.trim();
    if let Err(detail) = check_url(issuer, development) {
        return Err(Failure::field("issuer", "malformed", detail));
    }
    let domain = body.domain.trim().trim_start_matches('@').to_lowercase();
    if !check_domain_name(&domain) {
        let detail = "Give the part behind the @, such as example.com.";
        return Err(Failure::field("domain", "malformed", detail));
    }
    let client_id = body.client_id.trim();
    if client_id.is_empty() || client_id.len() > 255 {
        let detail = "Give the client's id as the provider shows it.";
        return Err(Failure::field("client_id", "required", detail));
    }
    let connection = &context.connection;
    let known = connection
        .query_optional(
            &format!("{PROVIDER} WHERE organisation_id = $1"),
            params![organisation_id],
        )
        .await?;
    let secret = match (body.client_secret.trim(), &known) {
        ("", Some(row)) => row.get(3)?,
        ("", None) => {
            let detail = "Give the client's secret as the provider shows it.";
            return Err(Failure::field("client_secret", "required", detail));
        }
        (secret, _) => seal_secret(context, secret)?,
    };
    let is_same_domain = match &known {
        Some(row) => row.get::<String>(4)? == domain,
        None => false,
    };
    let token = base64url(&context.random::<24>());
    let role = body.role.unwrap_or(MemberRole::Reader);
    connection
        .transaction(async || {
            connection
                .execute(
                    "INSERT INTO identity_providers (organisation_id, issuer, client_id, client_secret,
                        domain, domain_token, is_enforced, role, created_at_ms)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                     ON CONFLICT (organisation_id) DO UPDATE SET issuer = excluded.issuer,
                        client_id = excluded.client_id, client_secret = excluded.client_secret,
                        is_enforced = excluded.is_enforced, role = excluded.role,
                        domain = excluded.domain,
                        domain_token = CASE WHEN identity_providers.domain = excluded.domain
                            THEN identity_providers.domain_token ELSE excluded.domain_token END,
                        domain_verified_at_ms = CASE WHEN identity_providers.domain = excluded.domain
                            THEN identity_providers.domain_verified_at_ms ELSE NULL END",
                    params![
                        organisation_id,
                        issuer,
                        client_id,
                        secret,
                        domain.as_str(),
                        token,
                        i64::from(body.is_enforced),
                        role,
                        context.now_ms,
                    ],
                )
                .await?;
            let detail = serde_json::json!({
                "issuer": issuer, "domain": domain, "is_enforced": body.is_enforced,
                "same_domain": is_same_domain,
            });
            let object = organisation_id.to_string();
            let owner = Some(organisation_id);
            audit::record(context, owner, "identity_provider.saved", &object, detail).await?;
            Ok(())
        })
        .await
}

/// `POST …/identity-provider/domain-checks`
pub async fn check_domain(context: &Context) -> Outcome {
    prove_domain(context).await?;
    show_identity_provider(context).await
}

/// Looks for the proof at the domain.
pub(super) async fn prove_domain(context: &Context) -> Result<(), Failure> {
    let organisation_id = context.organisation_id()?;
    let view = find_view(context).await?.ok_or_else(Failure::not_found)?;
    let missing = |detail: String| {
        let text = format!(
            "The proof was not found at {} ({detail}). Serve the text {} there and check again.",
            view.domain_proof_url, view.domain_proof
        );
        Failure::field("domain", "not_proved", text)
    };
    let request = get(&view.domain_proof_url).map_err(missing)?;
    let found = fetch(context, request).await.map_err(missing)?;
    if String::from_utf8_lossy(&found).trim() != view.domain_proof {
        return Err(missing("another text is there".to_owned()));
    }
    let connection = &context.connection;
    connection
        .transaction(async || {
            connection
                .execute(
                    "UPDATE identity_providers SET domain_verified_at_ms = $1 WHERE organisation_id = $2",
                    params![context.now_ms, organisation_id],
                )
                .await
                .map_err(|error| match error {
                    DatabaseError::Conflict(_) => Failure::conflict(
                        "domain_taken",
                        "Another organisation has proved this domain. Ask the programme's staff.",
                    ),
                    other => other.into(),
                })?;
            let detail = serde_json::json!({ "domain": view.domain });
            let object = organisation_id.to_string();
            let owner = Some(organisation_id);
            audit::record(context, owner, "identity_provider.domain_proved", &object, detail).await?;
            Ok(())
        })
        .await
}

/// `DELETE …/identity-provider`
pub async fn delete_identity_provider(context: &Context) -> Outcome {
    remove(context).await?;
    Ok(response::no_content())
}

/// Removes the provider: its people log in with a password again, after a reset.
pub(super) async fn remove(context: &Context) -> Result<(), Failure> {
    let organisation_id = context.organisation_id()?;
    let connection = &context.connection;
    connection
        .transaction(async || {
            let removed = connection
                .execute(
                    "DELETE FROM identity_providers WHERE organisation_id = $1",
                    params![organisation_id],
                )
                .await?;
            if removed == 0 {
                return Err(Failure::not_found());
            }
            let object = organisation_id.to_string();
            let detail = serde_json::json!({});
            let owner = Some(organisation_id);
            audit::record(context, owner, "identity_provider.removed", &object, detail).await?;
            Ok(())
        })
        .await
}
