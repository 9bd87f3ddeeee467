//! Exact decimal numbers as prices and quantities are written.
//!
//! Owns the accepted spelling, the bound on digits and the few operations the
//! rating needs that are not plain `+ - ×`. Owns no currency and no rounding
//! policy beyond "half up".

use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, RoundingMode, Signed, Zero};
use std::str::FromStr;

/// An exact decimal number. Sums and products never lose a digit.
pub type Decimal = BigDecimal;

/// The most digits a written number may have. Every quantity of usage and every
/// amount of money fits; a hostile line of a million digits does not.
pub const MAX_DIGITS: usize = 60;

/// Why a text is not a number we accept. The text is a predicate: the caller
/// puts the field's name before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalProblem {
    #[error(
        "is not a decimal number: write digits with at most one point between them, like \"12.50\""
    )]
    NotDecimal,
    #[error("is written with an exponent: write the number out in full, like \"1000\"")]
    Exponent,
    #[error("has more than {MAX_DIGITS} digits: write a shorter number")]
    TooLong,
}

/// Reads `-?[0-9]+(\.[0-9]+)?`, nothing else, in time linear in the length.
///
/// Exponents are refused rather than expanded: `1e1000000000` is eleven bytes
/// on the wire and a gigabyte as digits.
pub fn parse_decimal(text: &str) -> Result<Decimal, DecimalProblem> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    if unsigned.len() > MAX_DIGITS + 1 {
        return Err(DecimalProblem::TooLong);
    }
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = match unsigned.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (unsigned, None),
    };
    if !is_digits(whole) || !fraction.is_none_or(is_digits) {
        let exponent = unsigned.starts_with(|c: char| c.is_ascii_digit())
            && unsigned.contains(['e', 'E'])
            && unsigned
                .bytes()
                .all(|byte| byte.is_ascii_digit() || b"eE+-.".contains(&byte));
        return Err(if exponent {
            DecimalProblem::Exponent
        } else {
            DecimalProblem::NotDecimal
        });
    }
    if whole.len() + fraction.map_or(0, str::len) > MAX_DIGITS {
        return Err(DecimalProblem::TooLong);
    }
    Decimal::from_str(text).map_err(|_| DecimalProblem::NotDecimal)
}

/// The number without trailing zeros and without an exponent: `10`, `0.5`.
pub fn plain(number: &Decimal) -> String {
    if number.is_zero() {
        return "0".to_owned();
    }
    number.normalized().to_plain_string()
}

/// The number with exactly `places` decimals, for a number already rounded to them.
pub fn fixed(number: &Decimal, places: u32) -> String {
    round_half_up(number, places).to_plain_string()
}

/// Rounds to `places` decimals; a half goes away from zero, so that a credit
/// note mirrors its invoice to the cent.
pub fn round_half_up(number: &Decimal, places: u32) -> Decimal {
    number.with_scale_round(i64::from(places), RoundingMode::HalfUp)
}

/// `number - taken`, never below zero.
pub fn less(number: &Decimal, taken: &Decimal) -> Decimal {
    if number > taken {
        number - taken
    } else {
        Decimal::zero()
    }
}

/// How many parts of `size` it takes to hold `number`: a started part counts.
/// `None` when `size` is not positive.
pub fn parts_started(number: &Decimal, size: &Decimal) -> Option<Decimal> {
    if !size.is_positive() {
        return None;
    }
    if !number.is_positive() {
        return Some(Decimal::zero());
    }
    let scale = number
        .fractional_digit_count()
        .max(size.fractional_digit_count());
    let (number, _) = number.with_scale(scale).into_bigint_and_scale();
    let (size, _) = size.with_scale(scale).into_bigint_and_scale();
    let whole: BigInt = (number + &size - 1) / size;
    Some(Decimal::new(whole, 0))
}

/// `number × numerator ÷ denominator`, rounded half up to `places` decimals in
/// one step, so that no digit is lost before the rounding.
/// `None` when `denominator` is zero.
pub fn scale_half_up(
    number: &Decimal,
    numerator: u64,
    denominator: u64,
    places: u32,
) -> Option<Decimal> {
    if denominator == 0 {
        return None;
    }
    let (digits, scale) = (number * Decimal::from(numerator)).into_bigint_and_scale();
    let mut above: BigInt = digits * 2;
    let mut below = BigInt::from(denominator);
    let shift = i64::from(places).saturating_sub(scale);
    let power = BigInt::from(10).pow(u32::try_from(shift.unsigned_abs()).ok()?);
    if shift >= 0 {
        above *= power
    } else {
        below *= power
    }
    // Half up on the magnitude: floor((2|n| + d) / 2d), then the sign again.
    let magnitude: BigInt = (above.abs() + &below) / (below * 2);
    let signed = if above.is_negative() {
        -magnitude
    } else {
        magnitude
    };
    Some(Decimal::new(signed, i64::from(places)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Decimal {
        parse_decimal(text).unwrap()
    }

    #[test]
    fn numbers_are_read_as_written_and_nothing_else_is() {
        for text in ["0", "7", "007", "12.50", "-3.25", "0.000000000001"] {
            assert!(parse_decimal(text).is_ok(), "{text}");
        }
        for text in [
            "", "-", ".", ".5", "5.", "+5", " 5", "5 ", "1,000", "1_000", "0x10", "NaN", "inf",
            "--1", "1.2.3", "٣",
        ] {
            assert_eq!(
                parse_decimal(text),
                Err(DecimalProblem::NotDecimal),
                "{text:?}"
            );
        }
        for text in ["1e3", "1E-7", "1.5e+10", "1e1000000000"] {
            assert_eq!(
                parse_decimal(text),
                Err(DecimalProblem::Exponent),
                "{text:?}"
            );
        }
    }

    #[test]
    fn the_bound_on_digits_is_exact() {
        assert!(parse_decimal(&"9".repeat(MAX_DIGITS)).is_ok());
        assert!(parse_decimal(&format!("-0.{}", "9".repeat(MAX_DIGITS - 1))).is_ok());
        assert_eq!(
            parse_decimal(&"9".repeat(MAX_DIGITS + 1)),
            Err(DecimalProblem::TooLong)
        );
        assert_eq!(
            parse_decimal(&"9".repeat(10_000_000)),
            Err(DecimalProblem::TooLong)
        );
    }

    #[test]
    fn a_half_goes_away_from_zero() {
        for (text, places, expected) in [
            ("0.005", 2, "0.01"),
            ("0.0049999", 2, "0.00"),
            ("2.675", 2, "2.68"),
            ("-2.675", 2, "-2.68"),
            ("1.005", 2, "1.01"),
            ("10.5", 0, "11"),
            ("7", 3, "7.000"),
        ] {
            assert_eq!(fixed(&number(text), places), expected, "{text}");
        }
    }

    #[test]
    fn a_started_part_counts() {
        for (quantity, size, parts) in [
            ("0", "10", "0"),
            ("0.001", "10", "1"),
            ("10", "10", "1"),
            ("10.001", "10", "2"),
            ("1", "0.3", "4"),
            ("0.9", "0.3", "3"),
        ] {
            assert_eq!(
                plain(&parts_started(&number(quantity), &number(size)).unwrap()),
                parts,
                "{quantity}/{size}"
            );
        }
        assert_eq!(parts_started(&number("1"), &number("0")), None);
    }

    #[test]
    fn scaling_rounds_once() {
        for (amount, numerator, denominator, places, expected) in [
            ("100", 1, 3, 2, "33.33"),
            ("100", 2, 3, 2, "66.67"),
            ("0.01", 1, 2, 2, "0.01"),
            ("-0.01", 1, 2, 2, "-0.01"),
            ("0.03", 1, 6, 2, "0.01"),
            ("31", 28, 31, 0, "28"),
            ("10.005", 1, 1, 2, "10.01"),
        ] {
            let scaled = scale_half_up(&number(amount), numerator, denominator, places).unwrap();
            assert_eq!(
                scaled.to_plain_string(),
                expected,
                "{amount} × {numerator}/{denominator}"
            );
        }
    }
}
