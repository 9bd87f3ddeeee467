//! The proxy that the filter's core asks for: one process, one virtual machine.
//!
//! Owns the shared data (which here is shared with nobody), the time that the gate sets, and the calls to the
//! portal, which `portal` answers at once.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use edge_filter::ports::{Host, Level, Number, PortalCall, SharedData, Stored};
use edge_filter::refusal::Refusal;
use edge_filter::request::encode_pairs;

/// What the core reads of the world while one request is in hand.
#[derive(Default)]
pub struct LocalHost {
    data: RefCell<HashMap<String, (Vec<u8>, u32)>>,
    version: Cell<u32>,
    now_ns: Cell<u64>,
    tokens: Cell<u32>,
    calls: RefCell<Vec<(u32, PortalCall)>>,
    client: RefCell<Option<String>>,
    answer: RefCell<Vec<(String, String)>>,
    /// What the core adds to the answer.
    added: RefCell<Vec<(String, String)>>,
    body_bytes: Cell<u64>,
}

impl LocalHost {
    pub fn set_now_ms(&self, now_ms: u64) {
        self.now_ns.set(now_ms.saturating_mul(1_000_000));
    }

    pub fn set_client(&self, address: String) {
        self.client.replace(Some(address));
    }

    /// What the request in hand was answered with.
    pub fn set_answer(&self, status: u16, headers: Vec<(String, String)>, body_bytes: u64) {
        let mut pairs = vec![(":status".to_owned(), status.to_string())];
        pairs.extend(headers);
        self.answer.replace(pairs);
        self.body_bytes.set(body_bytes);
    }

    /// What the core has added to the answer since it was asked last.
    pub fn take_added(&self) -> Vec<(String, String)> {
        self.added.take()
    }

    pub fn take_calls(&self) -> Vec<(u32, PortalCall)> {
        self.calls.take()
    }
}

impl SharedData for LocalHost {
    fn read(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        self.data.borrow().get(key).cloned()
    }

    fn write(&self, key: &str, value: &[u8], version: Option<u32>) -> Stored {
        let mut data = self.data.borrow_mut();
        if let (Some(expected), Some((_, stored))) = (version, data.get(key))
            && *stored != expected
        {
            return Stored::Changed;
        }
        self.version.set(self.version.get().wrapping_add(1));
        data.insert(key.to_owned(), (value.to_vec(), self.version.get()));
        Stored::Yes
    }
}

impl Host for LocalHost {
    fn now_ns(&self) -> u64 {
        self.now_ns.get()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        if getrandom::fill(bytes).is_err() {
            // It only names this process to itself.
            bytes.fill(1);
        }
    }

    fn call_portal(&self, _: &str, _: &str, call: &PortalCall) -> Option<u32> {
        self.tokens.set(self.tokens.get().wrapping_add(1));
        self.calls
            .borrow_mut()
            .push((self.tokens.get(), call.clone()));
        Some(self.tokens.get())
    }

    fn log(&self, level: Level, message: &str) {
        match level {
            Level::Info => tracing::info!("{message}"),
            Level::Warning | Level::Error => tracing::warn!("{message}"),
        }
    }

    fn client_address(&self) -> Option<String> {
        self.client.borrow().clone()
    }

    fn verify_signature(&self, _: &[u8], _: &[u8], _: &[u8]) -> Option<bool> {
        None
    }

    fn define_counter(&self, _: &str) -> Option<u32> {
        // Nobody reads the statistics of a mock.
        None
    }

    fn add_to_counter(&self, _: u32, _: u64) {}

    fn request_headers(&self) -> Vec<u8> {
        // The gate hands them over with the request.
        Vec::new()
    }

    // The changes of a verdict are taken from the verdict itself: these are for a proxy that has the request.
    fn remove_request_header(&self, _: &str) {}

    fn replace_request_header(&self, _: &str, _: &str) {}

    fn add_request_header(&self, _: &str, _: &str) {}

    fn add_response_header(&self, name: &str, value: &str) {
        self.added
            .borrow_mut()
            .push((name.to_owned(), value.to_owned()));
    }

    fn clear_route(&self) {}

    fn describe(&self, _: &str) {}

    fn respond(&self, _: &Refusal) {}

    fn response_headers(&self) -> Vec<u8> {
        encode_pairs(&self.answer.borrow())
    }

    fn number(&self, what: Number) -> Option<u64> {
        match what {
            Number::ResponseBytes => Some(self.body_bytes.get()),
            Number::RequestBytes | Number::ResponseFlags => Some(0),
        }
    }
}
