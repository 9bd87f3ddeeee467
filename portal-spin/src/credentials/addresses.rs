//! Address lists: networks in CIDR notation, or single addresses.

use std::net::IpAddr;

/// The network in its canonical text (`192.0.2.0/24`), or `None` if it is not one. Bits behind the
/// prefix must be zero: `192.0.2.7/24` is more likely a slip than a wish.
pub fn canonical(text: &str) -> Option<String> {
    let text = text.trim();
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u32>().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let (bits, width) = match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    };
    let prefix = prefix.unwrap_or(width);
    if prefix > width {
        return None;
    }
    let host_bits = width - prefix;
    let has_host_part = host_bits > 0 && bits << (128 - host_bits) != 0;
    (!has_host_part).then(|| format!("{address}/{prefix}"))
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn networks_are_canonical_and_slips_are_refused() {
        let good = [
            ("192.0.2.0/24", "192.0.2.0/24"),
            (" 192.0.2.7 ", "192.0.2.7/32"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("::1", "::1/128"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ];
        for (text, canonical_text) in good {
            assert_eq!(canonical(text).as_deref(), Some(canonical_text));
        }
        for text in [
            "",
            "192.0.2.7/24",
            "192.0.2.0/33",
            "2001:db8::1/32",
            "localhost",
            "10.0.0.0/-1",
        ] {
            assert_eq!(canonical(text), None, "{text}");
        }
    }
}
