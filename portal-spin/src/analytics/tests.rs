//! Reports on a generated programme, number by number against the slow way, on both databases.

use serde_json::{Value as Json, json};
use shared::ids::{AppId, CredentialId, EdgeBootId, OrganisationId, SubscriptionId};
use shared::usage::Cell;

use super::refresh::refresh;
use super::slow::{Call, Partner, World, percentile};
use crate::context::Context;
use crate::database::Value;
use crate::metering;
use crate::testing::{PASSWORD, TestPortal, on_every_database};

const DAY_MS: i64 = 86_400_000;
const DAYS: i64 = 430;
/// `PORTICO_ANALYTICS_PARTNERS` asks for more than these.
const PARTNERS: usize = 40;

fn size() -> usize {
    let wanted = std::env::var("PORTICO_ANALYTICS_PARTNERS").ok();
    wanted
        .and_then(|text| text.parse().ok())
        .unwrap_or(PARTNERS)
}

/// A plain generator: the same programme every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: i64) -> i64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((self.0 >> 33) % u64::try_from(sides).unwrap()).unwrap()
    }
}

struct Ids {
    organisation: OrganisationId,
    app: AppId,
    credentials: [CredentialId; 2],
    subscription: SubscriptionId,
}

fn ids(number: usize) -> Ids {
    let mut bytes = [1; 16];
    bytes[..8].copy_from_slice(&(number as u64 + 1).to_be_bytes());
    let mut other = bytes;
    other[15] = 255;
    Ids {
        organisation: OrganisationId::from_bytes(bytes),
        app: AppId::from_bytes(bytes),
        credentials: [
            CredentialId::from_bytes(bytes),
            CredentialId::from_bytes(other),
        ],
        subscription: SubscriptionId::from_bytes(bytes),
    }
}

/// Partners who get as far as the dice say, and their calls.
fn generate(start_ms: i64) -> World {
    let mut dice = Dice(20_260_101);
    let (mut partners, mut calls) = (Vec::new(), Vec::new());
    for number in 0..size() {
        let mut at = start_ms + dice.roll(360) * DAY_MS + dice.roll(DAY_MS);
        let mut at_ms = [Some(at), None, None, None];
        let reach = dice.roll(12);
        for (place, step) in at_ms.iter_mut().enumerate().skip(1) {
            at += dice.roll(60_000) * dice.roll(200);
            if reach >= i64::try_from(place).unwrap() {
                *step = Some(at);
            }
        }
        let partner = Partner {
            id: ids(number).organisation.to_string(),
            name: format!("Partner {number:02}"),
            source: ["", "search", "event"][number % 3],
            at_ms,
        };
        partners.push(partner);
        if reach < 4 {
            continue;
        }
        let end = start_ms + DAYS * DAY_MS;
        let mut minute = at / 60_000 + dice.roll(40_000);
        let live_from = minute + dice.roll(60) * 1_440;
        let stops = if dice.roll(3) == 0 {
            minute + dice.roll(200) * 1_440
        } else {
            i64::MAX
        };
        while minute * 60_000 < end && minute < stops {
            let outcome = [
                "2xx",
                "2xx",
                "2xx",
                "2xx",
                "3xx",
                "4xx",
                "5xx",
                "rate_limited",
                "quota_exceeded",
            ][usize::try_from(dice.roll(9)).unwrap()];
            calls.push(Call {
                partner: number,
                is_live: reach > 5 && minute >= live_from && dice.roll(5) > 0,
                outcome,
                minute,
                count: dice.roll(30) + 1,
            });
            minute += dice.roll(3 * 1_440) + 1;
        }
    }
    World { partners, calls }
}

async fn insert(context: &Context, table: &str, columns: &str, values: Vec<Value>) {
    let places: Vec<String> = (1..=values.len())
        .map(|place| format!("${place}"))
        .collect();
    let sql = format!(
        "INSERT INTO {table} ({columns}) VALUES ({})",
        places.join(", ")
    );
    context.connection.execute(&sql, values).await.unwrap();
}

async fn store_partners(context: &Context, world: &World) {
    let plan = context
        .connection
        .query_one(
            "SELECT product_id, plan_id FROM plans ORDER BY position LIMIT 1",
            vec![],
        )
        .await
        .unwrap();
    let (product, plan): (String, String) = (plan.get(0).unwrap(), plan.get(1).unwrap());
    let owner = context
        .connection
        .query_one(
            "SELECT person_id FROM people ORDER BY person_id LIMIT 1",
            vec![],
        )
        .await
        .unwrap();
    let version = context
        .connection
        .query_one("SELECT agreement_id, agreement_version_id FROM agreement_versions ORDER BY agreement_version_id LIMIT 1", vec![])
        .await
        .unwrap();
    let (owner, agreement, version): (String, String, String) = (
        owner.get(0).unwrap(),
        version.get(0).unwrap(),
        version.get(1).unwrap(),
    );
    for (number, partner) in world.partners.iter().enumerate() {
        let [registered, verified, agreed, keyed] = partner.at_ms;
        let ids = ids(number);
        let is_verified = verified.is_some();
        insert(
            context,
            "registrations",
            "registration_id, email, name, password_hash, organisation_name, source, token_hash, code_hash,
             code_expires_at, code_attempts, created_at, expires_at, completed_at, organisation_id",
            crate::params![
                format!("reg_{number}"), format!("p{number}@partner.example"), "", "", &partner.name,
                partner.source, number.to_be_bytes().to_vec(), vec![0_u8], 0_i64, 0_i64,
                registered.unwrap(), 0_i64, verified, is_verified.then(|| partner.id.clone()),
            ],
        )
        .await;
        let Some(verified) = verified else { continue };
        insert(
            context,
            "organisations",
            "organisation_id, name, partner_type, tier, source, created_at",
            crate::params![
                &partner.id,
                &partner.name,
                "standard",
                "standard",
                partner.source,
                verified
            ],
        )
        .await;
        if let Some(agreed) = agreed {
            insert(
                context,
                "acceptances",
                "position, acceptance_id, organisation_id, agreement_id, agreement_version_id, version,
                 person_id, accepted_at, record, hash, signature",
                crate::params![
                    1_000 + i64::try_from(number).unwrap(), format!("acc_{number}"), &partner.id, &agreement,
                    &version, 1_i64, &owner, agreed, "", vec![0_u8], vec![0_u8],
                ],
            )
            .await;
        }
        let Some(keyed) = keyed else { continue };
        let app = ids.app.to_string();
        insert(
            context,
            "apps",
            "app_id, organisation_id, name, description, created_at_ms",
            crate::params![&app, &partner.id, "App", "", keyed],
        )
        .await;
        for (place, credential) in ids.credentials.iter().enumerate() {
            insert(
                context,
                "credentials",
                "credential_id, app_id, environment, name, prefix, last_four, hash, addresses, created_at_ms,
                 created_by, issued_position",
                crate::params![
                    credential.to_string(), &app, ["test", "live"][place], "", "", "",
                    [number.to_be_bytes(), place.to_be_bytes()].concat(), "[]",
                    keyed, "", 1_i64,
                ],
            )
            .await;
        }
        insert(
            context,
            "subscriptions",
            "subscription_id, app_id, product_id, plan_id, created_at_ms, anchor_ms, periods_until_ms",
            crate::params![ids.subscription.to_string(), &app, &product, &plan, keyed, keyed, i64::MAX],
        )
        .await;
    }
}

async fn store_calls(context: &Context, calls: &[Call]) {
    let cells: Vec<Cell> = calls
        .iter()
        .map(|call| {
            let ids = ids(call.partner);
            Cell {
                slot: 0,
                credential: Some(ids.credentials[usize::from(call.is_live)]),
                subscription: Some(ids.subscription),
                installation: None,
                meter: None,
                operation: "list_orders".to_owned(),
                outcome: call.outcome.to_owned(),
                minute: call.minute.unsigned_abs(),
                count: call.count.unsigned_abs(),
                units: call.count.unsigned_abs(),
                bytes_in: 0,
                bytes_out: 0,
                latency: Vec::new(),
            }
        })
        .collect();
    let connection = &context.connection;
    connection
        .transaction(async || {
            metering::merge_cells(connection, EdgeBootId::from_bytes([9; 16]), &cells).await
        })
        .await
        .unwrap();
    while metering::roll_up(connection, context.now_ms).await.unwrap() > 0 {}
    while refresh(context).await.unwrap() > 0 {}
}

/// A programme of 430 days in the database, and an operator who looks at it.
async fn scene(portal: &TestPortal) -> (World, String) {
    portal.post("/dev/seed", "", json!({})).await.expect(200);
    let staff = portal.sign_up("staff@operator.example", "Operator").await;
    portal.make_operator(&staff, "manager").await;
    let world = generate(portal.now_ms() + DAY_MS);
    portal.advance_ms((DAYS + 2) * DAY_MS);
    let context = portal.context().await;
    store_partners(&context, &world).await;
    store_calls(&context, &world.calls).await;
    (
        world,
        portal.log_in("staff@operator.example", PASSWORD).await,
    )
}

async fn report(portal: &TestPortal, token: &str, path: &str) -> Json {
    portal
        .get(&format!("/api/v1/operator/analytics/{path}"), token)
        .await
        .expect(200)
        .json()
}

fn table<'a>(report: &'a Json, name: &str) -> &'a Vec<Json> {
    let tables = report["tables"].as_array().unwrap();
    let found = tables.iter().find(|table| table["name"] == name);
    found.unwrap()["rows"].as_array().unwrap()
}

/// As the answer reads back: a JSON number may lose its last digit on the way.
fn share(part: i64, whole: i64) -> Json {
    if whole == 0 {
        return Json::Null;
    }
    serde_json::from_str(&json!(part as f64 / whole as f64).to_string()).unwrap()
}

fn check_months(world: &World, home: &Json) {
    for row in table(home, "months") {
        let [active, new, returned, churned, calls] = world.month(row[0].as_str().unwrap());
        assert_eq!(
            [&row[1], &row[2], &row[3], &row[4], &row[7]],
            [
                &json!(active),
                &json!(new),
                &json!(returned),
                &json!(churned),
                &json!(calls)
            ],
            "{row}"
        );
    }
}

/// Compares the funnel with partners registered in the programme's year; two are of the scene itself.
fn check_funnel(world: &World, funnel: &Json) {
    let rows = table(funnel, "steps");
    let steps: Vec<Vec<Option<i64>>> = (0..world.partners.len())
        .map(|partner| world.steps(partner))
        .collect();
    for step in 0..8 {
        let row = &rows[step + 1];
        let reached = steps
            .iter()
            .filter(|partner| partner[step].is_some())
            .count();
        assert_eq!(row[1], json!(reached), "{row}");
        if step == 0 {
            continue;
        }
        let took: Vec<i64> = steps
            .iter()
            .filter_map(|partner| Some((partner[step]? - partner[step - 1]?).max(0)))
            .collect();
        let before = steps
            .iter()
            .filter(|partner| partner[step - 1].is_some())
            .count();
        let len = |count: usize| i64::try_from(count).unwrap();
        assert_eq!(row[3], share(len(took.len()), len(before)), "{row}");
        let seconds = |percent| percentile(&took, percent).map(|ms| ms / 1_000);
        assert_eq!(
            (&row[4], &row[5]),
            (&json!(seconds(50)), &json!(seconds(90))),
            "{row}"
        );
    }
}

on_every_database! {
    async fn every_number_of_a_generated_programme_equals_the_slow_way(portal: TestPortal) {
        let (mut world, token) = scene(&portal).await;
        let span = "from=2026-01-02&to=2027-03-31";
        check_months(&world, &report(&portal, &token, &format!("home?{span}")).await);
        check_funnel(&world, &report(&portal, &token, &format!("funnel?{span}")).await);

        let cohorts = report(&portal, &token, &format!("cohorts?{span}")).await;
        let mut seen = 0;
        for row in table(&cohorts, "retention") {
            let month = row[0].as_str().unwrap();
            for later in 1..row.as_array().unwrap().len() - 2 {
                let (size, still) = world.retention(month, later);
                assert_eq!(row[1], json!(size));
                if !row[later + 1].is_null() {
                    seen += 1;
                    assert_eq!(row[later + 1], share(still, size), "{month} + {later}");
                }
            }
        }
        assert!(seen > 20, "{seen}");

        // Whole months are read from months, other spans from days.
        for (from, to) in [("2026-05-01", "2026-10-31"), ("2026-05-03", "2026-10-17")] {
            let ranked = report(&portal, &token, &format!("partners?from={from}&to={to}")).await;
            let rows = table(&ranked, "partners");
            let mut all = 0;
            for (number, partner) in world.partners.iter().enumerate() {
                let [calls, errors, limited, decided, successes] = world.totals(number, from, to);
                all += successes;
                let Some(row) = rows.iter().find(|row| row[0] == json!(partner.name)) else {
                    assert_eq!(decided, 0, "{}", partner.name);
                    continue;
                };
                assert_eq!([&row[2], &row[3], &row[4]], [&json!(calls), &share(errors, calls), &share(limited, decided)]);
            }
            let first = world.partners.iter().position(|one| json!(one.name) == rows[0][0]).unwrap();
            assert_eq!(rows[0][5], share(world.totals(first, from, to)[4], all));
            assert_eq!(rows.last().unwrap()[6], json!(1.0));
            let products = report(&portal, &token, &format!("products?from={from}&to={to}")).await;
            let matrix: i64 = table(&products, "matrix").iter().map(|row| row[1].as_i64().unwrap()).sum();
            assert_eq!(matrix, all);
        }

        let quiet = report(&portal, &token, "quiet").await;
        let found: Vec<(String, i64, i64)> = table(&quiet, "partners")
            .iter()
            .map(|row| (row[0].as_str().unwrap().to_owned(), row[1].as_i64().unwrap(), row[2].as_i64().unwrap()))
            .collect();
        let slow = world.quiet(portal.now_ms());
        assert!(!slow.is_empty(), "someone goes quiet in this programme");
        assert_eq!(found.len(), slow.len(), "{found:?} {slow:?}");
        for (name, expected, actual) in found {
            assert_eq!(slow[&name], (expected, actual), "{name}");
        }

        // A late report moves a first call, a month and what follows from them.
        let late = world.calls.iter().find(|call| call.is_live && call.outcome == "2xx").unwrap().clone();
        let late = Call { minute: late.minute - 45 * 1_440, count: 7, ..late };
        world.calls.push(late.clone());
        store_calls(&portal.context().await, &[late]).await;
        check_months(&world, &report(&portal, &token, &format!("home?{span}")).await);
        check_funnel(&world, &report(&portal, &token, &format!("funnel?{span}")).await);
    }

    async fn every_report_is_a_page_and_a_csv_with_a_definition_at_every_number(portal: TestPortal) {
        let (world, token) = scene(&portal).await;
        let verified = world.partners.iter().find(|partner| partner.at_ms[1].is_some()).unwrap();
        for entry in super::super::pages::REPORTS {
            let query = if entry.name == "partner" { format!("?organisation_id={}", verified.id) } else { String::new() };
            let page = portal.page(&format!("/operator/analytics/{}{query}", entry.name), &token).await.expect(200).text();
            assert!(!page.contains("style=") && page.contains("<h1>"), "{}", entry.name);
            let answer = report(&portal, &token, &format!("{}{query}", entry.name)).await;
            for figure in answer["figures"].as_array().unwrap() {
                assert!(figure["definition"].as_str().unwrap().len() > 20, "{figure}");
            }
            for table in answer["tables"].as_array().unwrap() {
                let columns = table["columns"].as_array().unwrap().len();
                assert!(table["rows"].as_array().unwrap().iter().all(|row| row.as_array().unwrap().len() == columns), "{table}");
                let name = table["name"].as_str().unwrap();
                let join = if query.is_empty() { "?" } else { "&" };
                let path = format!("/api/v1/operator/analytics/{}{query}{join}format=csv&table={name}", entry.name);
                let csv = portal.get(&path, &token).await.expect(200);
                assert!(csv.header("content-type").starts_with("text/csv"));
                assert_eq!(csv.text().lines().count(), table["rows"].as_array().unwrap().len() + 1, "{name}");
            }
        }
        for bad in ["home?from=yesterday", "home?from=2026-02-01&to=2026-01-01", "home?format=pdf", "home?format=csv&table=none", "cohorts?by=year", "never-called?days=0", "partner"] {
            portal.get(&format!("/api/v1/operator/analytics/{bad}"), &token).await.expect(422);
        }
        portal.get("/api/v1/operator/analytics/none", &token).await.expect(404);
    }

    async fn a_view_of_the_sign_up_page_is_counted_by_source_and_not_by_person(portal: TestPortal) {
        let staff = portal.sign_up("staff@operator.example", "Operator").await;
        portal.make_operator(&staff, "manager").await;
        for path in ["/register?source=fair", "/register?source=fair", "/register"] {
            portal.get(path, "").await.expect(200);
        }
        portal.page("/register?source=fair", &staff.token).await;
        let funnel = report(&portal, &staff.token, "funnel").await;
        assert_eq!(table(&funnel, "steps")[0][1], 3);
        let funnel = report(&portal, &staff.token, "funnel?source=fair").await;
        assert_eq!(table(&funnel, "steps")[0][1], 2);
    }

    async fn what_staff_does_to_a_partner_is_a_human_touch(portal: TestPortal) {
        let staff = portal.sign_up("staff@operator.example", "Operator").await;
        portal.make_operator(&staff, "manager").await;
        let ada = portal.sign_up("ada@partner.example", "Partner").await;
        let path = format!("/api/v1/operator/organisations/{}/suspension", ada.organisation_id);
        portal.post(&path, &staff.token, json!({ "reason": "unpaid" })).await;
        let friction = report(&portal, &staff.token, "friction").await;
        assert_eq!(table(&friction, "actions")[0], json!(["Verified", "organisation.suspended", 1]));
        let card = report(&portal, &staff.token, &format!("partner?organisation_id={}", ada.organisation_id)).await;
        assert_eq!(table(&card, "touches")[0][1], "organisation.suspended");
    }

    async fn a_partner_sees_its_own_calls_and_nobody_elses(portal: TestPortal) {
        let (world, _) = scene(&portal).await;
        let ada = portal.sign_up("ada@partner.example", "Other").await;
        let busiest = (0..world.partners.len()).max_by_key(|number| world.totals(*number, "2026-08-01", "2026-08-31")[3]).unwrap();
        let partner = &world.partners[busiest];
        let path = format!("/api/v1/organisations/{}/usage", partner.id);
        portal.get(&path, &ada.token).await.expect(404);
        let context = portal.context().await;
        crate::organisations::store::insert_member(
            &context, partner.id.parse().unwrap(), ada.person_id.parse().unwrap(), crate::organisations::MemberRole::Reader,
        ).await.unwrap();
        for (from, to) in [("2026-08-01", "2026-08-31"), ("2026-08-12", "2026-08-13"), ("2026-02-01", "2027-02-28")] {
            let usage = portal.get(&format!("{path}?environment=live&from={from}&to={to}"), &ada.token).await.expect(200).json();
            let [calls, errors, limited, _, _] = world.totals(busiest, from, to);
            let figure = |name: &str| usage["figures"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap()["value"].clone();
            assert_eq!([figure("requests"), figure("errors"), figure("refused")], [json!(calls), share(errors, calls), json!(limited)]);
            for name in ["time", "apps", "operations", "credentials", "environments"] {
                let rows = table(&usage, name);
                let column = |number: usize| rows.iter().map(|row| row[number].as_i64().unwrap()).sum::<i64>();
                assert_eq!((column(1), column(4)), (calls, limited), "{name}");
            }
            let refused: i64 = table(&usage, "refusals").iter().map(|row| row[1].as_i64().unwrap()).sum();
            assert_eq!(refused, limited);
        }
        let page = portal.page(&format!("/organisations/{}/usage", partner.id), &portal.log_in("ada@partner.example", PASSWORD).await).await.expect(200).text();
        assert!(page.contains("By operation") && !page.contains("style="));
        portal.get(&format!("{path}?environment=moon"), &ada.token).await.expect(422);
    }

    async fn percentiles_and_refusals_of_a_partner_are_explained(portal: TestPortal) {
        let (actor, app) = crate::credentials::test_partner::start(&portal).await;
        let mut edge = crate::credentials::test_partner::first_call(&portal, &actor, &app).await;
        let credential = edge.newest(|change| match change {
            shared::feed::Change::Credential(known) => Some(known.credential),
            _ => None,
        }).unwrap();
        let app_id = app.rsplit('/').next().unwrap();
        let mut slow = edge.cell(&portal, app_id, credential, "2xx", 9);
        slow.latency = vec![(2, 8), (10, 1)];
        let refused = edge.cell(&portal, app_id, credential, "rate_limited", 2);
        edge.report_cells(&portal, vec![slow, refused]).await;
        let path = format!("/api/v1/organisations/{}/usage", actor.organisation_id);
        let usage = portal.get(&path, &actor.token).await.expect(200).json();
        let row = &table(&usage, "operations")[0];
        let bound = |bucket: usize| format!("{} ms", shared::usage::LATENCY_BOUNDS_US[bucket] as f64 / 1_000.0);
        assert_eq!((&row[6], &row[7]), (&json!(bound(2)), &json!(bound(10))), "{row}");
        let refusal = &table(&usage, "refusals")[0];
        assert_eq!((&refusal[0], &refusal[1]), (&json!("rate_limited"), &json!(2)));
        assert!(refusal[2].as_str().unwrap().len() > 20);
        assert!(!table(&usage, "quotas").is_empty());
    }

    async fn why_someone_left_is_what_was_recorded_and_else_a_guess_marked_as_one(portal: TestPortal) {
        let (world, _) = scene(&portal).await;
        portal.advance_ms(60 * DAY_MS);
        let token = portal.log_in("staff@operator.example", PASSWORD).await;
        let churned = report(&portal, &token, "churned").await;
        let rows = table(&churned, "partners");
        let last = rows[0].as_array().unwrap().len() - 1;
        assert!(rows.iter().all(|row| row[last].as_str().unwrap().contains("(guessed)")), "{rows:?}");
        for row in rows {
            let number = world.partners.iter().position(|one| json!(one.name) == row[0]).unwrap();
            let [_, _, _, decided, _] = world.totals(number, row[1].as_str().unwrap(), "9999");
            assert!(decided > 0);
            let after = world.calls.iter().filter(|call| call.partner == number && call.is_live && call.outcome == "2xx");
            let newest = after.map(|call| call.minute).max().unwrap();
            assert!(jiff::Timestamp::from_second(newest * 60).unwrap().to_string().starts_with(row[1].as_str().unwrap()));
        }
        let number = world.partners.iter().position(|one| json!(one.name) == rows[0][0]).unwrap();
        portal.context().await.connection.execute(
            "UPDATE subscriptions SET cancellation_reason = $2 WHERE subscription_id = $1",
            crate::params![ids(number).subscription.to_string(), "too dear"],
        ).await.unwrap();
        let churned = report(&portal, &token, "churned").await;
        assert_eq!(table(&churned, "partners")[0][last], "recorded when it cancelled: too dear");
    }

    async fn revenue_equals_the_invoices_line_by_line(portal: TestPortal) {
        let (world, token) = scene(&portal).await;
        let context = portal.context().await;
        let mut dice = Dice(7);
        let (mut by_partner, mut all, mut fees) = (std::collections::BTreeMap::<String, i64>::new(), 0_i64, 0_i64);
        let keyed: Vec<usize> = (0..world.partners.len()).filter(|number| world.partners[*number].at_ms[3].is_some()).collect();
        for number in 0..60 {
            let partner = keyed[usize::try_from(dice.roll(i64::try_from(keyed.len()).unwrap())).unwrap()];
            let subscription = ids(partner).subscription.to_string();
            let (fee, usage, discount) = (dice.roll(9_000), dice.roll(50_000), dice.roll(100));
            let major = |minor: i64| shared::money::Money::from_minor("USD".parse().unwrap(), minor).to_major();
            let document = json!({
                "lines": [{ "subscription_id": subscription, "amount": major(fee) },
                    { "subscription_id": subscription, "quantity": "9", "amount": major(usage) }],
                "discounts": [{ "amount": major(-discount) }], "taxes": [{ "amount": "5.00" }],
            });
            let voided = (number % 7 == 0).then_some(1_i64);
            let issued_ms = portal.now_ms() - dice.roll(300) * DAY_MS;
            insert(
                &context,
                "invoices",
                "invoice_id, organisation_id, kind, number, currency, period_start_ms, period_end_ms, issued_at_ms,
                 due_at_ms, total_minor, wallet_minor, credited_minor, amount_due_minor, voided_at_ms, inputs, document",
                crate::params![
                    format!("inv_{number}"), &world.partners[partner].id, "invoice", format!("N{number}"), "USD", 0_i64,
                    0_i64, issued_ms, 0_i64, fee + usage - discount + 500, 0_i64, 0_i64, 0_i64, voided, "",
                    document.to_string(),
                ],
            )
            .await;
            if voided.is_none() {
                *by_partner.entry(world.partners[partner].name.clone()).or_default() += fee + usage - discount;
                all += fee + usage - discount;
                fees += fee;
            }
        }
        while refresh(&context).await.unwrap() > 0 {}
        super::super::revenue_lines::read_new_invoices(&context).await.unwrap();
        let revenue = report(&portal, &token, "revenue?from=2026-01-01&to=2027-03-31").await;
        let figure = |name: &str| revenue["figures"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap()["value"].clone();
        let amount = |minor: i64| json!({ "amount": shared::money::Money::from_minor("USD".parse().unwrap(), minor).to_major(), "currency": "USD" });
        assert_eq!((figure("revenue"), figure("recurring")), (amount(all), share(fees, all)));
        assert_eq!(figure("paying"), json!(by_partner.values().filter(|minor| **minor > 0).count()));
        let rows = table(&revenue, "partners");
        assert_eq!(rows.len(), by_partner.len());
        for row in rows {
            let theirs = by_partner[row[0].as_str().unwrap()];
            assert_eq!((&row[1], &row[2]), (&amount(theirs), &share(theirs, all)));
        }
        let months: f64 = table(&revenue, "months").iter().map(|row| row[1]["amount"].as_str().unwrap().parse::<f64>().unwrap()).sum();
        assert!((months * 100.0 - all as f64).abs() < 0.5);
        let funnel = report(&portal, &token, "funnel?from=2026-01-02&to=2027-03-31").await;
        assert_eq!(table(&funnel, "steps")[7][1], json!(by_partner.len()));
    }
}
