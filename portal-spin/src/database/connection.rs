//! A request's connection, and transactions on it.

use std::cell::{Cell, RefCell};

use super::turn::{Turn, take_turn};
use super::{DatabaseError, Row, Value};
use crate::params;
use crate::ports::{Database, Engine, RawConnection};

/// How often SQLite's write lock is asked for. Each try waits as long as the host's busy timeout, 5 s;
/// SQLite lets whoever comes at the right moment through, so that under a crowd of writers one can lose
/// many times.
const LOCK_TRIES: usize = 4;

/// The connection of one request (or one background step). Cheap to pass by reference; never kept
/// beyond the request.
pub struct Connection {
    engine: Engine,
    raw: RefCell<Option<Box<dyn RawConnection>>>,
    in_transaction: Cell<bool>,
}

impl Connection {
    /// Takes a connection from the database.
    pub async fn open(database: &dyn Database) -> Result<Self, DatabaseError> {
        let raw = database.connect().await?;
        Ok(Self {
            engine: database.engine(),
            raw: RefCell::new(Some(raw)),
            in_transaction: Cell::new(false),
        })
    }

    /// Which engine is behind it.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// All rows of a statement.
    pub async fn query(
        &self,
        sql: &str,
        parameters: Vec<Value>,
    ) -> Result<Vec<Row>, DatabaseError> {
        check_texts(&parameters)?;
        let raw = self.take()?;
        let mut answer = raw.query(sql, parameters.clone()).await;
        for _ in 1..self.lock_tries() {
            if !matches!(answer, Err(DatabaseError::Unavailable(_))) {
                break;
            }
            answer = raw.query(sql, parameters.clone()).await;
        }
        self.put_back(raw);
        answer
    }

    /// The first row of a statement, if there is one.
    pub async fn query_optional(
        &self,
        sql: &str,
        parameters: Vec<Value>,
    ) -> Result<Option<Row>, DatabaseError> {
        Ok(self.query(sql, parameters).await?.into_iter().next())
    }

    /// The first row of a statement that always has one (`COUNT`, `RETURNING` of an insert).
    pub async fn query_one(&self, sql: &str, parameters: Vec<Value>) -> Result<Row, DatabaseError> {
        self.query_optional(sql, parameters)
            .await?
            .ok_or_else(|| DatabaseError::Shape("a row was expected".to_owned()))
    }

    /// Runs a statement; the answer is how many rows it changed.
    pub async fn execute(&self, sql: &str, parameters: Vec<Value>) -> Result<u64, DatabaseError> {
        self.execute_within(self.lock_tries(), sql, parameters)
            .await
    }

    /// How often a statement is tried: one that did not get the lock has done nothing. Inside a
    /// transaction the lock is held.
    fn lock_tries(&self) -> usize {
        match (self.engine, self.in_transaction.get()) {
            (Engine::Sqlite, false) => LOCK_TRIES,
            _ => 1,
        }
    }

    async fn execute_within(
        &self,
        tries: usize,
        sql: &str,
        parameters: Vec<Value>,
    ) -> Result<u64, DatabaseError> {
        check_texts(&parameters)?;
        let raw = self.take()?;
        let mut answer = raw.execute(sql, parameters.clone()).await;
        for _ in 1..tries {
            if !matches!(answer, Err(DatabaseError::Unavailable(_))) {
                break;
            }
            answer = raw.execute(sql, parameters.clone()).await;
        }
        self.put_back(raw);
        answer
    }

    /// Runs `work` in a transaction on this connection: committed if it answers `Ok`, rolled back if
    /// it answers `Err` or is dropped half-way. SQLite takes the write lock at once (`BEGIN
    /// IMMEDIATE`), so a transaction never fails in its middle because another writer came first.
    ///
    /// Transactions do not nest: a function that opens one is never called inside another.
    pub async fn transaction<T, E: From<DatabaseError>>(
        &self,
        work: impl AsyncFnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        if self.in_transaction.replace(true) {
            return Err(DatabaseError::Failed("transactions do not nest".to_owned()).into());
        }
        let began = async {
            let turn = self.take_turn().await?;
            self.begin().await?;
            Ok::<_, DatabaseError>(turn)
        };
        let turn = match began.await {
            Ok(turn) => turn,
            Err(error) => {
                self.in_transaction.set(false);
                return Err(E::from(error));
            }
        };
        let outcome = work().await;
        let end = if outcome.is_ok() {
            "COMMIT"
        } else {
            "ROLLBACK"
        };
        let ended = self.execute(end, Vec::new()).await;
        drop(turn);
        match ended {
            Ok(_) => {
                self.in_transaction.set(false);
                outcome
            }
            // Left marked as open: the connection is closed instead of reused.
            Err(error) => outcome.and(Err(error.into())),
        }
    }

    /// Waits until no transaction is open in this instance, and keeps others waiting until the answer is
    /// dropped: for work that keeps the only thread busy. Not inside a transaction, which has the turn.
    pub async fn take_turn(&self) -> Result<Turn, DatabaseError> {
        let raw = self.take()?;
        let turn = take_turn(raw.as_ref()).await;
        self.put_back(raw);
        Ok(turn)
    }

    /// Lets other requests of the instance run for so long.
    pub async fn pause(&self, ms: u64) -> Result<(), DatabaseError> {
        // A pause may be abandoned half-way; the connection must come back all the same.
        struct PutBack<'a>(&'a Connection, Option<Box<dyn RawConnection>>);
        impl Drop for PutBack<'_> {
            fn drop(&mut self) {
                if let Some(raw) = self.1.take() {
                    self.0.put_back(raw);
                }
            }
        }
        let held = PutBack(self, Some(self.take()?));
        if let Some(raw) = &held.1 {
            raw.pause(ms).await;
        }
        Ok(())
    }

    async fn begin(&self) -> Result<(), DatabaseError> {
        let begin = match self.engine {
            Engine::Sqlite => "BEGIN IMMEDIATE",
            Engine::Postgres => "BEGIN",
        };
        self.execute_within(LOCK_TRIES, begin, Vec::new())
            .await
            .map(|_| ())
    }

    /// Whether a transaction is open on this connection.
    pub fn in_transaction(&self) -> bool {
        self.in_transaction.get()
    }

    /// One connection runs one statement at a time; two at once would wait on each other's rows.
    fn take(&self) -> Result<Box<dyn RawConnection>, DatabaseError> {
        self.raw
            .borrow_mut()
            .take()
            .ok_or_else(|| DatabaseError::Failed("the connection is in use".to_owned()))
    }

    fn put_back(&self, raw: Box<dyn RawConnection>) {
        self.raw.replace(Some(raw));
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.in_transaction.get() {
            return;
        }
        if let Some(raw) = self.raw.borrow_mut().take() {
            raw.release();
        }
    }
}

/// The next number of a named sequence, from 1, without gaps: the row stays locked until the
/// transaction ends, so numbers appear in commit order. Call it inside a transaction.
pub async fn next_number(connection: &Connection, name: &str) -> Result<i64, DatabaseError> {
    next_numbers(connection, name, 1).await
}

/// As [`next_number`], so many at once: answers the first of them.
pub async fn next_numbers(
    connection: &Connection,
    name: &str,
    count: i64,
) -> Result<i64, DatabaseError> {
    let last: i64 = connection
        .query_one(
            "INSERT INTO sequences (name, value) VALUES ($1, $2)
             ON CONFLICT (name) DO UPDATE SET value = sequences.value + excluded.value
             RETURNING value",
            params![name, count],
        )
        .await?
        .get(0)?;
    Ok(last - count + 1)
}

/// Both engines take the same texts.
fn check_texts(parameters: &[Value]) -> Result<(), DatabaseError> {
    let is_unstorable = |value: &Value| matches!(value, Value::Text(text) if text.contains('\0'));
    if parameters.iter().any(is_unstorable) {
        return Err(DatabaseError::Unstorable);
    }
    Ok(())
}
