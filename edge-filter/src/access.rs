//! What a known credential may do: the law at the gateway.
//!
//! Owns: the order of checks from a found credential to the subscription a call
//! is decided under. Does not own: finding the credential, limits, quota.

use crate::credential::percent_decoded;
use crate::programme::{AppState, Extras, Found, OperationState, ProductState, Programme, ScopeId};
use shared::credential::Environment;
use shared::feed::Subscription;
use shared::ids::{AppId, CredentialId, InstallationId, OrganisationId, ProductId};
use shared::plan::{Plan, WhenStale};
use shared::problem::Code;
use std::net::IpAddr;
use std::rc::Rc;

/// Why a call is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The code.
    pub code: Code,
    /// More than the code's own words, where more is known.
    pub detail: Option<String>,
}

impl From<Code> for Denial {
    fn from(code: Code) -> Self {
        Self { code, detail: None }
    }
}

impl Denial {
    fn with(code: Code, detail: String) -> Self {
        Self {
            code,
            detail: Some(detail),
        }
    }
}

/// What an access token adds to the credential it names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenGrant {
    /// Scopes of the token.
    pub scopes: Option<Vec<String>>,
    /// The installation it was issued for.
    pub installation: Option<InstallationId>,
    /// When it was issued, Unix milliseconds.
    pub issued_at_ms: u64,
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The path without its query.
    pub path: &'a str,
    /// Environments that this gateway serves.
    pub environments: &'a [Environment],
    /// What a token adds.
    pub token: Option<&'a TokenGrant>,
    /// The time.
    pub now_ms: u64,
    /// Whether the feed is older than the staleness budget.
    pub is_stale: bool,
}

/// Ids as headers and logs have them. All but the credential's are kept with
/// their objects: encoding 128 bits is dear in WebAssembly.
#[derive(Debug, Clone)]
pub struct PermitTexts {
    /// The organisation.
    pub organisation: Rc<str>,
    /// The app.
    pub app: Rc<str>,
    /// The plan.
    pub plan: Rc<str>,
    /// The credential.
    pub credential: String,
}

/// A call that may pass, limits aside.
#[derive(Debug, Clone)]
pub struct Permit {
    /// The credential.
    pub credential: CredentialId,
    /// Its environment.
    pub environment: Environment,
    /// The app.
    pub app: AppId,
    /// The app's owner.
    pub organisation: OrganisationId,
    /// The installation of the token.
    pub installation: Option<InstallationId>,
    /// The subscription decided under.
    pub subscription: Rc<Subscription>,
    /// Its plan.
    pub plan: Rc<Plan>,
    /// The operation.
    pub operation: Rc<OperationState>,
    /// Ids as text.
    pub texts: PermitTexts,
    /// Scopes in force, by name, joined by spaces.
    pub scopes: String,
}

/// Decides whether a credential may make a call. `client` is asked only for
/// credentials with an address list: it costs a crossing.
///
/// # Errors
/// The first check that fails.
pub fn judge(
    programme: &Programme,
    found: &Found<'_>,
    question: &Question<'_>,
    client: impl FnOnce() -> Option<IpAddr>,
) -> Result<Permit, Denial> {
    let now_ms = question.now_ms;
    check_standing(found.extras, now_ms)?;
    if !question.environments.contains(&found.environment) {
        return Err(Code::WrongEnvironment.into());
    }
    let app = programme.app(found.app).ok_or(Code::UnknownCredential)?;
    let organisation = app.organisation.ok_or(Code::UnknownCredential)?;
    let is_live = found.environment == Environment::Live;
    let standing = programme.organisation(&organisation);
    if app.suspended || (is_live && standing.is_some_and(|standing| standing.suspended)) {
        return Err(Code::OrganisationSuspended.into());
    }
    check_address(found.extras, client)?;
    check_installation(programme, app, question.token)?;
    let (subscription, operation) = find_subscription(programme, app, found.environment, question)?;
    let plan = programme
        .plan(&subscription.plan)
        .ok_or(Code::PortalStale)?;
    if question.is_stale && plan.when_stale == WhenStale::Closed {
        return Err(Code::PortalStale.into());
    }
    if is_live {
        check_agreements(programme, organisation, operation.product, now_ms)?;
    }
    let product = programme
        .product(&operation.product)
        .ok_or(Code::PortalStale)?;
    let scopes = scopes_in_force(programme, product, found.extras, question.token);
    check_scopes(programme, operation, &scopes)?;
    let mut names: Vec<&str> = scopes
        .iter()
        .map(|&scope| programme.scope_name(scope))
        .collect();
    // Numbers depend on the order of the feed; upstreams see one order everywhere.
    names.sort_unstable();
    Ok(Permit {
        credential: found.credential,
        environment: found.environment,
        app: app.app,
        organisation,
        installation: question.token.and_then(|token| token.installation),
        subscription: Rc::clone(subscription),
        plan: Rc::clone(plan),
        operation: Rc::clone(operation),
        texts: PermitTexts {
            organisation: Rc::clone(&app.organisation_text),
            app: Rc::clone(&app.text),
            plan: programme.plan_text(&subscription.plan),
            credential: found.credential.to_string(),
        },
        scopes: names.join(" "),
    })
}

fn check_standing(extras: Option<&Extras>, now_ms: u64) -> Result<(), Denial> {
    let Some(extras) = extras else {
        return Ok(());
    };
    // A revocation holds at once, whatever this machine's clock says.
    let is_replaced = extras.ends_at_ms.is_some_and(|at| at <= now_ms);
    if extras.revoked_at_ms.is_some() || is_replaced {
        return Err(Code::RevokedCredential.into());
    }
    match extras.expires_at_ms {
        Some(at) if at <= now_ms => Err(Code::ExpiredCredential.into()),
        _ => Ok(()),
    }
}

fn check_address(
    extras: Option<&Extras>,
    client: impl FnOnce() -> Option<IpAddr>,
) -> Result<(), Denial> {
    let Some(extras) = extras.filter(|extras| extras.is_restricted) else {
        return Ok(());
    };
    let Some(address) = client() else {
        return Err(Code::AddressNotAllowed.into());
    };
    if extras
        .networks
        .iter()
        .any(|network| network.contains(address))
    {
        return Ok(());
    }
    let detail = format!(
        "This credential may not be used from {address}. Change its address list in the portal."
    );
    Err(Denial::with(Code::AddressNotAllowed, detail))
}

fn check_installation(
    programme: &Programme,
    app: &AppState,
    token: Option<&TokenGrant>,
) -> Result<(), Denial> {
    let Some((token, id)) = token.and_then(|token| Some((token, token.installation?))) else {
        return Ok(());
    };
    let installation = programme
        .installation(&id)
        .filter(|installation| installation.app == app.app)
        .ok_or(Code::RevokedCredential)?;
    match installation.revoked_at_ms {
        Some(at) if token.issued_at_ms <= at => Err(Denial::with(
            Code::RevokedCredential,
            "The customer has removed the installation that this token was issued for.".to_owned(),
        )),
        _ => Ok(()),
    }
}

fn find_subscription<'a>(
    programme: &'a Programme,
    app: &'a AppState,
    environment: Environment,
    question: &Question<'_>,
) -> Result<(&'a Rc<Subscription>, &'a Rc<OperationState>), Denial> {
    let operations = programme.operations(question.method, question.path);
    if operations.is_empty() {
        return Err(Denial::with(
            Code::UnknownOperation,
            format!(
                "No product of this programme contains {} {}. Compare both with the API reference.",
                question.method,
                printable(&percent_decoded(question.path)),
            ),
        ));
    }
    app.subscriptions
        .iter()
        .filter(|subscription| subscription.environments.contains(&environment))
        .filter(|subscription| {
            subscription
                .ends_at_ms
                .is_none_or(|at| question.now_ms < at)
        })
        .find_map(|subscription| {
            let own = |operation: &&Rc<OperationState>| operation.product == subscription.product;
            Some((subscription, operations.iter().find(own)?))
        })
        .ok_or_else(|| Code::SubscriptionRequired.into())
}

/// A path as it may stand in an error: bounded, without control characters.
fn printable(path: &str) -> String {
    path.chars()
        .filter(|char| !char.is_control())
        .take(200)
        .collect()
}

fn check_agreements(
    programme: &Programme,
    organisation: OrganisationId,
    product: ProductId,
    now_ms: u64,
) -> Result<(), Denial> {
    let accepted = programme
        .organisation(&organisation)
        .map_or(&[][..], |standing| &standing.accepted);
    let is_outstanding = programme.agreements().any(|agreement| {
        let concerns = agreement
            .products
            .as_ref()
            .is_none_or(|products| products.contains(&product));
        let version = accepted
            .iter()
            .find(|accepted| accepted.agreement == agreement.agreement)
            .map_or(0, |accepted| accepted.version);
        concerns && version < agreement.required_at(now_ms)
    });
    if is_outstanding {
        return Err(Code::AgreementRequired.into());
    }
    Ok(())
}

fn scopes_in_force(
    programme: &Programme,
    product: &ProductState,
    extras: Option<&Extras>,
    token: Option<&TokenGrant>,
) -> Vec<ScopeId> {
    let own = extras
        .and_then(|extras| extras.scopes.as_deref())
        .unwrap_or(&product.scopes);
    let numbers = |names: &[String]| -> Vec<ScopeId> {
        names
            .iter()
            .filter_map(|name| programme.find_scope(name))
            .collect()
    };
    let of_token = token.and_then(|token| token.scopes.as_deref()).map(numbers);
    let of_installation = token
        .and_then(|token| programme.installation(&token.installation?))
        .map(|installation| numbers(&installation.scopes));
    let allowed = |list: &Option<Vec<ScopeId>>, scope: &ScopeId| {
        list.as_ref().is_none_or(|list| list.contains(scope))
    };
    own.iter()
        .filter(|scope| allowed(&of_token, scope) && allowed(&of_installation, scope))
        .copied()
        .collect()
}

fn check_scopes(
    programme: &Programme,
    operation: &OperationState,
    scopes: &[ScopeId],
) -> Result<(), Denial> {
    let missing: Vec<&str> = operation
        .scopes
        .iter()
        .filter(|scope| !scopes.contains(scope))
        .map(|&scope| programme.scope_name(scope))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let detail = format!(
        "The operation {} needs the scope {}, which the credential does not have. Issue one that has it.",
        operation.name,
        missing.join(" and "),
    );
    Err(Denial::with(Code::InsufficientScope, detail))
}
