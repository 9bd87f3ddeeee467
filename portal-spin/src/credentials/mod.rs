//! Credentials: issue, show, rotate, revoke; when an edge knows them.
//!
//! Owns keys of apps: only digest, prefix and last four characters are kept. A key counts as active
//! when every live edge has applied the feed position that carries it. Does not own enforcement (the
//! edge's) nor what going live takes (`subscriptions`).

mod addresses;
mod model;
mod pages;
mod routes;
mod store;
mod waiting;

#[cfg(test)]
pub mod test_partner;
#[cfg(test)]
mod tests;

pub use model::{Credential, CredentialView};
pub use pages::{
    RevocationsBody, issue_credential_form, revoke_credential_form, revoke_credentials,
    revoke_credentials_form, rotate_credential_form, show_credentials_page,
};
pub use routes::{
    CredentialBody, CredentialList, IssuedView, RotationBody, issue, issue_credential, issue_first,
    list_credentials, revoke_credential, rotate_credential, show_credential,
};
pub use store::{
    CLIENT_PREFIX, find_any, forget_old, insert as store_credential, mark_applied,
    revoke as store_revocation, revoke_all,
};
pub use waiting::{Awaited, STEPS_OF_PAGE, wait_for};
