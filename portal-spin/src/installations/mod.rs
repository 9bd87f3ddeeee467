//! Installations: what a customer granted to an app, and how it is configured.
//!
//! Owns the grant, its scopes, the answers of the configuration form (secrets sealed), its removal, and
//! what edges know of it. Does not own tokens (`oauth`), who the customer is (`organisations`) nor what
//! the app asks for (`listings`).

mod changes;
mod pages;
mod routes;
mod secrets;
mod store;

pub use changes::{Consent, configure, install, may_install, remove};
pub use pages::*;
pub use routes::*;
pub use secrets::open_answers;
pub use store::{
    Installation, find_installation, find_standing, list_of_person, publish_installation,
};
