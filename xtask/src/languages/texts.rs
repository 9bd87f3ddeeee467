//! The texts there are, and where each stands.

use std::collections::BTreeMap;

/// Where a text stands first, and what its values are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub file: String,
    pub line: usize,
    pub comments: Vec<String>,
}

/// Every text, by its English.
#[derive(Debug, Default)]
pub struct Texts {
    pub places: BTreeMap<String, Place>,
    /// What could not be collected.
    pub problems: Vec<String>,
}

impl Texts {
    pub fn add(&mut self, id: &str, file: &str, line: usize, comments: Vec<String>) {
        if !id.chars().any(char::is_alphabetic) {
            return;
        }
        self.places.entry(id.to_owned()).or_insert_with(|| Place {
            file: file.to_owned(),
            line,
            comments,
        });
    }

    pub fn words(&self) -> usize {
        self.places
            .keys()
            .map(|id| id.split_whitespace().count())
            .sum()
    }
}
