//! `spin:sqlite`. Opening costs as much as a small request, so idle connections are kept; a connection
//! serves one request at a time.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use spin_sdk::sqlite::{self, Connection};

use crate::database::{DatabaseError, Row, Value, sqlite_placeholders};
use crate::ports::{Database, Engine, PortFuture, RawConnection};

/// More idle connections than this are closed.
const KEPT: usize = 8;

type Idle = Rc<RefCell<Vec<Connection>>>;

#[derive(Default)]
pub struct SpinSqlite {
    idle: Idle,
}

impl Database for SpinSqlite {
    fn engine(&self) -> Engine {
        Engine::Sqlite
    }

    fn connect(&self) -> PortFuture<'_, Result<Box<dyn RawConnection>, DatabaseError>> {
        Box::pin(async move {
            let kept = self.idle.borrow_mut().pop();
            let connection = match kept {
                Some(connection) => connection,
                None => Connection::open_default()
                    .await
                    .map_err(|error| DatabaseError::Unavailable(error.to_string()))?,
            };
            Ok(Box::new(SqliteConnection {
                connection,
                idle: Rc::clone(&self.idle),
            }) as Box<dyn RawConnection>)
        })
    }
}

struct SqliteConnection {
    connection: Connection,
    idle: Idle,
}

impl SqliteConnection {
    async fn run(&self, sql: &str, parameters: Vec<Value>) -> Result<Vec<Row>, DatabaseError> {
        let result = self
            .connection
            .execute(
                sqlite_placeholders(sql),
                parameters.into_iter().map(to_spin),
            )
            .await
            .map_err(from_spin_error)?;
        // Errors come with the end of the rows, and undrained rows block the next statement.
        let rows = result.collect().await.map_err(from_spin_error)?;
        rows.into_iter()
            .map(|row| {
                row.values
                    .into_iter()
                    .map(from_spin)
                    .collect::<Result<_, _>>()
                    .map(Row::new)
            })
            .collect()
    }
}

impl RawConnection for SqliteConnection {
    fn query<'a>(
        &'a self,
        sql: &'a str,
        parameters: Vec<Value>,
    ) -> PortFuture<'a, Result<Vec<Row>, DatabaseError>> {
        Box::pin(self.run(sql, parameters))
    }

    fn execute<'a>(
        &'a self,
        sql: &'a str,
        parameters: Vec<Value>,
    ) -> PortFuture<'a, Result<u64, DatabaseError>> {
        Box::pin(async move {
            self.run(sql, parameters).await?;
            Ok(self.connection.changes().await)
        })
    }

    fn release(self: Box<Self>) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < KEPT {
            idle.push(self.connection);
        }
    }

    fn pause(&self, ms: u64) -> PortFuture<'_, ()> {
        Box::pin(spin_sdk::time::sleep(Duration::from_millis(ms)))
    }
}

fn to_spin(value: Value) -> sqlite::Value {
    match value {
        Value::Null => sqlite::Value::Null,
        Value::Integer(value) => sqlite::Value::Integer(value),
        Value::Text(value) => sqlite::Value::Text(value),
        Value::Bytes(value) => sqlite::Value::Blob(value),
    }
}

fn from_spin(value: sqlite::Value) -> Result<Value, DatabaseError> {
    match value {
        sqlite::Value::Null => Ok(Value::Null),
        sqlite::Value::Integer(value) => Ok(Value::Integer(value)),
        sqlite::Value::Text(value) => Ok(Value::Text(value)),
        sqlite::Value::Blob(value) => Ok(Value::Bytes(value)),
        sqlite::Value::Real(_) => Err(DatabaseError::Shape(
            "a floating-point column, which the dialect has not".to_owned(),
        )),
    }
}

fn from_spin_error(error: sqlite::Error) -> DatabaseError {
    match error {
        sqlite::Error::Io(message) => DatabaseError::from_message(message),
        other => DatabaseError::Unavailable(other.to_string()),
    }
}
