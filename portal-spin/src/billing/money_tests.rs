//! Taxes, coupons, credit, payment and its absence, as partners and operators meet them.

use serde_json::{Value, json};

use super::run_dunning;
use super::test_scene::{DAY_MS, HOUR_MS, Scene, documents, publish_plan, run_at};
use crate::testing::{PASSWORD, TestPortal, on_every_database};
use shared::feed::Change;

/// 2026-02-01.
const FEBRUARY_MS: i64 = 1_769_904_000_000;

fn terms(fee: &str) -> Value {
    json!({
        "quota": { "name": "month", "limit": 1000, "enforcement": { "kind": "soft" } },
        "price": { "model": "per_unit", "currency": "EUR", "unit_amount": "0.01" },
        "charges": [{ "kind": "recurring", "name": "Base fee", "currency": "EUR", "amount": fee }]
    })
}

async fn finance(portal: &TestPortal) -> String {
    let staff = portal.sign_up("finance@operator.example", "Operator").await;
    portal.make_operator(&staff, "finance").await;
    staff.token
}

async fn invoices(portal: &TestPortal, scene: &Scene, token: &str) -> Vec<Value> {
    let path = format!(
        "/api/v1/organisations/{}/invoices",
        scene.actor.organisation_id
    );
    portal.get(&path, token).await.expect(200).json()["items"]
        .as_array()
        .unwrap()
        .clone()
}

on_every_database! {
    async fn coupon_tax_and_credit_apply_in_order_and_are_stated(portal: TestPortal) {
        let scene = Scene::on_plan(&portal, terms("100")).await;
        let finance = finance(&portal).await;
        let base = format!("/api/v1/organisations/{}/billing", scene.actor.organisation_id);
        let post = async |path: &str, body: Value, status: u16| portal.post(path, &finance, body).await.expect(status).json_or_null();
        post("/api/v1/operator/tax-rates", json!({ "name": "VAT 19%", "country": "de", "percent": "19" }), 201).await;
        post("/api/v1/operator/coupons", json!({ "code": "spring", "percent": "10", "periods": 1 }), 201).await;
        let wallet = format!("/api/v1/operator/wallets/{}/entries", scene.actor.organisation_id);
        post(&wallet, json!({ "amount": "50", "currency": "EUR", "note": "paid in" }), 204).await;
        let account = json!({ "legal_name": "Partner GmbH", "country": "DE", "budget": "120", "budget_currency": "EUR" });
        portal.call("PUT", &format!("{base}/account"), &scene.actor.token, Some(account)).await.expect(200);
        portal.post(&format!("{base}/coupons"), &scene.actor.token, json!({ "code": "Spring" })).await.expect(204);
        let again = portal.post(&format!("{base}/coupons"), &scene.actor.token, json!({ "code": "spring" })).await.expect(422);
        assert_eq!(again.json()["errors"][0]["code"], "taken");
        run_at(&portal, portal.now_ms() + 25 * HOUR_MS).await;
        let issued = documents(&portal).await;
        let document = &issued[0].1;
        assert_eq!(document["discounts"][0]["amount"], "-10.00", "{document}");
        // The boundary lies before the rate was entered: no tax is charged for the time before it.
        assert_eq!(document["taxes"], json!([]));
        assert_eq!((&document["total"], &document["credit_drawn"], &document["amount_due"]), (&json!("90.00"), &json!("50.00"), &json!("40.00")));
        run_at(&portal, FEBRUARY_MS + 25 * HOUR_MS).await;
        let document = &documents(&portal).await[1].1;
        assert_eq!(document["discounts"], json!([]), "the coupon was for one invoice");
        assert_eq!(document["taxes"][0]["formula"], "19% of 100.00 = 19.00");
        assert_eq!((&document["total"], &document["buyer"]["name"]), (&json!("119.00"), &json!("Partner GmbH")));
        let token = portal.log_in(&scene.actor.email, PASSWORD).await;
        let id = invoices(&portal, &scene, &token).await[0]["id"].as_str().unwrap().to_owned();
        let csv = portal.get(&format!("/api/v1/invoices/{id}/csv"), &token).await.expect(200).text();
        assert!(csv.contains("INV-000002,tax,,VAT 19%,,,,,,19% of 100.00 = 19.00,19.00,EUR"), "{csv}");
        let page = portal.page(&format!("/invoices/{id}"), &token).await.expect(200).text();
        assert!(page.contains("Partner GmbH") && page.contains("119.00 EUR"));
        let page = portal.page(&format!("/organisations/{}/billing", scene.actor.organisation_id), &token).await.expect(200).text();
        assert!(page.contains("INV-000002") && page.contains("Forecast"));
    }

    async fn finance_adds_credit_by_the_form_and_is_told_which_field_is_wrong(portal: TestPortal) {
        let scene = Scene::on_plan(&portal, terms("100")).await;
        let finance = finance(&portal).await;
        let organisation = scene.actor.organisation_id.as_str();
        let submit = async |organisation: &str, amount: &str, currency: &str| {
            let fields = [("credit_organisation", organisation), ("credit_amount", amount), ("credit_currency", currency), ("credit_note", "transfer of March")];
            portal.submit("/operator/wallets", &finance, &fields).await
        };
        let stranger = shared::ids::OrganisationId::from_bytes([3; 16]).to_string();
        for (given, amount, currency, words) in [
            ("Partner", "50", "EUR", "Give an organisation&#39;s id"),
            (&stranger, "50", "EUR", "Give an organisation&#39;s id"),
            (organisation, "0", "EUR", "Give an amount above 0."),
            (organisation, "1.005", "EUR", "credit_amount-error"),
            (organisation, "50", "euros", "Give an ISO 4217 code"),
        ] {
            let page = submit(given, amount, currency).await.expect(422).text();
            assert!(page.contains(words), "{given} {amount} {currency}: {page}");
        }
        submit(organisation, "50", "eur").await.expect(303);
        let page = portal.page("/operator/billing", &finance).await.expect(200).text();
        assert!(page.contains("50.00 EUR") && page.contains(organisation), "{page}");
        let token = portal.log_in(&scene.actor.email, PASSWORD).await;
        let page = portal.page(&format!("/organisations/{organisation}/billing"), &token).await.expect(200).text();
        assert!(page.contains("transfer of March") && page.contains("50.00 EUR left"), "{page}");
    }

    async fn on_a_free_plan_a_document_says_what_another_would_cost(portal: TestPortal) {
        let free = json!({ "price": { "model": "per_unit", "currency": "EUR", "unit_amount": "0" } });
        let scene = Scene::on_plan(&portal, free).await;
        let paid = publish_plan(&portal, "Paid", json!({
            "price": { "model": "per_unit", "currency": "EUR", "unit_amount": "0.01", "included_units": "100" },
            "charges": [
                { "kind": "recurring", "name": "Base fee", "currency": "EUR", "amount": "31" },
                { "kind": "one_off", "name": "Set-up", "currency": "EUR", "amount": "500" }
            ]
        })).await;
        let finance = finance(&portal).await;
        portal.post("/api/v1/operator/tax-rates", &finance, json!({ "name": "VAT 19%", "country": "DE", "percent": "19" })).await.expect(201);
        portal.post(&format!("/api/v1/operator/wallets/{}/entries", scene.actor.organisation_id), &finance, json!({ "amount": "5", "currency": "EUR", "note": "" })).await.expect(204);
        let account = json!({ "country": "DE" });
        portal.call("PUT", &format!("/api/v1/organisations/{}/billing/account", scene.actor.organisation_id), &scene.actor.token, Some(account)).await.expect(200);
        portal.advance_ms(FEBRUARY_MS - 10 * DAY_MS - portal.now_ms());
        scene.merge(&portal, &[scene.cell_at(portal.now_ms() - 60_000, 1_100)]).await;
        let token = portal.log_in(&scene.actor.email, PASSWORD).await;
        let path = format!("{}/shadow-invoice?plan_id={paid}", scene.subscription.strip_prefix("/api/v1").unwrap());
        let shadow = portal.get(&format!("/api/v1{path}"), &token).await.expect(200).json();
        let document = &shadow["document"];
        assert_eq!((&shadow["is_complete"], &shadow["plan"]), (&json!(false), &json!("Paid")));
        // 1 100 calls less 100 included at a cent, the base fee of the whole month, 19 % of both.
        assert_eq!((&document["subtotal"], &document["total"], &document["amount_due"]), (&json!("41.00"), &json!("48.79"), &json!("48.79")), "{document}");
        assert_eq!(document["lines"].as_array().unwrap().len(), 2, "nothing that is charged once");
        let page = portal.page(&path, &token).await.expect(200).text();
        assert!(page.contains("This is not an invoice") && page.contains("48.79 EUR"), "{page}");
        let billing = portal.page(&format!("/organisations/{}/billing", scene.actor.organisation_id), &token).await.expect(200).text();
        assert!(billing.contains("/shadow-invoice?plan_id="), "{billing}");
        // Nothing of it is posted: the month is over, and there is no invoice.
        run_at(&portal, FEBRUARY_MS + 25 * HOUR_MS).await;
        assert_eq!(documents(&portal).await.len(), 0);
        let token = portal.log_in(&scene.actor.email, PASSWORD).await;
        let past = portal.get(&format!("/api/v1{path}&at=2026-01-20T00:00:00Z"), &token).await.expect(200).json();
        assert_eq!((&past["is_complete"], &past["document"]["total"]), (&json!(true), &json!("48.79")));
        portal.get(&format!("/api/v1{path}&at=2027-01-01T00:00:00Z"), &token).await.expect(422);
        portal.get(&format!("/api/v1{path}&at=soon"), &token).await.expect(422);
        let stranger = portal.sign_up("stranger@example.com", "Stranger").await;
        portal.get(&format!("/api/v1{path}"), &stranger.token).await.expect(404);
    }

    async fn an_invoice_that_is_overdue_for_long_never_stands_before_a_newer_one(portal: TestPortal) {
        let scene = Scene::on_plan(&portal, terms("100")).await;
        run_at(&portal, portal.now_ms() + 25 * HOUR_MS).await;
        portal.advance_ms(15 * DAY_MS);
        let context = portal.context().await;
        // More unpaid invoices than one look takes, all of them told of everything long ago.
        context.connection.transaction(async || {
            for number in 0..250 {
                let id = format!("inv_old{number:04}");
                context.connection.execute(
                    "INSERT INTO invoices (invoice_id, organisation_id, kind, number, currency, period_start_ms, period_end_ms, issued_at_ms,
                        due_at_ms, total_minor, wallet_minor, credited_minor, amount_due_minor, inputs, document)
                     SELECT $1, organisation_id, kind, $2, currency, period_start_ms, period_end_ms, issued_at_ms,
                        $3, total_minor, wallet_minor, credited_minor, amount_due_minor, inputs, document FROM invoices WHERE number = 'INV-000001'",
                    crate::params![&id, &id, portal.now_ms() - 400 * DAY_MS + number],
                ).await?;
                context.connection.execute(
                    "INSERT INTO billing_notices (subject, period_start_ms, notice, at_ms) VALUES ($1, $2, 'suspended', 0)",
                    crate::params![&id, portal.now_ms() - 400 * DAY_MS + number],
                ).await?;
            }
            Ok::<_, crate::database::DatabaseError>(())
        }).await.unwrap();
        assert_eq!(run_dunning(&context).await.unwrap(), 1, "the newest is reminded of");
        let told = portal.newest_email(&scene.actor.email).await;
        assert_eq!(told["subject"], "Reminder: invoice INV-000001 is overdue");
    }

    async fn an_overdue_invoice_stops_live_calls_until_it_is_paid(portal: TestPortal) {
        let mut scene = Scene::on_plan(&portal, terms("100")).await;
        let at = portal.now_ms() + 25 * HOUR_MS;
        run_at(&portal, at).await;
        let secret = portal.app.configuration.secret("tick_secret").unwrap();
        let suspended = async |scene: &mut Scene| {
            scene.edge.catch_up(&portal).await;
            let id = scene.actor.organisation_id.clone();
            scene.edge.newest(|change| match change {
                Change::Organisation(known) if known.organisation.to_string() == id => Some(known.suspended),
                _ => None,
            }).unwrap()
        };
        portal.advance_ms(14 * DAY_MS + HOUR_MS);
        for _ in 0..2 {
            portal.post("/internal/tick", &secret, json!({})).await.expect(200);
        }
        let told = portal.newest_email(&scene.actor.email).await;
        assert_eq!(told["subject"], "Reminder: invoice INV-000001 is overdue");
        assert!(!suspended(&mut scene).await);
        portal.advance_ms(14 * DAY_MS);
        assert_eq!(run_dunning(&portal.context().await).await.unwrap(), 1);
        assert_eq!(run_dunning(&portal.context().await).await.unwrap(), 0);
        assert!(suspended(&mut scene).await);
        let finance = finance(&portal).await;
        let token = portal.log_in(&scene.actor.email, PASSWORD).await;
        let overdue: Vec<Value> = invoices(&portal, &scene, &token).await.into_iter().filter(|one| one["state"] == "overdue").collect();
        let path = format!("/api/v1/operator/invoices/{}/payments", overdue[0]["id"].as_str().unwrap());
        portal.post(&path, &finance, json!({ "reference": "transfer 1" })).await.expect(204);
        // The same transaction told the edges: the next poll of the feed, within a second, lifts it.
        assert!(!suspended(&mut scene).await);
        assert_eq!(portal.post(&path, &finance, json!({ "reference": "transfer 2" })).await.expect(409).code(), "invoice_closed");
    }

    async fn a_credit_note_by_hand_goes_off_what_is_due_or_into_the_wallet(portal: TestPortal) {
        let scene = Scene::on_plan(&portal, terms("100")).await;
        run_at(&portal, portal.now_ms() + 25 * HOUR_MS).await;
        let finance = finance(&portal).await;
        let token = portal.log_in(&scene.actor.email, PASSWORD).await;
        let invoice = invoices(&portal, &scene, &token).await.remove(0);
        let path = format!("/api/v1/operator/invoices/{}", invoice["id"].as_str().unwrap());
        let credit = async |amount: &str, status: u16| {
            portal.post(&format!("{path}/credit-notes"), &finance, json!({ "amount": amount, "reason": "an outage" })).await.expect(status);
        };
        credit("100.01", 422).await;
        credit("30", 201).await;
        assert_eq!(portal.get(&path, &finance).await.expect(200).json()["amount_due"], "70.00");
        portal.post(&format!("{path}/payments"), &finance, json!({ "reference": "t" })).await.expect(204);
        credit("70.01", 422).await;
        credit("20", 201).await;
        let billing = portal.get(&format!("/api/v1/organisations/{}/billing", scene.actor.organisation_id), &token).await.expect(200).json();
        assert_eq!(billing["wallet"][0]["amount"], "20.00");
        assert_eq!(invoices(&portal, &scene, &token).await[0]["number"], "CRN-000002");
    }

    async fn a_void_invoice_gives_back_the_credit_it_drew_and_its_coupon(portal: TestPortal) {
        let scene = Scene::on_plan(&portal, terms("100")).await;
        let finance = finance(&portal).await;
        let base = format!("/api/v1/organisations/{}/billing", scene.actor.organisation_id);
        portal.post("/api/v1/operator/coupons", &finance, json!({ "code": "once", "percent": "10", "periods": 1 })).await.expect(201);
        portal.post(&format!("{base}/coupons"), &scene.actor.token, json!({ "code": "once" })).await.expect(204);
        let wallet = format!("/api/v1/operator/wallets/{}/entries", scene.actor.organisation_id);
        portal.post(&wallet, &finance, json!({ "amount": "60", "currency": "EUR", "note": "paid in" })).await.expect(204);
        run_at(&portal, portal.now_ms() + 25 * HOUR_MS).await;
        let issued = documents(&portal).await;
        assert_eq!((&issued[0].1["credit_drawn"], &issued[0].1["amount_due"]), (&json!("60.00"), &json!("30.00")));
        let token = portal.log_in(&scene.actor.email, PASSWORD).await;
        let id = invoices(&portal, &scene, &token).await[0]["id"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/operator/invoices/{id}");
        portal.post(&format!("{path}/credit-notes"), &finance, json!({ "amount": "20", "reason": "an outage" })).await.expect(201);
        portal.post(&format!("{path}/void"), &finance, json!({ "reason": "sent by mistake" })).await.expect(204);
        let billing = portal.get(&base, &token).await.expect(200).json();
        assert_eq!(billing["wallet"][0]["amount"], "60.00", "{billing}");
        run_at(&portal, FEBRUARY_MS + 25 * HOUR_MS).await;
        let next = documents(&portal).await.pop().unwrap();
        assert_eq!((next.0.as_str(), &next.1["discounts"][0]["amount"]), ("INV-000002", &json!("-10.00")), "{}", next.1);
        assert_eq!((&next.1["credit_drawn"], &next.1["amount_due"]), (&json!("60.00"), &json!("30.00")));
    }

    async fn what_is_used_so_far_is_forecast_compared_and_told(portal: TestPortal) {
        let scene = Scene::on_plan(&portal, terms("10")).await;
        publish_plan(&portal, "Cheaper", json!({ "price": { "model": "flat", "currency": "EUR", "flat_amount": "5" } })).await;
        let start = portal.now_ms();
        portal.advance_ms(FEBRUARY_MS - 21 * DAY_MS - start);
        scene.merge(&portal, &[scene.cell_at(portal.now_ms() - 60_000, 820)]).await;
        let context = portal.context().await;
        assert_eq!(super::super::send_alerts(&context).await.unwrap(), 1);
        assert_eq!(super::super::send_alerts(&context).await.unwrap(), 0);
        let told = portal.newest_email(&scene.actor.email).await;
        assert_eq!(told["subject"], "App has used 80% of its allowance");
        assert!(told["text"].as_str().unwrap().contains("On the plan Cheaper"), "{told}");
        let token = portal.log_in(&scene.actor.email, PASSWORD).await;
        let billing = portal.get(&format!("/api/v1/organisations/{}/billing", scene.actor.organisation_id), &token).await.expect(200).json();
        let draft = billing["drafts"].as_array().unwrap().iter().find(|draft| draft["state"] == "running").unwrap();
        let usage = draft["so_far"]["lines"].as_array().unwrap().iter().find(|line| line["charge"] == "Usage").unwrap();
        assert_eq!((usage["quantity"].as_str(), usage["amount"].as_str()), (Some("820"), Some("8.20")));
        // Quota, usage page and draft: one number.
        let usage = portal.get(&format!("{}/usage?environment=live&granularity=day&from=2026-01-01T00:00:00Z", scene.app), &token).await.expect(200).json();
        assert_eq!(usage["totals"]["units"], 820);
        let quota = usage["quotas"].as_array().unwrap().iter().find(|quota| quota["environment"] == "live").unwrap();
        assert_eq!(quota["used"], 820);
        let plans = billing["plans"].as_array().unwrap();
        let cheaper = plans.iter().find(|plan| plan["plan"] == "Cheaper").unwrap();
        assert_eq!(cheaper["amount"], "5.00");
        let current = plans.iter().find(|plan| plan["is_current"] == true).unwrap();
        let cents = |text: &Value| (text.as_str().unwrap().parse::<f64>().unwrap() * 100.0).round();
        assert_eq!(cents(&current["amount"]) - cents(&cheaper["amount"]), cents(&cheaper["saving"]));
    }
}
