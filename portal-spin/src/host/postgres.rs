//! `spin:postgres`. Spin pools connections itself, so none is kept here.

use std::time::Duration;

use spin_sdk::pg::{Connection, DbValue, Error, ParameterValue, PgError, QueryError};

use crate::database::{DatabaseError, Row, Value};
use crate::ports::{Database, Engine, PortFuture, RawConnection};

pub struct SpinPostgres {
    address: String,
}

impl SpinPostgres {
    pub fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
        }
    }
}

impl Database for SpinPostgres {
    fn engine(&self) -> Engine {
        Engine::Postgres
    }

    fn connect(&self) -> PortFuture<'_, Result<Box<dyn RawConnection>, DatabaseError>> {
        Box::pin(async move {
            let connection = Connection::open(self.address.as_str())
                .await
                .map_err(from_spin_error)?;
            // The pool hands connections on as they are: an instance that ended inside a transaction
            // would leave the next one to write into it. PostgreSQL only warns when none is open.
            connection
                .execute("ROLLBACK", Vec::new())
                .await
                .map_err(from_spin_error)?;
            Ok(Box::new(PostgresConnection { connection }) as Box<dyn RawConnection>)
        })
    }
}

struct PostgresConnection {
    connection: Connection,
}

impl RawConnection for PostgresConnection {
    fn query<'a>(
        &'a self,
        sql: &'a str,
        parameters: Vec<Value>,
    ) -> PortFuture<'a, Result<Vec<Row>, DatabaseError>> {
        Box::pin(async move {
            let parameters: Vec<ParameterValue> = parameters.into_iter().map(to_spin).collect();
            let mut result = self
                .connection
                .query(sql, parameters)
                .await
                .map_err(from_spin_error)?;
            let mut rows = Vec::new();
            while let Some(row) = result.rows().next().await {
                rows.push(Row::new(
                    row.into_iter().map(from_spin).collect::<Result<_, _>>()?,
                ));
            }
            result.result().await.map_err(from_spin_error)?;
            Ok(rows)
        })
    }

    fn execute<'a>(
        &'a self,
        sql: &'a str,
        parameters: Vec<Value>,
    ) -> PortFuture<'a, Result<u64, DatabaseError>> {
        Box::pin(async move {
            let parameters: Vec<ParameterValue> = parameters.into_iter().map(to_spin).collect();
            self.connection
                .execute(sql, parameters)
                .await
                .map_err(from_spin_error)
        })
    }

    fn pause(&self, ms: u64) -> PortFuture<'_, ()> {
        Box::pin(spin_sdk::time::sleep(Duration::from_millis(ms)))
    }
}

fn to_spin(value: Value) -> ParameterValue {
    match value {
        Value::Null => ParameterValue::DbNull,
        Value::Integer(value) => ParameterValue::Int64(value),
        Value::Text(value) => ParameterValue::Str(value),
        Value::Bytes(value) => ParameterValue::Binary(value),
    }
}

fn from_spin(value: DbValue) -> Result<Value, DatabaseError> {
    match value {
        DbValue::DbNull => Ok(Value::Null),
        DbValue::Boolean(value) => Ok(Value::Integer(i64::from(value))),
        DbValue::Int16(value) => Ok(Value::Integer(i64::from(value))),
        DbValue::Int32(value) => Ok(Value::Integer(i64::from(value))),
        DbValue::Int64(value) => Ok(Value::Integer(value)),
        DbValue::Str(value) => Ok(Value::Text(value)),
        DbValue::Binary(value) => Ok(Value::Bytes(value)),
        other => Err(DatabaseError::Shape(format!(
            "a column type that the dialect has not: {other:?}"
        ))),
    }
}

fn from_spin_error(error: Error) -> DatabaseError {
    match error {
        Error::PgError(PgError::ConnectionFailed(message)) => DatabaseError::Unavailable(message),
        Error::PgError(PgError::QueryFailed(QueryError::DbError(error))) => {
            match error.code.as_str() {
                // unique_violation; serialization_failure and deadlock_detected
                "23505" => DatabaseError::Conflict(error.as_text),
                "40001" | "40P01" => DatabaseError::Unavailable(error.as_text),
                _ => DatabaseError::Failed(error.as_text),
            }
        }
        Error::PgError(PgError::QueryFailed(QueryError::Text(message))) => {
            DatabaseError::from_message(message)
        }
        other => DatabaseError::Failed(other.to_string()),
    }
}
