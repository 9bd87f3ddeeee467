//! Errors on the way: forms and API requests that the portal refused, and calls that the gateway or the API
//! refused before the first that went well. Counts only: nothing about a person.

use std::collections::BTreeMap;

use super::calendar::{DAY_MS, day_of};
use super::funnel::{STEPS, Step};
use super::period::Days;
use super::refresh::first_call_in;
use crate::context::Context;
use crate::database::{Connection, DatabaseError};
use crate::params;

/// What counts.
pub const COUNTS: &str = "forms and API requests on the way to the step that the portal answered 4xx, by anyone in the span; for the first calls, calls with a credential of that environment answered 4xx or refused at the gateway, up to the day of the first 2xx";

/// The step that a route leads to, where it is part of the way.
fn step_of(operation: &str) -> Option<Step> {
    Some(match operation {
        "register" | "submit_registration" => Step::Registered,
        "verify_registration" | "submit_verification" | "resend_verification" | "submit_resend" => {
            Step::Verified
        }
        "create_acceptance" | "submit_acceptance" => Step::Agreed,
        "create_app" | "submit_app" | "submit_first_key" | "issue_credential"
        | "submit_credential" => Step::Keyed,
        "go_live" | "submit_go_live" | "submit_subscription" | "create_subscription" => {
            Step::LiveCall
        }
        "put_billing_account" | "submit_billing_account" | "redeem_coupon" | "submit_coupon" => {
            Step::Paying
        }
        _ => return None,
    })
}

/// Counts an answer, if it is an error on the way.
pub async fn note_answer(context: &Context, status: u16) -> Result<(), DatabaseError> {
    let operation = context.route.operation_id;
    let (Some(step), 400..=499) = (step_of(operation), status) else {
        return Ok(());
    };
    context
        .connection
        .execute(
            "INSERT INTO step_errors (day, step, operation, status, errors) VALUES ($1, $2, $3, $4, 1)
             ON CONFLICT (day, step, operation, status) DO UPDATE SET errors = step_errors.errors + 1",
            params![
                day_of(context.now_ms),
                step,
                operation,
                i64::from(status)
            ],
        )
        .await?;
    Ok(())
}

/// Errors of the span by the step that they were on the way to.
pub async fn by_step(connection: &Connection, days: Days) -> Result<[i64; STEPS], DatabaseError> {
    let mut errors = [0; STEPS];
    let mut add = |step: Step, count: i64| {
        if let Some(sum) = errors.get_mut(step as usize) {
            *sum += count;
        }
    };
    for (operation, (_, count)) in by_operation(connection, days).await? {
        if let Some(step) = step_of(&operation.0) {
            add(step, count);
        }
    }
    let sql = format!(
        "SELECT e.environment, CAST(SUM(e.errors) AS BIGINT)
         FROM early_errors e
         JOIN registered_organisations o ON o.organisation_id = e.organisation_id
            AND o.created_at >= $1 AND o.created_at < $2
         LEFT JOIN partner_milestones m ON m.organisation_id = e.organisation_id AND m.milestone = {}
         WHERE e.day >= $3 AND e.day < $4 AND (m.at_ms IS NULL OR e.day * 86400000 <= m.at_ms)
         GROUP BY e.environment",
        first_call_in("e.environment")
    );
    let span = params![
        days.from.saturating_mul(DAY_MS),
        days.to.saturating_mul(DAY_MS),
        days.from,
        days.to
    ];
    for row in connection.query(&sql, span).await? {
        let step = match row.get::<String>(0)?.as_str() {
            "live" => Step::LiveCall,
            _ => Step::SandboxCall,
        };
        add(step, row.get(1)?);
    }
    Ok(errors)
}

/// What was asked for and how it was answered, with the step's name and how often.
pub async fn by_operation(
    connection: &Connection,
    days: Days,
) -> Result<BTreeMap<(String, i64), (String, i64)>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT operation, status, step, CAST(SUM(errors) AS BIGINT) FROM step_errors
             WHERE day >= $1 AND day < $2 GROUP BY operation, status, step",
            params![days.from, days.to],
        )
        .await?;
    rows.iter()
        .map(|row| Ok(((row.get(0)?, row.get(1)?), (row.get(2)?, row.get(3)?))))
        .collect()
}
