//! Identifiers: a prefix that names the kind, `_`, and a UUIDv7 (RFC 9562) in
//! 26 characters of Crockford base32, lower case. They sort by time of creation.

use crate::encoding::{base32_decode, base32_encode};

/// Why a text is not an id of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an id that starts with `{prefix}_` followed by 26 characters of base32")]
pub struct IdError {
    /// The prefix the id should have had, without `_`.
    pub prefix: &'static str,
}

/// The 16 bytes of a UUIDv7 from a time and 10 random bytes.
#[must_use]
pub fn uuid_v7(unix_ms: u64, random: &[u8; 10]) -> [u8; 16] {
    uuid::Builder::from_unix_timestamp_millis(unix_ms, random)
        .into_uuid()
        .into_bytes()
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The prefix of this kind of id, without `_`.
            pub const PREFIX: &'static str = $prefix;

            /// A new id from the time of creation (Unix milliseconds) and 10 random bytes.
            #[must_use]
            pub fn new(unix_ms: u64, random: &[u8; 10]) -> Self {
                Self(uuid_v7(unix_ms, random))
            }

            /// The id with these 16 bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 16 bytes of the UUID.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, "{}_{}", $prefix, base32_encode(&self.0))
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                core::fmt::Display::fmt(self, f)
            }
        }

        impl core::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(base32_decode)
                    .map(Self)
                    .ok_or(IdError { prefix: $prefix })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// An organisation: signs agreements and pays.
    OrganisationId = "org";
    /// A person who can log in.
    PersonId = "per";
    /// A person's membership of an organisation.
    MemberId = "mem";
    /// A log-in session.
    SessionId = "ses";
    /// An invitation to join an organisation.
    InvitationId = "ivt";
    /// An app of an organisation.
    AppId = "app";
    /// A product: a named set of API operations.
    ProductId = "prd";
    /// A plan version: price, quota and rate limits.
    PlanId = "pln";
    /// A subscription of an app to a plan.
    SubscriptionId = "sub";
    /// A credential: an API key or an OAuth client.
    CredentialId = "crd";
    /// An agreement.
    AgreementId = "agr";
    /// A version of an agreement.
    AgreementVersionId = "agv";
    /// An acceptance of an agreement version.
    AcceptanceId = "acc";
    /// A submission of an app for review.
    SubmissionId = "smn";
    /// A review of a submission.
    ReviewId = "rvw";
    /// A listing in the directory.
    ListingId = "lst";
    /// An installation: a customer's grant to a listed app.
    InstallationId = "ins";
    /// A meter.
    MeterId = "mtr";
    /// An invoice.
    InvoiceId = "inv";
    /// A line of an invoice.
    InvoiceLineId = "inl";
    /// One boot of an edge (one Envoy process, from start to end).
    EdgeBootId = "edg";
    /// An e-mail.
    EmailId = "eml";
    /// A webhook endpoint.
    WebhookEndpointId = "whe";
    /// An event that a webhook tells of.
    EventId = "evt";
    /// A record of the audit log.
    AuditRecordId = "aud";
    /// A thread between a partner and the operator's people.
    ThreadId = "thr";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_read_back() {
        let early = AppId::new(1_700_000_000_000, &[0xff; 10]);
        let late = AppId::new(1_700_000_000_001, &[0; 10]);
        assert!(early.to_string() < late.to_string());
        assert_eq!(early.to_string().parse(), Ok(early));
        assert_eq!(early.to_string().len(), "app_".len() + 26);
    }

    #[test]
    fn an_id_of_another_kind_is_refused_by_name() {
        let organisation = OrganisationId::new(1, &[1; 10]).to_string();
        let error = organisation.parse::<AppId>().unwrap_err();
        assert!(error.to_string().contains("`app_`"));
    }
}
