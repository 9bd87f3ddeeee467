//! Matches by backtracking within a budget of steps and depth.

use super::{Class, Part, Pattern};

/// What matching found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The text matches.
    Yes,
    /// It does not.
    No,
    /// The budget ran out before it was decided.
    Unknown,
}

const STEPS: usize = 200_000;
const MAX_DEPTH: usize = 1_500;

struct Run<'t> {
    text: &'t [char],
    ignore_case: bool,
    steps: usize,
    depth: usize,
    exhausted: bool,
    groups: Vec<Option<(usize, usize)>>,
}

type Continue<'c> = &'c mut dyn FnMut(&mut Run<'_>, usize) -> bool;

impl Pattern {
    /// Whether a part of `text` matches, as far as the budget reaches.
    pub fn find(&self, text: &str) -> Verdict {
        let text: Vec<char> = text.chars().collect();
        let mut run = Run {
            text: &text,
            ignore_case: self.ignore_case,
            steps: STEPS,
            depth: 0,
            exhausted: false,
            groups: vec![None; self.groups],
        };
        let last_start = if starts_anchored(&self.part) {
            0
        } else {
            text.len()
        };
        for start in 0..=last_start {
            if run.matches(&self.part, start, &mut |_, _| true) {
                return Verdict::Yes;
            }
            if run.exhausted {
                return Verdict::Unknown;
            }
        }
        Verdict::No
    }
}

fn starts_anchored(part: &Part) -> bool {
    match part {
        Part::Start => true,
        Part::Sequence(parts) => parts.first().is_some_and(starts_anchored),
        Part::Group(part, _) => starts_anchored(part),
        Part::Choice(parts) => parts.iter().all(starts_anchored),
        _ => false,
    }
}

impl Run<'_> {
    fn spend(&mut self) -> bool {
        if self.steps == 0 || self.depth > MAX_DEPTH {
            self.exhausted = true;
            return false;
        }
        self.steps -= 1;
        true
    }

    fn fits(&self, class: &Class, at: usize) -> bool {
        self.text.get(at).is_some_and(|c| {
            class.contains(*c)
                || self.ignore_case
                    && (c.to_lowercase().any(|c| class.contains(c))
                        || c.to_uppercase().any(|c| class.contains(c)))
        })
    }

    fn matches(&mut self, part: &Part, at: usize, then: Continue<'_>) -> bool {
        if !self.spend() {
            return false;
        }
        self.depth += 1;
        let matched = self.matches_here(part, at, then);
        self.depth -= 1;
        matched
    }

    fn matches_here(&mut self, part: &Part, at: usize, then: Continue<'_>) -> bool {
        match part {
            Part::Class(class) => self.fits(class, at) && then(self, at + 1),
            Part::Sequence(parts) => self.sequence(parts, at, then),
            Part::Choice(parts) => {
                for part in parts {
                    if self.matches(part, at, then) {
                        return true;
                    }
                }
                false
            }
            Part::Repeat {
                part,
                min,
                max,
                lazy,
            } => {
                let max = max.map_or(usize::MAX, |max| max as usize);
                if let Part::Class(class) = &**part {
                    return self.repeat_class(class, *min as usize, max, *lazy, at, then);
                }
                self.repeat(part, *min as usize, max, *lazy, at, then)
            }
            Part::Group(part, None) => self.matches(part, at, then),
            Part::Group(part, Some(number)) => {
                let before = self.groups.get(*number).copied().flatten();
                let matched = self.matches(part, at, &mut |run, end| {
                    let outer = run.groups.get(*number).copied().flatten();
                    run.set_group(*number, Some((at, end)));
                    then(run, end) || {
                        run.set_group(*number, outer);
                        false
                    }
                });
                if !matched {
                    self.set_group(*number, before);
                }
                matched
            }
            Part::Start => at == 0 && then(self, at),
            Part::End => at == self.text.len() && then(self, at),
            Part::WordBoundary(wanted) => {
                let word = |at: Option<usize>| {
                    at.and_then(|at| self.text.get(at))
                        .is_some_and(|c| c.is_ascii_alphanumeric() || *c == '_')
                };
                (word(at.checked_sub(1)) != word(Some(at))) == *wanted && then(self, at)
            }
            Part::Look {
                part,
                ahead: true,
                wanted,
            } => self.matches(part, at, &mut |_, _| true) == *wanted && then(self, at),
            Part::Look {
                part,
                ahead: false,
                wanted,
            } => {
                let found =
                    (0..=at).any(|start| self.matches(part, start, &mut |_, end| end == at));
                found == *wanted && then(self, at)
            }
            Part::Back(number) => {
                let (start, end) = self
                    .groups
                    .get(*number)
                    .copied()
                    .flatten()
                    .unwrap_or((0, 0));
                let length = end - start;
                self.text.get(start..end) == self.text.get(at..at + length)
                    && then(self, at + length)
            }
        }
    }

    fn set_group(&mut self, number: usize, range: Option<(usize, usize)>) {
        if let Some(group) = self.groups.get_mut(number) {
            *group = range;
        }
    }

    fn sequence(&mut self, parts: &[Part], at: usize, then: Continue<'_>) -> bool {
        match parts.split_first() {
            None => then(self, at),
            // Single characters need no continuation.
            Some((Part::Class(class), rest)) => {
                self.spend() && self.fits(class, at) && self.sequence(rest, at + 1, then)
            }
            Some((first, [])) => self.matches(first, at, then),
            Some((first, rest)) => {
                self.matches(first, at, &mut |run, next| run.sequence(rest, next, then))
            }
        }
    }

    /// A repeated class: counts first, then gives back one by one, without recursion per character.
    fn repeat_class(
        &mut self,
        class: &Class,
        min: usize,
        max: usize,
        lazy: bool,
        at: usize,
        then: Continue<'_>,
    ) -> bool {
        let mut most = 0;
        while most < max && self.fits(class, at + most) {
            most += 1;
        }
        self.steps = self.steps.saturating_sub(most / 16);
        if most < min {
            return false;
        }
        for step in 0..=most - min {
            let count = if lazy { min + step } else { most - step };
            if !self.spend() {
                return false;
            }
            if then(self, at + count) {
                return true;
            }
        }
        false
    }

    fn repeat(
        &mut self,
        part: &Part,
        min: usize,
        max: usize,
        lazy: bool,
        at: usize,
        then: Continue<'_>,
    ) -> bool {
        if max == 0 {
            return then(self, at);
        }
        if lazy && min == 0 && then(self, at) {
            return true;
        }
        let again = self.matches(part, at, &mut |run, next| {
            // An empty round would repeat for ever.
            (next > at || min > 0)
                && run.repeat(
                    part,
                    min.saturating_sub(1),
                    max.saturating_sub(1),
                    lazy,
                    next,
                    then,
                )
        });
        again || (!lazy && min == 0 && then(self, at))
    }
}
