//! The authorization server: OAuth 2.1 for apps that customers install.
//!
//! Owns clients and how they prove themselves, signing keys and their rotation, authorization codes with
//! PKCE, access tokens (RFC 9068), rotating refresh tokens, discovery (RFC 8414), revocation (RFC 7009)
//! and introspection (RFC 7662). Does not own who the customer is (`organisations`), what was granted
//! (`installations`) nor what a token may do at the gateway (the edge's).

mod assertion;
mod authentication;
mod authorize;
mod client_pages;
mod clients;
mod direct;
mod discovery;
mod error;
mod families;
mod grants;
mod jwt;
mod keys;
mod tokens;

#[cfg(test)]
pub mod test_app;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod token_tests;

pub use authorize::{show_consent, submit_consent};
pub use client_pages::{
    create_client_form, revoke_client_form, rotate_secret_form, show_clients_page,
};
pub use clients::{
    ClientBody, ClientList, ClientView, IssuedClient, create_client, list_clients, revoke_client,
    rotate_secret, set_suspended,
};
pub use direct::{begin_install, submit_install};
pub use discovery::{show_jwks, show_metadata};
pub use families::revoke_installation_tokens;
pub use keys::{KeyView, ensure_keys_published, rotate_keys};
pub use tokens::{introspect_token, issue_token, revoke_token, show_own_installation};
