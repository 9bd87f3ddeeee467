//! Reads partners' ways: when each reached which step.

use super::funnel::{Journey, Step};
use crate::database::{Connection, DatabaseError, Row};
use crate::params;

const STEPS_OF_CALLS: usize = Step::SandboxCall as usize;

/// Every partner's way, and those who registered and never verified.
pub async fn list_journeys(connection: &Connection) -> Result<Vec<Journey>, DatabaseError> {
    let pivot: Vec<String> = Step::ANY
        .iter()
        .skip(STEPS_OF_CALLS)
        .map(|step| format!("MIN(CASE WHEN milestone = '{step}' THEN at_ms END) AS {step}_at"))
        .collect();
    // Each side is summed up by itself and joined once: a look-up for each of many partners takes longer.
    let rows = connection
        .query(
            &format!(
                "SELECT o.organisation_id, o.name, o.source, o.partner_type,
                    COALESCE(r.at_ms, o.created_at), o.created_at, a.at_ms, k.at_ms, m.*
                 FROM registered_organisations o
                 LEFT JOIN (SELECT organisation_id, MIN(created_at) AS at_ms FROM registrations
                    GROUP BY organisation_id) r ON r.organisation_id = o.organisation_id
                 LEFT JOIN (SELECT organisation_id, MIN(accepted_at) AS at_ms FROM acceptances
                    GROUP BY organisation_id) a ON a.organisation_id = o.organisation_id
                 LEFT JOIN (SELECT p.organisation_id, MIN(c.created_at_ms) AS at_ms
                    FROM apps p JOIN credentials c ON c.app_id = p.app_id
                    GROUP BY p.organisation_id) k ON k.organisation_id = o.organisation_id
                 LEFT JOIN (SELECT organisation_id, {} FROM partner_milestones
                    GROUP BY organisation_id) m ON m.organisation_id = o.organisation_id",
                pivot.join(", ")
            ),
            vec![],
        )
        .await?;
    let mut journeys = Vec::with_capacity(rows.len());
    for row in rows {
        // The ninth column is the milestones' own organisation.
        journeys.push(journey_of(&row, (4..8).chain(9..13))?);
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
