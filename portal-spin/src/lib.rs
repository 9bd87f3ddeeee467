//! The portal of Portico: pages and JSON API of a partner programme, as one Spin component.
//!
//! # Map
//! `routes` has every URL; `access` decides who may; `app` runs a request; `context` is what a handler
//! gets; `web/` is HTTP without any domain; `database/` is the one SQL dialect; `ports` are the traits
//! that `host/` (Spin) and `testing/` (native) implement. All other folders are domains. Nothing
//! outside `host/` names Spin, reads a clock, draws randomness or opens a connection.
//!
//! # How to add a domain
//! 1. `src/<plural noun>/mod.rs` opens with what it owns and does not own. `model.rs`: types, states and
//!    rules, no I/O. `store.rs`: SQL, functions over `&Connection`. `routes.rs`: JSON handlers.
//!    `pages.rs` with `templates/*.html`: HTML handlers. `tests.rs`.
//! 2. Schema: `migrations/NNNN_name.sql`, listed in `database::migrations::MIGRATIONS`. Only `BIGINT`,
//!    `TEXT` and `BYTEA` columns; times are Unix milliseconds, ids are text; placeholders `$1`. A
//!    published file is never edited.
//! 3. URLs: rows in [`routes`]; choose the access there. JSON under `/api/v1/organisations/{organisation_id}/…`
//!    or `/api/v1/<objects>/{object_id}`; pages at the same path without `/api/v1`. A path parameter that
//!    names an organisation's object goes into [`access::OWNED_OBJECTS`] with the SQL that finds its
//!    owner: then another organisation's object is 404 before the handler runs, and
//!    [`context::Context::organisation_id`] is its owner. Objects of one list are still read `WHERE
//!    organisation_id = $1`.
//! 4. A handler is `pub async fn verb_resource(context: &Context) -> Outcome`. Input: `context.json::<T>()?`,
//!    `context.form()`, `context.path_id::<AppId>("app_id")?`, `context.query("…")`. Ids:
//!    `context.new_id(AppId::new)`. Time: `context.now_ms`. Answers: `web::response::{ok, created,
//!    no_content, html, see_other, json_with_etag, download}`. Lists: `web::paging`, with `by […]` in the table; their
//!    pages: `web::listed` and `web/templates/lists.html`.
//! 5. Failures: a narrow error enum in the domain and one `impl From<Error> for Failure`, with a stable
//!    snake_case code and a sentence that says what to do. Fields: `Failure::field("name", "code", "…")`.
//! 6. A change and everything that belongs to it happen in one transaction:
//!    `context.connection.transaction(async || { …; audit::record(context, Some(organisation_id),
//!    "app.created", &app_id.to_string(), json!({…})).await?; emails::send(…).await?; Ok(()) }).await?`.
//!    Numbers without gaps: `database::next_number`. Reactions across domains: [`reactions`].
//! 7. A page's template extends `web/templates/layout.html`, has a field `page: Page`
//!    (`Page::of_organisation(context, "Title", &name)`), imports `web/templates/forms.html` for fields,
//!    puts the CSRF token into every form, and its `POST` answers `response::see_other("…?done=saved")`
//!    or shows the form again with `web::forms::Shown::again`. Its tab: one line in `web::layout` (`ORGANISATION_NAVIGATION`,
//!    `APP_NAVIGATION` or `OPERATOR_NAVIGATION`); what waits for the operator: one line in `home::operator`. No
//!    inline script or style; it works with JavaScript off.
//! 8. Settings: a line in `configuration::VARIABLES`, read with `context.configuration().get("name")`.
//! 9. Tests: `testing::on_every_database! { async fn sentence(portal: TestPortal) { … } }` runs on SQLite
//!    and PostgreSQL (name what you test by `use` at the top: `super` is the macro's own module there).
//!    Objects that a path parameter names go into `access/tests.rs`, so that the enumeration tries them.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod access;
pub mod agreements;
pub mod analytics;
pub mod app;
pub mod apps;
pub mod audit;
pub mod billing;
pub mod brand;
pub mod catalogue;
pub mod configuration;
pub mod context;
pub mod credentials;
pub mod database;
pub mod directory;
pub mod edges;
pub mod emails;
pub mod encoding;
pub mod fidelity;
pub mod guides;
pub mod home;
#[cfg(target_family = "wasm")]
mod host;
pub mod installations;
pub mod listings;
pub mod metering;
pub mod oauth;
pub mod organisations;
pub mod partners;
pub mod passkeys;
pub mod ports;
pub mod reactions;
pub mod reference;
pub mod reviews;
pub mod routes;
pub mod search;
pub mod seed;
pub mod sign_on;
pub mod signatures;
pub mod subscriptions;
#[cfg(test)]
pub mod testing;
pub mod text_enum;
pub mod threads;
pub mod visitors;
pub mod web;
pub mod webhooks;

pub use web::languages::t;
