//! Threads between a partner and the operator's people: on the partner, on one of its apps, or on a
//! submission; with tags.
//!
//! Owns threads, their messages and who waits for an answer. Does not own what a submission is or who
//! reviews it (`reviews`), nor how much support a partner takes (`analytics` counts the messages).

mod desk;
mod model;
mod operator_routes;
mod pages;
mod routes;
mod store;
#[cfg(test)]
mod tests;

pub use desk::*;
pub use model::{Message, MessageBody, NewThreadBody, ThreadChangeBody, ThreadList, ThreadView};
pub use operator_routes::*;
pub use pages::*;
pub use routes::*;
pub use store::{
    Subject, append_message, count_messages_of_partners, list_messages_of_submission,
    thread_of_submission,
};
