//! The ports, counted from one base.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, bail};
use tokio::net::TcpListener;

/// Where each part listens on 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    pub portal: u16,
    pub gateway: u16,
    pub sandbox: u16,
    pub upstream: u16,
    pub envoy_admin: u16,
}

impl Ports {
    /// Portal on `base`, gateway +1, sandbox +2, demo upstream +3, Envoy's admin page +9.
    pub fn from_base(base: u16) -> Result<Self> {
        if base == 0 || base > u16::MAX - 9 {
            bail!(
                "--port-base {base} is out of range: choose one from 1 to {}",
                u16::MAX - 9
            );
        }
        Ok(Self {
            portal: base,
            gateway: base + 1,
            sandbox: base + 2,
            upstream: base + 3,
            envoy_admin: base + 9,
        })
    }

    /// Makes sure that every port is free, and keeps the demo upstream's.
    pub async fn claim(self) -> Result<TcpListener> {
        for (port, part) in [
            (self.portal, "portal"),
            (self.gateway, "gateway"),
            (self.sandbox, "sandbox"),
            (self.envoy_admin, "Envoy's admin page"),
        ] {
            bind(port, part).await?;
        }
        bind(self.upstream, "demo upstream").await
    }
}

async fn bind(port: u16, part: &str) -> Result<TcpListener> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == ErrorKind::AddrInUse => bail!(
            "port {port} is taken and the {part} needs it: stop what listens there, or choose another --port-base"
        ),
        Err(error) => Err(error).with_context(|| format!("the {part} cannot listen on {address}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_named_with_what_to_do() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = bind(port, "portal").await.unwrap_err().to_string();
        assert!(
            error.contains(&port.to_string()) && error.contains("--port-base"),
            "{error}"
        );
    }

    #[test]
    fn a_base_without_room_is_refused() {
        assert!(Ports::from_base(0).is_err());
        assert!(Ports::from_base(65_530).is_err());
        assert_eq!(Ports::from_base(8080).unwrap().envoy_admin, 8089);
    }
}
