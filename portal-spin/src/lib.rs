//! portal-spin
