//! Networks that a credential may be used from.
//!
//! Owns: CIDR for IPv4 and IPv6. Does not own: which address is the client's;
//! that is Envoy's trusted address of the connection.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// A network: an address and the number of leading bits that must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    bits: u128,
    mask: u128,
}

/// IPv4 stands in IPv6's mapped range, so that one comparison serves both.
fn bits(address: IpAddr) -> u128 {
    let address: Ipv6Addr = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    u128::from_be_bytes(address.octets())
}

impl Network {
    /// Reads `192.0.2.0/24`, `2001:db8::/32` or a single address.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().ok()?;
        let width: u32 = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            Some(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok()?,
            Some(_) => return None,
            None => width,
        };
        if length > width {
            return None;
        }
        let free = width - length;
        let mask = u128::MAX.checked_shl(free).unwrap_or(0);
        Some(Self {
            bits: bits(address) & mask,
            mask,
        })
    }

    /// Whether `address` is in the network.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        bits(address) & self.mask == self.bits
    }
}

/// The address in Envoy's `address:port` form.
#[must_use]
pub fn parse_peer(text: &str) -> Option<IpAddr> {
    text.parse::<SocketAddr>()
        .map(|peer| peer.ip())
        .or_else(|_| text.parse())
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    fn contains(network: &str, address: &str) -> bool {
        Network::parse(network)
            .unwrap()
            .contains(address.parse().unwrap())
    }

    #[test]
    fn networks_of_both_families_contain_their_addresses() {
        assert!(contains("192.0.2.0/24", "192.0.2.255"));
        assert!(!contains("192.0.2.0/24", "192.0.3.0"));
        assert!(contains("192.0.2.7", "192.0.2.7"));
        assert!(contains("2001:db8::/32", "2001:db8:ffff::1"));
        assert!(!contains("2001:db8::/32", "2001:db9::1"));
        assert!(contains("0.0.0.0/0", "10.0.0.1"));
        assert!(
            contains("192.0.2.0/24", "::ffff:192.0.2.1"),
            "mapped is the same host"
        );
        assert!(!contains("0.0.0.0/0", "2001:db8::1"));
    }

    #[test]
    fn malformed_networks_are_refused() {
        for text in [
            "",
            "192.0.2.0/33",
            "::/129",
            "192.0.2.0/+8",
            "192.0.2.0/",
            "x/8",
        ] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }

    #[test]
    fn peers_are_read_with_and_without_a_port() {
        assert_eq!(
            parse_peer("192.0.2.1:80"),
            Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)))
        );
        assert_eq!(parse_peer("[::1]:80"), parse_peer("::1"));
        assert_eq!(parse_peer("@pipe"), None);
    }

    proptest! {
        #[test]
        fn a_network_agrees_with_comparing_bit_by_bit(a: u32, b: u32, length in 0u32..=32) {
            let (a, b) = (Ipv4Addr::from(a), Ipv4Addr::from(b));
            let network = Network::parse(&format!("{a}/{length}")).unwrap();
            let slow = (0..length).all(|bit| {
                (u32::from(a) >> (31 - bit)) & 1 == (u32::from(b) >> (31 - bit)) & 1
            });
            prop_assert_eq!(network.contains(IpAddr::V4(b)), slow);
        }
    }
}
