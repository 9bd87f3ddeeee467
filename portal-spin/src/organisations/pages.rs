//! Pages of people: registering, logging in, resetting, the account.

use askama::Template;

use super::closing::{self, AccountClosure};
use super::log_in::{self, Step};
use super::registration::{self, RegistrationRequest};
use super::routes::{self, SessionView};
use super::sessions::ABSOLUTE_LIMIT_MS;
use super::verification::{self, Verified};
use super::{recovery, second_factor, store};
use crate::analytics;
use crate::context::Context;
use crate::routes::Outcome;
use crate::sign_on;
use crate::visitors;
use crate::web::forms::Shown;
use crate::web::{Failure, Page, Response, cookies, response};

#[derive(Template)]
#[template(path = "organisations/templates/register.html")]
struct RegisterPage {
    page: Page,
    shown: Shown,
    source: String,
}

/// `GET /register`
pub async fn show_register(context: &Context) -> Outcome {
    let source = context.query("source").unwrap_or_default();
    if context.person_optional().is_none() {
        analytics::count_visit(context, &source).await?;
    }
    let page = Page::new(context, "Create your account");
    response::html(&RegisterPage {
        page,
        shown: Shown::default(),
        source,
    })
}

/// `POST /register`
pub async fn register(context: &Context) -> Outcome {
    let form = context.form();
    let request = RegistrationRequest {
        email: form.text("email"),
        password: form.raw("password").to_owned(),
        organisation_name: form.text("organisation_name"),
        name: form.text("name"),
        source: form.text("source"),
        visitor_token: visitors::token_of_browser(context),
    };
    match registration::register(context, &request).await {
        Ok(email) => Ok(response::see_other(&check_mail_path(&email))),
        Err(failure) => {
            let status = failure.status;
            let shown = Shown::again(form, failure)?;
            let page = Page::new(context, "Create your account");
            response::html_with(
                status,
                &RegisterPage {
                    page,
                    shown,
                    source: request.source,
                },
            )
        }
    }
}

/// `POST /register/resend`
pub async fn resend(context: &Context) -> Outcome {
    let email = context.form().text("email");
    registration::resend(context, &email).await?;
    Ok(response::see_other(&format!(
        "{}&done=sent",
        check_mail_path(&email)
    )))
}

fn check_mail_path(email: &str) -> String {
    format!("/check-your-mail?email={}", encode(email))
}

fn encode(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[derive(Template)]
#[template(path = "organisations/templates/check_mail.html")]
struct CheckMailPage {
    page: Page,
    shown: Shown,
    email: String,
}

/// `GET /check-your-mail?email=`
pub async fn show_check_mail(context: &Context) -> Outcome {
    let email = context.query("email").unwrap_or_default();
    let page = Page::new(context, "Check your mail");
    response::html(&CheckMailPage {
        page,
        shown: Shown::default(),
        email,
    })
}

#[derive(Template)]
#[template(path = "organisations/templates/verify.html")]
struct VerifyPage {
    page: Page,
    email: String,
    organisation_name: String,
    token: String,
}

/// `GET /verify?token=`: asks before it acts, because mail scanners open links too.
pub async fn show_verify(context: &Context) -> Outcome {
    let token = context.query("token").unwrap_or_default();
    let (email, organisation_name) = verification::find_by_link(context, &token)
        .await?
        .ok_or(verification::VerificationError::LinkExpired)?;
    let page = Page::new(context, "Verify your address");
    response::html(&VerifyPage {
        page,
        email,
        organisation_name,
        token,
    })
}

/// `POST /verify`, by the link's button or by the code.
pub async fn verify(context: &Context) -> Outcome {
    let form = context.form();
    let token = form.text("token");
    if !token.is_empty() {
        return match verification::verify_by_link(context, &token).await {
            Ok(verified) => Ok(welcome(context, &verified)),
            // A late second click: the account is there, so the way on is to log in.
            Err(failure) if failure.code == "already_registered" => {
                Ok(response::see_other("/log-in?done=verified"))
            }
            Err(failure) => Err(failure),
        };
    }
    let email = form.text("email");
    match verification::verify_by_code(context, &email, form.raw("code")).await {
        Ok(verified) => Ok(welcome(context, &verified)),
        Err(failure) => {
            let status = failure.status;
            let shown = Shown::again(form, failure)?;
            let page = Page::new(context, "Check your mail");
            response::html_with(status, &CheckMailPage { page, shown, email })
        }
    }
}

fn welcome(context: &Context, verified: &Verified) -> Response {
    if let Some(token) = &verified.password_token {
        return response::see_other(&format!("/reset-password/new?token={token}&first=yes"));
    }
    let path = format!("/organisations/{}?done=verified", verified.organisation_id);
    signed_in(context, &verified.session_token, &path)
}

/// Gives the browser a session and sends it on.
pub fn signed_in(context: &Context, token: &str, path: &str) -> Response {
    let mut answer = response::see_other(path);
    cookies::set_session(
        &mut answer,
        context.configuration(),
        token,
        ABSOLUTE_LIMIT_MS / 1000,
    );
    answer
}

#[derive(Template)]
#[template(path = "organisations/templates/log_in.html")]
struct LogInPage {
    page: Page,
    shown: Shown,
    next: String,
    /// Whether the operator's own provider is offered to its customers.
    has_customers: bool,
}

#[derive(Template)]
#[template(path = "organisations/templates/second_factor.html")]
struct SecondFactorPage {
    page: Page,
    shown: Shown,
    next: String,
    ticket: String,
}

/// A path of the portal itself, or the start page: never an address elsewhere (ASVS 5.0, 3.7.2).
pub fn local_path(next: &str) -> String {
    if response::is_own_path(next) {
        next.to_owned()
    } else {
        "/organisations".to_owned()
    }
}

/// `GET /log-in?next=`
pub async fn show_log_in(context: &Context) -> Outcome {
    let next = local_path(&context.query("next").unwrap_or_default());
    if context.person_optional().is_some() {
        return Ok(response::see_other(&next));
    }
    let page = Page::new(context, "Log in");
    response::html(&LogInPage {
        page,
        shown: Shown::default(),
        has_customers: sign_on::offers_customers(context, &next),
        next,
    })
}

/// `POST /log-in`
pub async fn log_in(context: &Context) -> Outcome {
    let form = context.form();
    let next = local_path(form.raw("next"));
    match log_in::log_in(context, form.raw("email"), form.raw("password")).await {
        Ok(Step::SignedIn(_, token)) => Ok(signed_in(context, &token, &next)),
        Ok(Step::SecondFactor(ticket)) => {
            let page = Page::new(context, "Enter your code");
            response::html(&SecondFactorPage {
                page,
                shown: Shown::default(),
                next,
                ticket,
            })
        }
        Err(failure) => {
            let status = failure.status;
            let shown = Shown::again(form, failure)?;
            let page = LogInPage {
                page: Page::new(context, "Log in"),
                shown,
                has_customers: sign_on::offers_customers(context, &next),
                next,
            };
            response::html_with(status, &page)
        }
    }
}

/// `POST /log-in/code`
pub async fn finish_log_in(context: &Context) -> Outcome {
    let form = context.form();
    let (next, ticket) = (local_path(form.raw("next")), form.text("ticket"));
    match log_in::finish_log_in(context, &ticket, form.raw("code")).await {
        Ok(Step::SignedIn(_, token)) => Ok(signed_in(context, &token, &next)),
        Ok(Step::SecondFactor(_)) => Ok(response::see_other("/log-in")),
        Err(failure) => {
            let status = failure.status;
            let shown = Shown::again(form, failure)?;
            let page = Page::new(context, "Enter your code");
            response::html_with(
                status,
                &SecondFactorPage {
                    page,
                    shown,
                    next,
                    ticket,
                },
            )
        }
    }
}

/// `POST /log-out`
pub async fn log_out(context: &Context) -> Outcome {
    routes::end_session(context, context.person()?.session_id).await?;
    let mut answer = response::see_other("/log-in?done=logged-out");
    cookies::clear_session(&mut answer, context.configuration());
    Ok(answer)
}

#[derive(Template)]
#[template(path = "organisations/templates/reset.html")]
struct ResetPage {
    page: Page,
    shown: Shown,
    is_sent: bool,
}

/// `GET /reset-password`
pub async fn show_reset(context: &Context) -> Outcome {
    let page = Page::new(context, "Choose a new password");
    let is_sent = context.query("done").is_some();
    response::html(&ResetPage {
        page,
        shown: Shown::default(),
        is_sent,
    })
}

/// `POST /reset-password`
pub async fn request_reset(context: &Context) -> Outcome {
    let form = context.form();
    match recovery::request_reset(context, form.raw("email")).await {
        Ok(()) => Ok(response::see_other("/reset-password?done=sent")),
        Err(failure) => {
            let status = failure.status;
            let shown = Shown::again(form, failure)?;
            let page = Page::new(context, "Choose a new password");
            response::html_with(
                status,
                &ResetPage {
                    page,
                    shown,
                    is_sent: false,
                },
            )
        }
    }
}

#[derive(Template)]
#[template(path = "organisations/templates/new_password.html")]
struct NewPasswordPage {
    page: Page,
    shown: Shown,
    token: String,
    is_first: bool,
}

/// `GET /reset-password/new?token=`
pub async fn show_new_password(context: &Context) -> Outcome {
    let token = context.query("token").unwrap_or_default();
    let is_first = context.query("first").is_some();
    let page = Page::new(context, "Choose a new password");
    response::html(&NewPasswordPage {
        page,
        shown: Shown::default(),
        token,
        is_first,
    })
}

/// `POST /reset-password/new`
pub async fn reset_password(context: &Context) -> Outcome {
    let form = context.form();
    let token = form.text("token");
    match recovery::reset_password(context, &token, form.raw("password")).await {
        Ok(()) => Ok(response::see_other("/log-in?done=password")),
        Err(failure) => {
            let status = failure.status;
            let shown = Shown::again(form, failure)?;
            let page = Page::new(context, "Choose a new password");
            let shown_again = NewPasswordPage {
                page,
                shown,
                token,
                is_first: false,
            };
            response::html_with(status, &shown_again)
        }
    }
}

#[derive(Template)]
#[template(path = "organisations/templates/account.html")]
struct AccountPage {
    page: Page,
    shown: Shown,
    email: String,
    sessions: Vec<SessionView>,
    has_second_factor: bool,
    totp_secret: String,
    totp_uri: String,
    recovery_codes: Vec<String>,
}

async fn account_page(context: &Context, shown: Shown) -> Result<AccountPage, Failure> {
    let person = context.person()?;
    let stored = store::find_person(&context.connection, person.person_id).await?;
    Ok(AccountPage {
        page: Page::new(context, "Your account"),
        shown,
        email: person.email.clone(),
        sessions: routes::own_sessions(context).await?,
        has_second_factor: stored.is_some_and(|person| person.totp_enabled_at.is_some()),
        totp_secret: String::new(),
        totp_uri: String::new(),
        recovery_codes: Vec::new(),
    })
}

async fn account_again(context: &Context, failure: Failure) -> Outcome {
    let status = failure.status;
    let shown = Shown::again(context.form(), failure)?;
    response::html_with(status, &account_page(context, shown).await?)
}

/// `GET /account`
pub async fn show_account(context: &Context) -> Outcome {
    response::html(&account_page(context, Shown::default()).await?)
}

/// `POST /account/closure`
pub async fn close_account(context: &Context) -> Outcome {
    let form = context.form();
    let closure = AccountClosure {
        email: form.text("closed_email"),
        current_password: form.raw("current_password").to_owned(),
    };
    match closing::close_account(context, &closure).await {
        Ok(()) => {
            let mut answer = response::see_other("/log-in?done=closed");
            cookies::clear_session(&mut answer, context.configuration());
            Ok(answer)
        }
        Err(mut failure) => {
            for error in &mut failure.errors {
                if error.field == "email" {
                    "closed_email".clone_into(&mut error.field);
                }
            }
            account_again(context, failure).await
        }
    }
}

/// `POST /account/password`
pub async fn change_password(context: &Context) -> Outcome {
    let form = context.form();
    let changed =
        recovery::change_password(context, form.raw("current_password"), form.raw("password"))
            .await;
    match changed {
        Ok(()) => Ok(response::see_other("/account?done=password")),
        Err(failure) => account_again(context, failure).await,
    }
}

/// `POST /account/email`
pub async fn request_email_change(context: &Context) -> Outcome {
    let form = context.form();
    let sent =
        recovery::request_email_change(context, form.raw("email"), form.raw("current_password"))
            .await;
    match sent {
        Ok(()) => Ok(response::see_other("/account?done=sent")),
        Err(failure) => account_again(context, failure).await,
    }
}

#[derive(Template)]
#[template(path = "organisations/templates/confirm_email.html")]
struct ConfirmEmailPage {
    page: Page,
    token: String,
}

/// `GET /account/email?token=`
pub async fn show_confirm_email(context: &Context) -> Outcome {
    let token = context.query("token").unwrap_or_default();
    response::html(&ConfirmEmailPage {
        page: Page::new(context, "Your new address"),
        token,
    })
}

/// `POST /account/email/confirm`
pub async fn confirm_email(context: &Context) -> Outcome {
    recovery::change_email(context, &context.form().text("token")).await?;
    Ok(response::see_other("/account?done=saved"))
}

/// `POST /account/totp`
pub async fn begin_totp(context: &Context) -> Outcome {
    let setup = second_factor::begin(context).await?;
    let mut page = account_page(context, Shown::default()).await?;
    page.totp_secret = setup.secret;
    page.totp_uri = setup.uri;
    response::html(&page)
}

/// `POST /account/totp/enable`
pub async fn enable_totp(context: &Context) -> Outcome {
    match second_factor::enable(context, &context.form().text("code")).await {
        Ok(codes) => {
            let mut page = account_page(context, Shown::default()).await?;
            page.recovery_codes = codes.recovery_codes;
            response::html(&page)
        }
        Err(failure) => account_again(context, failure).await,
    }
}

/// `POST /account/totp/disable`
pub async fn disable_totp(context: &Context) -> Outcome {
    match second_factor::disable(context, &context.form().text("code")).await {
        Ok(()) => Ok(response::see_other("/account?done=saved")),
        Err(failure) => account_again(context, failure).await,
    }
}

/// `POST /account/sessions/{session_id}/end`
pub async fn end_session(context: &Context) -> Outcome {
    routes::end_session(context, context.path_id("session_id")?).await?;
    Ok(response::see_other("/account?done=removed"))
}

#[cfg(test)]
mod tests {
    use super::local_path;

    #[test]
    fn after_log_in_only_paths_of_the_portal_are_opened() {
        assert_eq!(local_path("/organisations/x?a=b"), "/organisations/x?a=b");
        for elsewhere in [
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "",
            "evil",
        ] {
            assert_eq!(local_path(elsewhere), "/organisations");
        }
    }
}
