//! A database that a process loses in the middle of its work: after so many statements every further one
//! fails, the end of a transaction too, and the engine rolls back what was open.

use std::cell::Cell;
use std::rc::Rc;

use super::ports::TestDatabase;
use crate::database::{DatabaseError, Row, Value};
use crate::ports::{Database, Engine, PortFuture, RawConnection};

/// How many more statements there are before the end.
pub type Remaining = Rc<Cell<i64>>;

/// A database behind a process that will be killed.
pub struct CrashingDatabase {
    pub inner: TestDatabase,
    pub remaining: Remaining,
}

struct CrashingConnection {
    inner: Box<dyn RawConnection>,
    remaining: Remaining,
}

impl CrashingConnection {
    fn count(&self) -> Result<(), DatabaseError> {
        let remaining = self.remaining.get();
        self.remaining.set(remaining - 1);
        if remaining > 0 {
            Ok(())
        } else {
            Err(DatabaseError::Failed("killed".to_owned()))
        }
    }
}

impl Database for CrashingDatabase {
    fn engine(&self) -> Engine {
        self.inner.engine()
    }

    fn connect(&self) -> PortFuture<'_, Result<Box<dyn RawConnection>, DatabaseError>> {
        Box::pin(async move {
            let connection = CrashingConnection {
                inner: self.inner.connect().await?,
                remaining: Rc::clone(&self.remaining),
            };
            Ok(Box::new(connection) as Box<dyn RawConnection>)
        })
    }
}

impl RawConnection for CrashingConnection {
    fn query<'a>(
        &'a self,
        sql: &'a str,
        parameters: Vec<Value>,
    ) -> PortFuture<'a, Result<Vec<Row>, DatabaseError>> {
        match self.count() {
            Ok(()) => self.inner.query(sql, parameters),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn execute<'a>(
        &'a self,
        sql: &'a str,
        parameters: Vec<Value>,
    ) -> PortFuture<'a, Result<u64, DatabaseError>> {
        match self.count() {
            Ok(()) => self.inner.execute(sql, parameters),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn pause(&self, ms: u64) -> PortFuture<'_, ()> {
        self.inner.pause(ms)
    }
}
