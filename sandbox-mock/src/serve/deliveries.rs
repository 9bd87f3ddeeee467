//! Sending what waits: webhooks and callbacks, one after the other, when the clock of their tenant says so.

use super::{Server, now_ms};
use crate::events::{Outgoing, due, has_deliveries, settle};
use crate::mock::{Context, finish_now};
use crate::state::MemoryStore;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Sends one request, and says its status or why there is none. It owns which addresses may be reached.
pub trait Sender: Send + Sync {
    /// Sends.
    fn send(
        &self,
        outgoing: Outgoing,
    ) -> Pin<Box<dyn Future<Output = Result<u16, String>> + Send + '_>>;
}

/// Notes that a tenant may have something to send.
pub(super) fn note(server: &Server, memory: &mut MemoryStore, context: &Context) {
    if finish_now(has_deliveries(memory, context)) == Some(true) {
        let mut waiting = server
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        waiting.insert(context.tenant.clone());
    }
}

pub(super) async fn deliver(server: Arc<Server>, sender: Option<Arc<dyn Sender>>) {
    let Some(sender) = sender else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let tenants: Vec<String> = {
            let waiting = server
                .waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            waiting.iter().cloned().collect()
        };
        for tenant in tenants {
            deliver_for(&server, sender.as_ref(), tenant).await;
        }
    }
}

async fn deliver_for(server: &Server, sender: &dyn Sender, tenant: String) {
    let mut context = Context {
        seed: server.seed,
        tenant,
        now_ms: now_ms(),
        stateful: server.stateful,
    };
    let ready = {
        let mut memory = server.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = finish_now(due(&mut *memory, &context)).unwrap_or_default();
        if ready.is_empty() && finish_now(has_deliveries(&mut *memory, &context)) != Some(true) {
            let mut waiting = server
                .waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            waiting.remove(&context.tenant);
        }
        ready
    };
    for outgoing in ready {
        let id = outgoing.delivery.clone();
        let outcome = sender.send(outgoing).await;
        context.now_ms = now_ms();
        let mut memory = server.memory.lock().unwrap_or_else(PoisonError::into_inner);
        finish_now(settle(&mut *memory, &context, &id, outcome));
    }
}
