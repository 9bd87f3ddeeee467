//! Regular expressions as OpenAPI documents use them (ECMA-262): matching and generating.
//!
//! Owns a small engine of its own, because a mock must also *write* strings that match, with look-ahead and
//! back-references in the same pattern. Matching has a step budget instead of a worst case; generation is linear
//! in the length of what it writes.

mod generate;
mod matching;
mod parse;

pub use matching::Verdict;

/// A set of characters, as ranges.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Class {
    ranges: Vec<(char, char)>,
    negated: bool,
}

impl Class {
    fn contains(&self, c: char) -> bool {
        self.ranges
            .iter()
            .any(|(low, high)| (*low..=*high).contains(&c))
            != self.negated
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// One character of a class.
    Class(Class),
    Sequence(Vec<Part>),
    Choice(Vec<Part>),
    Repeat {
        part: Box<Part>,
        min: u32,
        max: Option<u32>,
        lazy: bool,
    },
    Group(Box<Part>, Option<usize>),
    Start,
    End,
    WordBoundary(bool),
    Look {
        part: Box<Part>,
        ahead: bool,
        wanted: bool,
    },
    Back(usize),
}

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    source: Box<str>,
    part: Part,
    groups: usize,
    named: Vec<(String, usize)>,
    ignore_case: bool,
}

impl Pattern {
    /// Compiles a pattern. What it cannot read is an error that says so.
    pub fn new(source: &str) -> Result<Pattern, String> {
        parse::parse(source)
    }

    /// The pattern as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether a part of `text` matches.
    pub fn is_match(&self, text: &str) -> bool {
        self.find(text) != Verdict::No
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn matching_follows_ecma() {
        for (pattern, text, expected) in [
            ("^[a-z]{2,3}$", "abc", true),
            ("^[a-z]{2,3}$", "abcd", false),
            ("b+", "aabbaa", true),
            ("^(a|bc)*$", "abcbca", true),
            ("^(a|bc)*$", "abcb", false),
            (r"^\d{4}-\d\d$", "2024-07", true),
            (r"^(?!foo)\w+$", "foobar", false),
            (r"^(?!foo)\w+$", "barfoo", true),
            (r"^(?=.*[A-Z])(?=.*\d).{4,}$", "abC1", true),
            (r"^(?=.*[A-Z])(?=.*\d).{4,}$", "abcd1", false),
            (r"^(\w)\1$", "aa", true),
            (r"^(\w)\1$", "ab", false),
            (r"^(?<y>\d)\k<y>$", "11", true),
            (r"^\u0041\x42\cJ$", "AB\n", true),
            (r"^[^\s,]+$", "a b", false),
            (r"^\p{L}+$", "Äé", true),
            (r"^[\p{Lu}\d]+$", "A1", true),
            ("^a.c$", "a\nc", false),
            (r"\bfoo\b", "a foo b", true),
            (r"\bfoo\b", "afoo", false),
            (r"(?<=\$)\d+", "cost $5", true),
            ("(?i)^abc$", "ABC", true),
            ("^[a-z", "x", true),
            ("^$", "", true),
            (".^", "abc", false),
            ("^a{0}$", "", true),
            ("^{a}$", "{a}", true),
            (r"^[\w.-]+$", "a.b-c", true),
            (r"^[]a]", "]", false),
        ] {
            match Pattern::new(pattern) {
                Ok(compiled) => {
                    assert_eq!(compiled.is_match(text), expected, "{pattern} on {text:?}")
                }
                Err(_) => assert_eq!(pattern, "^[a-z"),
            }
        }
    }

    #[test]
    fn a_hostile_text_costs_bounded_time() {
        let pattern = Pattern::new("^(a+)+$").unwrap();
        let text = format!("{}b", "a".repeat(5_000));
        assert_eq!(pattern.find(&text), Verdict::Unknown);
        let pattern = Pattern::new("^(?:[a-z]|\\d)*$").unwrap();
        assert_ne!(pattern.find(&"a1".repeat(100_000)), Verdict::No);
    }

    #[test]
    fn what_is_generated_matches() {
        let mut random = Random::new(7);
        for pattern in [
            "^cus_[A-Za-z0-9]{10}$",
            "^(SM|MM)[0-9a-fA-F]{32}$",
            r"^\+[1-9]\d{1,14}$",
            r"^([01]\d|2[0-3]):?([0-5]\d)$",
            "^[^@]+@[^@]+$",
            r"^(?!xn--)[a-z]+$",
            r"\S+",
            "^https://",
            r"^(\w)\1+$",
            r"^[\s\S]*$",
            r"^\p{L}{3}$",
            r"^(?=.*[A-Z])(?=.*\d)[A-Za-z\d]{8,}$",
            "a{3}|b{4}",
            r"(\{q\}[\s\S]*?\{c\}|\{c\}[\s\S]*?\{q\})",
        ] {
            let compiled = Pattern::new(pattern).unwrap();
            for _ in 0..20 {
                let text = compiled
                    .generate(&mut random, 0, None)
                    .unwrap_or_else(|| panic!("{pattern}"));
                assert_eq!(compiled.find(&text), Verdict::Yes, "{pattern} on {text:?}");
            }
        }
    }

    #[test]
    fn generated_text_keeps_the_wanted_length() {
        let mut random = Random::new(3);
        for (pattern, min, max) in [
            ("^[a-z]+$", 64, 64),
            ("^[a-z]*-[0-9]*$", 20, 22),
            ("^(ab)*$", 10, 10),
            ("x", 5, 9),
            (r"^\S+$", 1, 1),
        ] {
            let compiled = Pattern::new(pattern).unwrap();
            let text = compiled
                .generate(&mut random, min, Some(max))
                .unwrap_or_else(|| panic!("{pattern}"));
            assert!(
                (min..=max).contains(&text.chars().count()),
                "{pattern}: {text:?}"
            );
            assert!(compiled.is_match(&text));
        }
        assert_eq!(
            Pattern::new(".^").unwrap().generate(&mut random, 0, None),
            None
        );
    }
}
