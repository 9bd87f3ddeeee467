//! What billing reads of other domains: plans, meters, subscriptions and their phases.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use shared::ids::{MeterId, OrganisationId, PlanId, ProductId, SubscriptionId};
use shared::plan::Counting;

use super::charges::{Basis, CheckedCharge, Counted};
use super::period::Calendar;
use super::proration::Proration;
use super::timeline::{Phase, Timeline};
use crate::catalogue::{self, Meter, MeterSource, PeriodRule};
use crate::database::{Connection, DatabaseError, Value, placeholders};

/// A plan version as billing needs it.
#[derive(Debug)]
pub struct PlanFacts {
    pub name: String,
    pub product_id: ProductId,
    pub product: String,
    /// What the plan's versions share.
    pub slug: String,
    pub charges: Vec<CheckedCharge>,
    pub proration: Proration,
    pub refunds: bool,
    pub counting: Counting,
    pub periods: PeriodRule,
    pub trial_days: u32,
    pub meters: Vec<Meter>,
}

impl PlanFacts {
    /// The meter of a charge: the one it names, or the one that the quota counts.
    pub fn find_meter(&self, name: Option<&str>) -> Option<&Meter> {
        match name {
            Some(name) => self.meters.iter().find(|meter| meter.name == name),
            None => self
                .meters
                .iter()
                .find(|meter| meter.source == MeterSource::Weight)
                .or_else(|| self.meters.first()),
        }
    }

    /// What of a meter is counted where a charge asks for it so: of one that counts installations, those.
    pub fn counted(&self, meter: Option<&str>, counts: Counted) -> Counted {
        let found = self.find_meter(meter).map(|meter| &meter.source);
        match (counts, found) {
            (Counted::Units, Some(MeterSource::DistinctInstallations)) => {
                Counted::DistinctInstallations
            }
            _ => counts,
        }
    }

    /// What a charge counts; nothing where it is not for usage.
    pub fn counted_by(&self, charge: &CheckedCharge) -> Option<Counted> {
        match &charge.basis {
            Basis::Usage { meter, counts, .. } => Some(self.counted(meter.as_deref(), *counts)),
            _ => None,
        }
    }

    /// The meter that counts calls.
    pub fn calls_meter(&self) -> Option<MeterId> {
        self.meters.first().map(|meter| meter.id)
    }
}

/// A subscription as billing needs it.
#[derive(Debug, Clone)]
pub struct Subject {
    pub id: SubscriptionId,
    pub app_id: String,
    pub app: String,
    /// What anchored periods are counted from.
    pub anchor_ms: i64,
    pub timeline: Timeline,
    /// The next boundary to bill.
    pub next_bill_at_ms: i64,
}

/// Plans read once per run: a published plan never changes.
#[derive(Default)]
pub struct PlanCache(RefCell<HashMap<PlanId, Rc<PlanFacts>>>);

impl PlanCache {
    /// A plan version.
    pub async fn plan(
        &self,
        connection: &Connection,
        plan_id: PlanId,
    ) -> Result<Rc<PlanFacts>, DatabaseError> {
        if let Some(known) = self.0.borrow().get(&plan_id) {
            return Ok(Rc::clone(known));
        }
        let plan = catalogue::find_plan(connection, plan_id)
            .await?
            .ok_or_else(|| DatabaseError::Shape(format!("the plan {plan_id} is gone")))?;
        let product = catalogue::find_product(connection, plan.product_id)
            .await?
            .ok_or_else(|| DatabaseError::Shape(format!("the product of {plan_id} is gone")))?;
        let charges = plan.terms.checked_charges().map_err(|problem| {
            DatabaseError::Shape(format!("the plan {plan_id} cannot be charged: {problem}"))
        })?;
        let periods = plan.terms.period_rule();
        let facts = Rc::new(PlanFacts {
            name: plan.name,
            product_id: plan.product_id,
            product: product.name,
            slug: plan.slug,
            charges,
            proration: plan.terms.proration,
            refunds: !plan.terms.keeps_unserved,
            counting: plan.terms.counting,
            periods,
            trial_days: plan.terms.trial_days,
            meters: catalogue::list_meters(connection, plan.product_id).await?,
        });
        self.0.borrow_mut().insert(plan_id, Rc::clone(&facts));
        Ok(facts)
    }

    /// The calendar of a plan's periods for a subscription.
    pub async fn calendar(
        &self,
        connection: &Connection,
        plan_id: PlanId,
        anchor_ms: i64,
    ) -> Result<Calendar, DatabaseError> {
        let facts = self.plan(connection, plan_id).await?;
        Ok(facts.periods.calendar(anchor_ms)?)
    }

    /// Subscriptions of an organisation that are or were live and are not billed to their end.
    pub async fn list_subjects(
        &self,
        connection: &Connection,
        organisation_id: OrganisationId,
    ) -> Result<Vec<Subject>, DatabaseError> {
        let mut subjects = self.subjects_of(connection, &[organisation_id]).await?;
        Ok(subjects.remove(&organisation_id).unwrap_or_default())
    }

    /// As [`Self::list_subjects`], of several organisations at once.
    pub async fn subjects_of(
        &self,
        connection: &Connection,
        organisations: &[OrganisationId],
    ) -> Result<HashMap<OrganisationId, Vec<Subject>>, DatabaseError> {
        let sql = format!(
            "SELECT s.subscription_id, a.name, s.anchor_ms, s.live_from_ms,
                COALESCE(s.cancelled_at_ms, s.ends_at_ms), c.next_bill_at_ms, p.from_ms, p.plan_id,
                a.app_id, a.organisation_id
             FROM apps a JOIN subscriptions s ON s.app_id = a.app_id
             JOIN subscription_phases p ON p.subscription_id = s.subscription_id
             LEFT JOIN billing_cursors c ON c.subscription_id = s.subscription_id
             WHERE a.organisation_id IN {} AND s.live_from_ms IS NOT NULL AND c.finished_at_ms IS NULL
             ORDER BY s.subscription_id, p.from_ms",
            placeholders(1, organisations.len())
        );
        let ids = organisations.iter().map(|id| Value::from(id.to_string()));
        let mut all: HashMap<OrganisationId, Vec<Subject>> = HashMap::new();
        for row in connection.query(&sql, ids.collect()).await? {
            let subjects = all.entry(row.parse(9)?).or_default();
            let id: SubscriptionId = row.parse(0)?;
            let anchor_ms: i64 = row.get(2)?;
            let plan_id: PlanId = row.parse(7)?;
            let phase = Phase {
                from_ms: row.get(6)?,
                plan_id,
                calendar: self.calendar(connection, plan_id, anchor_ms).await?,
                trial_days: self.plan(connection, plan_id).await?.trial_days,
            };
            if let Some(last) = subjects.last_mut().filter(|known| known.id == id) {
                last.timeline.phases.push(phase);
                continue;
            }
            let live_from_ms: i64 = row.get(3)?;
            let next: Option<i64> = row.get(5)?;
            subjects.push(Subject {
                id,
                app_id: row.get(8)?,
                app: row.get(1)?,
                anchor_ms,
                timeline: Timeline {
                    phases: vec![phase],
                    live_from_ms,
                    ends_at_ms: row.get(4)?,
                },
                next_bill_at_ms: next.unwrap_or(live_from_ms),
            });
        }
        Ok(all)
    }
}
