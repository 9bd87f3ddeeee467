//! Error bodies: RFC 9457 `application/problem+json`, the same from every part.

use serde::{Deserialize, Serialize};

/// The media type of a problem body.
pub const CONTENT_TYPE: &str = "application/problem+json";

const QUOTA_EXCEEDED_TYPE: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";
const REDUCED_CAPACITY_TYPE: &str =
    "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity";

/// A problem body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A URI for the kind of problem: an IANA type, else the help page.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of problem in words; the same for every occurrence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// This occurrence: what is wrong and what to do.
    pub detail: String,
    /// The stable code, snake_case.
    pub code: String,
    /// `x-request-id` of the request, to quote to support.
    pub request_id: String,
    /// A page of the portal that explains the code.
    pub help: String,
    /// Names of the rate-limit or quota policies that refused (draft-ietf-httpapi-ratelimit-headers).
    #[serde(
        rename = "violated-policies",
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    pub violated_policies: Vec<String>,
    /// Fields that are wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// One wrong field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// The field: a form field's name, or a JSON Pointer (RFC 6901).
    pub field: String,
    /// The stable code, snake_case.
    pub code: String,
    /// What is wrong and what to do.
    pub detail: String,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:literal, $title:literal, $detail:literal;)*) => {
        /// The codes an edge refuses with.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The stable text, snake_case.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The HTTP status.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// The kind of problem in words.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// What is wrong and what to do, where nothing more particular is known.
            #[must_use]
            pub const fn detail(self) -> &'static str {
                match self { $(Self::$name => $detail,)* }
            }
        }
    };
}

codes! {
    /// No credential in any accepted place.
    MissingCredential = "missing_credential", 401, "No credential",
        "Send your API key as `Authorization: Bearer <key>`, as the user name of basic authentication, or as `X-API-Key`.";
    /// Not a key or token of the right form.
    MalformedCredential = "malformed_credential", 401, "Malformed credential",
        "The credential is not a key of this programme: a character is missing or mistyped. Copy the whole key again.";
    /// Two different credentials in one request.
    AmbiguousCredential = "ambiguous_credential", 400, "More than one credential",
        "The request carries two different credentials. Send exactly one.";
    /// Well-formed and unknown.
    UnknownCredential = "unknown_credential", 401, "Unknown credential",
        "No credential of this programme matches. Check that the key was copied from this programme's portal and has not been deleted.";
    /// Revoked.
    RevokedCredential = "revoked_credential", 401, "Revoked credential",
        "This credential was revoked. Issue a new one in the portal.";
    /// Expired.
    ExpiredCredential = "expired_credential", 401, "Expired credential",
        "This credential has expired. Issue or rotate one in the portal.";
    /// A test credential where only live ones work, or the reverse.
    WrongEnvironment = "wrong_environment", 403, "Wrong environment",
        "This address serves the other environment. Use a credential of the environment that the address belongs to.";
    /// The organisation or app is suspended.
    OrganisationSuspended = "organisation_suspended", 403, "Organisation suspended",
        "Live credentials of this organisation are suspended. The portal shows the reason and what lifts it; test credentials go on working.";
    /// An agreement is not accepted in the version needed.
    AgreementRequired = "agreement_required", 403, "Agreement required",
        "A current agreement has not been accepted. A member with authority can accept it in the portal; live calls work again within a second.";
    /// The app has no subscription to a product with this operation.
    SubscriptionRequired = "subscription_required", 403, "Subscription required",
        "The app has no current subscription to a product that contains this operation. Subscribe to a plan in the portal.";
    /// The credential lacks a scope.
    InsufficientScope = "insufficient_scope", 403, "Insufficient scope",
        "The credential does not have a scope that this operation needs. Issue one that has it.";
    /// The client's address is not on the credential's list.
    AddressNotAllowed = "address_not_allowed", 403, "Address not allowed",
        "This credential may not be used from the address the request came from. Change its address list in the portal.";
    /// No product has this operation.
    UnknownOperation = "unknown_operation", 404, "Unknown operation",
        "No product of this programme contains this method and path. Compare both with the API reference.";
    /// Too many requests within seconds or minutes.
    RateLimited = "rate_limited", 429, "Rate limit reached",
        "Too many requests. Wait as long as `Retry-After` says; spread requests evenly to stay below the limit.";
    /// The billing period's allowance is used up.
    QuotaExceeded = "quota_exceeded", 429, "Quota used up",
        "The allowance of this billing period is used up. Upgrade the plan in the portal, or wait for the next period.";
    /// The edge knows too little, or nothing, of the programme's current state.
    PortalStale = "portal_stale", 503, "Not ready",
        "The gateway does not have current data to decide with. Try again in a few seconds.";
}

impl Code {
    /// The code of that text.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == name)
    }

    /// The problem body for this code. `help_base` is the start of the help
    /// page's address; without one, `type` is `about:blank` as RFC 9457 has it.
    #[must_use]
    pub fn problem(self, request_id: &str, help_base: &str) -> Problem {
        let help = if help_base.is_empty() {
            String::new()
        } else {
            format!("{help_base}{}", self.as_str())
        };
        let kind = match self {
            Self::RateLimited | Self::QuotaExceeded => QUOTA_EXCEEDED_TYPE.to_owned(),
            Self::PortalStale => REDUCED_CAPACITY_TYPE.to_owned(),
            _ if help.is_empty() => "about:blank".to_owned(),
            _ => help.clone(),
        };
        Problem {
            kind,
            title: self.title().to_owned(),
            status: self.status(),
            detail: self.detail().to_owned(),
            code: self.as_str().to_owned(),
            request_id: request_id.to_owned(),
            help,
            violated_policies: Vec::new(),
            errors: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_snake_case_and_read_back() {
        for code in Code::ALL {
            assert_eq!(Code::from_name(code.as_str()), Some(*code));
            assert!(
                code.as_str()
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'_')
            );
        }
    }

    #[test]
    fn limits_have_the_iana_type_and_others_their_help_page() {
        let base = "https://portal.example/help/";
        let limited = Code::RateLimited.problem("r1", base);
        assert!(limited.kind.ends_with("#quota-exceeded"));
        let revoked = Code::RevokedCredential.problem("r1", base);
        assert_eq!(
            revoked.kind,
            "https://portal.example/help/revoked_credential"
        );
        assert_eq!(Code::RevokedCredential.problem("", "").kind, "about:blank");
    }
}
