//! Pseudo-random numbers that are the same on every machine.
//!
//! Owns the only source of variety in the mock. It is a parameter: the same seed gives the same bytes.

/// A generator (SplitMix64) with a stream per place in a document.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A generator that starts at `seed`.
    pub fn new(seed: u64) -> Random {
        Random { state: seed }
    }

    /// A generator for `parts`, so that what one part gets does not depend on what another one used.
    pub fn for_parts(seed: u64, parts: &[&str]) -> Random {
        let mut state = seed ^ 0xcbf2_9ce4_8422_2325;
        for part in parts {
            for byte in part.bytes().chain([0xff]) {
                state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        let mut random = Random { state };
        random.next();
        random
    }

    /// The next 64 bits.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound` (0 for a bound of 0).
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        u64::try_from((u128::from(self.next()) * u128::from(bound)) >> 64).unwrap_or(0)
    }

    /// One of several.
    pub fn pick<'s, T>(&mut self, choices: &'s [T]) -> Option<&'s T> {
        let index = self.below(choices.len() as u64);
        choices.get(usize::try_from(index).unwrap_or(0))
    }

    /// `length` characters of `alphabet` (ASCII).
    pub fn text(&mut self, alphabet: &[u8], length: usize) -> String {
        (0..length)
            .filter_map(|_| self.pick(alphabet).map(|byte| char::from(*byte)))
            .collect()
    }
}
