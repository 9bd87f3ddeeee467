//! End-to-end tests of the whole product.

mod first_call;
mod outages;
mod pages;
mod refusals;
mod secrets;
mod supervision;
mod tools;
