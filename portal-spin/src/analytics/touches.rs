//! What partners cost the operator's people: actions on them, and messages from them.

use std::collections::BTreeMap;

use super::calendar::DAY_MS;
use super::period::Days;
use crate::database::{Connection, DatabaseError};
use crate::{params, threads};

/// What an action is.
pub const ACTIONS: &str = "actions of the operator's staff on the partner in the span, answers in threads included: audit records by someone with a role on the operator's side who is not a member of the partner";
/// What a message is.
pub const MESSAGES: &str = "messages that the partner wrote in its threads in the span: support on the partner or an app, and reviews of submissions";

/// Touches of one partner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Touched {
    /// Actions of staff.
    pub actions: i64,
    /// Messages of the partner.
    pub messages: i64,
}

impl Touched {
    /// Both.
    pub const fn all(self) -> i64 {
        self.actions + self.messages
    }
}

/// Touches of a span, by partner.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touches(BTreeMap<String, Touched>);

impl Touches {
    /// Counts them.
    pub async fn read(connection: &Connection, days: Days) -> Result<Self, DatabaseError> {
        let mut partners: BTreeMap<String, Touched> = BTreeMap::new();
        for (id, actions) in touches_by_partner(connection, days).await? {
            partners.entry(id).or_default().actions = actions;
        }
        let span = days.from.saturating_mul(DAY_MS)..days.to.saturating_mul(DAY_MS);
        for (id, messages) in threads::count_messages_of_partners(connection, span).await? {
            partners.entry(id).or_default().messages = messages;
        }
        Ok(Self(partners))
    }

    /// Of one partner.
    pub fn of(&self, organisation_id: &str) -> Touched {
        self.0.get(organisation_id).copied().unwrap_or_default()
    }

    /// Of everyone.
    pub fn all(&self) -> i64 {
        self.0.values().map(|touched| touched.all()).sum()
    }

    /// Who has any.
    pub fn partners(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// An action of the operator's staff on a partner: a human touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touch {
    /// The partner.
    pub organisation_id: String,
    /// When.
    pub at_ms: i64,
    /// What was done, as in the audit log.
    pub action: String,
}

/// Human touches since a moment, of everyone or of one partner: audit records of a partner by someone with a role on the operator's
/// side who is not a member of it.
pub async fn list_touches(
    connection: &Connection,
    since_ms: i64,
    organisation_id: Option<&str>,
) -> Result<Vec<Touch>, DatabaseError> {
    let organisation_id = organisation_id.unwrap_or_default();
    let rows = connection
        .query(
            "SELECT r.organisation_id, r.recorded_at, r.action
             FROM (SELECT DISTINCT person_id FROM operator_members) o
             JOIN audit_records r ON r.actor = o.person_id
             WHERE r.organisation_id IS NOT NULL AND r.recorded_at >= $1
                AND NOT EXISTS (SELECT 1 FROM members m
                    WHERE m.organisation_id = r.organisation_id AND m.person_id = o.person_id)
                AND ($2 = '' OR r.organisation_id = $2)",
            params![since_ms, organisation_id],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Touch {
                organisation_id: row.get(0)?,
                at_ms: row.get(1)?,
                action: row.get(2)?,
            })
        })
        .collect()
}

/// Human touches of each partner in a span, as [`list_touches`] counts them.
async fn touches_by_partner(
    connection: &Connection,
    days: Days,
) -> Result<BTreeMap<String, i64>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT r.organisation_id, COUNT(*)
             FROM (SELECT DISTINCT person_id FROM operator_members) o
             JOIN audit_records r ON r.actor = o.person_id
             WHERE r.organisation_id IS NOT NULL AND r.recorded_at >= $1 AND r.recorded_at < $2
                AND NOT EXISTS (SELECT 1 FROM members m
                    WHERE m.organisation_id = r.organisation_id AND m.person_id = o.person_id)
             GROUP BY r.organisation_id",
            params![
                days.from.saturating_mul(DAY_MS),
                days.to.saturating_mul(DAY_MS)
            ],
        )
        .await?;
    rows.iter()
        .map(|row| Ok((row.get(0)?, row.get(1)?)))
        .collect()
}
