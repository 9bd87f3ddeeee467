//! Gathers what the rules look at: the listing, the gateway's counts, and what its addresses answer.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;

use bytes::Bytes;
use futures_util::future::{Either, join_all, select};
use shared::ids::AppId;
use shared::plan::Operation;

use super::facts::{Facts, ImageFacts, Probe, Traffic, WebhookProbe};
use crate::apps::App;
use crate::catalogue;
use crate::context::Context;
use crate::database::{DatabaseError, Value};
use crate::listings::{Content, Listing};
use crate::params;
use crate::subscriptions;
use crate::web::Failure;
use crate::webhooks;

/// Addresses have this long, all at once: the whole check answers within five seconds.
const PROBE_MS: u64 = 4_000;
/// Traffic counts this far back: 30 days.
const TRAFFIC_MINUTES: i64 = 30 * 24 * 60;

/// Everything about a listing's draft. Unless `asks_addresses`, no request goes out and a registered
/// webhook endpoint counts as good.
pub async fn gather_facts(
    context: &Context,
    app: &App,
    listing: &Listing,
    asks_addresses: bool,
) -> Result<Facts, Failure> {
    let connection = &context.connection;
    let content = &listing.draft;
    let subscribed = subscriptions::list_of_app(connection, app.id).await?;
    let mut operations = Vec::new();
    let mut products = Vec::new();
    for subscription in &subscribed {
        operations
            .extend(catalogue::published_operations(connection, subscription.product_id).await?);
        products.push(subscription.product_id);
    }
    let outstanding = subscriptions::outstanding_agreements(
        connection,
        app.organisation_id,
        &products,
        context.now_ms,
    )
    .await?;
    let mut outstanding_agreements = Vec::new();
    for agreement in outstanding {
        let row = connection
            .query_optional(
                "SELECT title FROM agreements WHERE agreement_id = $1",
                params![agreement.agreement],
            )
            .await?;
        outstanding_agreements.extend(row.map(|row| row.get::<String>(0)).transpose()?);
    }
    let mut screenshots = Vec::new();
    for shot in &content.screenshots {
        screenshots.extend(find_image(context, listing, &shot.image).await?);
    }
    let count = async |sql: &str, parameters: Vec<Value>| -> Result<bool, DatabaseError> {
        Ok(connection.query_one(sql, parameters).await?.get::<i64>(0)? > 0)
    };
    let mut facts = Facts {
        visibility: Some(listing.visibility),
        logo: find_image(context, listing, &content.logo).await?,
        screenshots,
        known_scopes: subscriptions::list_scopes(connection, app.id).await?,
        traffic: read_traffic(context, app.id, &operations).await?,
        outstanding_agreements,
        has_live_subscription: subscribed.iter().any(|subscription| {
            subscription.environments().contains(&shared::credential::Environment::Live)
        }),
        has_live_client: count(
            "SELECT COUNT(*) FROM oauth_clients o JOIN credentials c ON c.credential_id = o.credential_id
             WHERE o.app_id = $1 AND c.environment = 'live' AND c.revoked_at_ms IS NULL",
            params![app.id],
        )
        .await?,
        is_name_taken: count(
            "SELECT COUNT(*) FROM listings l JOIN submissions s ON s.submission_id = l.live_submission_id
             JOIN apps a ON a.app_id = l.app_id
             WHERE l.app_id <> $1 AND LOWER(a.name) = $2",
            params![app.id, content.name.trim().to_lowercase()],
        )
        .await?,
        is_suspended: app.suspended_at_ms.is_some()
            || count(
                "SELECT COUNT(*) FROM organisations WHERE organisation_id = $1 AND suspended_at IS NOT NULL",
                params![app.organisation_id],
            )
            .await?,
        allows_loopback: context.configuration().development,
        is_unasked: !asks_addresses,
        content: content.clone(),
        ..Facts::default()
    };
    ask_addresses(context, app, &mut facts).await?;
    Ok(facts)
}

/// What the gateway saw of an app: the same counts that the rules look at, as they are now.
pub async fn gather_traffic(context: &Context, app_id: AppId) -> Result<Traffic, DatabaseError> {
    let connection = &context.connection;
    let mut operations = Vec::new();
    for subscription in subscriptions::list_of_app(connection, app_id).await? {
        operations
            .extend(catalogue::published_operations(connection, subscription.product_id).await?);
    }
    read_traffic(context, app_id, &operations).await
}

async fn find_image(
    context: &Context,
    listing: &Listing,
    image_id: &str,
) -> Result<Option<ImageFacts>, DatabaseError> {
    let row = context
        .connection
        .query_optional(
            "SELECT width, height, contrast FROM listing_images WHERE image_id = $1 AND listing_id = $2",
            params![image_id, listing.id],
        )
        .await?;
    row.map(|row| {
        Ok(ImageFacts {
            width: row.get(0)?,
            height: row.get(1)?,
            contrast: row.get(2)?,
        })
    })
    .transpose()
}

async fn read_traffic(
    context: &Context,
    app_id: AppId,
    operations: &[Operation],
) -> Result<Traffic, DatabaseError> {
    let rows = context
        .connection
        .query(
            "SELECT s.operation, s.outcome, CAST(SUM(c.count) AS BIGINT), MAX(c.minute)
             FROM usage_series s JOIN usage_cells c ON c.series = s.series
             WHERE s.app_id = $1 AND s.environment = 'test' AND s.is_call_count = 1 AND c.minute > $2
             GROUP BY s.operation, s.outcome",
            params![app_id, context.now_ms / 60_000 - TRAFFIC_MINUTES],
        )
        .await?;
    let mut traffic = Traffic::default();
    let find = |name: &str| operations.iter().find(|operation| operation.name == name);
    let (mut called, mut scopes) = (BTreeMap::new(), BTreeSet::new());
    let (mut last_success, mut last_limit) = (None, None);
    for row in rows {
        let (name, outcome): (String, String) = (row.get(0)?, row.get(1)?);
        let (count, minute): (u64, i64) = (row.get(2)?, row.get(3)?);
        match outcome.as_str() {
            "2xx" | "3xx" => {
                traffic.calls += count;
                traffic.successes += count;
                last_success = last_success.max(Some(minute));
                if let Some(operation) = find(&name) {
                    scopes.extend(operation.scopes.iter().cloned());
                }
                let last = called.entry(name).or_insert(minute);
                *last = minute.max(*last);
            }
            "4xx" => {
                traffic.calls += count;
                traffic.client_errors += count;
            }
            "1xx" | "5xx" | "aborted" => traffic.calls += count,
            "rate_limited" => {
                traffic.rate_limited += count;
                last_limit = last_limit.max(Some(minute));
            }
            "unknown_credential"
            | "revoked_credential"
            | "expired_credential"
            | "malformed_credential" => {
                traffic.refused_credentials += count;
            }
            _ => {}
        }
    }
    traffic.has_recovered =
        last_limit.is_none_or(|limit| last_success.is_some_and(|at| at >= limit));
    // Who has stopped calling an operation need not wait a month.
    let last_day = last_success.unwrap_or_default() - 24 * 60;
    let recent = called.iter().filter(|(_, at)| **at > last_day);
    for (name, _) in recent.filter(|(name, _)| !name.is_empty()) {
        match find(name) {
            None => traffic.gone.push(name.clone()),
            Some(operation) if operation.deprecated => traffic.deprecated.push(name.clone()),
            Some(_) => {}
        }
    }
    traffic.operations = called.into_keys().collect();
    traffic.scopes = scopes.into_iter().collect();
    Ok(traffic)
}

fn addresses_of(content: &Content) -> BTreeSet<String> {
    [
        &content.support_url,
        &content.privacy_url,
        &content.terms_url,
        &content.install_url,
    ]
    .into_iter()
    .filter(|url| !url.is_empty())
    .cloned()
    .collect()
}

/// Asks every address at once. What has not answered in time stays unasked.
async fn ask_addresses(context: &Context, app: &App, facts: &mut Facts) -> Result<(), Failure> {
    let ping = if facts.content.webhook_url.is_empty() {
        None
    } else {
        webhooks::sign_ping(context, app.organisation_id, &facts.content.webhook_url).await?
    };
    if facts.is_unasked {
        facts.webhook = ping.map(|_| WebhookProbe {
            takes_ping: true,
            refuses_forgery: true,
        });
        return Ok(());
    }
    let found: RefCell<BTreeMap<String, Probe>> = RefCell::default();
    let answers: RefCell<[Option<bool>; 2]> = RefCell::default();
    let urls = addresses_of(&facts.content);
    let probes = urls.iter().map(|url| async {
        let probe = match ask(context, url).await {
            Ok(status) => Probe::Answered(status),
            Err(why) => Probe::Failed(why),
        };
        found.borrow_mut().insert(url.clone(), probe);
    });
    let pings = ping.iter().flatten().enumerate().map(|(place, request)| {
        let answers = &answers;
        async move {
            let answer = webhooks::send_safely(context, request.clone()).await;
            let took = answer.is_ok_and(|answer| answer.status().is_success());
            if let Some(slot) = answers.borrow_mut().get_mut(place) {
                *slot = Some(took);
            }
        }
    });
    {
        let all = async {
            futures_util::future::join(join_all(probes), join_all(pings)).await;
        };
        let (all, end) = (pin!(all), pin!(context.connection.pause(PROBE_MS)));
        if let Either::Right((paused, _)) = select(all, end).await {
            paused?;
        }
    }
    facts.probes = found.into_inner();
    if ping.is_some() {
        let [good, forged] = answers.into_inner();
        facts.webhook = Some(WebhookProbe {
            takes_ping: good == Some(true),
            refuses_forgery: forged == Some(false),
        });
    }
    Ok(())
}

async fn ask(context: &Context, url: &str) -> Result<u16, String> {
    let request = http::Request::get(url)
        .header("user-agent", "Portico-Review/1")
        .header("accept", "text/html,*/*")
        .body(Bytes::new())
        .map_err(|error| error.to_string())?;
    Ok(webhooks::send_safely(context, request)
        .await?
        .status()
        .as_u16())
}
