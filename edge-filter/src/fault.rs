//! Crashes on demand, for tests of what survives one. Compiled only with the
//! feature `fault-injection`, which no release has.

/// Where a crash is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// While the request headers are decided.
    Request,
}

/// Panics if the header asks for it.
///
/// # Panics
/// Where `wanted` names the moment.
#[allow(clippy::panic)]
pub fn inject(wanted: Option<&str>, moment: Moment) {
    if wanted == Some("request") && moment == Moment::Request {
        panic!("fault injected");
    }
}
