//! Runs Spin components on wasmtime.
//!
//! Owns the store's data, what is linked into a component, and how a component
//! file becomes instances. The interfaces themselves are in `sqlite`,
//! `postgres`, `key_value`, `variables` and `outbound_http`; listening for
//! requests is in `server`. A component never gets anything here that Spin
//! would not give it.

pub mod application;
mod engine;
mod instance;
pub mod server;
pub mod streams;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::StoreLimits;
use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::allowed_hosts::AllowedHosts;
use crate::blocked_networks::BlockedNetworks;
use crate::outbound_http::OutboundHttp;

pub use application::{Application, ApplicationOptions, Limits};
pub use engine::build_engine;

/// What wasmtime makes of `wit/`.
pub mod bindings {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "portico:runner/components",
        imports: { default: async | trappable },
        with: {
            "spin:sqlite/sqlite.connection": crate::sqlite::Connection,
            "spin:key-value/key-value.store": crate::key_value::Store,
            "spin:postgres/postgres.connection": crate::postgres::Connection,
            "spin:postgres/postgres.connection-builder": crate::postgres::ConnectionBuilder,
        },
    });
}

/// What one component may do, fixed for the life of the process.
pub struct ComponentGrants {
    pub id: String,
    pub variables: BTreeMap<String, String>,
    pub environment: BTreeMap<String, String>,
    pub allowed_hosts: Arc<AllowedHosts>,
    pub blocked_networks: Arc<BlockedNetworks>,
    pub sqlite_databases: Vec<String>,
    pub key_value_stores: Vec<String>,
    pub data_dir: PathBuf,
    pub sqlite: crate::sqlite::IdleConnections,
    pub postgres: crate::postgres::Pools,
    pub key_value: crate::key_value::Database,
}

/// The data of one store, that is of one component instance.
pub struct State {
    pub table: ResourceTable,
    pub component: Arc<ComponentGrants>,
    limits: StoreLimits,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outbound_http: OutboundHttp,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: &mut self.table,
            hooks: &mut self.outbound_http,
        }
    }
}

/// Links WASI 0.2 and 0.3 (for Rust's standard library and the Spin SDK) and
/// the Spin interfaces.
fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi::p3::add_to_linker(linker)?;
    wasmtime_wasi_http::p3::add_to_linker(linker)?;
    bindings::Components::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
}
