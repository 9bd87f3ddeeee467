//! Colours and whether they can be told apart (WCAG 2.2, relative luminance and contrast).

/// A colour without transparency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour(u8, u8, u8);

/// The page behind text, as in `portal.css`; the worse of paper and sheet.
pub const LIGHT_PAPER: Colour = Colour(0xfa, 0xf9, 0xf6);
/// The same in the dark palette.
pub const DARK_SHEET: Colour = Colour(0x1a, 0x1f, 0x1e);
const WHITE: Colour = Colour(0xff, 0xff, 0xff);
const BLACK: Colour = Colour(0x0d, 0x15, 0x13);

/// What text needs against its background.
pub const READABLE: f64 = 4.5;

impl Colour {
    /// Reads `#rrggbb`.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = crate::encoding::unhex(text.strip_prefix('#')?)?;
        match bytes.as_slice() {
            [red, green, blue] => Some(Self(*red, *green, *blue)),
            _ => None,
        }
    }

    /// `#rrggbb`.
    pub fn css(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }

    fn luminance(self) -> f64 {
        let channel = |value: u8| {
            let value = f64::from(value) / 255.0;
            if value <= 0.04045 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * channel(self.0) + 0.7152 * channel(self.1) + 0.0722 * channel(self.2)
    }

    /// From 1 (the same) to 21 (black on white).
    pub fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// `percent` of `other`, the rest of this.
    pub fn mixed_with(self, other: Self, percent: u16) -> Self {
        let mix = |a: u8, b: u8| {
            let sum = u16::from(a) * (100 - percent.min(100)) + u16::from(b) * percent.min(100);
            u8::try_from(sum / 100).unwrap_or(u8::MAX)
        };
        Self(
            mix(self.0, other.0),
            mix(self.1, other.1),
            mix(self.2, other.2),
        )
    }

    /// White or nearly black, whichever is easier to read on this.
    pub fn ink(self) -> Self {
        if self.contrast(WHITE) >= self.contrast(BLACK) {
            WHITE
        } else {
            BLACK
        }
    }

    /// This colour, made lighter until it can be read on the dark palette.
    pub fn for_dark(self) -> Self {
        (0..=20)
            .map(|step| self.mixed_with(WHITE, step * 5))
            .find(|colour| colour.contrast(DARK_SHEET) >= READABLE)
            .unwrap_or(WHITE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrast_is_as_the_standard_says() {
        let black = Colour::parse("#000000").unwrap();
        assert!((black.contrast(WHITE) - 21.0).abs() < 0.001);
        // #767676 is the lightest grey that passes on white.
        assert!(Colour::parse("#767676").unwrap().contrast(WHITE) >= READABLE);
        assert!(Colour::parse("#777777").unwrap().contrast(WHITE) < READABLE);
    }

    #[test]
    fn every_colour_becomes_readable_in_the_dark() {
        for text in ["#000000", "#1d5b52", "#7a0019", "#0000ff", "#ffee00"] {
            let colour = Colour::parse(text).unwrap().for_dark();
            assert!(colour.contrast(DARK_SHEET) >= READABLE, "{text}");
            assert!(colour.contrast(colour.ink()) >= READABLE, "{text}");
        }
    }

    #[test]
    fn only_six_digits_are_a_colour() {
        for text in ["", "#fff", "red", "#12345g", "#1234567"] {
            assert_eq!(Colour::parse(text), None, "{text}");
        }
    }
}
