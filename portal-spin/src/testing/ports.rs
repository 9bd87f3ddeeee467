//! The ports, natively.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgTypeInfo};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Column, ConnectOptions, Connection as _, Executor, Row as _, TypeInfo, ValueRef};

use super::postgres_server;
use crate::database::{DatabaseError, Row, Value, sqlite_placeholders};
use crate::ports::{
    Clock, Database, Engine, HttpClient, PortFuture, Randomness, RawConnection, Settings,
};

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// A database of its own for one test.
#[derive(Clone)]
pub struct TestDatabase(Rc<Place>);

enum Place {
    Sqlite {
        path: std::path::PathBuf,
    },
    LentSqlite {
        path: std::path::PathBuf,
    },
    Postgres {
        options: Box<PgConnectOptions>,
        schema: String,
    },
}

/// Where a test's database is, for another thread of the same test.
#[derive(Clone)]
pub enum Address {
    Sqlite(std::path::PathBuf),
    Postgres(Box<PgConnectOptions>),
}

impl TestDatabase {
    /// Where it is.
    pub fn address(&self) -> Address {
        match &*self.0 {
            Place::Sqlite { path } | Place::LentSqlite { path } => Address::Sqlite(path.clone()),
            Place::Postgres { options, .. } => Address::Postgres(options.clone()),
        }
    }

    /// A database that someone else removes.
    pub fn lent(address: Address) -> Self {
        Self(Rc::new(match address {
            Address::Sqlite(path) => Place::LentSqlite { path },
            Address::Postgres(options) => Place::Postgres {
                options,
                schema: String::new(),
            },
        }))
    }

    pub fn sqlite() -> Self {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("portal-test-{}-{number}.db", std::process::id());
        Self(Rc::new(Place::Sqlite {
            path: std::env::temp_dir().join(name),
        }))
    }

    pub async fn postgres() -> Self {
        let url = postgres_server::url();
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let schema = format!("test_{}_{number}", std::process::id());
        let options: PgConnectOptions = url
            .parse()
            .expect("PORTICO_TEST_POSTGRES is a PostgreSQL URL");
        let options = options.disable_statement_logging();
        let mut connection = PgConnection::connect_with(&options)
            .await
            .unwrap_or_else(|error| panic!("PostgreSQL at {url} does not answer: {error}"));
        let create = format!("CREATE SCHEMA {schema}");
        connection
            .execute(sqlx::AssertSqlSafe(create))
            .await
            .unwrap();
        let options = Box::new(options.options([("search_path", schema.as_str())]));
        Self(Rc::new(Place::Postgres { options, schema }))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        match self {
            Self::Sqlite { path } => {
                for suffix in ["", "-wal", "-shm"] {
                    let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
                }
            }
            Self::LentSqlite { .. } => {}
            // Left in the throw-away server; in a lent one the name tells what it is.
            Self::Postgres { schema, .. } => drop(std::mem::take(schema)),
        }
    }
}

impl Database for TestDatabase {
    fn engine(&self) -> Engine {
        match *self.0 {
            Place::Sqlite { .. } | Place::LentSqlite { .. } => Engine::Sqlite,
            Place::Postgres { .. } => Engine::Postgres,
        }
    }

    fn connect(&self) -> PortFuture<'_, Result<Box<dyn RawConnection>, DatabaseError>> {
        Box::pin(async move {
            let raw: Box<dyn RawConnection> = match &*self.0 {
                Place::Sqlite { path } | Place::LentSqlite { path } => {
                    let options = SqliteConnectOptions::new()
                        .filename(path)
                        .create_if_missing(true)
                        .journal_mode(SqliteJournalMode::Wal)
                        .synchronous(SqliteSynchronous::Off)
                        .disable_statement_logging();
                    let connection = SqliteConnection::connect_with(&options).await;
                    Box::new(Sqlite(tokio::sync::Mutex::new(connection.map_err(failed)?)))
                }
                Place::Postgres { options, .. } => {
                    let connection = PgConnection::connect_with(options).await;
                    Box::new(Postgres(tokio::sync::Mutex::new(
                        connection.map_err(failed)?,
                    )))
                }
            };
            Ok(raw)
        })
    }
}

fn failed(error: sqlx::Error) -> DatabaseError {
    DatabaseError::from_message(error.to_string())
}

struct Sqlite(tokio::sync::Mutex<SqliteConnection>);

impl RawConnection for Sqlite {
    fn query<'a>(
        &'a self,
        sql: &'a str,
        parameters: Vec<Value>,
    ) -> PortFuture<'a, Result<Vec<Row>, DatabaseError>> {
        Box::pin(async move {
            let sql = sqlite_placeholders(sql);
            let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
            for parameter in parameters {
                query = match parameter {
                    Value::Null => query.bind(None::<String>),
                    Value::Integer(value) => query.bind(value),
                    Value::Text(value) => query.bind(value),
                    Value::Bytes(value) => query.bind(value),
                };
            }
            let rows = query
                .fetch_all(&mut *self.0.lock().await)
                .await
                .map_err(failed)?;
            rows.iter()
                .map(|row| {
                    (0..row.len())
                        .map(|index| {
                            let raw = row.try_get_raw(index).map_err(failed)?;
                            Ok(match raw.type_info().name() {
                                _ if raw.is_null() => Value::Null,
                                "INTEGER" => {
                                    Value::Integer(row.try_get_unchecked(index).map_err(failed)?)
                                }
                                "TEXT" => {
                                    Value::Text(row.try_get_unchecked(index).map_err(failed)?)
                                }
                                "BLOB" => {
                                    Value::Bytes(row.try_get_unchecked(index).map_err(failed)?)
                                }
                                other => {
                                    return Err(DatabaseError::Shape(format!(
                                        "SQLite type {other}"
                                    )));
                                }
                            })
                        })
                        .collect::<Result<_, _>>()
                        .map(Row::new)
                })
                .collect()
        })
    }

    fn execute<'a>(
        &'a self,
        sql: &'a str,
        parameters: Vec<Value>,
    ) -> PortFuture<'a, Result<u64, DatabaseError>> {
        Box::pin(async move {
            self.query(sql, parameters).await?;
            let changes: i64 = sqlx::query("SELECT changes()")
                .fetch_one(&mut *self.0.lock().await)
                .await
                .map_err(failed)?
                .get(0);
            Ok(changes.unsigned_abs())
        })
    }

    fn pause(&self, ms: u64) -> PortFuture<'_, ()> {
        Box::pin(tokio::time::sleep(std::time::Duration::from_millis(ms)))
    }
}

struct Postgres(tokio::sync::Mutex<PgConnection>);

/// A parameter whose type the server infers, as Spin's driver has it: an integer for a column that is
/// not `BIGINT` fails here as it does there.
struct Inferred<T>(T);

impl<T> sqlx::Type<sqlx::Postgres> for Inferred<T> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(sqlx::postgres::types::Oid(0))
    }
}

impl<'q, T: sqlx::Encode<'q, sqlx::Postgres>> sqlx::Encode<'q, sqlx::Postgres> for Inferred<T> {
    fn encode_by_ref(
        &self,
        buffer: &mut sqlx::postgres::PgArgumentBuffer,
    ) -> Result<sqlx::encode::IsNull, sqlx::error::BoxDynError> {
        self.0.encode_by_ref(buffer)
    }
}

fn bind(
    query: sqlx::query::Query<'_, sqlx::Postgres, PgArguments>,
    parameters: Vec<Value>,
) -> sqlx::query::Query<'_, sqlx::Postgres, PgArguments> {
    parameters
        .into_iter()
        .fold(query, |query, parameter| match parameter {
            Value::Null => query.bind(Inferred(None::<String>)),
            Value::Integer(value) => query.bind(Inferred(value)),
            Value::Text(value) => query.bind(Inferred(value)),
            Value::Bytes(value) => query.bind(Inferred(value)),
        })
}

impl RawConnection for Postgres {
    fn query<'a>(
        &'a self,
        sql: &'a str,
        parameters: Vec<Value>,
    ) -> PortFuture<'a, Result<Vec<Row>, DatabaseError>> {
        Box::pin(async move {
            let query = bind(sqlx::query(sqlx::AssertSqlSafe(sql.to_owned())), parameters);
            let rows = query
                .fetch_all(&mut *self.0.lock().await)
                .await
                .map_err(failed)?;
            rows.iter()
                .map(|row| {
                    row.columns()
                        .iter()
                        .enumerate()
                        .map(|(index, column)| {
                            if row.try_get_raw(index).map_err(failed)?.is_null() {
                                return Ok(Value::Null);
                            }
                            Ok(match column.type_info().name() {
                                "BOOL" => Value::Integer(i64::from(
                                    row.try_get::<bool, _>(index).map_err(failed)?,
                                )),
                                "INT4" => Value::Integer(i64::from(
                                    row.try_get::<i32, _>(index).map_err(failed)?,
                                )),
                                "INT8" => Value::Integer(row.try_get(index).map_err(failed)?),
                                "TEXT" => Value::Text(row.try_get(index).map_err(failed)?),
                                "BYTEA" => Value::Bytes(row.try_get(index).map_err(failed)?),
                                other => {
                                    return Err(DatabaseError::Shape(format!(
                                        "PostgreSQL type {other}"
                                    )));
                                }
                            })
                        })
                        .collect::<Result<_, _>>()
                        .map(Row::new)
                })
                .collect()
        })
    }

    fn execute<'a>(
        &'a self,
        sql: &'a str,
        parameters: Vec<Value>,
    ) -> PortFuture<'a, Result<u64, DatabaseError>> {
        Box::pin(async move {
            let query = bind(sqlx::query(sqlx::AssertSqlSafe(sql.to_owned())), parameters);
            let done = query
                .execute(&mut *self.0.lock().await)
                .await
                .map_err(failed)?;
            Ok(done.rows_affected())
        })
    }

    fn pause(&self, ms: u64) -> PortFuture<'_, ()> {
        Box::pin(tokio::time::sleep(std::time::Duration::from_millis(ms)))
    }
}

/// A clock that stands still until it is moved.
#[derive(Clone)]
pub struct TestClock(pub Rc<Cell<i64>>);

impl Clock for TestClock {
    fn now_ms(&self) -> i64 {
        self.0.get()
    }
}

/// Bytes that never repeat within a test run and are the same in the next: SHA-256 of a counter.
#[derive(Clone, Default)]
pub struct TestRandomness(Rc<Cell<u64>>);

impl TestRandomness {
    /// Other bytes than those of an instance that began at 0.
    pub fn from_number(number: u64) -> Self {
        Self(Rc::new(Cell::new(number)))
    }
}

impl Randomness for TestRandomness {
    fn fill(&self, buffer: &mut [u8]) {
        use sha2::{Digest, Sha256};
        for chunk in buffer.chunks_mut(32) {
            let number = self.0.get();
            self.0.set(number + 1);
            let block = Sha256::digest(number.to_be_bytes());
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
    }
}

/// Whoever is called.
pub type Answerer = Box<dyn FnMut(&http::Request<Bytes>) -> http::Response<Bytes>>;

/// Outbound HTTP that records requests and gives prepared answers.
#[derive(Clone, Default)]
pub struct TestHttp {
    pub requests: Rc<RefCell<Vec<http::Request<Bytes>>>>,
    pub answers: Rc<RefCell<Vec<http::Response<Bytes>>>>,
    /// Answers instead of what is prepared, where one is set.
    pub answerer: Rc<RefCell<Option<Answerer>>>,
    /// What every host name stands for.
    pub addresses: Rc<RefCell<Vec<IpAddr>>>,
}

impl HttpClient for TestHttp {
    fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> PortFuture<'_, Result<http::Response<Bytes>, String>> {
        let made = self
            .answerer
            .borrow_mut()
            .as_mut()
            .map(|answer| answer(&request));
        self.requests.borrow_mut().push(request);
        let answer = made
            .or_else(|| self.answers.borrow_mut().pop())
            .ok_or_else(|| "no answer prepared".to_owned());
        Box::pin(std::future::ready(answer))
    }

    fn resolve<'a>(
        &'a self,
        _name: &'a str,
    ) -> PortFuture<'a, Result<Option<Vec<IpAddr>>, String>> {
        let addresses = self.addresses.borrow().clone();
        Box::pin(std::future::ready(Ok(Some(addresses))))
    }
}

/// Settings by hand.
#[derive(Clone, Default)]
pub struct TestSettings(pub BTreeMap<&'static str, String>);

impl Settings for TestSettings {
    fn get<'a>(&'a self, name: &'a str) -> PortFuture<'a, Option<String>> {
        Box::pin(std::future::ready(self.0.get(name).cloned()))
    }
}
