//! The stylesheet and the script, named by their content so that browsers keep them for a year.

use std::sync::LazyLock;

use bytes::Bytes;
use http::header;
use sha2::{Digest, Sha256};

use super::{Failure, Response, response};
use crate::context::Context;
use crate::routes::Outcome;

const CSS: &str = include_str!("assets/portal.css");
const JS: &str = include_str!("assets/portal.js");
const PASSKEYS: &str = include_str!("assets/passkeys.js");
const ICON: &str = include_str!("assets/icon.svg");

/// The names under `/assets/`.
pub struct Names {
    /// The stylesheet.
    pub css: String,
    /// The script.
    pub js: String,
    /// The script of pages with a passkey form.
    pub passkeys: String,
    /// The icon.
    pub icon: String,
}

/// The current names.
pub static NAMES: LazyLock<Names> = LazyLock::new(|| Names {
    css: name("portal", CSS, "css"),
    js: name("portal", JS, "js"),
    passkeys: name("passkeys", PASSKEYS, "js"),
    icon: name("icon", ICON, "svg"),
});

fn name(stem: &str, content: &str, extension: &str) -> String {
    let digest = crate::encoding::hex(&Sha256::digest(content.as_bytes()));
    format!(
        "{stem}.{}.{extension}",
        digest.get(..16).unwrap_or_default()
    )
}

/// Answers one of them.
pub async fn get_asset(context: &Context) -> Outcome {
    let file = context.path_text("file");
    let (content_type, content) = if file == NAMES.css {
        ("text/css; charset=utf-8", CSS)
    } else if file == NAMES.js {
        ("text/javascript; charset=utf-8", JS)
    } else if file == NAMES.passkeys {
        ("text/javascript; charset=utf-8", PASSKEYS)
    } else if file == NAMES.icon {
        ("image/svg+xml", ICON)
    } else {
        let brand = context.app.brand();
        return match brand.asset(file) {
            Some((content_type, content)) => Ok(kept(content_type, content)),
            None => Err(Failure::not_found()),
        };
    };
    Ok(kept(content_type, content))
}

/// An asset whose name changes with its content.
fn kept(content_type: &'static str, content: impl Into<Bytes>) -> Response {
    let mut answer = response::with_body(http::StatusCode::OK, content_type, content);
    response::set_header(
        &mut answer,
        header::CACHE_CONTROL,
        "public, max-age=31536000, immutable",
    );
    answer
}
