//! Networks that components may not connect to, as Spin's `[outbound_networking] block_networks` has them.
//!
//! Owns the setting and its meaning. An allowed host name may still stand for an address inside the
//! operator's own networks; that shows only once it is looked up, so `outbound_http` asks here for
//! every address before it connects.

use std::net::IpAddr;

use anyhow::{Result, bail};
use ipnet::IpNet;
use portal::webhooks::check_address;

/// What may not be connected to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockedNetworks {
    /// Everything that is not of the public internet.
    private: bool,
    networks: Vec<IpNet>,
}

impl BlockedNetworks {
    /// Reads the setting: `private`, networks such as `10.0.0.0/8`, addresses; or `none` alone.
    pub fn parse(entries: &[String]) -> Result<Self> {
        let mut blocked = Self::default();
        for entry in entries {
            if let Ok(network) = entry.parse::<IpNet>() {
                blocked.networks.push(network.trunc());
            } else if let Ok(address) = entry.parse::<IpAddr>() {
                blocked.networks.push(IpNet::from(address));
            } else if entry == "private" {
                blocked.private = true;
            } else if entry != "none" || entries.len() > 1 {
                bail!(
                    "{entry:?} is no network: give `private`, networks such as 10.0.0.0/8, or `none` alone"
                );
            }
        }
        Ok(blocked)
    }

    /// Whether no component may connect to this address.
    pub fn blocks(&self, address: IpAddr) -> bool {
        // `::ffff:10.0.0.1` connects to 10.0.0.1.
        let address = address.to_canonical();
        self.private && check_address(address).is_err()
            || self
                .networks
                .iter()
                .any(|network| network.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocked(entries: &[&str]) -> Result<BlockedNetworks> {
        let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
        BlockedNetworks::parse(&entries)
    }

    #[test]
    fn private_is_everything_but_the_public_internet() {
        let private = blocked(&["private"]).unwrap();
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "192.168.0.1",
            "169.254.169.254",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(private.blocks(address.parse().unwrap()), "{address}");
        }
        for address in ["93.184.215.14", "2606:4700::1111", "::ffff:8.8.8.8"] {
            assert!(!private.blocks(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn networks_are_named_one_by_one_and_none_blocks_nothing() {
        let some = blocked(&["93.184.0.0/16", "2001:db8::1"]).unwrap();
        assert!(some.blocks("93.184.215.14".parse().unwrap()));
        assert!(some.blocks("2001:db8::1".parse().unwrap()));
        assert!(!some.blocks("127.0.0.1".parse().unwrap()));
        let none = blocked(&["none"]).unwrap();
        assert!(!none.blocks("127.0.0.1".parse().unwrap()));
        for wrong in [&["privat"][..], &["none", "private"], &["10.0.0.0/40"]] {
            let error = blocked(wrong).unwrap_err().to_string();
            assert!(error.contains("is no network"), "{error}");
        }
    }
}
