//! What the mock remembers: things that were created, per tenant.
//!
//! Owns which operations form a collection, inferred from the document alone, and the port to wherever the memory is
//! kept. Several instances of the mock may share one store, and each may vanish at any time, so nothing is kept here.

mod entity;
pub(crate) mod family;
mod index;
mod memory;
mod paging;
mod recall;
mod sorting;
mod store;

pub(crate) use index::{export_collection, import_collection, item_key, stored_ids};
pub use memory::{Family, Memory};
pub(crate) use paging::{PageLink, page_of_generated};
pub(crate) use recall::Recall;
pub use store::{MemoryStore, NoStore, Store};
