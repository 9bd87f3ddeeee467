//! The operator's brand: the programme's name, logo, colours, mail sender and legal lines.
//!
//! Owns the settings, their checks (also that colours can be read) and the stylesheet made of them. Does
//! not own where they show: every page has them in `Page::brand`, mails ask [`crate::app::App::brand`].

mod colour;
mod model;
mod pages;
mod routes;
mod store;

#[cfg(test)]
mod tests;

pub use model::{Brand, BrandSettings, FooterLink};
pub use pages::{save_brand_form, show_brand_page};
pub use routes::{replace_brand, show_brand};
pub use store::load_brand;
