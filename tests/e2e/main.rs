//! End-to-end tests of the whole product.

mod accessibility;
mod apps;
mod backup;
mod billing;
mod checks;
mod closing;
mod commands;
mod demo_programme;
mod documents;
mod first_call;
mod journeys;
mod meters;
mod oauth_library;
mod operator_files;
mod outages;
mod pages;
mod passkeys;
mod person;
mod refusals;
mod secrets;
mod sign_on;
mod sign_up;
mod site;
mod supervision;
mod tools;
mod without_scripts;
