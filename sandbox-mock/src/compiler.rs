//! The compiler: a document and the generic component become one component that has read the document already.
//!
//! Owns pre-initialisation. The component's own `prepare` is called once, here, and its memory afterwards is what
//! every later instance starts with, so that a cold start parses nothing.

use wasmtime::component::{Component, Linker, TypedFunc};
use wasmtime::{Config, Engine, Store};
use wasmtime_wizer::{WasmtimeWizerComponent, Wizer};

/// A component with its document inside.
#[derive(Debug)]
pub struct Built {
    /// The component.
    pub wasm: Vec<u8>,
    /// The summary as JSON.
    pub summary: String,
}

/// The outcome of the component's `prepare`.
type Prepared = (Result<String, String>,);
/// A file's name and bytes; the first file is the document itself.
pub type SourceFile = (String, Vec<u8>);

/// The interface that Rust's standard library takes the seed of its hash maps from.
const INSECURE_SEED: &str = "wasi:random/insecure-seed@0.2.6";

/// Puts a document into the generic component `guest`.
pub async fn build(guest: &[u8], files: &[SourceFile]) -> anyhow::Result<Built> {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .wasm_component_model_async(true);
    let engine = Engine::new(&config)?;
    let mut wizer = Wizer::new();
    wizer.keep_init_func(true);
    let (context, instrumented) = wizer.instrument_component(guest)?;
    let component = Component::new(&engine, &instrumented)?;
    let mut linker: Linker<Host> = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    // The seed of the guest's hash maps ends up in the component's memory: a fixed one makes the
    // same document give the same bytes.
    linker
        .instance(INSECURE_SEED)?
        .func_wrap("insecure-seed", |_, ()| Ok(((0u64, 0u64),)))?;
    // Reading a document needs none of the other interfaces.
    linker.define_unknown_imports_as_traps(&component)?;
    let mut store = Store::new(&engine, Host::default());
    let instance = linker.instantiate_async(&mut store, &component).await?;
    let prepare: TypedFunc<(&[SourceFile],), Prepared> =
        instance.get_typed_func(&mut store, "prepare")?;
    let (outcome,) = prepare.call_async(&mut store, (files,)).await?;
    let summary =
        outcome.map_err(|reason| anyhow::anyhow!("the document cannot be read: {reason}"))?;
    let mut state = WasmtimeWizerComponent {
        store: &mut store,
        instance,
    };
    let wasm = wizer.snapshot_component(&context, &mut state).await?;
    Ok(Built { wasm, summary })
}

#[derive(Default)]
struct Host {
    wasi: wasmtime_wasi::WasiCtx,
    table: wasmtime::component::ResourceTable,
}

impl wasmtime_wasi::WasiView for Host {
    fn ctx(&mut self) -> wasmtime_wasi::WasiCtxView<'_> {
        wasmtime_wasi::WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}
