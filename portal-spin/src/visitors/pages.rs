//! The public home page, with a call that works before there is an account.

use askama::Template;
use http::StatusCode;

use super::routes::{self, VisitorView};
use super::store;
use crate::context::Context;
use crate::encoding::readable_time;
use crate::home;
use crate::reference::{Sent, send_example};
use crate::routes::Outcome;
use crate::web::{Failure, Page, cookies, response};

const COOKIE: &str = "portico_visitor";

/// What became of the visitor's call.
struct Made {
    curl: String,
    until: String,
    /// Nothing where the gateway could not be reached from here.
    sent: Option<Sent>,
}

#[derive(Template)]
#[template(path = "visitors/templates/home.html")]
struct HomePage {
    page: Page,
    gateway: String,
    /// Empty where nothing can be called yet, or nobody may call without an account.
    example_path: String,
    made: Option<Made>,
    has_key: bool,
    problem: String,
}

/// The token in the visitor's browser; empty if there is none.
pub fn token_of_browser(context: &Context) -> String {
    let name = cookies::cookie_name(context.configuration(), COOKIE);
    context
        .header("cookie")
        .and_then(|header| cookies::find_cookie(header, &name))
        .unwrap_or_default()
        .to_owned()
}

async fn home_page(
    context: &Context,
    made: Option<Made>,
    problem: String,
) -> Result<HomePage, Failure> {
    let title = context.app.brand().name.clone();
    let is_off = context.configuration().get("visitor_calls") == "off";
    let example_path = match home::example_path(context, None).await? {
        path if path == "/" || is_off => String::new(),
        path => path,
    };
    let has_key = made.is_none()
        && store::find_open(context, &token_of_browser(context))
            .await?
            .is_some();
    Ok(HomePage {
        page: Page::new(context, &title).named(),
        gateway: context.configuration().get("gateway_url").to_owned(),
        example_path,
        made,
        has_key,
        problem,
    })
}

/// `GET /`: the way in; who is signed in goes on to their organisation.
pub async fn show_home(context: &Context) -> Outcome {
    if context.person_optional().is_some() {
        return Ok(response::see_other("/organisations"));
    }
    response::html(&home_page(context, None, String::new()).await?)
}

/// `POST /first-call`: a key and a call for who has no account; the key is shown this once.
pub async fn call_as_visitor(context: &Context) -> Outcome {
    if context.person_optional().is_some() {
        return Ok(response::see_other("/organisations"));
    }
    let opened = match routes::open(context).await {
        Ok(opened) => opened,
        Err(failure) if failure.status.is_client_error() => {
            let status = failure.status;
            let page = home_page(context, None, failure.detail).await?;
            return response::html_with(status, &page);
        }
        Err(failure) => return Err(failure),
    };
    let VisitorView {
        test_key,
        visitor_token,
        expires_at,
        first_call,
    } = opened;
    let path = home::example_path(context, None).await?;
    let sent = send_example(context, &test_key, &path).await.ok();
    let made = Made {
        curl: first_call,
        until: readable_time(expires_at),
        sent,
    };
    let page = home_page(context, Some(made), String::new()).await?;
    let mut answer = response::html_with(StatusCode::OK, &page)?;
    let configuration = context.configuration();
    cookies::set_cookie(
        &mut answer,
        configuration,
        &cookies::cookie_name(configuration, COOKIE),
        &visitor_token,
        store::LIFETIME_MS / 1000,
    );
    Ok(answer)
}
