//! An Envoy in memory for native tests: several virtual machines share its data,
//! and its clock stands still until it is moved.

use crate::ports::{Host, Level, Number, PortalCall, SharedData, Stored};
use crate::refusal::Refusal;
use crate::request::encode_pairs;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

/// The shared part and the stream in hand.
#[derive(Default)]
pub struct MemoryHost {
    data: RefCell<HashMap<String, (Vec<u8>, u32)>>,
    version: Cell<u32>,
    pub now_ns: Cell<u64>,
    random: Cell<u64>,
    /// Calls made to the portal, by token.
    pub calls: RefCell<Vec<(u32, PortalCall)>>,
    tokens: Cell<u32>,
    pub log: RefCell<Vec<String>>,
    pub response: RefCell<Vec<(String, String)>>,
    pub client: RefCell<Option<String>>,
    pub flags: Cell<u64>,
    /// Every this many writes with a version, another worker is faster.
    pub disturb_every: Cell<u32>,
    writes: Cell<u32>,
    /// What the proxy was asked, in order: every line is a crossing.
    pub crossings: RefCell<Vec<String>>,
    /// Counters by name.
    pub counters: RefCell<Vec<(String, u64)>>,
    /// The request in hand.
    pub request: RefCell<Vec<(String, String)>>,
}

impl MemoryHost {
    pub fn at(now_ms: u64) -> Self {
        let host = Self::default();
        host.now_ns.set(now_ms * 1_000_000);
        host
    }

    fn cross(&self, what: &str, on: &str) {
        let line = format!("{what} {on}").trim_end().to_owned();
        self.crossings.borrow_mut().push(line);
    }

    pub fn take_crossings(&self) -> Vec<String> {
        self.crossings.take()
    }

    pub fn advance_ms(&self, ms: u64) {
        self.now_ns.set(self.now_ns.get() + ms * 1_000_000);
    }
}

impl SharedData for MemoryHost {
    fn read(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        self.cross("read", key);
        self.data.borrow().get(key).cloned()
    }

    fn write(&self, key: &str, value: &[u8], version: Option<u32>) -> Stored {
        self.cross("write", key);
        let mut data = self.data.borrow_mut();
        self.version.set(self.version.get() + 1);
        if let (Some(expected), Some((_, stored))) = (version, data.get_mut(key)) {
            self.writes.set(self.writes.get() + 1);
            let every = self.disturb_every.get();
            if every > 0 && self.writes.get().is_multiple_of(every) {
                // Somebody stored the same value anew: only the version differs.
                *stored = self.version.get();
                return Stored::Changed;
            }
            if *stored != expected {
                return Stored::Changed;
            }
        }
        data.insert(key.to_owned(), (value.to_vec(), self.version.get()));
        Stored::Yes
    }
}

impl Host for MemoryHost {
    fn now_ns(&self) -> u64 {
        self.cross("time", "");
        self.now_ns.get()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        for byte in bytes {
            let next = self
                .random
                .get()
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(11);
            self.random.set(next);
            *byte = (next >> 33) as u8;
        }
    }

    fn call_portal(&self, _: &str, _: &str, call: &PortalCall) -> Option<u32> {
        self.tokens.set(self.tokens.get() + 1);
        self.calls
            .borrow_mut()
            .push((self.tokens.get(), call.clone()));
        Some(self.tokens.get())
    }

    fn log(&self, _: Level, message: &str) {
        self.log.borrow_mut().push(message.to_owned());
    }

    fn client_address(&self) -> Option<String> {
        self.cross("property", "source.address");
        self.client.borrow().clone()
    }

    fn verify_signature(&self, _: &[u8], _: &[u8], _: &[u8]) -> Option<bool> {
        None
    }

    fn define_counter(&self, name: &str) -> Option<u32> {
        let mut counters = self.counters.borrow_mut();
        counters.push((name.to_owned(), 0));
        u32::try_from(counters.len() - 1).ok()
    }

    fn add_to_counter(&self, counter: u32, amount: u64) {
        self.counters.borrow_mut()[counter as usize].1 += amount;
    }

    fn request_headers(&self) -> Vec<u8> {
        self.cross("request headers", "");
        encode_pairs(&self.request.borrow())
    }

    fn response_headers(&self) -> Vec<u8> {
        self.cross("response headers", "");
        encode_pairs(&self.response.borrow())
    }

    fn remove_request_header(&self, name: &str) {
        self.cross("remove", name);
        self.request.borrow_mut().retain(|(other, _)| other != name);
    }

    fn replace_request_header(&self, name: &str, value: &str) {
        self.cross("replace", name);
        let mut request = self.request.borrow_mut();
        request.retain(|(other, _)| other != name);
        request.push((name.to_owned(), value.to_owned()));
    }

    fn add_request_header(&self, name: &str, value: &str) {
        self.cross("add", name);
        let mut request = self.request.borrow_mut();
        request.push((name.to_owned(), value.to_owned()));
    }

    fn add_response_header(&self, name: &str, value: &str) {
        self.cross("add", name);
        let mut response = self.response.borrow_mut();
        response.push((name.to_owned(), value.to_owned()));
    }

    fn clear_route(&self) {
        self.cross("clear route", "");
    }

    fn describe(&self, _: &str) {
        self.cross("describe", "");
    }

    fn respond(&self, refusal: &Refusal) {
        self.cross("respond", refusal.code.as_str());
    }

    fn number(&self, what: Number) -> Option<u64> {
        self.cross("property", &format!("{what:?}"));
        match what {
            Number::ResponseFlags => Some(self.flags.get()),
            Number::RequestBytes | Number::ResponseBytes => Some(0),
        }
    }
}
