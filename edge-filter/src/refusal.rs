//! The answer to a call that is refused.
//!
//! Owns: the problem body and the headers that go with each code. Does not own:
//! the decision to refuse.

use crate::access::Denial;
use crate::limit_fields::LimitFields;
use shared::problem::{CONTENT_TYPE, Code};

/// A local answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The code.
    pub code: Code,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// The problem body.
    pub body: Vec<u8>,
}

/// What is known beside the code.
#[derive(Debug, Clone, Default)]
pub struct Circumstances<'a> {
    /// `x-request-id`.
    pub request_id: &'a str,
    /// Where help links begin.
    pub help_base: &'a str,
    /// The realm for `WWW-Authenticate`.
    pub realm: &'a str,
    /// What is said instead of the code's usual sentence.
    pub detail: Option<&'static str>,
    /// Names of the policies that refused.
    pub violated: Vec<String>,
    /// For `Retry-After`.
    pub retry_after_secs: Option<u64>,
    /// The limit fields.
    pub limits: Option<LimitFields>,
}

/// How long clients wait for an edge that has no current data.
const STALE_RETRY_SECS: u64 = 5;

impl Refusal {
    /// The answer for a denial.
    #[must_use]
    pub fn of(denial: &Denial, circumstances: Circumstances<'_>) -> Self {
        let code = denial.code;
        let mut problem = code.problem(circumstances.request_id, circumstances.help_base);
        if let Some(detail) = denial.detail.as_deref().or(circumstances.detail) {
            detail.clone_into(&mut problem.detail);
        }
        problem.violated_policies = circumstances.violated;
        let mut headers = vec![
            ("content-type", CONTENT_TYPE.to_owned()),
            ("cache-control", "no-store".to_owned()),
        ];
        if !circumstances.request_id.is_empty() {
            headers.push(("x-request-id", circumstances.request_id.to_owned()));
        }
        match code.status() {
            401 => headers.push(("www-authenticate", challenge(code, circumstances.realm))),
            403 if code == Code::InsufficientScope => {
                headers.push(("www-authenticate", challenge(code, circumstances.realm)));
            }
            429 => {
                let wait = circumstances.retry_after_secs.unwrap_or(1).max(1);
                headers.push(("retry-after", wait.to_string()));
            }
            503 => headers.push(("retry-after", STALE_RETRY_SECS.to_string())),
            _ => {}
        }
        if let Some(limits) = circumstances.limits {
            headers.push(("ratelimit-policy", limits.policy.to_string()));
            headers.push(("ratelimit", limits.state));
        }
        // A problem of texts and numbers serialises.
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        Self {
            code,
            headers,
            body,
        }
    }
}

/// The challenge, with RFC 6750's error where a credential was presented.
fn challenge(code: Code, realm: &str) -> String {
    match code {
        Code::MissingCredential => format!("Bearer realm=\"{realm}\""),
        Code::InsufficientScope => {
            format!("Bearer realm=\"{realm}\", error=\"insufficient_scope\"")
        }
        _ => format!("Bearer realm=\"{realm}\", error=\"invalid_token\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: Code) -> Refusal {
        let circumstances = Circumstances {
            request_id: "r1",
            help_base: "https://portal.example/help/",
            realm: "api",
            ..Circumstances::default()
        };
        Refusal::of(&code.into(), circumstances)
    }

    fn header<'a>(refusal: &'a Refusal, name: &str) -> Option<&'a str> {
        let mut headers = refusal.headers.iter();
        headers
            .find(|(other, _)| *other == name)
            .map(|(_, value)| value.as_str())
    }

    #[test]
    fn every_code_has_a_problem_body_with_request_id_and_help() {
        for code in Code::ALL {
            let body: serde_json::Value = serde_json::from_slice(&refusal(*code).body).unwrap();
            assert_eq!(body["code"], code.as_str());
            assert_eq!(body["status"], code.status());
            assert_eq!(body["request_id"], "r1");
            assert_eq!(
                body["help"],
                format!("https://portal.example/help/{}", code.as_str())
            );
        }
    }

    #[test]
    fn statuses_carry_the_headers_that_http_asks_for() {
        for code in Code::ALL {
            let refusal = refusal(*code);
            let status = code.status();
            assert_eq!(
                header(&refusal, "retry-after").is_some(),
                status == 429 || status == 503
            );
            assert_eq!(
                status == 401,
                header(&refusal, "www-authenticate").is_some() && status == 401
            );
        }
        let missing = refusal(Code::MissingCredential);
        assert_eq!(
            header(&missing, "www-authenticate"),
            Some("Bearer realm=\"api\"")
        );
    }
}
