//! Tests natively: ports over sqlx, a portal that answers in memory, one macro that runs a test on both
//! databases.

mod crash;
mod portal;
mod ports;
mod postgres_server;

pub use portal::{Actor, Answer, PASSWORD, TestPortal};
pub use ports::{Address, TestDatabase, TestSettings};

/// Runs each test on SQLite and on PostgreSQL:
/// `on_every_database! { async fn sentence(portal: TestPortal) { … } }`.
macro_rules! on_every_database {
    ($($(#[$attribute:meta])* async fn $name:ident($portal:ident: TestPortal) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn run($portal: $crate::testing::TestPortal) $body

            $(#[$attribute])*
            #[tokio::test]
            async fn sqlite() {
                run($crate::testing::TestPortal::on_sqlite().await).await;
            }

            $(#[$attribute])*
            #[tokio::test]
            async fn postgres() {
                run($crate::testing::TestPortal::on_postgres().await).await;
            }
        }
    )*};
}
pub(crate) use on_every_database;
