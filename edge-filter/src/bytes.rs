//! Reading the little-endian records that virtual machines share.

/// A reader that never reads past the end.
#[derive(Debug, Clone)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// A reader over `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next `length` bytes.
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    /// The next byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// The next two bytes.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// The next four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// The next eight bytes.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

/// Appends a number in decimal. Formatting proper brings in far more code than a
/// request otherwise touches.
pub fn push_number(text: &mut String, number: u64) {
    let mut digits = [0; 20];
    let (mut rest, mut start) = (number, digits.len());
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        start -= 1;
        if rest == 0 {
            break;
        }
    }
    let digits = digits.get(start..).unwrap_or_default();
    text.push_str(core::str::from_utf8(digits).unwrap_or_default());
}

/// A fixed 64-bit hash (FNV-1a with a final mix) of parts that are told apart.
/// Every virtual machine must compute the same; ids are the portal's, so nobody
/// outside can aim for collisions.
#[must_use]
pub fn hash64(parts: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut step = |byte: u8| {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    };
    for part in parts {
        part.iter().for_each(|&byte| step(byte));
        (part.len() as u32)
            .to_le_bytes()
            .into_iter()
            .for_each(&mut step);
    }
    let mixed = (hash ^ hash >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    mixed ^ mixed >> 32
}

/// A 128-bit hash under a secret key (SipHash-2-4 by Aumasson and Bernstein):
/// who does not know the key can neither aim for a collision nor learn anything
/// of what was hashed from the tag.
#[derive(Debug, Clone, Copy, Default)]
pub struct TagKey(pub [u64; 2]);

impl TagKey {
    /// The tag of `bytes`.
    #[must_use]
    pub fn tag(self, bytes: &[u8]) -> u128 {
        let [k0, k1] = self.0;
        let mut state = [
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d ^ 0xee,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ];
        let (words, tail) = bytes.as_chunks::<8>();
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(tail) {
            *to = *from;
        }
        let last = u64::from_le_bytes(last) | (bytes.len() as u64) << 56;
        for word in words.iter().map(|word| u64::from_le_bytes(*word)) {
            absorb(&mut state, word);
        }
        absorb(&mut state, last);
        state[2] ^= 0xee;
        (0..4).for_each(|_| sip_round(&mut state));
        let low = state[0] ^ state[1] ^ state[2] ^ state[3];
        state[1] ^= 0xdd;
        (0..4).for_each(|_| sip_round(&mut state));
        let high = state[0] ^ state[1] ^ state[2] ^ state[3];
        u128::from(high) << 64 | u128::from(low)
    }
}

fn absorb(state: &mut [u64; 4], word: u64) {
    state[3] ^= word;
    sip_round(state);
    sip_round(state);
    state[0] ^= word;
}

fn sip_round([a, b, c, d]: &mut [u64; 4]) {
    *a = a.wrapping_add(*b);
    *b = b.rotate_left(13) ^ *a;
    *a = a.rotate_left(32);
    *c = c.wrapping_add(*d);
    *d = d.rotate_left(16) ^ *c;
    *a = a.wrapping_add(*d);
    *d = d.rotate_left(21) ^ *a;
    *c = c.wrapping_add(*b);
    *b = b.rotate_left(17) ^ *c;
    *c = c.rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tags_are_those_of_the_reference_implementation() {
        let key = TagKey([0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908]);
        let tag = |length: u8| key.tag(&(0..length).collect::<Vec<u8>>()).to_le_bytes();
        assert_eq!(
            tag(0),
            0xa381_7f04_ba25_a8e6_6df6_7214_c755_0293_u128.to_be_bytes()
        );
        assert_eq!(
            tag(1),
            0xda87_c1d8_6b99_af44_3476_5911_9b22_fc45_u128.to_be_bytes()
        );
    }

    proptest! {
        #[test]
        fn numbers_are_written_as_the_standard_library_does(number: u64) {
            let mut text = String::new();
            push_number(&mut text, number);
            prop_assert_eq!(text, number.to_string());
        }
    }
}
