//! The payment port: how an open invoice is asked for, and how its payment is learnt of.
//!
//! Two adapters. Manual: the partner transfers, finance marks the invoice as paid. Stripe: the tick makes
//! an invoice there, the partner pays on Stripe's page, a signed webhook tells of it. Calls to a provider
//! happen outside transactions and may come again: every one carries a key that makes it count once.

use serde_json::json;
use shared::money::Money;

use super::store::{self, StoredInvoice};
use super::stripe::{self, Event};
use super::{accounts, notices};
use crate::context::Context;
use crate::database::DatabaseError;
use crate::params;
use crate::routes::Outcome;
use crate::web::{Failure, response};

const PER_TICK: i64 = 20;
const RETRY_MS: i64 = 5 * 60_000;

/// Who takes payments.
enum Adapter {
    /// A person at the operator's.
    Manual,
    /// Stripe, by its HTTP API.
    Stripe { base: String, secret_key: String },
}

fn adapter(context: &Context) -> Adapter {
    match context.configuration().get("stripe_secret_key") {
        "" => Adapter::Manual,
        key => Adapter::Stripe {
            base: context.configuration().get("stripe_api_url").to_owned(),
            secret_key: key.to_owned(),
        },
    }
}

/// What a provider gave for an invoice.
struct Asked {
    customer: String,
    provider_invoice: String,
    payment_url: Option<String>,
}

impl Adapter {
    async fn call(
        &self,
        context: &Context,
        path: &str,
        key: &str,
        fields: &[(&str, &str)],
    ) -> Result<stripe::Answer, String> {
        let Self::Stripe { base, secret_key } = self else {
            return Err("no provider is set up".to_owned());
        };
        let request = stripe::request(base, path, secret_key, key, fields)
            .map_err(|error| error.to_string())?;
        stripe::read_answer(&context.app.http.send(request).await?)
    }

    /// Asks for an invoice to be paid.
    async fn ask(&self, context: &Context, invoice: &StoredInvoice) -> Result<Asked, String> {
        let organisation_id = invoice.organisation_id.to_string();
        let account = accounts::find_account(&context.connection, invoice.organisation_id)
            .await
            .map_err(|error| error.to_string())?;
        let customer = match &account.provider_customer {
            Some(known) => known.clone(),
            None => {
                let name = account.party(invoice.organisation_id).name;
                let mut fields = vec![
                    ("name", name.as_str()),
                    ("metadata[organisation_id]", &organisation_id),
                ];
                if !account.email.is_empty() {
                    fields.push(("email", &account.email));
                }
                self.call(
                    context,
                    "/v1/customers",
                    &format!("customer-{organisation_id}"),
                    &fields,
                )
                .await?
                .id
            }
        };
        let currency = invoice.view.currency.to_ascii_lowercase();
        // Stripe refuses a due date that is past.
        let due_secs = invoice.view.due_at.max(context.now_ms + 3_600_000) / 1_000;
        let fields = [
            ("customer", customer.as_str()),
            ("collection_method", "send_invoice"),
            ("due_date", &due_secs.to_string()),
            ("auto_advance", "false"),
            ("currency", &currency),
            ("description", &invoice.view.number),
            ("metadata[invoice_id]", &invoice.view.id),
        ];
        // One key per day: Stripe forgets a key after a day, and a due date in the request may move.
        let key =
            |step: &str| format!("{step}-{}-{}", invoice.view.id, context.now_ms / 86_400_000);
        let made = self
            .call(context, "/v1/invoices", &key("invoice"), &fields)
            .await?
            .id;
        let amount = stripe::stripe_amount(Money::from_minor(invoice.currency, invoice.due_minor))
            .to_string();
        let fields = [
            ("customer", customer.as_str()),
            ("invoice", &made),
            ("amount", &amount),
            ("currency", &currency),
            ("description", &invoice.view.number),
        ];
        self.call(context, "/v1/invoiceitems", &key("item"), &fields)
            .await?;
        let done = self
            .call(
                context,
                &format!("/v1/invoices/{made}/finalize"),
                &key("finalize"),
                &[("auto_advance", "false")],
            )
            .await?;
        Ok(Asked {
            customer,
            provider_invoice: done.id,
            payment_url: done.hosted_invoice_url,
        })
    }

    /// Tells the provider how an invoice ended here, so that nobody pays it there.
    async fn tell_closed(&self, context: &Context, invoice: &StoredInvoice) -> Result<(), String> {
        let Some(known) = &invoice.provider_invoice else {
            return Ok(());
        };
        let (step, fields): (&str, &[(&str, &str)]) = match invoice.view.state.as_str() {
            "paid" => ("pay", &[("paid_out_of_band", "true")]),
            "void" => ("void", &[]),
            _ => ("mark_uncollectible", &[]),
        };
        let key = format!("{step}-{}", invoice.view.id);
        self.call(
            context,
            &format!("/v1/invoices/{known}/{step}"),
            &key,
            fields,
        )
        .await
        .map(|_| ())
    }
}

/// Asks the provider for what is open, and tells it what was closed here. Answers how many calls it took.
/// Waits for the provider: call it outside transactions, behind everything else.
pub async fn push_payments(context: &Context) -> Result<u64, DatabaseError> {
    let adapter = adapter(context);
    if matches!(adapter, Adapter::Manual) {
        return Ok(0);
    }
    let connection = &context.connection;
    let mut pushed = 0;
    for invoice in store::list_to_push(connection, context.now_ms, PER_TICK).await? {
        match adapter.ask(context, &invoice).await {
            Ok(asked) => {
                connection
                    .transaction(async || {
                        accounts::lock_account(connection, invoice.organisation_id).await?;
                        connection
                            .execute(
                                "UPDATE billing_accounts SET provider_customer = COALESCE(provider_customer, $2)
                                 WHERE organisation_id = $1",
                                params![invoice.organisation_id.to_string(), asked.customer],
                            )
                            .await?;
                        connection
                            .execute(
                                "UPDATE invoices SET provider_invoice = $2, payment_url = $3, provider_error = NULL
                                 WHERE invoice_id = $1",
                                params![invoice.id.to_string(), asked.provider_invoice, asked.payment_url.clone()],
                            )
                            .await?;
                        if let Some(url) = &asked.payment_url {
                            let subject = format!("Pay invoice {} online", invoice.view.number);
                            let text = format!("{} {} can be paid here:\n{url}", invoice.view.amount_due, invoice.view.currency);
                            notices::tell_payers(context, invoice.organisation_id, &subject, &text).await?;
                        }
                        Ok::<_, DatabaseError>(())
                    })
                    .await?;
                pushed += 1;
            }
            Err(problem) => note_problem(context, &invoice, &problem).await?,
        }
    }
    for invoice in store::list_to_tell(connection, context.now_ms, PER_TICK).await? {
        match adapter.tell_closed(context, &invoice).await {
            Ok(()) => {
                connection
                    .execute(
                        "UPDATE invoices SET provider_told_at_ms = $2, provider_error = NULL WHERE invoice_id = $1",
                        params![invoice.id.to_string(), context.now_ms],
                    )
                    .await?;
                pushed += 1;
            }
            Err(problem) => note_problem(context, &invoice, &problem).await?,
        }
    }
    Ok(pushed)
}

async fn note_problem(
    context: &Context,
    invoice: &StoredInvoice,
    problem: &str,
) -> Result<(), DatabaseError> {
    let problem: String = problem.chars().take(500).collect();
    context
        .connection
        .execute(
            "UPDATE invoices SET provider_next_try_ms = $2, provider_error = $3 WHERE invoice_id = $1",
            params![invoice.id.to_string(), context.now_ms + RETRY_MS, problem],
        )
        .await?;
    Ok(())
}

/// `POST /api/v1/payments/stripe/events`: what Stripe tells. An event that comes again changes nothing.
pub async fn receive_stripe_event(context: &Context) -> Outcome {
    let secret = context.configuration().get("stripe_webhook_secret");
    if secret.is_empty() {
        return Err(Failure::not_found());
    }
    let body = context.request.body();
    let header = context.header("stripe-signature").unwrap_or_default();
    stripe::verify_signature(secret, header, body, context.now_ms / 1_000).map_err(|problem| {
        Failure::new(
            http::StatusCode::BAD_REQUEST,
            "bad_signature",
            problem.to_string(),
        )
    })?;
    let event: Event = context.json()?;
    let outcome = context
        .connection
        .transaction(async || take_event(context, &event).await)
        .await?;
    response::ok(&json!({ "outcome": outcome }))
}

async fn take_event(context: &Context, event: &Event) -> Result<&'static str, Failure> {
    let connection = &context.connection;
    let new = connection
        .execute(
            "INSERT INTO payment_events (event_id, kind, received_at_ms, outcome) VALUES ($1, $2, $3, '')
             ON CONFLICT (event_id) DO NOTHING",
            params![&event.id, &event.kind, context.now_ms],
        )
        .await?;
    if new == 0 {
        return Ok("known");
    }
    let outcome = match event.kind.as_str() {
        "invoice.paid" => take_payment(context, event).await?,
        _ => "ignored",
    };
    connection
        .execute(
            "UPDATE payment_events SET outcome = $2 WHERE event_id = $1",
            params![&event.id, outcome],
        )
        .await?;
    Ok(outcome)
}

async fn take_payment(context: &Context, event: &Event) -> Result<&'static str, Failure> {
    let object = &event.data.object;
    let Some(invoice_id) = store::find_by_provider(&context.connection, &object.id).await? else {
        return Ok("unknown_invoice");
    };
    let invoice = match store::lock_payable_invoice(context, invoice_id).await {
        Ok(invoice) => invoice,
        Err(failure) if failure.code == "invoice_closed" => return Ok("already_closed"),
        Err(failure) => return Err(failure),
    };
    let expected = stripe::stripe_amount(Money::from_minor(invoice.currency, invoice.due_minor));
    if object.amount_paid < expected {
        return Ok("too_little");
    }
    // Stripe knows: it told us.
    context
        .connection
        .execute(
            "UPDATE invoices SET provider_told_at_ms = $2 WHERE invoice_id = $1",
            params![invoice.id.to_string(), context.now_ms],
        )
        .await?;
    store::pay_invoice(context, &invoice, "stripe", &object.id).await?;
    Ok("paid")
}
