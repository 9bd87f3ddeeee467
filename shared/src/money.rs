//! Currencies and rounded amounts. Exact decimals before rounding are the
//! rating engine's business; nothing here is ever a float.

use serde::{Deserialize, Serialize};

/// An ISO 4217 currency code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

/// Currencies whose minor unit is not a hundredth (ISO 4217, list one).
const OTHER_DECIMALS: &[(&str, u8)] = &[
    ("BHD", 3),
    ("BIF", 0),
    ("CLF", 4),
    ("CLP", 0),
    ("DJF", 0),
    ("GNF", 0),
    ("IQD", 3),
    ("ISK", 0),
    ("JOD", 3),
    ("JPY", 0),
    ("KMF", 0),
    ("KRW", 0),
    ("KWD", 3),
    ("LYD", 3),
    ("OMR", 3),
    ("PYG", 0),
    ("RWF", 0),
    ("TND", 3),
    ("UGX", 0),
    ("UYI", 0),
    ("UYW", 4),
    ("VND", 0),
    ("VUV", 0),
    ("XAF", 0),
    ("XOF", 0),
    ("XPF", 0),
];

/// Currencies whose minor unit is a hundredth (ISO 4217, list one).
const HUNDREDTHS: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV \
BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB \
EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD \
KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO \
NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP \
STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER \
ZAR ZMW ZWG";

/// Why a text is not a currency or an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not a currency of ISO 4217.
    #[error("`{0}` is not an ISO 4217 currency code such as USD")]
    Currency(String),
    /// Not a decimal with at most the currency's digits.
    #[error(
        "`{0}` is not an amount in {1}: write a decimal with at most {2} digits after the point"
    )]
    Amount(String, Currency, u8),
}

impl Currency {
    /// The code, three capital letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Digits after the point: 2 for USD, 0 for JPY.
    #[must_use]
    pub fn decimals(&self) -> u8 {
        OTHER_DECIMALS
            .iter()
            .find(|(code, _)| *code == self.as_str())
            .map_or(2, |(_, decimals)| *decimals)
    }
}

impl core::str::FromStr for Currency {
    type Err = MoneyError;
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let known = OTHER_DECIMALS.iter().any(|(code, _)| *code == text)
            || HUNDREDTHS.split(' ').any(|code| code == text);
        match text.as_bytes() {
            &[a, b, c] if known => Ok(Self([a, b, c])),
            _ => Err(MoneyError::Currency(text.chars().take(12).collect())),
        }
    }
}

impl core::fmt::Display for Currency {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl core::fmt::Debug for Currency {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A rounded amount: whole minor units of a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    /// The currency.
    pub currency: Currency,
    /// Whole minor units (cents); negative for credits.
    pub minor: i64,
}

impl Money {
    /// An amount of `minor` units.
    #[must_use]
    pub const fn from_minor(currency: Currency, minor: i64) -> Self {
        Self { currency, minor }
    }

    /// Reads a decimal in major units, `235.00` or `-3`; more digits than the
    /// currency has are refused, not rounded.
    ///
    /// # Errors
    /// [`MoneyError::Amount`].
    pub fn from_major(currency: Currency, text: &str) -> Result<Self, MoneyError> {
        let decimals = currency.decimals();
        let error = || MoneyError::Amount(text.chars().take(40).collect(), currency, decimals);
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty()
            || (digits.contains('.') && fraction.is_empty())
            || fraction.len() > usize::from(decimals)
            || !all_digits(whole)
            || !all_digits(fraction)
        {
            return Err(error());
        }
        let padded = format!("{whole}{fraction:0<width$}", width = usize::from(decimals));
        let magnitude: i64 = padded.parse().map_err(|_| error())?;
        let minor = if negative { -magnitude } else { magnitude };
        Ok(Self { currency, minor })
    }

    /// The decimal in major units, `235.00`.
    #[must_use]
    pub fn to_major(&self) -> String {
        let decimals = usize::from(self.currency.decimals());
        let sign = if self.minor < 0 { "-" } else { "" };
        let digits = format!(
            "{:0>width$}",
            self.minor.unsigned_abs(),
            width = decimals + 1
        );
        match digits.split_at_checked(digits.len() - decimals) {
            Some((whole, "")) => format!("{sign}{whole}"),
            Some((whole, fraction)) => format!("{sign}{whole}.{fraction}"),
            None => format!("{sign}{digits}"),
        }
    }

    /// The sum, when both are of one currency and it fits.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        (self.currency == other.currency)
            .then(|| self.minor.checked_add(other.minor))
            .flatten()
            .map(|minor| Self { minor, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    #[test]
    fn amounts_have_the_digits_of_their_currency() {
        let write = |code, minor| Money::from_minor(currency(code), minor).to_major();
        assert_eq!(write("USD", 23_500), "235.00");
        assert_eq!(write("USD", -5), "-0.05");
        assert_eq!(write("JPY", 235), "235");
        assert_eq!(write("KWD", 1), "0.001");
    }

    #[test]
    fn wrong_amounts_name_the_currency_and_its_digits() {
        for text in ["1.005", "", "1.", ".5", "1e3", "+1", "99999999999999999999"] {
            let error = Money::from_major(currency("USD"), text).unwrap_err();
            assert!(error.to_string().contains("USD"), "{text}");
        }
        assert!("usd".parse::<Currency>().is_err());
        assert!("XYZ".parse::<Currency>().is_err());
    }

    proptest! {
        #[test]
        fn amounts_round_trip(minor in -1_000_000_000_000i64..1_000_000_000_000, code in prop::sample::select(vec!["USD", "JPY", "KWD", "CLF"])) {
            let amount = Money::from_minor(currency(code), minor);
            prop_assert_eq!(Money::from_major(amount.currency, &amount.to_major()), Ok(amount));
        }
    }
}
