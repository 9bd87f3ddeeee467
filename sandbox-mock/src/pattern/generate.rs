//! Writes strings that match.

use super::{Class, Part, Pattern, Verdict, parse::positive};
use crate::random::Random;

/// How often another string is tried when a look-around or a length refuses one.
const ATTEMPTS: u32 = 60;
const LONGEST: usize = 20_000;

impl Pattern {
    /// A string that matches and has between `min` and `max` characters, or `None` when none was found.
    pub fn generate(&self, random: &mut Random, min: usize, max: Option<usize>) -> Option<String> {
        for attempt in 0..ATTEMPTS {
            let mut writer = Writer {
                random,
                out: Vec::new(),
                groups: vec![None; self.groups],
                spare: 0,
                plain: attempt < ATTEMPTS / 2,
            };
            // First as short as the pattern allows plus a little, then with the length that is missing.
            writer.spare = if max.is_none() && attempt % 4 != 3 {
                attempt as usize % 4 * 3
            } else {
                0
            };
            writer.write(&self.part);
            let short = writer.out.len();
            if short < min {
                writer.out.clear();
                writer.groups.fill(None);
                writer.spare = min - short;
                writer.write(&self.part);
            }
            let mut text = writer.out;
            if text.len() < min && !ends_anchored(&self.part) {
                let missing = min - text.len();
                text.extend(
                    (0..missing)
                        .map(|_| char::from(b'a' + u8::try_from(random.below(26)).unwrap_or(0))),
                );
            }
            if text.len() < min || text.len() > max.unwrap_or(LONGEST) {
                continue;
            }
            let text: String = text.into_iter().collect();
            if self.find(&text) == Verdict::Yes {
                return Some(text);
            }
        }
        None
    }
}

fn ends_anchored(part: &Part) -> bool {
    match part {
        Part::End => true,
        Part::Sequence(parts) => parts.last().is_some_and(ends_anchored),
        Part::Group(part, _) => ends_anchored(part),
        Part::Choice(parts) => parts.iter().any(ends_anchored),
        _ => false,
    }
}

struct Writer<'r> {
    random: &'r mut Random,
    out: Vec<char>,
    groups: Vec<Option<(usize, usize)>>,
    /// How many characters more than necessary may be written.
    spare: usize,
    /// Whether to keep to letters and digits where the class allows it.
    plain: bool,
}

impl Writer<'_> {
    fn write(&mut self, part: &Part) {
        if self.out.len() > LONGEST {
            return;
        }
        match part {
            Part::Class(class) => {
                if let Some(c) = pick(class, self.random, self.plain) {
                    self.out.push(c);
                }
            }
            Part::Sequence(parts) => {
                for part in parts {
                    self.write(part);
                }
            }
            Part::Choice(parts) => {
                let index = self.random.below(parts.len() as u64);
                if let Some(part) = parts.get(usize::try_from(index).unwrap_or(0)) {
                    self.write(part);
                }
            }
            Part::Repeat { part, min, max, .. } => {
                let min = *min as usize;
                for _ in 0..min.min(LONGEST) {
                    self.write(part);
                }
                let mut room = max.map_or(usize::MAX, |max| max as usize)
                    - min.min(max.map_or(usize::MAX, |max| max as usize));
                while room > 0 && self.spare > 0 {
                    let before = self.out.len();
                    self.write(part);
                    let written = self.out.len() - before;
                    if written == 0 {
                        break;
                    }
                    self.spare = self.spare.saturating_sub(written);
                    room -= 1;
                }
            }
            Part::Group(part, number) => {
                let start = self.out.len();
                self.write(part);
                let end = self.out.len();
                if let Some(group) = number.and_then(|number| self.groups.get_mut(number)) {
                    *group = Some((start, end));
                }
            }
            Part::Back(number) => {
                let (start, end) = self
                    .groups
                    .get(*number)
                    .copied()
                    .flatten()
                    .unwrap_or((0, 0));
                let copy = self.out.get(start..end).unwrap_or_default().to_vec();
                self.out.extend(copy);
            }
            Part::Start | Part::End | Part::WordBoundary(_) | Part::Look { .. } => {}
        }
    }
}

fn pick(class: &Class, random: &mut Random, plain: bool) -> Option<char> {
    let ranges = positive(class.clone());
    let within = |low: char, high: char| -> Vec<(char, char)> {
        ranges
            .iter()
            .filter_map(|(from, to)| {
                let (from, to) = ((*from).max(low), (*to).min(high));
                (from <= to).then_some((from, to))
            })
            .collect()
    };
    let mut readable: Vec<(char, char)> = Vec::new();
    if plain {
        for (low, high) in [('a', 'z'), ('A', 'Z'), ('0', '9')] {
            readable.extend(within(low, high));
        }
    }
    if readable.is_empty() {
        readable = within(' ', '~');
    }
    if readable.is_empty() {
        readable = ranges;
    }
    let size = |range: &(char, char)| u64::from(u32::from(range.1) - u32::from(range.0)) + 1;
    let total: u64 = readable.iter().map(size).sum();
    if total == 0 {
        return None;
    }
    let mut index = random.below(total);
    for range in &readable {
        if index < size(range) {
            let code = u32::from(range.0) + u32::try_from(index).unwrap_or(0);
            return Some(char::from_u32(code).unwrap_or(range.0));
        }
        index -= size(range);
    }
    None
}
