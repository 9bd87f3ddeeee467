//! Envoy as a [`Host`]: every call's status is looked at, none panics.

use super::abi;
use crate::ports::{Host, Level, Number, PortalCall, SharedData, Stored};
use crate::refusal::Refusal;
use crate::request::encode_pairs;

/// The filter state that access logs and traces can print; Envoy puts `wasm.`
/// before it. One text and not one per member: every crossing costs.
const METADATA: &str = "portico";

/// The proxy that runs this module.
#[derive(Debug, Clone, Copy)]
pub struct Envoy;

/// Takes over memory that the proxy filled through `proxy_on_memory_allocate`.
fn received(status: u32, bytes: *mut u8, size: usize) -> Option<Vec<u8>> {
    if bytes.is_null() || size == 0 {
        return (status == abi::OK).then(Vec::new);
    }
    // SAFETY: the proxy asked this module's allocator for exactly `size` bytes,
    // filled them and handed them over; nothing else holds them.
    let bytes = unsafe { Vec::from_raw_parts(bytes, size, size) };
    (status == abi::OK).then_some(bytes)
}

fn receive(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Option<Vec<u8>> {
    let (mut bytes, mut size) = (core::ptr::null_mut(), 0);
    let status = call(&raw mut bytes, &raw mut size);
    received(status, bytes, size)
}

impl Envoy {
    /// A whole buffer.
    pub fn buffer(self, buffer: u32, length: usize) -> Vec<u8> {
        // SAFETY: the pointers are to locals that outlive the call.
        receive(|bytes, size| unsafe {
            abi::proxy_get_buffer_bytes(buffer, 0, length, bytes, size)
        })
        .unwrap_or_default()
    }

    /// A whole header map, encoded.
    pub fn headers(self, map: u32) -> Vec<u8> {
        // SAFETY: as above.
        receive(|bytes, size| unsafe { abi::proxy_get_header_map_pairs(map, bytes, size) })
            .unwrap_or_default()
    }

    /// One header's value.
    pub fn header(self, map: u32, name: &str) -> Option<String> {
        // SAFETY: as above; `name` is borrowed for the call.
        let value = receive(|bytes, size| unsafe {
            abi::proxy_get_header_map_value(map, name.as_ptr(), name.len(), bytes, size)
        })?;
        String::from_utf8(value).ok()
    }

    /// A property; path segments are separated by zero bytes.
    pub fn property(self, path: &str) -> Option<Vec<u8>> {
        // SAFETY: as above.
        receive(|bytes, size| unsafe {
            abi::proxy_get_property(path.as_ptr(), path.len(), bytes, size)
        })
    }

    fn add_header(self, map: u32, name: &str, value: &str) {
        // SAFETY: both texts are borrowed for the call.
        unsafe {
            abi::proxy_add_header_map_value(
                map,
                name.as_ptr(),
                name.len(),
                value.as_ptr(),
                value.len(),
            );
        }
    }

    /// Calls a function that Envoy has beyond the ABI.
    pub fn foreign(self, name: &str, arguments: &[u8]) -> Option<Vec<u8>> {
        // SAFETY: as above.
        receive(|bytes, size| unsafe {
            abi::proxy_call_foreign_function(
                name.as_ptr(),
                name.len(),
                arguments.as_ptr(),
                arguments.len(),
                bytes,
                size,
            )
        })
    }

    /// Asks for ticks.
    pub fn set_tick(self, period_ms: u32) {
        // SAFETY: no pointers.
        unsafe {
            abi::proxy_set_tick_period_milliseconds(period_ms);
        }
    }

    /// Takes a held request in hand; whether it is still there.
    pub fn take_up(self, stream: u32) -> bool {
        // SAFETY: no pointers.
        unsafe { abi::proxy_set_effective_context(stream) == abi::OK }
    }

    /// Lets the held request in hand go on.
    pub fn resume(self) {
        // SAFETY: no pointers.
        unsafe {
            abi::proxy_continue_stream(abi::REQUEST);
        }
    }
}

impl SharedData for Envoy {
    fn read(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        let mut version = 0;
        // SAFETY: the pointers are to locals that outlive the call.
        let value = receive(|bytes, size| unsafe {
            abi::proxy_get_shared_data(key.as_ptr(), key.len(), bytes, size, &raw mut version)
        })?;
        Some((value, version))
    }

    fn write(&self, key: &str, value: &[u8], version: Option<u32>) -> Stored {
        // SAFETY: key and value are borrowed for the call.
        let status = unsafe {
            abi::proxy_set_shared_data(
                key.as_ptr(),
                key.len(),
                value.as_ptr(),
                value.len(),
                // Zero stores whatever the version is.
                version.unwrap_or(0),
            )
        };
        match status {
            abi::OK => Stored::Yes,
            abi::CAS_MISMATCH => Stored::Changed,
            _ => Stored::Failed,
        }
    }
}

impl Host for Envoy {
    fn now_ns(&self) -> u64 {
        let mut time = 0;
        // SAFETY: the pointer is to a local that outlives the call.
        unsafe {
            abi::proxy_get_current_time_nanoseconds(&raw mut time);
        }
        time
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        // SAFETY: the slice is borrowed for the call.
        unsafe {
            abi::random_get(bytes.as_mut_ptr(), bytes.len());
        }
    }

    fn call_portal(&self, cluster: &str, authority: &str, call: &PortalCall) -> Option<u32> {
        let mut headers = vec![
            (":method", call.method),
            (":path", &call.path),
            (":authority", authority),
        ];
        headers.extend(
            call.headers
                .iter()
                .map(|(name, value)| (*name, value.as_str())),
        );
        let headers = encode_pairs(&headers);
        let trailers = encode_pairs::<&str, &str>(&[]);
        let mut token = 0;
        // SAFETY: everything is borrowed for the call; `token` outlives it.
        let status = unsafe {
            abi::proxy_http_call(
                cluster.as_ptr(),
                cluster.len(),
                headers.as_ptr(),
                headers.len(),
                call.body.as_ptr(),
                call.body.len(),
                trailers.as_ptr(),
                trailers.len(),
                call.timeout_ms,
                &raw mut token,
            )
        };
        (status == abi::OK).then_some(token)
    }

    fn log(&self, level: Level, message: &str) {
        let level = match level {
            Level::Info => 2,
            Level::Warning => 3,
            Level::Error => 4,
        };
        // SAFETY: the text is borrowed for the call.
        unsafe {
            abi::proxy_log(level, message.as_ptr(), message.len());
        }
    }

    fn client_address(&self) -> Option<String> {
        String::from_utf8(self.property("source\0address")?).ok()
    }

    fn verify_signature(&self, key_der: &[u8], signature: &[u8], message: &[u8]) -> Option<bool> {
        // Envoy's VerifySignatureArguments: hash, key, signature, text.
        let mut arguments = Vec::with_capacity(message.len() + key_der.len() + 600);
        for (field, bytes) in [
            (1, &b"sha256"[..]),
            (2, key_der),
            (3, signature),
            (4, message),
        ] {
            arguments.push(field << 3 | 2);
            let mut length = bytes.len();
            while length >= 0x80 {
                arguments.push(length as u8 | 0x80);
                length >>= 7;
            }
            arguments.push(length as u8);
            arguments.extend_from_slice(bytes);
        }
        let answer = self.foreign("verify_signature", &arguments)?;
        // VerifySignatureResult: field 1 is true.
        Some(answer.starts_with(&[0x08, 0x01]))
    }

    fn define_counter(&self, name: &str) -> Option<u32> {
        let mut id = 0;
        // SAFETY: the name is borrowed for the call; `id` outlives it.
        let status = unsafe {
            abi::proxy_define_metric(abi::COUNTER, name.as_ptr(), name.len(), &raw mut id)
        };
        (status == abi::OK).then_some(id)
    }

    fn add_to_counter(&self, counter: u32, amount: u64) {
        // SAFETY: no pointers.
        unsafe {
            abi::proxy_increment_metric(counter, i64::try_from(amount).unwrap_or(i64::MAX));
        }
    }

    fn request_headers(&self) -> Vec<u8> {
        self.headers(abi::REQUEST_HEADERS)
    }

    fn response_headers(&self) -> Vec<u8> {
        self.headers(abi::RESPONSE_HEADERS)
    }

    fn remove_request_header(&self, name: &str) {
        // SAFETY: the name is borrowed for the call.
        unsafe {
            abi::proxy_remove_header_map_value(abi::REQUEST_HEADERS, name.as_ptr(), name.len());
        }
    }

    fn replace_request_header(&self, name: &str, value: &str) {
        // SAFETY: both texts are borrowed for the call.
        unsafe {
            abi::proxy_replace_header_map_value(
                abi::REQUEST_HEADERS,
                name.as_ptr(),
                name.len(),
                value.as_ptr(),
                value.len(),
            );
        }
    }

    fn add_request_header(&self, name: &str, value: &str) {
        self.add_header(abi::REQUEST_HEADERS, name, value);
    }

    fn add_response_header(&self, name: &str, value: &str) {
        self.add_header(abi::RESPONSE_HEADERS, name, value);
    }

    fn clear_route(&self) {
        self.foreign("clear_route_cache", &[]);
    }

    fn describe(&self, decision: &str) {
        // SAFETY: both texts are borrowed for the call.
        unsafe {
            abi::proxy_set_property(
                METADATA.as_ptr(),
                METADATA.len(),
                decision.as_ptr(),
                decision.len(),
            );
        }
    }

    fn respond(&self, refusal: &Refusal) {
        let headers = encode_pairs(&refusal.headers);
        let details = refusal.code.as_str();
        // SAFETY: everything is borrowed for the call.
        unsafe {
            abi::proxy_send_local_response(
                u32::from(refusal.code.status()),
                details.as_ptr(),
                details.len(),
                refusal.body.as_ptr(),
                refusal.body.len(),
                headers.as_ptr(),
                headers.len(),
                -1,
            );
        }
    }

    fn number(&self, what: Number) -> Option<u64> {
        let path = match what {
            Number::RequestBytes => "request\0size",
            Number::ResponseBytes => "response\0size",
            Number::ResponseFlags => "response\0flags",
        };
        let bytes = self.property(path)?;
        bytes.try_into().ok().map(u64::from_le_bytes)
    }
}
