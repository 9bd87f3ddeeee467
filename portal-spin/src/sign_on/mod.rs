//! Single sign-on (OpenID Connect 1.0, authorization code with PKCE): the operator's staff and customers
//! through the issuers in the settings, partners through their own organisation's identity provider.
//!
//! Owns providers, log-ins on their way, ID tokens and who a provider's subject is. Does not own sessions
//! (`organisations`) nor signature algorithms (`signatures`).

mod arriving;
mod flow;
mod id_token;
mod pages;
mod providers;

#[cfg(test)]
mod id_token_tests;
#[cfg(test)]
mod tests;

pub use arriving::check_password_allowed;
pub use flow::{SignOnAnswerBody, SignOnBody, SignOnStarted, complete_sign_on, start_sign_on};
pub use pages::*;
pub use providers::{
    IdentityProviderAnswer, IdentityProviderBody, IdentityProviderView, check_domain,
    delete_identity_provider, put_identity_provider, show_identity_provider,
};
