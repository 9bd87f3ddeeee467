//! The log: what happened, event by event, before anything is summed.

/// A count of calls in a minute.
#[derive(Debug, Clone)]
pub struct Call {
    pub partner: usize,
    pub is_live: bool,
    pub outcome: &'static str,
    pub minute: i64,
    pub count: i64,
}

/// An invoice: fee, usage, discount in cents; the product is the partner's.
#[derive(Debug, Clone)]
pub struct Invoice {
    pub partner: usize,
    pub issued_ms: i64,
    pub fee: i64,
    pub usage: i64,
    pub discount: i64,
    pub is_void: bool,
}

/// When a partner registered, was verified, agreed and got a key.
#[derive(Debug, Clone)]
pub struct Partner {
    pub name: String,
    pub source: &'static str,
    pub product: usize,
    pub at_ms: [Option<i64>; 4],
}

/// Everything.
#[derive(Debug, Clone, Default)]
pub struct Log {
    pub partners: Vec<Partner>,
    pub calls: Vec<Call>,
    pub invoices: Vec<Invoice>,
    /// Actions of staff: partner and time.
    pub touches: Vec<(usize, i64)>,
    /// Messages of partners: partner and time.
    pub messages: Vec<(usize, i64)>,
}
