//! The `spin:postgres` interface: PostgreSQL behind sqlx, as Spin's own host
//! behaves.
//!
//! Owns which servers a component may reach and what it sees of a result.
//! Connections come from a pool per address; one that a component lets go is
//! rolled back and cleaned before another gets it. Conversions are in `values`.

#![expect(
    clippy::result_large_err,
    reason = "the error is made from the WIT, and the interface wants it by value"
)]

mod connection;
mod pools;
#[cfg(test)]
mod tests;
mod values;

use wasmtime::component::{Accessor, FutureReader, HasSelf, Resource, StreamReader};

pub use connection::Connection;
pub use pools::Pools;

use crate::spin_host::State;
use crate::spin_host::bindings::spin::postgres::postgres::{
    self, Column, Error, ParameterValue, Row, RowSet,
};
use crate::spin_host::streams::ChannelProducer;

/// A connection that a component is about to make.
#[derive(Clone)]
pub struct ConnectionBuilder {
    address: String,
    ca_root: Option<String>,
}

/// What opening a connection needs of the store, taken out of it so that the
/// store is free while the network is waited for.
struct Opening {
    pools: Pools,
    allowed_hosts: std::sync::Arc<crate::allowed_hosts::AllowedHosts>,
}

impl Opening {
    async fn open(&self, address: &str, ca_root: Option<&str>) -> Result<Connection, Error> {
        self.pools
            .open(address, ca_root, |host, port| {
                self.allowed_hosts.allows("postgres", host, Some(port))
            })
            .await
    }
}

impl State {
    fn opening(&self) -> Opening {
        Opening {
            pools: self.component.postgres.clone(),
            allowed_hosts: self.component.allowed_hosts.clone(),
        }
    }

    fn add_postgres(&mut self, connection: Connection) -> Result<Resource<Connection>, Error> {
        self.table
            .push(connection)
            .map_err(|_| Error::ConnectionFailed("too many connections".to_owned()))
    }
}

impl postgres::Host for State {}

impl postgres::HostConnectionBuilder for State {
    async fn new(&mut self, address: String) -> wasmtime::Result<Resource<ConnectionBuilder>> {
        Ok(self.table.push(ConnectionBuilder {
            address,
            ca_root: None,
        })?)
    }

    async fn set_ca_root(
        &mut self,
        builder: Resource<ConnectionBuilder>,
        certificate: String,
    ) -> wasmtime::Result<Result<(), Error>> {
        self.table.get_mut(&builder)?.ca_root = Some(certificate);
        Ok(Ok(()))
    }

    async fn build(
        &mut self,
        builder: Resource<ConnectionBuilder>,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        let builder = self.table.get(&builder)?.clone();
        let opened = self
            .opening()
            .open(&builder.address, builder.ca_root.as_deref())
            .await;
        Ok(opened.and_then(|connection| self.add_postgres(connection)))
    }

    async fn drop(&mut self, builder: Resource<ConnectionBuilder>) -> wasmtime::Result<()> {
        self.table.delete(builder)?;
        Ok(())
    }
}

impl postgres::HostConnection for State {
    async fn open(
        &mut self,
        address: String,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        let opened = self.opening().open(&address, None).await;
        Ok(opened.and_then(|connection| self.add_postgres(connection)))
    }

    async fn query(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> wasmtime::Result<Result<RowSet, Error>> {
        let connection = self.table.get(&connection)?.clone();
        Ok(connection.query(statement, parameters).await)
    }

    async fn execute(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> wasmtime::Result<Result<u64, Error>> {
        let connection = self.table.get(&connection)?.clone();
        Ok(connection.execute(statement, parameters).await)
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}

impl<T: Send + 'static> postgres::HostConnectionBuilderWithStore<T> for HasSelf<State> {
    async fn build_async(
        accessor: &Accessor<T, Self>,
        builder: Resource<ConnectionBuilder>,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        let (builder, opening) = accessor.with(|mut access| {
            let state = access.get();
            wasmtime::error::Ok((state.table.get(&builder)?.clone(), state.opening()))
        })?;
        let opened = opening
            .open(&builder.address, builder.ca_root.as_deref())
            .await;
        Ok(opened.and_then(|connection| {
            accessor.with(|mut access| access.get().add_postgres(connection))
        }))
    }
}

type QueryResult = (
    Vec<Column>,
    StreamReader<Row>,
    FutureReader<Result<(), Error>>,
);

impl<T: Send + 'static> postgres::HostConnectionWithStore<T> for HasSelf<State> {
    async fn open_async(
        accessor: &Accessor<T, Self>,
        address: String,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        let opening = accessor.with(|mut access| access.get().opening());
        let opened = opening.open(&address, None).await;
        Ok(opened.and_then(|connection| {
            accessor.with(|mut access| access.get().add_postgres(connection))
        }))
    }

    async fn query_async(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> wasmtime::Result<Result<QueryResult, Error>> {
        let connection =
            accessor.with(|mut access| access.get().table.get(&connection).cloned())?;
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

    async fn execute_async(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> wasmtime::Result<Result<u64, Error>> {
        let connection =
            accessor.with(|mut access| access.get().table.get(&connection).cloned())?;
        Ok(connection.execute(statement, parameters).await)
    }
}
