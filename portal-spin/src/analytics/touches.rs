//! What partners cost the operator's people: actions on them, and messages from them.

use std::collections::BTreeMap;

use super::calendar::DAY_MS;
use super::period::Days;
use super::store;
use crate::database::{Connection, DatabaseError};
use crate::threads;

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
        for (id, actions) in store::touches_by_partner(connection, days).await? {
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
