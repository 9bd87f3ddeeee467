//! Errors of the token endpoint and its neighbours (RFC 6749, section 5.2).

use http::{StatusCode, header};
use serde_json::json;

use crate::database::DatabaseError;
use crate::web::{Failure, Response, response};

/// What a client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OAuthError {
    /// An error that the RFCs name.
    Protocol {
        /// `error`.
        code: &'static str,
        /// `error_description`.
        detail: String,
    },
    /// Ours.
    Internal(Box<Failure>),
}

impl OAuthError {
    /// An error of the RFCs.
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self::Protocol {
            code,
            detail: detail.into(),
        }
    }

    /// `invalid_request`.
    pub fn request(detail: impl Into<String>) -> Self {
        Self::new("invalid_request", detail)
    }

    /// `invalid_grant`.
    pub fn grant(detail: impl Into<String>) -> Self {
        Self::new("invalid_grant", detail)
    }

    /// The answer, or the failure that the portal renders.
    pub fn into_outcome(self) -> Result<Response, Failure> {
        let (code, detail) = match self {
            Self::Internal(failure) => return Err(*failure),
            Self::Protocol { code, detail } => (code, detail),
        };
        let is_unknown = code == "invalid_client";
        let status = if is_unknown {
            StatusCode::UNAUTHORIZED
        } else {
            StatusCode::BAD_REQUEST
        };
        let body = json!({ "error": code, "error_description": detail });
        let mut answer = response::json(status, &body)?;
        if is_unknown {
            // Every 401 has a challenge (RFC 9110, 15.5.2), however the client authenticated.
            response::set_header(
                &mut answer,
                header::WWW_AUTHENTICATE,
                "Basic realm=\"oauth\"",
            );
        }
        Ok(answer)
    }
}

impl From<Failure> for OAuthError {
    fn from(failure: Failure) -> Self {
        Self::Internal(Box::new(failure))
    }
}

impl From<DatabaseError> for OAuthError {
    fn from(error: DatabaseError) -> Self {
        Self::Internal(Box::new(error.into()))
    }
}
