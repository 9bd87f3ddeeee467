//! A partner with live usage on plans of the test's own, for tests of invoices.

use serde_json::{Value, json};
use shared::ids::{AppId, EdgeBootId};
use shared::usage::Cell;

use crate::catalogue;
use crate::credentials::test_partner::{accept_all, key_at_edge, start, subscription};
use crate::database::DatabaseError;
use crate::edges::test_edge::TestEdge;
use crate::ports::{Database, Engine, PortFuture, RawConnection};
use crate::testing::{Actor, TestDatabase, TestPortal};
use crate::{apps, params, subscriptions};

pub const HOUR_MS: i64 = 3_600_000;
pub const DAY_MS: i64 = 24 * HOUR_MS;

pub struct Scene {
    pub actor: Actor,
    pub app: String,
    pub subscription: String,
    pub cell: Cell,
    pub boot: EdgeBootId,
    pub edge: TestEdge,
}

/// Publishes a plan of the demo product with these terms.
pub async fn publish_plan(portal: &TestPortal, name: &str, terms: Value) -> String {
    let context = portal.context().await;
    let product = catalogue::find_product_by_slug(&context.connection, "meridian-commerce")
        .await
        .unwrap()
        .unwrap();
    let body =
        serde_json::from_value(json!({ "name": name, "position": 9, "terms": terms })).unwrap();
    let plan = catalogue::new_plan(&context, product.id, body)
        .await
        .unwrap();
    catalogue::publish_draft(&context, &plan, &subscriptions::PublicationBody::default())
        .await
        .unwrap();
    plan.id.to_string()
}

impl Scene {
    /// Signs up, puts the app on a plan with these terms, goes live on it.
    pub async fn on_plan(portal: &TestPortal, terms: Value) -> Self {
        let (actor, app) = start(portal).await;
        accept_all(portal, &actor).await;
        let plan = publish_plan(portal, "Tested", terms).await;
        let subscription = subscription(portal, &actor, &app).await;
        portal
            .post(
                &format!("{subscription}/plan-changes"),
                &actor.token,
                json!({ "plan_id": plan }),
            )
            .await
            .expect(200);
        let context = portal.context().await;
        let app_id: AppId = app.rsplit('/').next().unwrap().parse().unwrap();
        let known = apps::find_app(&context.connection, app_id)
            .await
            .unwrap()
            .unwrap();
        subscriptions::open_for_live(&context, &known)
            .await
            .unwrap();
        let (edge, cell) = key_at_edge(portal, &actor, &app, "live").await;
        Self {
            actor,
            app,
            subscription,
            cell,
            boot: edge.description.boot,
            edge,
        }
    }

    /// A cell of calls in the minute of this time.
    pub fn cell_at(&self, at_ms: i64, count: u64) -> Cell {
        Cell {
            minute: at_ms.unsigned_abs() / 60_000,
            count,
            units: count,
            ..self.cell.clone()
        }
    }

    /// Reports cells, as an edge's report does.
    pub async fn merge(&self, portal: &TestPortal, cells: &[Cell]) {
        let context = portal.context().await;
        let connection = &context.connection;
        connection
            .transaction(async || crate::metering::merge_cells(connection, self.boot, cells).await)
            .await
            .unwrap();
    }

    pub async fn change_plan(&self, portal: &TestPortal, plan: &str) {
        let token = portal
            .log_in(&self.actor.email, crate::testing::PASSWORD)
            .await;
        let path = format!("{}/plan-changes", self.subscription);
        let body = json!({ "plan_id": plan });
        let answer = portal.post(&path, &token, body.clone()).await;
        if answer.status == 409 && answer.code() == "billing_details_required" {
            self.give_billing_details(portal, &token).await;
            portal.post(&path, &token, body).await.expect(200);
        } else {
            answer.expect(200);
        }
    }

    /// Fills in what invoices of a plan with a price need.
    pub async fn give_billing_details(&self, portal: &TestPortal, token: &str) {
        let billing = format!(
            "/api/v1/organisations/{}/billing",
            self.actor.organisation_id
        );
        let mut account = portal.get(&billing, token).await.expect(200).json()["account"].clone();
        for (name, text) in [
            ("legal_name", "Acme Ltd"),
            ("address", "1 Main Street"),
            ("country", "AQ"),
        ] {
            if account[name] == "" {
                account[name] = json!(text);
            }
        }
        portal
            .call("PUT", &format!("{billing}/account"), token, Some(account))
            .await
            .expect(200);
    }
}

/// An invoice as stored: number, kind, total, due, document.
pub async fn documents(portal: &TestPortal) -> Vec<(String, Value)> {
    let context = portal.context().await;
    context
        .connection
        .query(
            "SELECT number, document FROM invoices ORDER BY issued_at_ms, kind DESC, number",
            params![],
        )
        .await
        .unwrap()
        .iter()
        .map(|row| {
            let text: String = row.get(1).unwrap();
            (row.get(0).unwrap(), serde_json::from_str(&text).unwrap())
        })
        .collect()
}

/// Lets time pass to here and runs what is due.
pub async fn run_at(portal: &TestPortal, at_ms: i64) -> u64 {
    portal.advance_ms(at_ms - portal.now_ms());
    let context = portal.context().await;
    subscriptions::apply_due_changes(&context).await.unwrap();
    super::run_billing(&context).await.unwrap()
}

/// A database whose connections fail after so many statements, for good.
pub struct FailingDatabase {
    pub inner: TestDatabase,
    pub left: std::rc::Rc<std::cell::Cell<i64>>,
}

struct FailingConnection {
    inner: Box<dyn RawConnection>,
    left: std::rc::Rc<std::cell::Cell<i64>>,
}

impl Database for FailingDatabase {
    fn engine(&self) -> Engine {
        self.inner.engine()
    }

    fn connect(&self) -> PortFuture<'_, Result<Box<dyn RawConnection>, DatabaseError>> {
        Box::pin(async move {
            let inner = self.inner.connect().await?;
            let left = std::rc::Rc::clone(&self.left);
            Ok(Box::new(FailingConnection { inner, left }) as Box<dyn RawConnection>)
        })
    }
}

impl FailingConnection {
    fn spend(&self) -> Result<(), DatabaseError> {
        let left = self.left.get();
        self.left.set(left - 1);
        if left > 0 {
            Ok(())
        } else {
            Err(DatabaseError::Failed("killed".to_owned()))
        }
    }
}

impl RawConnection for FailingConnection {
    fn query<'a>(
        &'a self,
        sql: &'a str,
        parameters: Vec<crate::database::Value>,
    ) -> PortFuture<'a, Result<Vec<crate::database::Row>, DatabaseError>> {
        Box::pin(async move {
            self.spend()?;
            self.inner.query(sql, parameters).await
        })
    }

    fn execute<'a>(
        &'a self,
        sql: &'a str,
        parameters: Vec<crate::database::Value>,
    ) -> PortFuture<'a, Result<u64, DatabaseError>> {
        Box::pin(async move {
            self.spend()?;
            self.inner.execute(sql, parameters).await
        })
    }

    fn pause(&self, ms: u64) -> PortFuture<'_, ()> {
        self.inner.pause(ms)
    }
}
