//! Listings: what an app says of itself, as draft and as customers see it.
//!
//! Owns a listing's content, its configuration form, its pictures, its visibility and the counts from
//! view to installation. Does not own the way to publication (`reviews`), the pages that customers
//! browse (`directory`) nor what is installed (`installations`).

pub mod address;
mod content;
mod counts;
mod form_rows;
mod images;
mod installs;
mod pages;
mod routes;
mod store;

pub use content::{
    CATEGORIES, Content, FieldKind, FormField, ScopeRequest, Screenshot, Visibility, check_answers,
    check_bounds, plain_words,
};
pub use counts::{Funnel, Step, count_step, list_funnels_of, read_funnel};
pub use images::{ImageView, show_image, store_image, upload_image};
pub use installs::{InstallsOverview, list_installs, show_installs_overview};
pub use pages::*;
pub use routes::*;
pub use store::{
    Audience, Listing, Offer, ensure_listing, find_listing, find_offer, is_stopped, save_draft,
};
pub(crate) use store::{parse_json, to_json};
