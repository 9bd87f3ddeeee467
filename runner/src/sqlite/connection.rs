//! One open SQLite connection and the statements that run on it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::TryStreamExt;
use sqlx::sqlite::{LockedSqliteHandle, SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{ConnectOptions, Decode, Row, Sqlite, TypeInfo, ValueRef};
use tokio::sync::{Mutex, mpsc, oneshot};

use super::MAX_RESULT_BYTES;
use super::idle::{IdleConnections, leaves_no_trace};
use super::statement::{self, Statement};
use crate::spin_host::bindings::spin::sqlite::sqlite::{Error, QueryResult, RowResult, Value};

/// How many rows wait for the component, as in Spin: a component that leaves a
/// longer result unread holds its connection.
const BUFFERED_ROWS: usize = 4;

/// A connection that a component holds; clones share it.
#[derive(Clone)]
pub struct Connection(Arc<Held>);

struct Held {
    /// Gone only while the last holder goes.
    open: Mutex<Option<SqliteConnection>>,
    path: PathBuf,
    idle: IdleConnections,
    /// A statement changed more than the database's rows.
    is_marked: AtomicBool,
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.is_marked.load(Ordering::Relaxed)
            && let Some(connection) = self.open.get_mut().take()
        {
            let path = std::mem::take(&mut self.path);
            self.idle.keep(path, connection);
        }
    }
}

/// A statement under way: its rows as they come, and how it ended.
pub(super) struct Running {
    pub columns: Vec<String>,
    pub rows: mpsc::Receiver<RowResult>,
    pub outcome: oneshot::Receiver<Result<(), Error>>,
}

impl Connection {
    /// A connection that nobody uses, or a new one.
    pub async fn open(path: &Path, idle: &IdleConnections) -> Result<Self, Error> {
        let connection = match idle.take(path) {
            Some(connection) => connection,
            None => connect(path).await?,
        };
        Ok(Self(Arc::new(Held {
            open: Mutex::new(Some(connection)),
            path: path.to_owned(),
            idle: idle.clone(),
            is_marked: AtomicBool::new(false),
        })))
    }

    /// Starts a statement. As in Spin, even a statement that cannot be prepared
    /// starts well: its error is the outcome.
    pub(super) async fn start(
        &self,
        sql: String,
        parameters: Vec<Value>,
    ) -> Result<Running, Error> {
        let (columns_sender, columns) = oneshot::channel();
        let (row_sender, rows) = mpsc::channel(BUFFERED_ROWS);
        let (outcome_sender, outcome) = oneshot::channel();
        if !leaves_no_trace(&sql) {
            self.0.is_marked.store(true, Ordering::Relaxed);
        }
        let held = self.0.clone();
        // A task of its own: the statement runs to its end although the
        // component may drop the call that started it.
        tokio::spawn(async move {
            let mut open = held.open.lock().await;
            let result = match open.as_mut() {
                Some(connection) => {
                    run(connection, &sql, parameters, columns_sender, row_sender).await
                }
                None => Err(stopped()),
            };
            drop(open);
            // Nobody waits when the component has dropped the future.
            let _ = outcome_sender.send(result);
        });
        let columns = columns.await.unwrap_or_default();
        Ok(Running {
            columns,
            rows,
            outcome,
        })
    }

    pub async fn execute(&self, sql: String, parameters: Vec<Value>) -> Result<QueryResult, Error> {
        let mut running = self.start(sql, parameters).await?;
        let mut rows = Vec::new();
        let mut bytes = 0;
        while let Some(row) = running.rows.recv().await {
            bytes += size_of_row(&row);
            if bytes > MAX_RESULT_BYTES {
                return Err(too_large());
            }
            rows.push(row);
        }
        running.outcome.await.map_err(|_| stopped())??;
        Ok(QueryResult {
            columns: running.columns,
            rows,
        })
    }

    pub async fn last_insert_rowid(&self) -> sqlx::Result<i64> {
        self.ask(statement::last_insert_rowid).await
    }

    pub async fn changes(&self) -> sqlx::Result<u64> {
        self.ask(statement::changes).await
    }

    async fn ask<T>(&self, question: fn(&mut LockedSqliteHandle<'_>) -> T) -> sqlx::Result<T> {
        let mut open = self.0.open.lock().await;
        let connection = open.as_mut().ok_or(sqlx::Error::WorkerCrashed)?;
        Ok(question(&mut connection.lock_handle().await?))
    }
}

async fn connect(path: &Path) -> Result<SqliteConnection, Error> {
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .foreign_keys(true)
        .busy_timeout(Duration::from_millis(5_000))
        .disable_statement_logging()
        .connect()
        .await
        .map_err(describe)?;
    let mut handle = connection.lock_handle().await.map_err(describe)?;
    statement::forbid_attaching_files(&mut handle);
    drop(handle);
    Ok(connection)
}

async fn run(
    connection: &mut SqliteConnection,
    sql: &str,
    parameters: Vec<Value>,
    columns: oneshot::Sender<Vec<String>>,
    rows: mpsc::Sender<RowResult>,
) -> Result<(), Error> {
    let mut handle = connection.lock_handle().await.map_err(describe)?;
    let examined = Statement::examine(&mut handle, sql);
    drop(handle);
    let examined = examined.map_err(Error::Io)?;
    // The receiver is gone when the call was dropped; the statement still runs.
    let _ = columns.send(examined.columns.clone());
    let arguments = examined.bind(parameters).map_err(Error::Io)?;

    let mut found =
        sqlx::query_with(sqlx::AssertSqlSafe(examined.sql), arguments).fetch(connection);
    while let Some(row) = found.try_next().await.map_err(describe)? {
        let row = convert_row(&row)?;
        if size_of_row(&row) > MAX_RESULT_BYTES {
            return Err(too_large());
        }
        rows.send(row)
            .await
            .map_err(|_| Error::Io("row send error".to_owned()))?;
    }
    Ok(())
}

fn convert_row(row: &SqliteRow) -> Result<RowResult, Error> {
    let values = (0..row.len())
        .map(|index| convert_value(row, index))
        .collect::<Result<_, _>>()?;
    Ok(RowResult { values })
}

fn convert_value(row: &SqliteRow, index: usize) -> Result<Value, Error> {
    let value = row.try_get_raw(index).map_err(describe)?;
    if value.is_null() {
        return Ok(Value::Null);
    }
    let storage_class = value.type_info().name().to_owned();
    let invalid = |error: sqlx::error::BoxDynError| Error::Io(error.to_string());
    Ok(match storage_class.as_str() {
        "INTEGER" => Value::Integer(<i64 as Decode<Sqlite>>::decode(value).map_err(invalid)?),
        "REAL" => Value::Real(<f64 as Decode<Sqlite>>::decode(value).map_err(invalid)?),
        "TEXT" => Value::Text(<String as Decode<Sqlite>>::decode(value).map_err(invalid)?),
        "BLOB" => Value::Blob(<Vec<u8> as Decode<Sqlite>>::decode(value).map_err(invalid)?),
        other => return Err(Error::Io(format!("unknown storage class {other:?}"))),
    })
}

fn size_of_row(row: &RowResult) -> usize {
    row.values
        .iter()
        .map(|value| {
            size_of::<Value>()
                + match value {
                    Value::Text(text) => text.len(),
                    Value::Blob(blob) => blob.len(),
                    Value::Integer(_) | Value::Real(_) | Value::Null => 0,
                }
        })
        .sum()
}

/// SQLite's own words without sqlx's frame, which is what Spin passes on.
fn describe(error: sqlx::Error) -> Error {
    Error::Io(match error.as_database_error() {
        Some(database_error) => database_error.message().to_owned(),
        None => error.to_string(),
    })
}

fn too_large() -> Error {
    Error::Io(format!(
        "query result exceeds limit of {MAX_RESULT_BYTES} bytes"
    ))
}

fn stopped() -> Error {
    Error::Io("the statement stopped without a result".to_owned())
}
