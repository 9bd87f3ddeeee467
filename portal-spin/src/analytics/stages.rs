//! The stage of the programme (foundation, launch, scale, optimise), by a checklist that is looked up, not
//! ticked.

use std::collections::BTreeMap;

use super::calendar::month_of;
use super::funnel::{Journey, Step};
use super::report::{Datum, Table, column, defined};
use super::store::{self, Month};
use crate::context::Context;
use crate::database::DatabaseError;

/// One line of the checklist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The stage it belongs to.
    pub stage: &'static str,
    /// What must hold.
    pub what: &'static str,
    /// What there is.
    pub found: i64,
    /// How many there must be.
    pub wanted: i64,
}

impl Check {
    const fn is_done(&self) -> bool {
        self.found >= self.wanted
    }
}

/// The stage: the first with something left to do.
pub fn stage_of(checks: &[Check]) -> &'static str {
    checks
        .iter()
        .find(|check| !check.is_done())
        .map_or("optimise", |check| check.stage)
}

/// What the numbers say, in order.
pub async fn list_checks(
    context: &Context,
    journeys: &[Journey],
    months: &BTreeMap<i64, Month>,
) -> Result<Vec<Check>, DatabaseError> {
    let reached = |step: Step| {
        journeys
            .iter()
            .filter(|journey| journey.at(step).is_some())
            .count() as i64
    };
    let active = months
        .get(&(month_of(context.now_ms) - 1))
        .map_or(0, |month| month.active);
    let check = |stage, what, found, wanted| Check {
        stage,
        what,
        found,
        wanted,
    };
    let count = async |sql: &str| store::number(&context.connection, sql).await;
    Ok(vec![
        check("foundation", "A product is published", count("SELECT COUNT(*) FROM products WHERE published_at_ms IS NOT NULL AND withdrawn_at_ms IS NULL").await?, 1),
        check("foundation", "Terms of service are published", count("SELECT COUNT(*) FROM agreement_versions v JOIN agreements a ON a.agreement_id = v.agreement_id WHERE a.kind = 'terms_of_service'").await?, 1),
        check("foundation", "A data sharing agreement is published", count("SELECT COUNT(*) FROM agreement_versions v JOIN agreements a ON a.agreement_id = v.agreement_id WHERE a.kind = 'data_sharing'").await?, 1),
        check("foundation", "Three plans side by side", count("SELECT COUNT(DISTINCT slug) FROM plans WHERE published_at_ms IS NOT NULL AND withdrawn_at_ms IS NULL AND private_organisation_id IS NULL").await?, 3),
        check("foundation", "A gateway has reported", count("SELECT COUNT(*) FROM edges").await?, 1),
        check("launch", "Five partners have a key", reached(Step::Keyed), 5),
        check("launch", "Five partners made a call", journeys.iter().filter(|journey| journey.time_to_first_call().is_some()).count() as i64, 5),
        check("launch", "A partner is live", reached(Step::LiveCall), 1),
        check("scale", "Twenty partners were active in the last whole month", active, 20),
        check("scale", "Ten partners are retained", reached(Step::Retained), 10),
        check("optimise", "A hundred live integrations in the last whole month", active, 100),
    ])
}

/// The checklist as a table.
pub async fn table(
    context: &Context,
    journeys: &[Journey],
    months: &BTreeMap<i64, Month>,
) -> Result<Table, DatabaseError> {
    let checks = list_checks(context, journeys, months).await?;
    Ok(Table {
        name: "stage",
        title: format!("Stage of the programme: {}", stage_of(&checks)),
        definition: "Foundation, launch, scale, optimise: the stage is the first with a line that does not hold yet. A live integration is a partner with a live 2xx in the month.".to_owned(),
        columns: vec![
            column("Stage"),
            column("What must hold"),
            column("There are"),
            column("Wanted"),
            defined("State", "looked up now"),
        ],
        rows: checks
            .iter()
            .map(|check| {
                vec![
                    Datum::Text(check.stage.to_owned()),
                    Datum::Text(check.what.to_owned()),
                    Datum::Count(check.found),
                    Datum::Count(check.wanted),
                    // shown
                    Datum::Text(if check.is_done() { "✓ done" } else { "open" }.to_owned()),
                ]
            })
            .collect(),
        chart: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stage_is_the_first_with_something_open() {
        let check = |stage, found| Check {
            stage,
            what: "",
            found,
            wanted: 1,
        };
        assert_eq!(
            stage_of(&[
                check("foundation", 1),
                check("launch", 0),
                check("scale", 1)
            ]),
            "launch"
        );
        assert_eq!(stage_of(&[check("foundation", 1)]), "optimise");
    }
}
