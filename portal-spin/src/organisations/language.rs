//! The language a person chose: kept with their account, and in a cookie for those without one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::ids::PersonId;

use crate::context::Context;
use crate::database::DatabaseError;
use crate::params;
use crate::routes::Outcome;
use crate::web::languages::{self, Language};
use crate::web::paging::{PageOf, whole};
use crate::web::{Failure, cookies, response};

/// A cookie is kept for a year.
const KEPT_SECS: i64 = 365 * 86_400;

/// A language of the portal.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LanguageView {
    /// Its tag, as in `Accept-Language`: `de`.
    pub language: String,
    /// Its own name.
    pub name: String,
}

/// The languages there are, English first.
pub type LanguageList = PageOf<LanguageView>;

/// `PUT …/account/language`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LanguageChoice {
    /// The tag of a language; empty: what the browser asks for.
    pub language: String,
}

/// `GET /api/v1/languages`
pub async fn list_languages(context: &Context) -> Outcome {
    let items = languages::all()
        .map(|language| LanguageView {
            language: language.tag.to_owned(),
            name: language.name.to_owned(),
        })
        .collect::<Vec<_>>();
    response::ok(&whole(context, items, |item: &LanguageView| {
        item.language.clone()
    })?)
}

fn read(tag: &str) -> Result<Option<Language>, Failure> {
    if tag.is_empty() {
        return Ok(None);
    }
    let found = languages::all().find(|language| language.tag == tag);
    found.map(Some).ok_or_else(|| {
        let tags: Vec<&str> = languages::all().map(|language| language.tag).collect();
        Failure::field(
            "language",
            "unknown_value",
            format!("Give one of {}, or nothing.", tags.join(", ")),
        )
    })
}

async fn store(
    context: &Context,
    person_id: PersonId,
    language: Option<Language>,
) -> Result<(), DatabaseError> {
    let tag = language.map_or("", |language| language.tag);
    context
        .connection
        .execute(
            "UPDATE people SET language = $1 WHERE person_id = $2",
            params![tag, person_id],
        )
        .await?;
    Ok(())
}

/// `PUT /api/v1/account/language`
pub async fn put_language(context: &Context) -> Outcome {
    let choice: LanguageChoice = context.json()?;
    let language = read(&choice.language)?;
    store(context, context.person()?.person_id, language).await?;
    Ok(response::no_content())
}

/// `POST /language`: a visitor's choice, in a cookie; a person's also with their account.
pub async fn submit_language(context: &Context) -> Outcome {
    let form = context.form();
    let language = read(&form.text("language"))?;
    if let Some(person) = context.person_optional() {
        store(context, person.person_id, language).await?;
    }
    let back = form.text("back");
    let is_own = response::is_own_path(&back);
    let mut answer = response::see_other(if is_own { &back } else { "/" });
    let configuration = context.configuration();
    let name = cookies::cookie_name(configuration, languages::COOKIE);
    let (tag, kept) = language.map_or(("", 0), |language| (language.tag, KEPT_SECS));
    cookies::set_cookie(&mut answer, configuration, &name, tag, kept);
    Ok(answer)
}

/// The language for mail to this address: what the person chose; else that of the request, when it is
/// theirs or they have no account; else the programme's.
pub async fn language_of_recipient(
    context: &Context,
    email: &str,
) -> Result<Language, DatabaseError> {
    let row = context
        .connection
        .query_optional(
            "SELECT language FROM people WHERE email = $1",
            params![email.to_lowercase()],
        )
        .await?;
    let Some(row) = row else {
        return Ok(context.language);
    };
    let chosen: String = row.get(0)?;
    let is_own = context
        .person_optional()
        .is_some_and(|person| person.email.eq_ignore_ascii_case(email));
    Ok(match languages::find(&chosen) {
        Some(language) => language,
        None if is_own => context.language,
        None => context.app.default_language(),
    })
}
