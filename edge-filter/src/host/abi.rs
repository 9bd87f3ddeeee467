//! The part of the proxy-wasm ABI 0.2.1 that the filter uses, as the proxy
//! defines it. Nothing here has a policy of its own.

/// The proxy did what was asked.
pub const OK: u32 = 0;
/// A compare-and-swap found another version.
pub const CAS_MISMATCH: u32 = 8;

/// The request's side of a stream.
pub const REQUEST: u32 = 0;

/// A metric that only grows.
pub const COUNTER: u32 = 0;
/// Header maps.
pub const REQUEST_HEADERS: u32 = 0;
/// Response headers of the stream.
pub const RESPONSE_HEADERS: u32 = 2;
/// Response headers of a call that the filter made.
pub const CALL_RESPONSE_HEADERS: u32 = 6;
/// Body of the response to a call that the filter made.
pub const CALL_RESPONSE_BODY: u32 = 4;
/// The plugin's configuration.
pub const PLUGIN_CONFIGURATION: u32 = 7;

unsafe extern "C" {
    pub fn proxy_log(level: u32, text: *const u8, length: usize) -> u32;
    pub fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    pub fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    pub fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        length: usize,
        bytes: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    pub fn proxy_get_header_map_pairs(map: u32, bytes: *mut *mut u8, size: *mut usize) -> u32;
    pub fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_length: usize,
        bytes: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    pub fn proxy_add_header_map_value(
        map: u32,
        name: *const u8,
        name_length: usize,
        value: *const u8,
        value_length: usize,
    ) -> u32;
    pub fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_length: usize,
        value: *const u8,
        value_length: usize,
    ) -> u32;
    pub fn proxy_remove_header_map_value(map: u32, name: *const u8, name_length: usize) -> u32;
    pub fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_length: usize,
        body: *const u8,
        body_length: usize,
        headers: *const u8,
        headers_length: usize,
        grpc_status: i32,
    ) -> u32;
    pub fn proxy_get_shared_data(
        key: *const u8,
        key_length: usize,
        bytes: *mut *mut u8,
        size: *mut usize,
        version: *mut u32,
    ) -> u32;
    pub fn proxy_set_shared_data(
        key: *const u8,
        key_length: usize,
        value: *const u8,
        value_length: usize,
        version: u32,
    ) -> u32;
    pub fn proxy_get_property(
        path: *const u8,
        path_length: usize,
        bytes: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    pub fn proxy_set_property(
        path: *const u8,
        path_length: usize,
        value: *const u8,
        value_length: usize,
    ) -> u32;
    pub fn proxy_http_call(
        cluster: *const u8,
        cluster_length: usize,
        headers: *const u8,
        headers_length: usize,
        body: *const u8,
        body_length: usize,
        trailers: *const u8,
        trailers_length: usize,
        timeout_ms: u32,
        token: *mut u32,
    ) -> u32;
    pub fn proxy_set_effective_context(context: u32) -> u32;
    pub fn proxy_continue_stream(kind: u32) -> u32;
    pub fn proxy_define_metric(kind: u32, name: *const u8, length: usize, id: *mut u32) -> u32;
    pub fn proxy_increment_metric(id: u32, amount: i64) -> u32;
    pub fn proxy_call_foreign_function(
        name: *const u8,
        name_length: usize,
        arguments: *const u8,
        arguments_length: usize,
        bytes: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    pub fn random_get(bytes: *mut u8, length: usize) -> u16;
}
