//! Text encodings shared by ids, keys and digests.

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const CROCKFORD: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The base62 digit for `value`, which must be below 62.
pub(crate) fn base62_digit(value: u32) -> char {
    BASE62
        .get((value % 62) as usize)
        .map_or('0', |&b| char::from(b))
}

/// `value` in base62, left-padded with `0` to `width` digits.
pub(crate) fn base62_padded(mut value: u32, width: usize) -> String {
    let mut digits = Vec::with_capacity(width);
    while value > 0 {
        digits.push(base62_digit(value % 62));
        value /= 62;
    }
    while digits.len() < width {
        digits.push('0');
    }
    digits.iter().rev().collect()
}

/// 128 bits as 26 characters of Crockford base32, lower case; sorts as the bytes do.
pub(crate) fn base32_encode(bytes: &[u8; 16]) -> String {
    let value = u128::from_be_bytes(*bytes);
    (0..26)
        .rev()
        .map(|place| {
            let digit = (value >> (place * 5)) as usize & 31;
            CROCKFORD.get(digit).map_or('0', |&b| char::from(b))
        })
        .collect()
}

/// The inverse of [`base32_encode`]; `None` unless exactly its output.
pub(crate) fn base32_decode(text: &str) -> Option<[u8; 16]> {
    if text.len() != 26 {
        return None;
    }
    let mut value: u128 = 0;
    for (index, byte) in text.bytes().enumerate() {
        let digit = CROCKFORD.iter().position(|&b| b == byte)?;
        // 26 digits hold 130 bits: the first may only use its low three.
        if index == 0 && digit > 7 {
            return None;
        }
        value = value << 5 | digit as u128;
    }
    Some(value.to_be_bytes())
}

/// Lower-case hexadecimal.
pub(crate) fn hex_encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            text.push(
                DIGITS
                    .get(usize::from(nibble))
                    .map_or('0', |&b| char::from(b)),
            );
        }
    }
    text
}

/// The inverse of [`hex_encode`] for a known length.
pub(crate) fn hex_decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != N * 2 || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0u8; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digits = core::str::from_utf8(pair).ok()?;
        if digits.starts_with('+') {
            return None;
        }
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn base32_round_trips_and_keeps_the_order_of_bytes(a: [u8; 16], b: [u8; 16]) {
            let (x, y) = (base32_encode(&a), base32_encode(&b));
            prop_assert_eq!(base32_decode(&x), Some(a));
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        }

        #[test]
        fn hex_round_trips(bytes: [u8; 16]) {
            prop_assert_eq!(hex_decode::<16>(&hex_encode(&bytes)), Some(bytes));
        }
    }

    #[test]
    fn malformed_text_is_refused() {
        assert_eq!(base32_decode("zzzzzzzzzzzzzzzzzzzzzzzzzz"), None);
        assert_eq!(base32_decode("short"), None);
        assert_eq!(hex_decode::<1>("+f"), None);
        assert_eq!(hex_decode::<1>("é"), None);
    }
}
