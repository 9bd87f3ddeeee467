//! Strings: by format, by pattern, and otherwise by what their name says.

use super::choices::{Flat, bounds};
use super::{Generator, Place, words};
use crate::json::Value;
use crate::pattern::Pattern;
use crate::schema::{Format, StringRules};

impl<'g> Generator<'g> {
    pub(super) fn string(&mut self, flat: &Flat, place: &Place<'_>) -> Option<String> {
        let schemas = self.schemas;
        let rules: Vec<&'g StringRules> = flat.rules(schemas, |schema| schema.string.as_deref());
        let format = flat.format(schemas);
        let (min, max) = bounds(&rules, |rules| rules.min_length, |rules| rules.max_length);
        if max.is_some_and(|max| max < min) || min > 1_000_000 {
            return self
                .fail(|| format!("{} would need {min} characters", place.name))
                .and(None);
        }
        let patterns: Vec<&'g Pattern> = rules
            .iter()
            .filter_map(|rules| schemas.pattern(rules.pattern?))
            .collect();
        let accepts =
            |generator: &Self, text: &str| generator.follows_rules(flat, &Value::from(text));
        if let Some(said) = self
            .said(place)
            .and_then(|said| said.as_str().map(str::to_owned))
            && let Some(text) = cut(&said, max).filter(|text| accepts(self, text))
        {
            return Some(text);
        }
        for (property, key) in &flat.discriminators {
            if schemas.name(*property) == place.name && accepts(self, key) {
                return Some(key.clone());
            }
        }
        let second = self.base_time - i64::try_from(place.index).unwrap_or(0) * 3_607;
        for _ in 0..3 {
            let usual = words::string(place.name, place.parent, format, second, &mut self.random);
            let usual = if self.variant > 0 && format == Format::None {
                format!("{usual} {}", self.variant)
            } else {
                usual
            };
            // Nothing but its length and format is asked of it.
            let is_free = patterns.is_empty() && !flat.checked && flat.ids.len() == 1;
            let fits =
                usual.is_ascii() && usual.len() >= min && max.is_none_or(|max| usual.len() <= max);
            if is_free && fits && format.accepts(&usual) {
                return Some(usual);
            }
            if format != Format::None && accepts(self, &usual) {
                return Some(usual);
            }
            if let Some(text) = stretched(&usual, min, max).filter(|text| accepts(self, text)) {
                return Some(text);
            }
            if let Some(text) = cut(&usual, max).filter(|text| accepts(self, text)) {
                return Some(text);
            }
        }
        for _ in 0..4 {
            for pattern in &patterns {
                if let Some(text) = pattern
                    .generate(&mut self.random, min, max)
                    .filter(|text| accepts(self, text))
                {
                    return Some(text);
                }
            }
        }
        if patterns.is_empty() {
            for _ in 0..4 {
                let length = min.max(max.map_or(8, |max| max.min(8)));
                let text = self.random.text(b"abcdefghijkmnpqrstuvwxyz", length);
                if accepts(self, &text) {
                    return Some(text);
                }
            }
        }
        if let Some(text) =
            words::fitted(format, min, max, &mut self.random).filter(|text| accepts(self, text))
        {
            return Some(text);
        }
        self.fail(|| {
            let sources: Vec<&str> = patterns.iter().map(|pattern| pattern.source()).collect();
            format!("no text of {min} to {max:?} characters was found for {} with the patterns {sources:?}", place.name)
        })
        .and(None)
    }
}

/// A text no longer than `max`, cut at a word where there is one.
fn cut(text: &str, max: Option<usize>) -> Option<String> {
    let max = max.unwrap_or(usize::MAX);
    if text.chars().count() <= max {
        return Some(text.to_owned());
    }
    let short: String = text.chars().take(max).collect();
    match short.rsplit_once(' ') {
        Some((words, _)) if words.len() > max / 2 => Some(words.to_owned()),
        _ => Some(short.trim_end().to_owned()).filter(|short| !short.is_empty() || max == 0),
    }
}

/// A text of at least `min` characters, by repeating it.
fn stretched(text: &str, min: usize, max: Option<usize>) -> Option<String> {
    let mut long = text.to_owned();
    while long.chars().count() < min {
        if !long.is_empty() && long.contains(' ') {
            long.push(' ');
        }
        long.push_str(if text.is_empty() { "a" } else { text });
    }
    let limit = max.unwrap_or(usize::MAX).min(min.max(text.chars().count()));
    Some(long.chars().take(limit).collect())
}
