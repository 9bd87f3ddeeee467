//! The authorization endpoint: the request is checked, the customer consents, the app gets a code.
//!
//! An unknown client or redirect address is shown to the customer and never redirected to; every other
//! error goes back to the app, with `iss` (RFC 9207), so that it cannot be mixed up with another server.

use askama::Template;
use http::{StatusCode, header};
use serde_json::{Map, Value};
use shared::credential::Environment;

use super::clients::{Client, find_client};
use super::families::begin_family;
use super::tokens::{WRONG_RESOURCE, is_for_this_api};
use crate::apps;
use crate::context::Context;
use crate::encoding::base64url;
use crate::installations::{Consent, find_standing, install, may_install};
use crate::listings::{self, FormField, Offer, Step, address, plain_words};
use crate::organisations::sessions::hash_token;
use crate::organisations::store::find_organisation;
use crate::params;
use crate::routes::Outcome;
use crate::web::forms::{Form, Shown};
use crate::web::{Failure, Page, Response, response};

/// A code must be redeemed within a minute.
const CODE_LIFE_MS: i64 = 60 * 1000;

/// An authorization request whose client and redirect address are good.
pub struct Request {
    client: Client,
    offer: Offer,
    redirect_uri: String,
    state: Option<String>,
    challenge: String,
    scopes: Vec<String>,
}

/// Parameters are repeated in the consent form under their own names.
pub(super) const PARAMETERS: &[&str] = &[
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
];

/// Why a request is not shown to the customer.
enum Refusal {
    /// Told to the customer, here.
    Here(Failure),
    /// Told to the app.
    There(Response),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Here(failure)
    }
}

impl From<crate::database::DatabaseError> for Refusal {
    fn from(error: crate::database::DatabaseError) -> Self {
        Self::Here(error.into())
    }
}

/// Sends the browser back to the app.
fn back(
    context: &Context,
    redirect_uri: &str,
    state: Option<&str>,
    pairs: &[(&str, &str)],
) -> Response {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs);
    if let Some(state) = state {
        query.append_pair("state", state);
    }
    query.append_pair("iss", &context.configuration().public_url);
    let joint = if redirect_uri.contains('?') { '&' } else { '?' };
    response::see_other(&format!("{redirect_uri}{joint}{}", query.finish()))
}

fn refused_here(code: &str, detail: &str) -> Refusal {
    Refusal::Here(Failure::new(StatusCode::BAD_REQUEST, code, detail))
}

async fn read_request(context: &Context, form: &Form) -> Result<Request, Refusal> {
    let unknown = || {
        refused_here(
            "unknown_client",
            "The app that sent you here is not known, or is not offered at the moment. Nothing was granted.",
        )
    };
    if PARAMETERS.iter().any(|name| form.all(name).len() > 1) {
        return Err(refused_here(
            "repeated_parameter",
            "A parameter of the request came twice.",
        ));
    }
    let client = find_client(context, form.raw("client_id"))
        .await?
        .ok_or_else(unknown)?;
    let credential = &client.credential;
    if credential.revoked_at_ms.is_some() || client.suspended_at_ms.is_some() {
        return Err(unknown());
    }
    let offer = listings::find_offer(
        &context.connection,
        credential.app_id,
        credential.environment,
    )
    .await?
    .ok_or_else(unknown)?;
    let redirect_uri = form.raw("redirect_uri");
    let is_registered = offer
        .content
        .redirect_uris
        .iter()
        .any(|known| address::is_same_redirect(known, redirect_uri));
    if !is_registered || !address::is_safe_redirect(redirect_uri) {
        return Err(refused_here(
            "unregistered_redirect",
            "The address to return to is not one that the app has registered. Nothing was granted.",
        ));
    }
    let redirect_uri = redirect_uri.to_owned();
    let state = Some(form.raw("state").to_owned()).filter(|state| !state.is_empty());
    let there = |code: &str, detail: &str| {
        let pairs = [("error", code), ("error_description", detail)];
        Refusal::There(back(context, &redirect_uri, state.as_deref(), &pairs))
    };
    // What would have to be honoured and is not must not be passed over.
    for (name, code) in [
        ("request", "request_not_supported"),
        ("request_uri", "request_uri_not_supported"),
    ] {
        if !form.raw(name).is_empty() {
            return Err(there(code, "Send the parameters themselves."));
        }
    }
    if !matches!(form.raw("response_mode"), "" | "query") {
        return Err(there("invalid_request", "The answer comes in the query."));
    }
    match form.raw("response_type") {
        "code" => {}
        "" => {
            return Err(there(
                "invalid_request",
                "The parameter response_type is missing.",
            ));
        }
        _ => {
            return Err(there(
                "unsupported_response_type",
                "Use response_type=code.",
            ));
        }
    }
    let challenge = form.raw("code_challenge").to_owned();
    let is_challenge = challenge.len() == 43
        && challenge
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    // No method means `plain` (RFC 7636, 4.3), which is refused like everything but S256.
    if form.raw("code_challenge_method") != "S256" || !is_challenge {
        return Err(there(
            "invalid_request",
            "PKCE is required: code_challenge with code_challenge_method=S256.",
        ));
    }
    if !is_for_this_api(context, form) {
        return Err(there("invalid_target", WRONG_RESOURCE));
    }
    let offered: Vec<&str> = offer
        .content
        .scopes
        .iter()
        .map(|asked| asked.scope.as_str())
        .collect();
    let wanted = form.raw("scope");
    let scopes: Vec<String> = if wanted.is_empty() {
        offered.iter().map(|scope| (*scope).to_owned()).collect()
    } else {
        wanted.split_whitespace().map(str::to_owned).collect()
    };
    if scopes
        .iter()
        .any(|scope| !offered.contains(&scope.as_str()))
    {
        return Err(there(
            "invalid_scope",
            "The app's listing does not ask for one of these scopes.",
        ));
    }
    if !may_install(context, &offer, context.person()?).await? {
        return Err(there(
            "access_denied",
            "This private app is not offered to this customer.",
        ));
    }
    Ok(Request {
        client,
        offer,
        redirect_uri,
        state,
        challenge,
        scopes,
    })
}

/// A scope as the customer reads it.
struct ScopeLine {
    words: String,
    scope: String,
    reason: String,
}

#[derive(Template)]
#[template(path = "oauth/templates/consent.html")]
struct ConsentPage {
    page: Page,
    shown: Shown,
    action: String,
    app_name: String,
    partner: String,
    customer: String,
    scopes: Vec<ScopeLine>,
    data_use: String,
    privacy_url: String,
    terms_url: String,
    form: Vec<FormField>,
    hidden: Vec<(String, String)>,
    is_test: bool,
    is_renewal: bool,
    returns_to: String,
}

/// What the consent screen says of an offer; also used where no app waits for a code.
pub(super) struct Question<'a> {
    pub offer: &'a Offer,
    pub client: &'a Client,
    pub scopes: &'a [String],
    pub action: &'a str,
    pub hidden: Vec<(String, String)>,
    pub returns_to: String,
}

pub(super) async fn render_consent(
    context: &Context,
    question: Question<'_>,
    shown: Shown,
    status: StatusCode,
) -> Outcome {
    let person = context.person()?;
    let content = &question.offer.content;
    let organisation = find_organisation(&context.connection, question.offer.organisation_id)
        .await?
        .ok_or_else(Failure::not_found)?;
    let standing = find_standing(
        &context.connection,
        question.client.credential.id,
        person.person_id,
    )
    .await?;
    let reason_of = |scope: &String| {
        let asked = content.scopes.iter().find(|asked| asked.scope == *scope);
        asked.map_or(String::new(), |asked| asked.reason.clone())
    };
    let title = format!("Install {}", content.name);
    let page = ConsentPage {
        page: Page::new(context, &title),
        shown,
        action: question.action.to_owned(),
        app_name: content.name.clone(),
        partner: organisation.name,
        customer: person.email.clone(),
        scopes: question
            .scopes
            .iter()
            .map(|scope| ScopeLine {
                words: plain_words(scope),
                scope: scope.clone(),
                reason: reason_of(scope),
            })
            .collect(),
        data_use: content.data_use.clone(),
        privacy_url: content.privacy_url.clone(),
        terms_url: content.terms_url.clone(),
        form: content.form.clone(),
        hidden: question.hidden,
        is_test: question.client.credential.environment == Environment::Test,
        is_renewal: standing.is_some(),
        returns_to: question.returns_to.clone(),
    };
    let mut answer = response::html_with(status, &page)?;
    if let Some(there) = address::parse(&question.returns_to) {
        // Browsers apply form-action to the redirect that follows the form, too.
        let policy = format!(
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
             font-src 'self'; connect-src 'self'; form-action 'self' {}; base-uri 'none'; frame-ancestors 'none'",
            there.origin
        );
        response::set_header(&mut answer, header::CONTENT_SECURITY_POLICY, &policy);
    }
    Ok(answer)
}

fn question<'a>(request: &'a Request, form: &Form) -> Question<'a> {
    Question {
        offer: &request.offer,
        client: &request.client,
        scopes: &request.scopes,
        action: "/oauth/authorize",
        hidden: PARAMETERS
            .iter()
            .map(|name| ((*name).to_owned(), form.raw(name).to_owned()))
            .filter(|(_, value)| !value.is_empty())
            .collect(),
        returns_to: request.redirect_uri.clone(),
    }
}

/// The answers of the form's `config.…` fields that were filled.
pub(super) fn answers_of(form: &Form, fields: &[FormField]) -> Map<String, Value> {
    fields
        .iter()
        .map(|field| {
            (
                field.name.clone(),
                form.text(&format!("config.{}", field.name)),
            )
        })
        .filter(|(_, answer)| !answer.is_empty())
        .map(|(name, answer)| (name, Value::String(answer)))
        .collect()
}

/// `GET /oauth/authorize`
pub async fn show_consent(context: &Context) -> Outcome {
    let query = context.request.uri().query().unwrap_or_default();
    let form = Form::parse(query.as_bytes());
    let request = match read_request(context, &form).await {
        Ok(request) => request,
        Err(Refusal::Here(failure)) => return Err(failure),
        Err(Refusal::There(answer)) => return Ok(answer),
    };
    if request.client.credential.environment == Environment::Live {
        let connection = &context.connection;
        listings::count_step(
            connection,
            request.offer.listing_id,
            Step::Begin,
            context.now_ms,
        )
        .await?;
    }
    render_consent(
        context,
        question(&request, &form),
        Shown::default(),
        StatusCode::OK,
    )
    .await
}

/// `POST /oauth/authorize`: the customer's answer.
pub async fn submit_consent(context: &Context) -> Outcome {
    let form = context.form();
    let request = match read_request(context, &form).await {
        Ok(request) => request,
        Err(Refusal::Here(failure)) => return Err(failure),
        Err(Refusal::There(answer)) => return Ok(answer),
    };
    let state = request.state.as_deref();
    if form.raw("decision") != "install" {
        let pairs = [
            ("error", "access_denied"),
            ("error_description", "The customer declined."),
        ];
        return Ok(back(context, &request.redirect_uri, state, &pairs));
    }
    match consent(context, &request, &form).await {
        Ok(code) => Ok(back(
            context,
            &request.redirect_uri,
            state,
            &[("code", &code)],
        )),
        Err(failure) => {
            let status = failure.status;
            let asked = question(&request, &form);
            let shown = Shown::again(form, failure)?;
            render_consent(context, asked, shown, status).await
        }
    }
}

async fn consent(context: &Context, request: &Request, form: &Form) -> Result<String, Failure> {
    let person = context.person()?;
    let given = Consent {
        credential: request.client.credential.clone(),
        scopes: request.scopes.clone(),
        answers: answers_of(form, &request.offer.content.form),
    };
    // A deleted app's client is revoked with it, but not in the same request.
    apps::find_app(&context.connection, given.credential.app_id)
        .await?
        .ok_or_else(Failure::not_found)?;
    let code = format!("pac_{}", base64url(&context.random::<32>()));
    context
        .connection
        .transaction(async || {
            let installation = install(context, &request.offer, person, &given).await?;
            let family_id = begin_family(context, &installation).await?;
            context
                .connection
                .execute(
                    "INSERT INTO oauth_codes (code_hash, family_id, redirect_uri, challenge, expires_at_ms)
                     VALUES ($1, $2, $3, $4, $5)",
                    params![
                        hash_token(&code),
                        family_id,
                        &request.redirect_uri,
                        &request.challenge,
                        context.now_ms + CODE_LIFE_MS
                    ],
                )
                .await?;
            Ok::<_, Failure>(())
        })
        .await?;
    Ok(code)
}
