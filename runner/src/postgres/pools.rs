//! Pools of PostgreSQL connections, one per address.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgSslMode};
use url::Url;

use super::Connection;
use crate::spin_host::bindings::spin::postgres::postgres::Error;

/// Spin's size of one pool.
const CONNECTIONS_PER_ADDRESS: u32 = 64;

/// An address and the root certificate it is trusted by.
type PoolKey = (String, Option<String>);

/// The pools of one process.
#[derive(Clone, Default)]
pub struct Pools(Arc<Mutex<HashMap<PoolKey, PgPool>>>);

impl Pools {
    /// Opens a connection if `allows` says yes to its host and port.
    pub async fn open(
        &self,
        address: &str,
        ca_root: Option<&str>,
        allows: impl Fn(&str, u16) -> bool,
    ) -> Result<Connection, Error> {
        let options = parse_address(address)?;
        let (host, port) = (options.get_host().to_owned(), options.get_port());
        if !allows(&host, port) {
            return Err(Error::ConnectionFailed(format!(
                "address postgres://{host}:{port} is not permitted"
            )));
        }
        let options = match ca_root {
            Some(certificate) => options.ssl_root_cert_from_pem(certificate.into()),
            None => options,
        };
        let key = (address.to_owned(), ca_root.map(str::to_owned));
        let pool = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(key)
            .or_insert_with(|| {
                PgPoolOptions::new()
                    .max_connections(CONNECTIONS_PER_ADDRESS)
                    .acquire_timeout(Duration::from_secs(30))
                    .connect_lazy_with(options)
            })
            .clone();
        let connection = pool
            .acquire()
            .await
            .map_err(|error| Error::ConnectionFailed(error.to_string()))?;
        Ok(Connection::new(connection))
    }
}

/// Reads an address such as `postgres://user:password@host:5432/database`.
/// Everything comes from it and nothing from the host's own environment.
fn parse_address(address: &str) -> Result<PgConnectOptions, Error> {
    let failed = |message: String| Error::ConnectionFailed(message);
    let url = Url::parse(address)
        .map_err(|error| failed(format!("the address is not a postgres:// URL: {error}")))?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err(failed("the address must begin with postgres://".to_owned()));
    }
    let host = url
        .host_str()
        .filter(|host| !host.is_empty() && !host.contains('%'))
        .ok_or_else(|| failed("the address must name a host".to_owned()))?;
    if url
        .query_pairs()
        .any(|(name, _)| matches!(&*name, "host" | "hostaddr" | "port"))
    {
        return Err(failed(
            "the host and port must stand before the path".to_owned(),
        ));
    }
    if url.username().is_empty() {
        return Err(failed("the address must name a user".to_owned()));
    }
    let options = PgConnectOptions::from_str(address)
        .map_err(|error| failed(error.to_string()))?
        .host(host)
        .port(url.port().unwrap_or(5432))
        .disable_statement_logging();
    let options = match url.password() {
        Some(_) => options,
        None => options.password(""),
    };
    let options = match url.path().trim_start_matches('/') {
        "" => {
            let user = options.get_username().to_owned();
            options.database(&user)
        }
        _ => options,
    };
    // To Spin, requiring TLS includes checking the certificate.
    Ok(match options.get_ssl_mode() {
        PgSslMode::Require | PgSslMode::VerifyCa => options.ssl_mode(PgSslMode::VerifyFull),
        _ => options,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_is_not_listed_is_refused_before_connecting() {
        let refused = Pools::default()
            .open("postgres://u:p@127.0.0.1:1/d", None, |_, _| false)
            .await;
        let message = match refused {
            Err(Error::ConnectionFailed(message)) => message,
            _ => panic!("the connection must be refused"),
        };
        assert_eq!(message, "address postgres://127.0.0.1:1 is not permitted");
    }

    #[test]
    fn an_address_must_name_host_and_user() {
        for bad in [
            "host=localhost user=u",
            "mysql://u@h/d",
            "postgres:///d",
            "postgres://h/d",
            "postgres://u@%2Fvar%2Frun/d",
            "postgres://u@h/d?host=/var/run",
        ] {
            assert!(parse_address(bad).is_err(), "{bad}");
        }
        let options = parse_address("postgres://u@h?sslmode=require").unwrap();
        assert_eq!(options.get_port(), 5432);
        assert_eq!(options.get_database(), Some("u"));
        assert!(matches!(options.get_ssl_mode(), PgSslMode::VerifyFull));
    }
}
