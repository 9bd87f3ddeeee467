//! Numbers that look drawn and are the same every time.

/// A generator (splitmix64) that starts from what it is about.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice of their own for these numbers.
    pub fn of(about: &[i64]) -> Self {
        let mut dice = Self(0x9e37_79b9_7f4a_7c15);
        for number in about {
            dice.0 ^= number.unsigned_abs().wrapping_mul(0xd6e8_feb8_6659_fd93);
            dice.next();
        }
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From `least` up to and without `end`; `least` where that leaves nothing.
    pub fn between(&mut self, least: i64, end: i64) -> i64 {
        let width = end.saturating_sub(least).max(1).unsigned_abs();
        least + i64::try_from(self.next() % width).unwrap_or(0)
    }

    /// Whether something happens that happens so many times in a hundred.
    pub fn happens(&mut self, percent: i64) -> bool {
        self.between(0, 100) < percent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_numbers_give_the_same_draws() {
        let draw = |about: &[i64]| {
            let mut dice = Dice::of(about);
            (0..20).map(|_| dice.between(3, 9)).collect::<Vec<_>>()
        };
        assert_eq!(draw(&[1, 2]), draw(&[1, 2]));
        assert_ne!(draw(&[1, 2]), draw(&[2, 1]));
        assert!(draw(&[7]).iter().all(|number| (3..9).contains(number)));
    }
}
