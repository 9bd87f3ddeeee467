//! edge-filter
