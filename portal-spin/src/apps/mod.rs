//! Apps: what an organisation builds and calls the API with.
//!
//! Owns an app's name and life. Does not own its credentials, subscriptions or listing, which are
//! domains of their own; a new app is put on the default plans by `subscriptions`.

mod pages;
mod routes;
mod store;

pub use pages::{create_app_form, list_apps_page, may_build, organisation_page, show_app_page};
pub use routes::{
    AppBody, AppList, AppView, create, create_app, create_first, delete, delete_app, list_apps,
    show_app, update_app,
};
pub use store::{App, find_app};
