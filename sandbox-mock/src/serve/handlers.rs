//! The port to what runs an operator's own components.

use crate::handler::{Handled, HandlerCall};
use std::future::Future;
use std::pin::Pin;

/// Runs handlers. It owns what they may use and for how long.
pub trait Handlers: Send + Sync {
    /// The operations that handlers answer, by `operationId`, and the name of each one's handler.
    fn operations(&self) -> Vec<(String, String)>;
    /// Asks the handler of the call's operation.
    fn handle(&self, call: HandlerCall) -> Pin<Box<dyn Future<Output = Handled> + Send + '_>>;
}
