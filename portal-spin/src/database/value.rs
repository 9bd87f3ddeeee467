//! Values that go into a statement and come out of a row.

use super::DatabaseError;

/// A value in the dialect that both engines run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// No value.
    Null,
    /// A `BIGINT`.
    Integer(i64),
    /// A `TEXT`.
    Text(String),
    /// A `BYTEA`.
    Bytes(Vec<u8>),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Integer(i64::from(value))
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Bytes(value.to_vec())
    }
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(value: [u8; N]) -> Self {
        Self::Bytes(value.to_vec())
    }
}

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(value: &[u8; N]) -> Self {
        Self::Bytes(value.to_vec())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One row of an answer. Columns are read by position, in the order of the statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    values: Vec<Value>,
}

impl Row {
    /// A row of these values.
    pub fn new(values: Vec<Value>) -> Self {
        Self { values }
    }

    /// The value of a column, converted.
    pub fn get<T: FromValue>(&self, column: usize) -> Result<T, DatabaseError> {
        let value = self
            .values
            .get(column)
            .ok_or_else(|| DatabaseError::Shape(format!("there is no column {column}")))?;
        T::from_value(value).ok_or_else(|| {
            DatabaseError::Shape(format!("column {column} does not hold the expected type"))
        })
    }

    /// The value of a text column, parsed into a domain type (`row.parse::<OrganisationId>(0)`).
    pub fn parse<T: std::str::FromStr>(&self, column: usize) -> Result<T, DatabaseError> {
        self.get::<String>(column)?.parse().map_err(|_| {
            DatabaseError::Shape(format!("column {column} holds text that does not parse"))
        })
    }

    /// As [`Row::parse`], for a column that may be null.
    pub fn parse_optional<T: std::str::FromStr>(
        &self,
        column: usize,
    ) -> Result<Option<T>, DatabaseError> {
        self.get::<Option<String>>(column)?
            .map(|text| {
                text.parse().map_err(|_| {
                    DatabaseError::Shape(format!("column {column} holds text that does not parse"))
                })
            })
            .transpose()
    }
}

/// A type that a column can be read as.
pub trait FromValue: Sized {
    /// The value, or `None` if the column holds another type.
    fn from_value(value: &Value) -> Option<Self>;
}

impl FromValue for i64 {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Integer(value) => Some(*value),
            _ => None,
        }
    }
}

impl FromValue for u32 {
    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value)?.try_into().ok()
    }
}

impl FromValue for u64 {
    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value)?.try_into().ok()
    }
}

impl FromValue for bool {
    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value).map(|value| value != 0)
    }
}

impl FromValue for String {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Text(value) => Some(value.clone()),
            _ => None,
        }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Bytes(value) => Some(value.clone()),
            _ => None,
        }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

macro_rules! ids_are_values {
    ($($name:ident),* $(,)?) => {$(
        impl From<shared::ids::$name> for Value {
            fn from(id: shared::ids::$name) -> Self {
                Self::Text(id.to_string())
            }
        }
    )*};
}

ids_are_values!(
    OrganisationId,
    PersonId,
    MemberId,
    SessionId,
    InvitationId,
    AppId,
    ProductId,
    PlanId,
    SubscriptionId,
    CredentialId,
    AgreementId,
    AgreementVersionId,
    AcceptanceId,
    SubmissionId,
    ReviewId,
    ListingId,
    InstallationId,
    MeterId,
    InvoiceId,
    InvoiceLineId,
    EdgeBootId,
    EmailId,
    WebhookEndpointId,
    EventId,
    AuditRecordId,
    ThreadId,
);
