//! The proxy-wasm entry points: all that is exported to Envoy, and no more,
//! because every export that exists is called for every request.
//!
//! Owns: turning callbacks into calls of [`Worker`]. Does not own: any decision.

mod abi;
mod calls;
mod memory;

use crate::leader::PortalAnswer;
use crate::ports::{Host, Level};
use crate::worker::{TICK_MS, Waiting, Worker};
use calls::Envoy;
use core::cell::RefCell;

const CONTINUE: u32 = 0;
const STOP: u32 = 1;

thread_local! {
    static WORKER: RefCell<Worker> = RefCell::new(Worker::default());
    /// Root contexts that are configured and have not ended: a reload of the
    /// configuration begins the new one before it ends the old.
    static ROOTS: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
}

/// Runs `act` on the worker. A callback inside a callback (Envoy may answer a
/// call at once) finds it taken and is left out.
fn with_worker<T>(act: impl FnOnce(&mut Worker) -> T) -> Option<T> {
    WORKER.with(|worker| {
        worker
            .try_borrow_mut()
            .ok()
            .map(|mut worker| act(&mut worker))
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    let mut bytes = Vec::<u8>::with_capacity(size);
    let pointer = bytes.as_mut_ptr();
    core::mem::forget(bytes);
    pointer
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(root: u32, size: usize) -> u32 {
    let envoy = Envoy;
    let json = envoy.buffer(abi::PLUGIN_CONFIGURATION, size);
    let name = envoy
        .property("node\0id")
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_default();
    let variable = |name: &str| std::env::var(name).ok();
    match with_worker(|worker| worker.configure(&envoy, &json, variable, &name)) {
        Some(Ok(())) => {
            ROOTS.with_borrow_mut(|roots| roots.push(root));
            envoy.set_tick(TICK_MS);
            1
        }
        Some(Err(message)) => {
            envoy.log(Level::Error, &message);
            0
        }
        None => 0,
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(root: u32) {
    // While two configurations overlap, one tick is enough.
    if ROOTS.with_borrow(|roots| roots.last() != Some(&root)) {
        return;
    }
    if let Some(next_ms) = with_worker(|worker| worker.tick(&Envoy)) {
        Envoy.set_tick(next_ms);
    }
    let waiting = with_worker(Worker::take_waiting).unwrap_or_default();
    for call in &waiting {
        reconsider(call);
    }
    if !waiting.is_empty() {
        Envoy.take_up(root);
    }
}

/// Decides a held request again.
fn reconsider(call: &Waiting) {
    // One that is gone has told so through `proxy_on_done`, or is about to.
    if !Envoy.take_up(call.stream) {
        return;
    }
    let verdict = with_worker(|worker| worker.decide_again(&Envoy, call));
    if verdict.is_some_and(|verdict| verdict.carry_out(&Envoy)) {
        Envoy.resume();
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(stream: u32, _count: u32, _end: u32) -> u32 {
    let pairs = Envoy.request_headers();
    let verdict = with_worker(|worker| worker.decide(&Envoy, stream, &pairs));
    let passes = verdict.is_some_and(|verdict| verdict.carry_out(&Envoy));
    with_worker(|worker| worker.time_request(&Envoy, stream));
    if passes { CONTINUE } else { STOP }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(stream: u32, _count: u32, _end: u32) -> u32 {
    with_worker(|worker| worker.take_response(&Envoy, stream));
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(
    _root: u32,
    token: u32,
    _headers: u32,
    body_size: usize,
    _trailers: u32,
) {
    let envoy = Envoy;
    let header = |name| envoy.header(abi::CALL_RESPONSE_HEADERS, name);
    let status = header(":status")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let signature = header(shared::signing::SIGNATURE_HEADER).unwrap_or_default();
    let body = envoy.buffer(abi::CALL_RESPONSE_BODY, body_size);
    let answer = PortalAnswer {
        status,
        signature: &signature,
        body: &body,
    };
    with_worker(|worker| worker.take_portal_answer(&envoy, token, &answer));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_done(context: u32) -> u32 {
    let (was_root, is_last) = ROOTS.with_borrow_mut(|roots| {
        let before = roots.len();
        roots.retain(|root| *root != context);
        (roots.len() != before, roots.is_empty())
    });
    if !was_root {
        // Also the end of a stream, for which nothing else need be exported.
        with_worker(|worker| worker.finish(&Envoy, context));
    } else if is_last {
        with_worker(|worker| worker.end(&Envoy));
    }
    1
}
