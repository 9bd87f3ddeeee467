//! Answers each path with what one host interface did.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use spin_sdk::http::body::IncomingBodyExt;
use spin_sdk::http::{self, EmptyBody, FullBody, Request, Response};
use spin_sdk::http_service;
use spin_sdk::key_value::Store;
use spin_sdk::pg;
use spin_sdk::sqlite::{Connection, Value};
use spin_sdk::variables;

static REQUESTS: AtomicU64 = AtomicU64::new(0);

#[http_service]
async fn handle(request: Request) -> Result<Response<FullBody<Bytes>>> {
    let count = REQUESTS.fetch_add(1, Ordering::SeqCst) + 1;
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let answered = match path.as_str() {
        "/count" => Ok(count.to_string()),
        "/headers" => Ok(list_headers(&request)),
        "/echo" => echo(request).await,
        "/sqlite" => use_sqlite(&query).await,
        "/sqlite/leave-open" => leave_transaction_open().await,
        "/key-value" => use_key_value(&query).await,
        "/variable" => Ok(variables::get(&query)
            .await
            .unwrap_or_else(|error| format!("{error:?}"))),
        "/fetch" => fetch(&query).await,
        "/postgres" => use_postgres(&query).await,
        "/panic" => panic!("asked to"),
        "/spin" => loop {
            std::hint::black_box(());
        },
        "/memory" => Ok(vec![1_u8; 1 << 30].len().to_string()),
        _ => bail!("no such path"),
    };
    let text = answered.unwrap_or_else(|error| format!("error: {error:#}"));
    Ok(Response::builder()
        .header("content-length", text.len())
        .body(FullBody::new(Bytes::from(text)))?)
}

fn list_headers(request: &Request) -> String {
    let mut lines: Vec<_> = request
        .headers()
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap_or("?")))
        .collect();
    lines.sort();
    lines.join("\n")
}

async fn echo(request: Request) -> Result<String> {
    let body = request.into_body().bytes().await?;
    Ok(String::from_utf8(body.to_vec())?)
}

async fn use_sqlite(value: &str) -> Result<String> {
    let connection = Connection::open_default().await?;
    connection
        .execute(
            "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT)",
            [],
        )
        .await?
        .result()
        .await?;
    if !value.is_empty() {
        connection
            .execute(
                "INSERT INTO notes (text) VALUES (?)",
                [Value::Text(value.to_owned())],
            )
            .await?
            .result()
            .await?;
    }
    let rows = connection
        .execute("SELECT text FROM notes ORDER BY id", [])
        .await?
        .collect()
        .await?;
    let texts: Vec<_> = rows.iter().filter_map(|row| row.get::<&str>(0)).collect();
    Ok(texts.join(","))
}

async fn leave_transaction_open() -> Result<String> {
    let connection = Connection::open_default().await?;
    for statement in [
        "BEGIN IMMEDIATE",
        "INSERT INTO notes (text) VALUES ('lost')",
    ] {
        connection.execute(statement, []).await?.result().await?;
    }
    Ok("left open".to_owned())
}

async fn use_key_value(value: &str) -> Result<String> {
    let store = Store::open_default().await?;
    if !value.is_empty() {
        store.set("key", value.as_bytes()).await?;
    }
    let found = store.get("key").await?;
    Ok(String::from_utf8(found.unwrap_or_default())?)
}

async fn fetch(url: &str) -> Result<String> {
    let request = http::Request::get(url).body(EmptyBody::new())?;
    let response = http::send(request)
        .await
        .map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let body = response.into_body().bytes().await?;
    Ok(String::from_utf8(body.to_vec())?)
}

async fn use_postgres(address: &str) -> Result<String> {
    let connection = pg::Connection::open(address).await?;
    let rows = connection
        .query(
            "SELECT $1::text || ' ' || current_database() AS text",
            [pg::ParameterValue::Str("from".to_owned())],
        )
        .await?
        .collect()
        .await?;
    let row = rows.first().context("one row")?;
    row.get::<String>("text").context("a text")
}
