//! Passkeys (WebAuthn Level 3): adding, listing and removing them, and logging in with one.
//!
//! Owns the ceremonies and the stored public keys. A passkey verifies its user, so it stands for both
//! factors. Attestation is not asked for: which make of authenticator a partner uses is theirs to choose.
//! Does not own sessions and passwords (`organisations`) nor signature algorithms (`signatures`).

mod ceremony;
mod cose;
mod pages;
mod routes;
mod store;

#[cfg(test)]
mod authenticator;
#[cfg(test)]
mod ceremony_tests;
#[cfg(test)]
mod tests;

pub use pages::*;
pub use routes::*;
