//! Instances of a component and how long they live.
//!
//! Owns Spin's reuse rules: an instance serves up to 128 requests, 16 at once,
//! and is dropped after a second of idleness or when it traps; so a `static`
//! outlives a request and is shared, here as there.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use wasmtime::component::{GuestTaskId, ResourceTable};
use wasmtime::{Store, StoreContextMut, StoreLimitsBuilder};
use wasmtime_wasi::WasiCtx;
use wasmtime_wasi_http::handler::{
    HandlerState, Instance, Proxy, ShouldAccept, WorkerExpiration, WorkerState, WorkerStatus,
};
use wasmtime_wasi_http::p3::bindings::ServicePre;
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpView};

use super::application::Limits;
use super::{ComponentGrants, State};
use crate::outbound_http::{OutboundHttp, SelfOrigin};

const MAX_REQUESTS: usize = 128;
const MAX_CONCURRENT_REQUESTS: usize = 16;
const IDLE_TIMEOUT: Duration = Duration::from_secs(1);

/// Makes instances of one component.
pub struct Instances {
    pub service: ServicePre<State>,
    pub component: Arc<ComponentGrants>,
    pub limits: Limits,
    pub origin: SelfOrigin,
}

impl Instances {
    fn new_store(&self) -> Store<State> {
        let mut wasi = WasiCtx::builder();
        wasi.inherit_stdout().inherit_stderr();
        for (name, value) in &self.component.environment {
            wasi.env(name, value);
        }
        let mut store = Store::new(
            self.service.engine(),
            State {
                table: ResourceTable::new(),
                component: self.component.clone(),
                limits: StoreLimitsBuilder::new()
                    .memory_size(self.limits.memory_bytes)
                    .build(),
                wasi: wasi.build(),
                http: WasiHttpCtx::new(),
                outbound_http: OutboundHttp::new(
                    self.component.allowed_hosts.clone(),
                    self.component.blocked_networks.clone(),
                    self.origin.clone(),
                ),
            },
        );
        store.limiter(|state| &mut state.limits);
        // A guest that computes gives way at each tick of the epoch; otherwise
        // it could not be stopped, and nothing else would run on its thread.
        store.epoch_deadline_async_yield_and_update(1);
        store.set_epoch_deadline(1);
        store
    }
}

impl HandlerState for Instances {
    type StoreData = State;
    type WorkerExpiration = Expiration;
    type WorkerState = Worker;

    async fn instantiate(&self) -> wasmtime::Result<Instance<State, Expiration, Worker>> {
        let mut store = self.new_store();
        let service = self.service.instantiate_async(&mut store).await?;
        Ok(Instance {
            store,
            proxy: Proxy::P3(service),
            view: State::http,
            expiration: Expiration {
                request_timeout: self.limits.request_timeout,
                sleep: Box::pin(tokio::time::sleep(IDLE_TIMEOUT)),
            },
            state: Worker {
                component: self.component.id.clone(),
                request_timeout: self.limits.request_timeout,
            },
        })
    }
}

/// Ends an instance that is idle, or whose newest request has run out of time.
pub struct Expiration {
    request_timeout: Duration,
    sleep: Pin<Box<tokio::time::Sleep>>,
}

impl WorkerExpiration for Expiration {
    fn poll(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        status: WorkerStatus,
        start: Instant,
    ) -> Poll<()> {
        let this = self.get_mut();
        let timeout = match status {
            WorkerStatus::Idle => IDLE_TIMEOUT,
            WorkerStatus::Requests | WorkerStatus::PostReturn => this.request_timeout,
        };
        let deadline = (start + timeout).into();
        if this.sleep.deadline() != deadline {
            this.sleep.as_mut().reset(deadline);
        }
        this.sleep.as_mut().poll(context)
    }
}

/// Decides what an instance takes on.
pub struct Worker {
    component: String,
    request_timeout: Duration,
}

impl WorkerState for Worker {
    type StoreData = State;
    type RequestData = ();

    fn should_accept_request(&self, concurrent: usize, total: usize) -> ShouldAccept {
        if total >= MAX_REQUESTS {
            ShouldAccept::Never
        } else if concurrent >= MAX_CONCURRENT_REQUESTS {
            ShouldAccept::No
        } else {
            ShouldAccept::Yes
        }
    }

    fn on_request_start(
        &self,
        _store: StoreContextMut<'_, State>,
        (): (),
        _task: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + Sync>> {
        Box::pin(tokio::time::sleep(self.request_timeout))
    }

    fn drop(&self, store: Store<State>, result: wasmtime::Result<()>) {
        if let Err(error) = result
            && !is_cancelled(&error)
        {
            // The backtrace is part of the alternate form only; a guest that
            // panics has said why on its standard error.
            tracing::error!(component = %self.component, "an instance ended: {}", error.root_cause());
            tracing::debug!(component = %self.component, "{error:#}");
        }
        drop(store);
    }
}

/// Whether the instance was dropped with its task, as when the process stops;
/// wasmtime reports that in the same words as a panic.
fn is_cancelled(error: &wasmtime::Error) -> bool {
    !std::thread::panicking() && error.root_cause().to_string() == "worker panicked"
}
