//! sandbox-mock
