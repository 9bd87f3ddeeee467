//! `/help/{code}`: what an error code means, from the portal or from the gateway.

use askama::Template;
use shared::problem::Code;

use super::{Failure, Page, response};
use crate::context::Context;
use crate::routes::Outcome;

#[derive(Template)]
#[template(path = "web/templates/help.html")]
struct HelpPage {
    page: Page,
    code: String,
    is_edge: bool,
    status: u16,
    detail: String,
    sample: String,
}

/// Codes of the portal itself that a developer meets. Others explain themselves in their `detail`.
const PORTAL: &[(&str, u16, &str)] = &[
    (
        "signed_out",
        401,
        "The request carried no living session. Log in, or send a session token as `Authorization: Bearer <session_token>`. A session ends after 7 days without use and after 30 days in any case.",
    ),
    (
        "not_found",
        404,
        "There is nothing at this address, or it belongs to another organisation. Compare the ids with those of your own organisation.",
    ),
    (
        "wrong_role",
        403,
        "You are a member, but this action needs another role. An owner can give it to you on the Members page.",
    ),
    (
        "invalid_fields",
        422,
        "Some fields were refused. The answer's `errors` names each of them and says what to do.",
    ),
    (
        "malformed_json",
        422,
        "The body is not the JSON object that this operation takes. The answer's `detail` names the member and the line; /api/openapi.json describes what is taken.",
    ),
    (
        "unsupported_media_type",
        415,
        "The body is no JSON object. Send one, with `Content-Type: application/json`.",
    ),
    (
        "too_many_attempts",
        429,
        "Too many attempts in a short time. Wait as long as `Retry-After` says.",
    ),
    (
        "link_expired",
        410,
        "Links in e-mails work for a limited time, and most of them once. Ask for a new one where the first came from.",
    ),
    (
        "cross_site_request",
        403,
        "The browser says that another site made it send this request. Open the page in the portal and use it there.",
    ),
    (
        "stale_form",
        403,
        "The form was loaded before you logged in or out. Reload the page and send it again.",
    ),
    (
        "internal_error",
        500,
        "Something failed on our side, and nothing was changed. Try again; if it stays, send us the request id.",
    ),
    (
        "database_unavailable",
        503,
        "The portal's database cannot be reached or is busy. Try again in a few seconds.",
    ),
];

/// A problem body as the gateway answers it, indented.
fn sample(context: &Context, code: Code) -> String {
    let help = format!("{}/help/", context.configuration().public_url);
    let mut problem = code.problem("0b6f3c2e-1a55-4f0e-9d3a-5f4f6c1d2e7b", &help);
    if matches!(code, Code::RateLimited | Code::QuotaExceeded) {
        problem.violated_policies = vec!["burst".to_owned()];
    }
    serde_json::to_string_pretty(&problem).unwrap_or_default()
}

/// Answers the page.
pub async fn show_help(context: &Context) -> Outcome {
    let code = context.path_text("code");
    let (status, detail, is_edge) = match Code::from_name(code) {
        Some(code) => (code.status(), code.detail(), true),
        None => PORTAL
            .iter()
            .find(|(known, ..)| *known == code)
            .map(|(_, status, detail)| (*status, *detail, false))
            .unwrap_or((
                0,
                "The answer that sent you here says in its `detail` what happened and what to do.",
                false,
            )),
    };
    if !code
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    {
        return Err(Failure::not_found());
    }
    response::html(&HelpPage {
        page: Page::new(context, &code.replace('_', " ")).named(),
        code: code.to_owned(),
        is_edge,
        status,
        detail: context.language.say(detail),
        sample: Code::from_name(code)
            .map(|code| sample(context, code))
            .unwrap_or_default(),
    })
}
