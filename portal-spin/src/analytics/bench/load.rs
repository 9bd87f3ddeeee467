//! The log into the database: partners as rows, calls as cells that gateways report, invoices as documents.
//! What reports read is then made from these by the component's own code.

use serde_json::json;
use shared::ids::{
    AppId, CredentialId, EdgeBootId, OrganisationId, ProductId, SubmissionId, SubscriptionId,
    ThreadId,
};
use shared::money::Money;
use shared::usage::Cell;

use super::generate::{DAY_MS, PRODUCTS};
use super::log::{Invoice, Log};
use crate::analytics::refresh::refresh;
use crate::analytics::revenue_lines::read_new_invoices;
use crate::context::Context;
use crate::database::{DatabaseError, Value, placeholders};
use crate::{metering, params};

/// Cells of a report.
const CELLS_PER_REPORT: usize = 5_000;

fn bytes(number: usize, kind: u8) -> [u8; 16] {
    let mut bytes = [kind; 16];
    bytes[..8].copy_from_slice(&(number as u64 + 1).to_be_bytes());
    bytes
}

pub fn organisation_of(number: usize) -> String {
    OrganisationId::from_bytes(bytes(number, 1)).to_string()
}

pub fn app_of(number: usize) -> String {
    AppId::from_bytes(bytes(number, 1)).to_string()
}

pub fn product_of(number: usize) -> String {
    ProductId::from_bytes(bytes(number, 1)).to_string()
}

async fn insert(context: &Context, table: &str, columns: &str, rows: Vec<Vec<Value>>) {
    let width = columns.split(',').count();
    let connection = &context.connection;
    connection
        .transaction(async || {
            for chunk in rows.chunks(4_000 / width) {
                let sql = format!(
                    "INSERT INTO {table} ({columns}) VALUES {}",
                    placeholders(chunk.len(), width)
                );
                connection.execute(&sql, chunk.concat()).await?;
            }
            Ok::<_, DatabaseError>(())
        })
        .await
        .unwrap();
}

pub async fn load(context: &Context, log: &Log, staff: &str) {
    store_partners(context, log).await;
    store_touches(context, log, staff).await;
    store_calls(context, log).await;
    store_invoices(context, log).await;
    while read_new_invoices(context).await.unwrap() > 0 {}
    if matches!(context.connection.engine(), crate::ports::Engine::Postgres) {
        // As autovacuum does within a minute of such a load.
        context.connection.execute("ANALYZE", vec![]).await.unwrap();
    }
}

async fn store_partners(context: &Context, log: &Log) {
    let connection = &context.connection;
    let one = async |sql: &str| connection.query_one(sql, vec![]).await.unwrap();
    let row = one("SELECT plan_id FROM plans ORDER BY position LIMIT 1").await;
    let plan: String = row.get(0).unwrap();
    let owner: String = one("SELECT MIN(person_id) FROM people")
        .await
        .get(0)
        .unwrap();
    let row =
        one("SELECT agreement_id, agreement_version_id FROM agreement_versions LIMIT 1").await;
    let (agreement, version): (String, String) = (row.get(0).unwrap(), row.get(1).unwrap());
    let products = (0..PRODUCTS)
        .map(|number| {
            let name = format!("Product {number}");
            params![
                product_of(number),
                format!("bench-{number}"),
                name,
                "",
                "",
                1_i64,
                1_i64,
                "",
                0_i64
            ]
        })
        .collect();
    insert(context, "products", "product_id, slug, name, summary, description, is_public, is_self_service, sandbox_url, created_at_ms", products).await;
    let known = || log.partners.iter().enumerate();
    let (mut registrations, mut organisations, mut acceptances) = (vec![], vec![], vec![]);
    let (mut apps, mut credentials, mut subscriptions) = (vec![], vec![], vec![]);
    for (number, partner) in known() {
        let [registered, verified, agreed, keyed] = partner.at_ms;
        let id = organisation_of(number);
        registrations.push(params![
            format!("reg_{number}"),
            format!("p{number}@partner.example"),
            "",
            "",
            &partner.name,
            partner.source,
            number.to_be_bytes().to_vec(),
            vec![0_u8],
            0_i64,
            0_i64,
            registered.unwrap(),
            0_i64,
            verified,
            verified.map(|_| id.clone()),
        ]);
        let Some(verified) = verified else { continue };
        organisations.push(params![
            &id,
            &partner.name,
            "standard",
            "standard",
            partner.source,
            verified
        ]);
        if let Some(agreed) = agreed {
            acceptances.push(params![
                1_000 + i64::try_from(number).unwrap(),
                format!("acc_{number}"),
                &id,
                &agreement,
                &version,
                1_i64,
                &owner,
                agreed,
                "",
                vec![0_u8],
                vec![0_u8],
            ]);
        }
        let Some(keyed) = keyed else { continue };
        let app = app_of(number);
        apps.push(params![&app, &id, "App", "", keyed]);
        for (kind, environment) in [(1, "test"), (2, "live")] {
            credentials.push(params![
                CredentialId::from_bytes(bytes(number, kind)),
                &app,
                environment,
                "",
                "",
                "",
                bytes(number, kind),
                "[]",
                keyed,
                "",
                1_i64,
            ]);
        }
        subscriptions.push(params![
            SubscriptionId::from_bytes(bytes(number, 1)),
            &app,
            product_of(partner.product),
            &plan,
            keyed,
            keyed,
            i64::MAX,
        ]);
    }
    insert(context, "registrations", "registration_id, email, name, password_hash, organisation_name, source, token_hash, code_hash, code_expires_at, code_attempts, created_at, expires_at, completed_at, organisation_id", registrations).await;
    insert(
        context,
        "organisations",
        "organisation_id, name, partner_type, tier, source, created_at",
        organisations,
    )
    .await;
    insert(context, "acceptances", "position, acceptance_id, organisation_id, agreement_id, agreement_version_id, version, person_id, accepted_at, record, hash, signature", acceptances).await;
    insert(
        context,
        "apps",
        "app_id, organisation_id, name, description, created_at_ms",
        apps,
    )
    .await;
    insert(context, "credentials", "credential_id, app_id, environment, name, prefix, last_four, hash, addresses, created_at_ms, created_by, issued_position", credentials).await;
    insert(
        context,
        "subscriptions",
        "subscription_id, app_id, product_id, plan_id, created_at_ms, anchor_ms, periods_until_ms",
        subscriptions,
    )
    .await;
}

async fn store_touches(context: &Context, log: &Log, staff: &str) {
    let connection = &context.connection;
    let row = connection
        .query_one("SELECT MAX(position) FROM audit_records", vec![])
        .await
        .unwrap();
    let last: i64 = row.get(0).unwrap();
    let rows = log
        .touches
        .iter()
        .zip(last + 1_000_000..)
        .map(|((partner, at_ms), position)| {
            params![
                position,
                format!("aud_bench{position}"),
                *at_ms,
                organisation_of(*partner),
                staff,
                "organisation.sorted",
                "",
                "{}",
                "",
                vec![0_u8],
                vec![0_u8],
            ]
        })
        .collect();
    insert(context, "audit_records", "position, audit_record_id, recorded_at, organisation_id, actor, action, object, detail, request_id, previous_hash, hash", rows).await;
    let thread = |number: usize| ThreadId::from_bytes(bytes(number, 1));
    let known = || log.messages.iter().enumerate();
    let rows = known()
        .map(|(number, (partner, at_ms))| {
            params![
                thread(number),
                organisation_of(*partner),
                "Question",
                *at_ms,
                *at_ms
            ]
        })
        .collect();
    insert(
        context,
        "threads",
        "thread_id, organisation_id, subject, opened_at_ms, last_message_at_ms",
        rows,
    )
    .await;
    let rows = known()
        .map(|(number, (_, at_ms))| {
            params![
                SubmissionId::from_bytes(bytes(number, 3)),
                thread(number),
                "",
                0_i64,
                "How?",
                *at_ms
            ]
        })
        .collect();
    insert(
        context,
        "thread_messages",
        "message_id, thread_id, author, is_from_operator, body, sent_at_ms",
        rows,
    )
    .await;
}

/// Each month of calls is the report of an edge boot of its own, as gateways are updated now and then; what
/// is made of it is made before the next month comes, as it would be.
async fn store_calls(context: &Context, log: &Log) {
    let mut boots: std::collections::BTreeMap<i64, Vec<Cell>> = std::collections::BTreeMap::new();
    for call in &log.calls {
        boots
            .entry(call.minute / (1_440 * 30))
            .or_default()
            .push(Cell {
                slot: 0,
                credential: Some(CredentialId::from_bytes(bytes(
                    call.partner,
                    if call.is_live { 2 } else { 1 },
                ))),
                subscription: Some(SubscriptionId::from_bytes(bytes(call.partner, 1))),
                installation: None,
                meter: None,
                operation: "list_orders".to_owned(),
                outcome: call.outcome.to_owned(),
                minute: call.minute.unsigned_abs(),
                count: call.count.unsigned_abs(),
                units: call.count.unsigned_abs(),
                bytes_in: 100,
                bytes_out: 1_000,
                latency: vec![(4, call.count.unsigned_abs())],
            });
    }
    let connection = &context.connection;
    for (month, cells) in boots {
        let boot = EdgeBootId::from_bytes(bytes(usize::try_from(month).unwrap(), 9));
        for report in cells.chunks(CELLS_PER_REPORT) {
            connection
                .transaction(async || metering::merge_cells(connection, boot, report).await)
                .await
                .unwrap();
        }
        while metering::roll_up(connection, context.now_ms).await.unwrap() > 0 {}
        while refresh(context).await.unwrap() > 0 {}
    }
}

fn document(invoice: &Invoice) -> String {
    let major = |minor: i64| Money::from_minor("USD".parse().unwrap(), minor).to_major();
    let subscription = SubscriptionId::from_bytes(bytes(invoice.partner, 1)).to_string();
    json!({
        "lines": [{ "subscription_id": subscription, "amount": major(invoice.fee) },
            { "subscription_id": subscription, "quantity": "9", "amount": major(invoice.usage) }],
        "discounts": [{ "amount": major(-invoice.discount) }], "taxes": [{ "amount": "5.00" }],
    })
    .to_string()
}

async fn store_invoices(context: &Context, log: &Log) {
    let rows = log
        .invoices
        .iter()
        .enumerate()
        .map(|(number, invoice)| {
            let total = invoice.fee + invoice.usage - invoice.discount + 500;
            params![
                format!("inv_bench{:020}{number:08}", invoice.issued_ms),
                organisation_of(invoice.partner),
                "invoice",
                format!("B{number}"),
                "USD",
                invoice.issued_ms - 30 * DAY_MS,
                invoice.issued_ms,
                invoice.issued_ms,
                invoice.issued_ms,
                total,
                0_i64,
                0_i64,
                0_i64,
                invoice.is_void.then_some(invoice.issued_ms),
                "",
                document(invoice),
            ]
        })
        .collect();
    insert(context, "invoices", "invoice_id, organisation_id, kind, number, currency, period_start_ms, period_end_ms, issued_at_ms, due_at_ms, total_minor, wallet_minor, credited_minor, amount_due_minor, voided_at_ms, inputs, document", rows).await;
}
