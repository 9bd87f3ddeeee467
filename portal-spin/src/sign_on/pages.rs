//! `/log-in/sign-on`, where providers send browsers back to, and an organisation's settings.

use askama::Template;

use super::flow::{SignOnAnswerBody, SignOnBody, finish, start};
use super::providers::{
    Audience, IdentityProviderBody, IdentityProviderView, configured_provider, find_view,
    prove_domain, redirect_uri, remove, save,
};
use crate::context::Context;
use crate::encoding::readable_time;
use crate::organisations::pages::{local_path, signed_in};
use crate::organisations::{MemberRole, store};
use crate::routes::Outcome;
use crate::web::forms::{Form, Shown};
use crate::web::{Failure, Page, Response, cookies, response};

/// The cookie that ties a log-in to the browser that began it.
const BINDING: &str = "portico_sign_on";

fn binding_name(context: &Context) -> String {
    cookies::cookie_name(context.configuration(), BINDING)
}

fn with_binding(
    context: &Context,
    mut answer: Response,
    value: &str,
    max_age_secs: i64,
) -> Response {
    let name = binding_name(context);
    // Lax: the provider's redirect is a navigation from another site.
    cookies::set_cookie(
        &mut answer,
        context.configuration(),
        &name,
        value,
        max_age_secs,
    );
    answer
}

#[derive(Template)]
#[template(path = "sign_on/templates/sign_on.html")]
struct SignOnPage {
    page: Page,
    shown: Shown,
    next: String,
    has_staff: bool,
}

#[derive(Template)]
#[template(path = "sign_on/templates/leaving.html")]
struct LeavingPage {
    page: Page,
    host: String,
    url: String,
}

fn host_of(url: &str) -> String {
    let uri: Option<http::Uri> = url.parse().ok();
    uri.and_then(|uri| uri.host().map(str::to_owned))
        .unwrap_or_default()
}

fn sign_on_page(context: &Context, shown: Shown, next: String) -> SignOnPage {
    SignOnPage {
        page: Page::new(context, "Single sign-on"),
        shown,
        next,
        has_staff: configured_provider(context, Audience::Staff).is_some(),
    }
}

/// Whether who comes for this page is likely a customer, whom the operator's own provider knows.
pub fn offers_customers(context: &Context, next: &str) -> bool {
    let leads_to = ["/oauth/authorize", "/installations", "/directory/"];
    leads_to.iter().any(|place| next.starts_with(place))
        && configured_provider(context, Audience::Customers).is_some()
}

/// `GET /log-in/sign-on?next=`
pub async fn show_sign_on(context: &Context) -> Outcome {
    let next = context.query("next").unwrap_or_default();
    response::html(&sign_on_page(context, Shown::default(), next))
}

/// `POST /log-in/sign-on`: to the provider of the address, or one of the operator's.
pub async fn submit_sign_on(context: &Context) -> Outcome {
    let form = context.form();
    let next = form.text("next");
    let who = SignOnBody {
        email: form.text("email"),
        is_customer: form.is_ticked("customer"),
    };
    let outcome = if who.email.is_empty() && !who.is_customer && !form.is_ticked("staff") {
        Err(Failure::field("email", "required", "Give your address."))
    } else {
        start(context, &who, &local_path(&next)).await
    };
    match outcome {
        Ok(started) => {
            // Not a redirect: the policy lets forms lead to the portal only, redirects included.
            let answer = response::html(&LeavingPage {
                page: Page::new(context, "Single sign-on"),
                host: host_of(&started.authorization_url),
                url: started.authorization_url,
            })?;
            Ok(with_binding(context, answer, &started.binding, 600))
        }
        Err(failure) => {
            let status = failure.status;
            let shown = Shown::again(form, failure)?;
            response::html_with(status, &sign_on_page(context, shown, next))
        }
    }
}

/// `GET /log-in/callback?state=&code=&iss=`: the provider sends the browser back.
pub async fn finish_sign_on(context: &Context) -> Outcome {
    let query = |name: &str| context.query(name).unwrap_or_default();
    let binding = context
        .header("cookie")
        .and_then(|cookies| cookies::find_cookie(cookies, &binding_name(context)))
        .unwrap_or_default();
    let answer = SignOnAnswerBody {
        state: query("state"),
        code: query("code"),
        iss: query("iss"),
        binding: binding.to_owned(),
    };
    let arrived = finish(context, &answer).await?;
    let page = signed_in(context, &arrived.session_token, &arrived.next);
    Ok(with_binding(context, page, "", 0))
}

#[derive(Template)]
#[template(path = "sign_on/templates/identity_provider.html")]
struct IdentityProviderPage {
    page: Page,
    shown: Shown,
    organisation_id: String,
    provider: Option<IdentityProviderView>,
    proved: String,
    redirect_uri: String,
}

async fn provider_page(
    context: &Context,
    shown: Option<Shown>,
) -> Result<IdentityProviderPage, Failure> {
    let organisation_id = context.organisation_id()?;
    let organisation = store::find_organisation(&context.connection, organisation_id)
        .await?
        .ok_or_else(Failure::not_found)?;
    let provider = find_view(context).await?;
    let shown = shown.unwrap_or_else(|| match &provider {
        Some(known) => Shown::with_values(&[
            ("issuer", known.issuer.as_str()),
            ("client_id", known.client_id.as_str()),
            ("domain", known.domain.as_str()),
        ]),
        None => Shown::default(),
    });
    let proved = provider
        .as_ref()
        .and_then(|known| known.domain_verified_at)
        .map(readable_time);
    Ok(IdentityProviderPage {
        page: Page::of_organisation(context, "Single sign-on", &organisation.name),
        shown,
        organisation_id: organisation_id.to_string(),
        provider,
        proved: proved.unwrap_or_default(),
        redirect_uri: redirect_uri(context),
    })
}

/// `GET /organisations/{organisation_id}/sign-on`
pub async fn show_identity_provider_page(context: &Context) -> Outcome {
    response::html(&provider_page(context, None).await?)
}

async fn after(context: &Context, form: Form, outcome: Result<(), Failure>) -> Outcome {
    match outcome {
        Ok(()) => {
            let organisation_id = context.organisation_id()?;
            Ok(response::see_other(&format!(
                "/organisations/{organisation_id}/sign-on?done=saved"
            )))
        }
        Err(failure) => {
            let status = failure.status;
            let shown = Shown::again(form, failure)?;
            response::html_with(status, &provider_page(context, Some(shown)).await?)
        }
    }
}

/// `POST /organisations/{organisation_id}/sign-on`
pub async fn submit_identity_provider(context: &Context) -> Outcome {
    let form = context.form();
    let body = IdentityProviderBody {
        issuer: form.text("issuer"),
        client_id: form.text("client_id"),
        client_secret: form.text("client_secret"),
        domain: form.text("domain"),
        is_enforced: form.is_ticked("is_enforced"),
        role: form.text("role").parse::<MemberRole>().ok(),
    };
    let outcome = save(context, &body).await;
    after(context, form, outcome).await
}

/// `POST /organisations/{organisation_id}/sign-on/domain-checks`
pub async fn submit_domain_check(context: &Context) -> Outcome {
    let outcome = prove_domain(context).await;
    after(context, context.form(), outcome).await
}

/// `POST /organisations/{organisation_id}/sign-on/remove`
pub async fn submit_identity_provider_removal(context: &Context) -> Outcome {
    let outcome = remove(context).await;
    after(context, context.form(), outcome).await
}
