//! Runs the components that answer operations in place of the mock.
//!
//! Owns what a handler may use: no network, no files, a bounded memory and a bounded time, in an instance of its own
//! for each request. What it is told and what becomes of its answer is `sandbox_mock::handler`'s business.

mod bounds;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bounds::Guest;

use crate::epoch::add_ticks;
use sandbox_mock::handler::{Handled, HandlerCall, HandlerFailure};
use sandbox_mock::serve::Handlers;
use tokio::sync::Semaphore;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, Store};

/// What wasmtime makes of the world of handlers.
mod bindings {
    wasmtime::component::bindgen!({
        path: "../sandbox-mock/wit/handler",
        world: "portico:handler/handler",
        exports: { default: async },
    });
}

use bindings::HandlerPre;
use bindings::exports::portico::handler::operations::{Request, Response};

/// The interfaces that Rust's standard library names even where nothing of them is used. None of them leads
/// out of the machine, and no folder is opened for a handler.
const OFFERED: [&str; 5] = [
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:io/",
    "wasi:random/",
];
/// How many run at once; the others wait for their turn.
const MOST_AT_ONCE: usize = 16;

/// What a call of a handler may use.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub memory_bytes: usize,
    pub time: Duration,
}

/// The handlers of a mock, compiled.
pub struct Components {
    engine: Engine,
    by_operation: BTreeMap<String, Arc<Handler>>,
    limits: Limits,
    turns: Semaphore,
}

struct Handler {
    name: String,
    component: HandlerPre<Guest>,
}

impl Components {
    /// Compiles the components, each once; pairs of `operationId` and file.
    pub fn load(handlers: &[(String, PathBuf)], limits: Limits) -> Result<Components> {
        let mut config = Config::new();
        config.wasm_component_model(true).epoch_interruption(true);
        let engine = Engine::new(&config)?;
        add_ticks(&engine)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        let mut by_file: BTreeMap<&Path, Arc<Handler>> = BTreeMap::new();
        let mut by_operation = BTreeMap::new();
        for (operation, file) in handlers {
            let handler = match by_file.get(file.as_path()) {
                Some(handler) => Arc::clone(handler),
                None => {
                    let handler = Arc::new(Handler::load(&engine, &linker, file)?);
                    by_file.insert(file, Arc::clone(&handler));
                    handler
                }
            };
            if by_operation.insert(operation.clone(), handler).is_some() {
                bail!("--handler names the operation {operation} twice");
            }
        }
        Ok(Components {
            engine,
            by_operation,
            limits,
            turns: Semaphore::new(MOST_AT_ONCE),
        })
    }

    async fn run(&self, call: HandlerCall) -> Handled {
        let crashed = |reason: &str| Err(HandlerFailure::Crashed(reason.to_owned()));
        let Some(handler) = self.by_operation.get(&call.operation) else {
            return crashed("there is no such handler");
        };
        let Ok(_turn) = self.turns.acquire().await else {
            return crashed("the sandbox stops");
        };
        let guest = Guest::new(&call, self.limits.memory_bytes);
        let mut store = Store::new(&self.engine, guest);
        store.limiter(|guest| &mut guest.bounds);
        // It gives way at each tick, so that its time can run out.
        store.epoch_deadline_async_yield_and_update(1);
        store.set_epoch_deadline(1);
        let answer = async {
            let instance = handler.component.instantiate_async(&mut store).await?;
            let operations = instance.portico_handler_operations();
            operations.call_handle(&mut store, &request(call)).await
        };
        let answered = tokio::time::timeout(self.limits.time, answer).await;
        match answered {
            Err(_) => Err(HandlerFailure::TimedOut {
                after_ms: u64::try_from(self.limits.time.as_millis()).unwrap_or(u64::MAX),
            }),
            Ok(Ok(Ok(response))) => Ok(sandbox_mock::Response {
                status: response.status,
                headers: response.headers,
                body: response.body,
            }),
            Ok(Ok(Err(reason))) => Err(HandlerFailure::Refused(shortened(&reason))),
            Ok(Err(_)) if store.data().bounds.was_full => crashed(&format!(
                "it needs more than {} MiB of memory",
                self.limits.memory_bytes >> 20
            )),
            // The backtrace is not for the caller; a handler that panics says why on its standard error.
            Ok(Err(error)) => crashed(&shortened(&error.root_cause().to_string())),
        }
    }
}

impl Handlers for Components {
    fn operations(&self) -> Vec<(String, String)> {
        self.by_operation
            .iter()
            .map(|(operation, handler)| (operation.clone(), handler.name.clone()))
            .collect()
    }

    fn handle(&self, call: HandlerCall) -> Pin<Box<dyn Future<Output = Handled> + Send + '_>> {
        Box::pin(self.run(call))
    }
}

impl Handler {
    fn load(engine: &Engine, linker: &Linker<Guest>, file: &Path) -> Result<Handler> {
        let name = file.file_name().unwrap_or(file.as_os_str());
        let name = name.to_string_lossy().into_owned();
        let bytes =
            std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
        let component = Component::new(engine, &bytes)
            .map_err(anyhow::Error::from)
            .with_context(|| {
                format!("{name} is no component: build it for the target wasm32-wasip2")
            })?;
        for (import, _) in component.component_type().imports(engine) {
            if OFFERED.iter().all(|offered| !import.starts_with(offered)) {
                bail!(
                    "{name} imports {import}: a handler has no network and nothing of the host; make its answer from the request alone"
                );
            }
        }
        let component = linker
            .instantiate_pre(&component)
            .and_then(HandlerPre::new)
            .map_err(anyhow::Error::from)
            .with_context(|| {
                format!(
                    "{name} does not export portico:handler/operations@1.0.0 (sandbox-mock/wit/handler/handler.wit)"
                )
            })?;
        Ok(Handler { name, component })
    }
}

fn request(call: HandlerCall) -> Request {
    Request {
        operation: call.operation,
        method: call.method,
        path: call.path,
        query: call.query,
        parameters: call.parameters,
        headers: call.headers,
        body: call.body,
        tenant: call.tenant,
        now_ms: call.now_ms,
        seed: call.seed,
        suggestion: Response {
            status: call.suggestion.status,
            headers: call.suggestion.headers,
            body: call.suggestion.body,
        },
    }
}

fn shortened(reason: &str) -> String {
    const MOST: usize = 300;
    let line = reason.lines().next().unwrap_or("");
    line.chars().take(MOST).collect()
}
