//! One PostgreSQL connection of a component and what runs on it.

use std::sync::Arc;

use futures::TryStreamExt;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnection, PgDatabaseError, PgSeverity};
use sqlx::{AssertSqlSafe, Connection as _, Executor, Postgres, SqlSafeStr, Statement};
use tokio::sync::{Mutex, mpsc, oneshot};

use super::values;
use crate::spin_host::bindings::spin::postgres::postgres::{
    Column, DbError, Error, ParameterValue, QueryError, Row, RowSet,
};
use crate::sqlite::MAX_RESULT_BYTES;

const BUFFERED_ROWS: usize = 4;

/// What makes a connection as good as new; `ROLLBACK` ends what the component
/// left open, the rest is what pools usually reset.
const CLEAN: &str = "ROLLBACK; CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; \
                     UNLISTEN *; SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES";

/// A connection that a component holds; clones share it.
#[derive(Clone)]
pub struct Connection(Arc<Held>);

struct Held {
    /// Taken out when the connection goes back to its pool.
    connection: Arc<Mutex<Option<PoolConnection<Postgres>>>>,
}

/// A query under way: its rows as they come, and how it ended.
pub(super) struct Running {
    pub columns: Vec<Column>,
    pub rows: mpsc::Receiver<Row>,
    pub outcome: oneshot::Receiver<Result<(), Error>>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let connection = self.connection.clone();
        // Outside a runtime the process is ending, and so is the connection.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let Some(mut connection) = connection.lock().await.take() else {
                    return;
                };
                if clean(&mut connection).await.is_err() {
                    // The server rolls back whatever a closed connection left.
                    drop(connection.detach());
                }
            });
        }
    }
}

async fn clean(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(CLEAN).execute(&mut *connection).await?;
    // A statement prepared before a migration would fail after it.
    connection.clear_cached_statements().await
}

impl Connection {
    pub(super) fn new(connection: PoolConnection<Postgres>) -> Self {
        Self(Arc::new(Held {
            connection: Arc::new(Mutex::new(Some(connection))),
        }))
    }

    pub async fn execute(
        &self,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> Result<u64, Error> {
        let mut guard = self.0.connection.lock().await;
        let connection = guard.as_mut().ok_or_else(gone)?;
        let arguments = prepare(connection, &statement, parameters).await?;
        let result = sqlx::query_with(AssertSqlSafe(statement), arguments)
            .execute(&mut **connection)
            .await
            .map_err(query_failed)?;
        Ok(result.rows_affected())
    }

    pub async fn query(
        &self,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> Result<RowSet, Error> {
        let mut running = self.start(statement, parameters).await?;
        let mut rows = Vec::new();
        let mut bytes = 0;
        while let Some(row) = running.rows.recv().await {
            bytes += row.iter().map(values::size_of_value).sum::<usize>();
            if bytes > MAX_RESULT_BYTES {
                return Err(too_large());
            }
            rows.push(row);
        }
        running
            .outcome
            .await
            .map_err(|_| failed("the query stopped without a result"))??;
        Ok(RowSet {
            columns: running.columns,
            rows,
        })
    }

    /// Starts a query. What is wrong with the statement or its parameters is
    /// said at once, what goes wrong later is the outcome; the columns of a
    /// result without rows are not told. All as in Spin.
    pub(super) async fn start(
        &self,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> Result<Running, Error> {
        let mut guard = self.0.connection.clone().lock_owned().await;
        let connection = guard.as_mut().ok_or_else(gone)?;
        let arguments = prepare(connection, &statement, parameters).await?;
        let (columns_sender, columns) = oneshot::channel();
        let (row_sender, rows) = mpsc::channel(BUFFERED_ROWS);
        let (outcome_sender, outcome) = oneshot::channel();
        tokio::spawn(async move {
            let result = match guard.as_mut() {
                Some(connection) => {
                    run(connection, statement, arguments, columns_sender, row_sender).await
                }
                None => Err(gone()),
            };
            drop(guard);
            // Nobody waits when the component has dropped the future.
            let _ = outcome_sender.send(result);
        });
        Ok(Running {
            columns: columns.await.unwrap_or_default(),
            rows,
            outcome,
        })
    }
}

/// Lets the server say which types the parameters have, and encodes the values
/// as those types or refuses them, as Spin's driver does.
async fn prepare(
    connection: &mut PgConnection,
    statement: &str,
    parameters: Vec<ParameterValue>,
) -> Result<PgArguments, Error> {
    let prepared = (&mut *connection)
        .prepare(AssertSqlSafe(statement).into_sql_str())
        .await
        .map_err(query_failed)?;
    let types = match prepared.parameters() {
        Some(sqlx::Either::Left(types)) => types,
        _ => &[],
    };
    if types.len() != parameters.len() {
        return Err(failed(&format!(
            "expected {} parameters but got {}",
            types.len(),
            parameters.len()
        )));
    }
    values::encode_parameters(parameters, types)
}

async fn run(
    connection: &mut PgConnection,
    statement: String,
    arguments: PgArguments,
    columns: oneshot::Sender<Vec<Column>>,
    rows: mpsc::Sender<Row>,
) -> Result<(), Error> {
    let mut columns = Some(columns);
    let mut found = sqlx::query_with(AssertSqlSafe(statement), arguments).fetch(connection);
    while let Some(row) = found.try_next().await.map_err(query_failed)? {
        if let Some(columns) = columns.take() {
            // The receiver is gone when the call was dropped.
            let _ = columns.send(values::describe_columns(&row));
        }
        let row = values::convert_row(&row).map_err(|error| failed(&error.to_string()))?;
        if row.iter().map(values::size_of_value).sum::<usize>() > MAX_RESULT_BYTES {
            return Err(too_large());
        }
        if rows.send(row).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn gone() -> Error {
    Error::ConnectionFailed("no connection found".to_owned())
}

fn failed(message: &str) -> Error {
    Error::QueryFailed(QueryError::Text(message.to_owned()))
}

fn too_large() -> Error {
    failed(&format!(
        "query result exceeds limit of {MAX_RESULT_BYTES} bytes"
    ))
}

fn query_failed(error: sqlx::Error) -> Error {
    let as_text = error.to_string();
    let Some(database_error) = error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
    else {
        return failed(&as_text);
    };
    let extras = [
        ("column", database_error.column().map(str::to_owned)),
        ("constraint", database_error.constraint().map(str::to_owned)),
        ("routine", database_error.routine().map(str::to_owned)),
        ("hint", database_error.hint().map(str::to_owned)),
        ("table", database_error.table().map(str::to_owned)),
        ("datatype", database_error.data_type().map(str::to_owned)),
        ("schema", database_error.schema().map(str::to_owned)),
        ("file", database_error.file().map(str::to_owned)),
        ("line", database_error.line().map(|line| line.to_string())),
        ("where_", database_error.r#where().map(str::to_owned)),
    ];
    Error::QueryFailed(QueryError::DbError(DbError {
        as_text,
        severity: severity(database_error.severity()).to_owned(),
        code: database_error.code().to_owned(),
        message: database_error.message().to_owned(),
        detail: database_error.detail().map(str::to_owned),
        extras: extras
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect(),
    }))
}

fn severity(severity: PgSeverity) -> &'static str {
    match severity {
        PgSeverity::Panic => "PANIC",
        PgSeverity::Fatal => "FATAL",
        PgSeverity::Error => "ERROR",
        PgSeverity::Warning => "WARNING",
        PgSeverity::Notice => "NOTICE",
        PgSeverity::Debug => "DEBUG",
        PgSeverity::Info => "INFO",
        PgSeverity::Log => "LOG",
    }
}
