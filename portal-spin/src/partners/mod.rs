//! Partners as the operator sorts them: types, tiers and tags, which type may see and get which product
//! and plan, and invitations to the programme with all of that preset.
//!
//! Owns the attributes, the access matrix and its effect on standing subscriptions, and the operator's
//! invitations. Does not own organisations and members (`organisations`), what a product or plan is
//! (`catalogue`), nor enforcement at the gateway (the edge's, by what the feed says of a subscription).

mod access_pages;
mod attributes;
mod desk;
mod invitation_pages;
mod invitations;
mod joining;
mod kinds;
mod matrix;
mod pages;
mod reach;
mod rows;
mod tiering;

#[cfg(test)]
mod tests;

pub use access_pages::*;
pub use attributes::*;
pub use desk::*;
pub use invitation_pages::*;
pub use invitations::*;
pub use joining::*;
pub use kinds::*;
pub use matrix::*;
pub use pages::*;
pub use reach::Reach;
pub use tiering::*;
