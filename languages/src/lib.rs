//! How the portal's texts are translated, without anything of the portal.
//!
//! The English text is the name of a message. A page is rendered in English with marks around every
//! dynamic value ([`marks`]); [`segment`] takes the finished page apart into messages, asks a
//! [`segment::Dictionary`] for each, and puts values and tags back. The same machine runs over the
//! templates' source when the texts are collected, so that both always cut alike. [`catalogue`] is
//! what a dictionary is looked up in, [`po`] the files translators edit, [`choice`] which language a
//! browser asks for.
//!
//! Pure: no I/O, nothing of the web framework, no dependency. The portal's build script, the portal and
//! `cargo xtask languages` use it.
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod catalogue;
pub mod choice;
pub mod html;
pub mod marks;
pub mod message;
pub mod po;
pub mod segment;
