//! Guides and news: texts that the operator writes for partners, in Markdown.
//!
//! Owns the texts, their order and who sees drafts. Does not own the reference (`reference`) nor finding
//! things (`search` reads [`list_published`]).

mod pages;
mod routes;
mod store;

#[cfg(test)]
mod tests;

pub use pages::{
    delete_guide_form, edit_guide, save_guide_form, show_guide_page, show_guides,
    show_operator_guides,
};
pub use routes::{
    GuideBody, GuideList, delete_guide, list_guides, put_guide, save as save_guide, show_guide,
};
pub use store::{Guide, find as find_guide, list_published};
