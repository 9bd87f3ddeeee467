//! The API-key format, its checksum and its digest.
//!
//! ```text
//! pk _ test _ 30 characters of base62 + 6 characters of checksum
//! ```
//! The checksum is CRC-32 (IEEE 802.3, as zlib) of every character before it,
//! in base62 with the alphabet `0-9A-Za-z`, left-padded with `0`. A key with a
//! wrong checksum is refused before any digest or lookup.
//!
//! For secret scanners: `\b[a-z]{2,10}_(test|live)_[0-9A-Za-z]{36}\b`, then check
//! the checksum.

use crate::encoding::{base62_digit, base62_padded, hex_decode, hex_encode};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// Characters of randomness in a key (about 178 bits).
pub const BODY_LENGTH: usize = 30;
/// Characters of checksum at the end of a key.
pub const CHECKSUM_LENGTH: usize = 6;
/// The brand where the operator chooses none.
pub const DEFAULT_BRAND: &str = "pk";

/// Where a credential works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// The sandbox: free, synthetic.
    Test,
    /// The company's API.
    Live,
}

impl Environment {
    /// `test` or `live`, as in a key and in `x-portico-environment`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Live => "live",
        }
    }

    /// The environment of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "test" => Some(Self::Test),
            "live" => Some(Self::Live),
            _ => None,
        }
    }
}

/// Why a text is not an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not `brand_environment_` followed by 36 characters of base62.
    #[error("not of the form brand_test_… or brand_live_… with 36 letters and digits at the end")]
    Shape,
    /// The brand is well-formed but not the one expected.
    #[error("the brand before the first underscore is not this programme's")]
    Brand,
    /// The last six characters are not the checksum of what precedes them.
    #[error("the checksum does not hold: a character is missing or mistyped")]
    Checksum,
}

/// What a well-formed key says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyParts<'a> {
    /// The brand before the first `_`.
    pub brand: &'a str,
    /// The environment.
    pub environment: Environment,
    /// Whether the checksum holds.
    pub checksum_holds: bool,
}

/// Whether `brand` may stand in a key: 2 to 10 lower-case letters.
#[must_use]
pub fn is_brand(brand: &str) -> bool {
    (2..=10).contains(&brand.len()) && brand.bytes().all(|b| b.is_ascii_lowercase())
}

/// Reads brand, environment and checksum of `key` without judging them.
///
/// # Errors
/// [`KeyError::Shape`] when `key` is not of the form at all.
pub fn inspect_key(key: &str) -> Result<KeyParts<'_>, KeyError> {
    let mut pieces = key.splitn(3, '_');
    let (Some(brand), Some(environment), Some(tail)) =
        (pieces.next(), pieces.next(), pieces.next())
    else {
        return Err(KeyError::Shape);
    };
    let environment = Environment::from_name(environment).ok_or(KeyError::Shape)?;
    let well_formed = is_brand(brand)
        && tail.len() == BODY_LENGTH + CHECKSUM_LENGTH
        && tail.bytes().all(|b| b.is_ascii_alphanumeric());
    if !well_formed {
        return Err(KeyError::Shape);
    }
    let (before, checksum) = key
        .split_at_checked(key.len() - CHECKSUM_LENGTH)
        .ok_or(KeyError::Shape)?;
    Ok(KeyParts {
        brand,
        environment,
        checksum_holds: checksum_of(before) == checksum,
    })
}

/// Checks `key` as an edge does before any digest: shape, brand, checksum.
///
/// # Errors
/// The first of [`KeyError`] that applies.
pub fn check_key(key: &str, brand: &str) -> Result<Environment, KeyError> {
    let parts = inspect_key(key)?;
    if parts.brand != brand {
        return Err(KeyError::Brand);
    }
    if !parts.checksum_holds {
        return Err(KeyError::Checksum);
    }
    Ok(parts.environment)
}

fn checksum_of(text: &str) -> String {
    base62_padded(crc32fast::hash(text.as_bytes()), CHECKSUM_LENGTH)
}

/// A raw API key. It exists in the response that issues it and in the client,
/// so it has neither `Debug` nor `Display`; the memory is not zeroed.
pub struct PlainKey(String);

impl PlainKey {
    /// A new key of `brand` (see [`is_brand`]) for `environment`.
    ///
    /// `fill_random` must fill its argument from a cryptographic generator; it
    /// is called until 30 unbiased base62 digits are drawn.
    ///
    /// # Errors
    /// [`KeyError::Brand`] when `brand` may not stand in a key.
    pub fn generate(
        brand: &str,
        environment: Environment,
        mut fill_random: impl FnMut(&mut [u8]),
    ) -> Result<Self, KeyError> {
        if !is_brand(brand) {
            return Err(KeyError::Brand);
        }
        let mut text = format!("{brand}_{}_", environment.as_str());
        let mut drawn = 0;
        while drawn < BODY_LENGTH {
            let mut random = [0u8; 48];
            fill_random(&mut random);
            // 248 is the largest multiple of 62 in a byte: rejecting the rest keeps digits uniform.
            for byte in random.into_iter().filter(|&b| b < 248) {
                if drawn < BODY_LENGTH {
                    text.push(base62_digit(u32::from(byte)));
                    drawn += 1;
                }
            }
        }
        text.push_str(&checksum_of(&text));
        Ok(Self(text))
    }

    /// The key itself, to be written into one response and nowhere else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What may be shown later: `pk_test_` and the first four characters.
    #[must_use]
    pub fn prefix(&self) -> &str {
        let after = self.0.len() - (BODY_LENGTH + CHECKSUM_LENGTH - 4);
        self.0.get(..after).unwrap_or_default()
    }

    /// The last four characters, which help a person tell keys apart.
    #[must_use]
    pub fn last_four(&self) -> &str {
        self.0.get(self.0.len() - 4..).unwrap_or_default()
    }
}

/// The secret that keys the digests of API keys. Holds the prepared HMAC state,
/// so that a digest costs two SHA-256 blocks.
#[derive(Clone)]
pub struct Pepper(Hmac<Sha256>);

impl Pepper {
    /// A pepper from secret bytes; use at least 32 of them.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        // HMAC takes a key of any length, so this cannot fail; an empty key would only weaken it.
        let prepared = Hmac::new_from_slice(secret)
            .unwrap_or_else(|_| <Hmac<Sha256> as KeyInit>::new(&Default::default()));
        Self(prepared)
    }

    /// The digest under which `key` is known to feed, database and edge.
    #[must_use]
    pub fn digest(&self, key: &str) -> KeyHash {
        let mut mac = self.0.clone();
        mac.update(key.as_bytes());
        let full = mac.finalize().into_bytes();
        let mut kept = [0u8; 16];
        for (to, from) in kept.iter_mut().zip(full.iter()) {
            *to = *from;
        }
        KeyHash(kept)
    }
}

/// The first 128 bits of HMAC-SHA-256(pepper, key). Hexadecimal in JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash(pub [u8; 16]);

impl core::fmt::Display for KeyHash {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&hex_encode(&self.0))
    }
}

impl core::fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(self, f)
    }
}

impl core::str::FromStr for KeyHash {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        hex_decode(text)
            .map(Self)
            .ok_or("expected 32 hexadecimal digits")
    }
}

impl Serialize for KeyHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key_from(seed: u8, environment: Environment) -> PlainKey {
        let mut next = seed;
        PlainKey::generate("pk", environment, |bytes| {
            for byte in bytes {
                next = next.wrapping_mul(167).wrapping_add(13);
                *byte = next;
            }
        })
        .unwrap()
    }

    #[test]
    fn checksum_is_the_crc32_of_zlib_in_base62() {
        assert_eq!(crc32fast::hash(b"123456789"), 0xCBF4_3926);
        assert_eq!(base62_padded(0, 6), "000000");
        assert_eq!(base62_padded(61, 6), "00000z");
        assert_eq!(base62_padded(u32::MAX, 6), "4gfFC3");
    }

    #[test]
    fn a_generated_key_passes_and_shows_only_its_ends() {
        let key = key_from(7, Environment::Live);
        assert_eq!(check_key(key.expose(), "pk"), Ok(Environment::Live));
        assert_eq!(key.prefix().len(), "pk_live_".len() + 4);
        assert_eq!(check_key(key.expose(), "other"), Err(KeyError::Brand));
    }

    #[test]
    fn a_pepper_changes_the_digest_and_128_bits_are_kept() {
        let key = key_from(9, Environment::Test);
        let one = Pepper::new(b"one").digest(key.expose());
        assert_ne!(one, Pepper::new(b"two").digest(key.expose()));
        assert_eq!(one.to_string().len(), 32);
        assert_eq!(one.to_string().parse(), Ok(one));
        // RFC 4231, test case 2: HMAC-SHA-256("Jefe", "what do ya want for nothing?").
        assert_eq!(
            Pepper::new(b"Jefe")
                .digest("what do ya want for nothing?")
                .to_string(),
            "5bdcc146bf60754e6a042426089575c7"
        );
    }

    proptest! {
        #[test]
        fn any_single_changed_character_is_noticed(seed: u8, place in 0usize..44, with in "[0-9A-Za-z]") {
            let key = key_from(seed, Environment::Test);
            let mut changed: Vec<char> = key.expose().chars().collect();
            let with = with.chars().next().unwrap();
            prop_assume!(changed[place] != with);
            changed[place] = with;
            let changed: String = changed.into_iter().collect();
            prop_assert!(check_key(&changed, "pk").is_err());
        }

        #[test]
        fn no_text_makes_the_parser_panic(text: String) {
            let _ = inspect_key(&text);
        }
    }
}
