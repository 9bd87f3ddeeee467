//! Reads partners' ways: when each reached which step.

use std::collections::HashMap;

use super::funnel::{Journey, Step};
use crate::database::{Connection, DatabaseError, Row};
use crate::params;

const STEPS_OF_CALLS: usize = Step::SandboxCall as usize;

/// Every partner's way, and those who registered and never verified.
pub async fn list_journeys(connection: &Connection) -> Result<Vec<Journey>, DatabaseError> {
    // Each table is read once, in the order of an index; joined in SQL, many partners take four times longer.
    let rows = connection
        .query(
            "SELECT organisation_id, name, source, partner_type, created_at, created_at
             FROM registered_organisations",
            vec![],
        )
        .await?;
    let mut journeys = Vec::with_capacity(rows.len());
    let mut places = HashMap::with_capacity(rows.len());
    for (place, row) in rows.iter().enumerate() {
        journeys.push(journey_of(row, 4..6)?);
        places.insert(row.get::<String>(0)?, place);
    }
    let pivot: Vec<String> = Step::ANY
        .iter()
        .skip(STEPS_OF_CALLS)
        .map(|step| format!("MIN(CASE WHEN milestone = '{step}' THEN at_ms END)"))
        .collect();
    let milestones = format!(
        "SELECT organisation_id, {} FROM partner_milestones GROUP BY organisation_id",
        pivot.join(", ")
    );
    let sides = [
        (
            Step::Registered,
            "SELECT organisation_id, MIN(created_at) FROM registrations
             WHERE organisation_id IS NOT NULL GROUP BY organisation_id",
        ),
        (
            Step::Agreed,
            "SELECT organisation_id, MIN(accepted_at) FROM acceptances GROUP BY organisation_id",
        ),
        (
            Step::Keyed,
            "SELECT p.organisation_id, MIN(c.created_at_ms)
             FROM apps p JOIN credentials c ON c.app_id = p.app_id GROUP BY p.organisation_id",
        ),
        (Step::SandboxCall, milestones.as_str()),
    ];
    for (first, statement) in sides {
        let columns = match first {
            Step::SandboxCall => pivot.len(),
            _ => 1,
        };
        for row in connection.query(statement, vec![]).await? {
            let place = places.get(&row.get::<String>(0)?);
            let Some(journey) = place.and_then(|place| journeys.get_mut(*place)) else {
                continue;
            };
            let steps = journey.at_ms.iter_mut().skip(first as usize);
            for (at, column) in steps.zip(1..=columns) {
                *at = row.get(column)?;
            }
        }
    }
    let unverified = connection
        .query(
            "SELECT MIN(r.organisation_name), MIN(r.source), MIN(r.created_at) FROM registrations r
             WHERE r.completed_at IS NULL AND NOT EXISTS (SELECT 1 FROM registrations d
                WHERE d.email = r.email AND d.completed_at IS NOT NULL)
             GROUP BY r.email",
            vec![],
        )
        .await?;
    for row in unverified {
        let mut journey = Journey {
            name: row.get(0)?,
            source: row.get(1)?,
            ..Journey::default()
        };
        if let Some(at) = journey.at_ms.first_mut() {
            *at = row.get(2)?;
        }
        journeys.push(journey);
    }
    Ok(journeys)
}

fn journey_of(row: &Row, columns: impl Iterator<Item = usize>) -> Result<Journey, DatabaseError> {
    let mut journey = Journey {
        organisation_id: row.get(0)?,
        name: row.get(1)?,
        source: row.get(2)?,
        partner_type: row.get(3)?,
        ..Journey::default()
    };
    for (at, column) in journey.at_ms.iter_mut().zip(columns) {
        *at = row.get(column)?;
    }
    Ok(journey)
}

/// One partner's way.
pub async fn find_journey(
    connection: &Connection,
    organisation_id: &str,
) -> Result<Option<Journey>, DatabaseError> {
    let milestones: Vec<String> = Step::ANY
        .iter()
        .skip(STEPS_OF_CALLS)
        .map(|step| {
            format!(
                "(SELECT at_ms FROM partner_milestones m
                    WHERE m.organisation_id = o.organisation_id AND m.milestone = '{step}')"
            )
        })
        .collect();
    let row = connection
        .query_optional(
            &format!(
                "SELECT o.organisation_id, o.name, o.source, o.partner_type,
                    COALESCE((SELECT MIN(r.created_at) FROM registrations r
                        WHERE r.organisation_id = o.organisation_id), o.created_at),
                    o.created_at,
                    (SELECT MIN(a.accepted_at) FROM acceptances a
                        WHERE a.organisation_id = o.organisation_id),
                    (SELECT MIN(c.created_at_ms) FROM apps p JOIN credentials c ON c.app_id = p.app_id
                        WHERE p.organisation_id = o.organisation_id),
                    {}
                 FROM registered_organisations o WHERE o.organisation_id = $1",
                milestones.join(", ")
            ),
            params![organisation_id],
        )
        .await?;
    row.map(|row| journey_of(&row, 4..12)).transpose()
}
