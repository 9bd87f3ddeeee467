//! The `spin:sqlite` interface: SQLite behind sqlx, as Spin's own host behaves.
//!
//! Owns which databases a component may open and what a statement's result
//! looks like to it. Every `open` is a connection of its own to the same file;
//! a transaction left open is rolled back when the connection goes. How one
//! statement is examined and bound is in `statement`; what becomes of a
//! connection afterwards, in `idle`.

mod connection;
mod idle;
mod statement;
#[cfg(test)]
mod tests;

use wasmtime::component::{Accessor, FutureReader, HasSelf, Resource, StreamReader};

pub use connection::Connection;
pub use idle::IdleConnections;

use crate::spin_host::State;
use crate::spin_host::bindings::spin::sqlite::sqlite::{
    self, Error, QueryResult, RowResult, Value,
};
use crate::spin_host::streams::ChannelProducer;

/// Spin's limit on one value, row or buffered result that crosses into a guest.
pub const MAX_RESULT_BYTES: usize = 128 << 20;

impl State {
    /// Checks that the component may open `database` and says where it is.
    fn find_database(&self, database: &str) -> Result<std::path::PathBuf, Error> {
        if !self
            .component
            .sqlite_databases
            .iter()
            .any(|name| name == database)
        {
            return Err(Error::AccessDenied);
        }
        Ok(self.component.data_dir.join("sqlite_db.db"))
    }

    fn find_connection(&self, connection: &Resource<Connection>) -> Result<Connection, Error> {
        self.table
            .get(connection)
            .cloned()
            .map_err(|_| Error::InvalidConnection)
    }

    fn add_connection(&mut self, connection: Connection) -> Result<Resource<Connection>, Error> {
        self.table
            .push(connection)
            .map_err(|_| Error::Io("too many connections opened".to_owned()))
    }
}

impl sqlite::Host for State {}

impl sqlite::HostConnection for State {
    async fn open(
        &mut self,
        database: String,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        let path = match self.find_database(&database) {
            Ok(path) => path,
            Err(error) => return Ok(Err(error)),
        };
        let idle = self.component.sqlite.clone();
        Ok(match Connection::open(&path, &idle).await {
            Ok(connection) => self.add_connection(connection),
            Err(error) => Err(error),
        })
    }

    async fn execute(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<QueryResult, Error>> {
        Ok(match self.find_connection(&connection) {
            Ok(connection) => connection.execute(statement, parameters).await,
            Err(error) => Err(error),
        })
    }

    async fn last_insert_rowid(
        &mut self,
        connection: Resource<Connection>,
    ) -> wasmtime::Result<i64> {
        let connection = self.table.get(&connection)?.clone();
        Ok(connection.last_insert_rowid().await?)
    }

    async fn changes(&mut self, connection: Resource<Connection>) -> wasmtime::Result<u64> {
        let connection = self.table.get(&connection)?.clone();
        Ok(connection.changes().await?)
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}

type ExecuteResult = (
    Vec<String>,
    StreamReader<RowResult>,
    FutureReader<Result<(), Error>>,
);

impl<T: Send + 'static> sqlite::HostConnectionWithStore<T> for HasSelf<State> {
    async fn open_async(
        accessor: &Accessor<T, Self>,
        database: String,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        let found = accessor.with(|mut access| {
            let state = access.get();
            let path = state.find_database(&database)?;
            Ok((path, state.component.sqlite.clone()))
        });
        let (path, idle) = match found {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        Ok(match Connection::open(&path, &idle).await {
            Ok(connection) => accessor.with(|mut access| access.get().add_connection(connection)),
            Err(error) => Err(error),
        })
    }

    async fn execute_async(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<ExecuteResult, Error>> {
        let found = accessor.with(|mut access| access.get().find_connection(&connection));
        let connection = match found {
            Ok(connection) => connection,
            Err(error) => return Ok(Err(error)),
        };
        let running = match connection.start(statement, parameters).await {
            Ok(running) => running,
            Err(error) => return Ok(Err(error)),
        };
        accessor.with(|mut access| {
            let rows = StreamReader::new(&mut access, ChannelProducer::new(running.rows))?;
            let outcome = FutureReader::new(&mut access, running.outcome)?;
            Ok(Ok((running.columns, rows, outcome)))
        })
    }

    async fn last_insert_rowid_async(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
    ) -> wasmtime::Result<i64> {
        let connection =
            accessor.with(|mut access| access.get().table.get(&connection).cloned())?;
        Ok(connection.last_insert_rowid().await?)
    }

    async fn changes_async(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
    ) -> wasmtime::Result<u64> {
        let connection =
            accessor.with(|mut access| access.get().table.get(&connection).cloned())?;
        Ok(connection.changes().await?)
    }
}
