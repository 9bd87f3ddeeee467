//! What the portal knows of a person, as one file for them.

use serde_json::{Map, Value, json};
use shared::ids::PersonId;

use crate::context::Context;
use crate::database::{DatabaseError, Row};
use crate::encoding::rfc3339;
use crate::params;
use crate::routes::Outcome;
use crate::web::response;

/// How a column is written.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Time,
    /// JSON in a text column.
    Json,
}
use Kind::{Json, Text, Time};

/// A list of the file: its name, where it comes from (`$1` is the person), its columns.
type Part = (&'static str, &'static str, &'static [(&'static str, Kind)]);

/// Nothing that opens a door is among them: no hashes, no secrets, no tokens.
const PARTS: &[Part] = &[
    (
        "account",
        "SELECT email, name, created_at, totp_enabled_at FROM people WHERE person_id = $1",
        &[
            ("email", Text),
            ("name", Text),
            ("created_at", Time),
            ("second_factor_since", Time),
        ],
    ),
    (
        "memberships",
        "SELECT o.organisation_id, o.name, m.role, m.created_at FROM members m
         JOIN organisations o ON o.organisation_id = m.organisation_id
         WHERE m.person_id = $1 ORDER BY m.member_id",
        &[
            ("organisation_id", Text),
            ("name", Text),
            ("role", Text),
            ("since", Time),
        ],
    ),
    (
        "operator_roles",
        "SELECT role, created_at FROM operator_members WHERE person_id = $1 ORDER BY role",
        &[("role", Text), ("since", Time)],
    ),
    (
        "sessions",
        "SELECT session_id, created_at, last_seen_at, revoked_at, address, user_agent FROM sessions
         WHERE person_id = $1 ORDER BY session_id",
        &[
            ("session_id", Text),
            ("created_at", Time),
            ("last_seen_at", Time),
            ("ended_at", Time),
            ("address", Text),
            ("user_agent", Text),
        ],
    ),
    (
        "passkeys",
        "SELECT passkey_id, name, created_at_ms, last_used_at_ms FROM passkeys
         WHERE person_id = $1 ORDER BY passkey_id",
        &[
            ("passkey_id", Text),
            ("name", Text),
            ("created_at", Time),
            ("last_used_at", Time),
        ],
    ),
    (
        "identities",
        "SELECT issuer, subject, created_at_ms FROM person_identities WHERE person_id = $1 ORDER BY issuer",
        &[("issuer", Text), ("subject", Text), ("linked_at", Time)],
    ),
    (
        "acceptances",
        "SELECT record FROM acceptances WHERE person_id = $1 ORDER BY position",
        &[("record", Json)],
    ),
    (
        "installations",
        "SELECT installation_id, app_id, environment, scopes, installed_at_ms, removed_at_ms
         FROM installations WHERE person_id = $1 ORDER BY installation_id",
        &[
            ("installation_id", Text),
            ("app_id", Text),
            ("environment", Text),
            ("scopes", Text),
            ("installed_at", Time),
            ("removed_at", Time),
        ],
    ),
    (
        "emails",
        "SELECT e.subject, e.created_at, e.sent_at FROM emails e JOIN people p ON p.email = e.recipient
         WHERE p.person_id = $1 ORDER BY e.email_id",
        &[("subject", Text), ("written_at", Time), ("sent_at", Time)],
    ),
    (
        "actions",
        "SELECT recorded_at, action, object, organisation_id, detail FROM audit_records
         WHERE actor = $1 ORDER BY position",
        &[
            ("at", Time),
            ("action", Text),
            ("object", Text),
            ("organisation_id", Text),
            ("detail", Json),
        ],
    ),
];

fn entry(row: &Row, columns: &[(&str, Kind)]) -> Result<Value, DatabaseError> {
    let mut members = Map::new();
    for (index, (name, kind)) in columns.iter().enumerate() {
        let value = match kind {
            Time => row
                .get::<Option<i64>>(index)?
                .map_or(Value::Null, |at| json!(rfc3339(at))),
            Text => json!(row.get::<Option<String>>(index)?),
            Json => {
                let text = row.get::<Option<String>>(index)?.unwrap_or_default();
                serde_json::from_str(&text).unwrap_or(Value::String(text))
            }
        };
        members.insert((*name).to_owned(), value);
    }
    Ok(Value::Object(members))
}

/// Everything of a person, by kind.
async fn collect(context: &Context, person_id: PersonId) -> Result<Value, DatabaseError> {
    let mut file = Map::new();
    file.insert("person_id".to_owned(), json!(person_id));
    file.insert("exported_at".to_owned(), json!(rfc3339(context.now_ms)));
    for (name, sql, columns) in PARTS {
        let rows = context.connection.query(sql, params![person_id]).await?;
        let entries = rows
            .iter()
            .map(|row| entry(row, columns))
            .collect::<Result<Vec<_>, _>>()?;
        file.insert((*name).to_owned(), Value::Array(entries));
    }
    Ok(Value::Object(file))
}

/// `GET /api/v1/account/export`
pub async fn export_account(context: &Context) -> Outcome {
    let file = collect(context, context.person()?.person_id).await?;
    let text = serde_json::to_vec_pretty(&file).unwrap_or_default();
    Ok(response::download(
        "application/json",
        "my-account.json",
        text,
    ))
}
