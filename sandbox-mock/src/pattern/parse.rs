//! Reads a pattern's text.

use super::{Class, Part, Pattern};
use std::iter::Peekable;
use std::str::Chars;

const MAX_NESTING: usize = 100;

pub(super) fn parse(source: &str) -> Result<Pattern, String> {
    // Some documents write the delimiters of a literal as well: /^[a-z]+$/i.
    let (body, flags) = match source
        .strip_prefix('/')
        .and_then(|rest| rest.rsplit_once('/'))
    {
        Some((body, flags))
            if flags.chars().all(|c| "dgimsuvy".contains(c)) && body.starts_with('^') =>
        {
            (body, flags)
        }
        _ => (source, ""),
    };
    let (body, inline) = match body.strip_prefix("(?i)") {
        Some(rest) => (rest, true),
        None => (body, false),
    };
    let mut reader = Reader {
        rest: body.chars().peekable(),
        groups: 0,
        named: Vec::new(),
        depth: 0,
    };
    let part = reader.choice()?;
    if reader.rest.peek().is_some() {
        return Err("a closing parenthesis has no opening one".to_owned());
    }
    Ok(Pattern {
        source: source.into(),
        part,
        groups: reader.groups + 1,
        named: reader.named,
        ignore_case: inline || flags.contains('i'),
    })
}

struct Reader<'p> {
    rest: Peekable<Chars<'p>>,
    groups: usize,
    named: Vec<(String, usize)>,
    depth: usize,
}

impl Reader<'_> {
    fn eat(&mut self, c: char) -> bool {
        self.rest.next_if_eq(&c).is_some()
    }

    fn lookahead(&self) -> String {
        self.rest.clone().take(4).collect()
    }

    fn choice(&mut self) -> Result<Part, String> {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return Err("the pattern is nested too deeply".to_owned());
        }
        let mut branches = vec![self.sequence()?];
        while self.eat('|') {
            branches.push(self.sequence()?);
        }
        self.depth -= 1;
        Ok(match branches.len() {
            1 => branches.remove(0),
            _ => Part::Choice(branches),
        })
    }

    fn sequence(&mut self) -> Result<Part, String> {
        let mut parts = Vec::new();
        while let Some(c) = self.rest.peek() {
            if matches!(c, '|' | ')') {
                break;
            }
            let part = self.atom()?;
            parts.push(self.quantified(part)?);
        }
        Ok(match parts.len() {
            1 => parts.remove(0),
            _ => Part::Sequence(parts),
        })
    }

    fn quantified(&mut self, part: Part) -> Result<Part, String> {
        let (min, max) = match self.rest.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => match self.braces() {
                Some(bounds) => bounds,
                None => return Ok(part),
            },
            _ => return Ok(part),
        };
        self.rest.next();
        if max.is_some_and(|max| max < min) {
            return Err("a repetition's bounds are the wrong way round".to_owned());
        }
        let lazy = self.eat('?');
        // A possessive quantifier of other dialects; the language is nearly always the same.
        self.eat('+');
        Ok(Part::Repeat {
            part: Box::new(part),
            min,
            max,
            lazy,
        })
    }

    /// `{2}`, `{2,}`, `{2,5}`, `{,5}`; leaves the closing brace. Anything else is a literal brace.
    fn braces(&mut self) -> Option<(u32, Option<u32>)> {
        let text: String = self
            .rest
            .clone()
            .skip(1)
            .take_while(|c| *c != '}')
            .collect();
        let bounds = match text.split_once(',') {
            None => {
                let count = text.trim().parse().ok()?;
                (count, Some(count))
            }
            Some(("", max)) => (0, Some(max.trim().parse().ok()?)),
            Some((min, max)) if max.trim().is_empty() => (min.trim().parse().ok()?, None),
            Some((min, max)) => (min.trim().parse().ok()?, Some(max.trim().parse().ok()?)),
        };
        if !self.rest.clone().any(|c| c == '}') {
            return None;
        }
        for _ in 0..=text.chars().count() {
            self.rest.next();
        }
        Some(bounds)
    }

    fn atom(&mut self) -> Result<Part, String> {
        match self.rest.next() {
            Some('(') => self.group(),
            Some('[') => Ok(Part::Class(self.bracket_class()?)),
            Some('.') => Ok(Part::Class(Class {
                ranges: vec![('\n', '\n'), ('\r', '\r'), ('\u{2028}', '\u{2029}')],
                negated: true,
            })),
            Some('^') => Ok(Part::Start),
            Some('$') => Ok(Part::End),
            Some('\\') => self.escape(),
            Some(c @ ('*' | '+' | '?')) => Err(format!("there is nothing for {c} to repeat")),
            Some(c) => Ok(literal(c)),
            None => Ok(Part::Sequence(Vec::new())),
        }
    }

    fn group(&mut self) -> Result<Part, String> {
        let ahead = self.lookahead();
        let (skip, look) = if ahead.starts_with("?=") {
            (2, Some((true, true)))
        } else if ahead.starts_with("?!") {
            (2, Some((true, false)))
        } else if ahead.starts_with("?<=") {
            (3, Some((false, true)))
        } else if ahead.starts_with("?<!") {
            (3, Some((false, false)))
        } else if ahead.starts_with("?:") || ahead.starts_with("?>") {
            (2, None)
        } else if ahead.starts_with("?<") || ahead.starts_with("?P<") {
            self.rest.by_ref().take_while(|c| *c != '<').for_each(drop);
            let name: String = self.rest.by_ref().take_while(|c| *c != '>').collect();
            self.groups += 1;
            self.named.push((name, self.groups));
            return self.close_group(Some(self.groups));
        } else if ahead.starts_with('?') {
            // Inline flags such as (?i) or (?i:…): the flag is dropped, the group stays.
            let flags: String = self
                .rest
                .by_ref()
                .skip(1)
                .take_while(|c| !matches!(c, ':' | ')'))
                .collect();
            if flags.chars().any(|c| !"imsx-".contains(c)) {
                return Err(format!("the group (?{flags} is not known"));
            }
            return Ok(Part::Sequence(Vec::new()));
        } else {
            self.groups += 1;
            return self.close_group(Some(self.groups));
        };
        for _ in 0..skip {
            self.rest.next();
        }
        match look {
            None => self.close_group(None),
            Some((ahead, wanted)) => match self.close_group(None)? {
                Part::Group(part, _) => Ok(Part::Look {
                    part,
                    ahead,
                    wanted,
                }),
                part => Ok(part),
            },
        }
    }

    fn close_group(&mut self, number: Option<usize>) -> Result<Part, String> {
        let part = self.choice()?;
        if !self.eat(')') {
            return Err("a group is not closed".to_owned());
        }
        Ok(Part::Group(Box::new(part), number))
    }

    fn escape(&mut self) -> Result<Part, String> {
        match self.rest.peek().copied() {
            Some('b') => {
                self.rest.next();
                Ok(Part::WordBoundary(true))
            }
            Some('B') => {
                self.rest.next();
                Ok(Part::WordBoundary(false))
            }
            Some('A') => {
                self.rest.next();
                Ok(Part::Start)
            }
            Some('z' | 'Z') => {
                self.rest.next();
                Ok(Part::End)
            }
            Some('k') => {
                self.rest.next();
                if !self.eat('<') {
                    return Ok(literal('k'));
                }
                let name: String = self.rest.by_ref().take_while(|c| *c != '>').collect();
                self.named
                    .iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, number)| Part::Back(*number))
                    .ok_or_else(|| format!("there is no group called {name}"))
            }
            Some(c @ '1'..='9') => {
                self.rest.next();
                Ok(Part::Back(c.to_digit(10).unwrap_or(1) as usize))
            }
            _ => Ok(Part::Class(self.class_escape()?)),
        }
    }

    /// An escape that stands for a set of characters; a single one is a set as well.
    fn class_escape(&mut self) -> Result<Class, String> {
        let Some(c) = self.rest.next() else {
            return Err("the pattern ends in a backslash".to_owned());
        };
        let class = |ranges: &[(char, char)], negated| Class {
            ranges: ranges.to_vec(),
            negated,
        };
        Ok(match c {
            'd' => class(DIGITS, false),
            'D' => class(DIGITS, true),
            'w' => class(WORD, false),
            'W' => class(WORD, true),
            's' => class(SPACE, false),
            'S' => class(SPACE, true),
            'p' | 'P' => {
                let name: String = if self.eat('{') {
                    self.rest.by_ref().take_while(|c| *c != '}').collect()
                } else {
                    self.rest.next().into_iter().collect()
                };
                class(property(&name)?, c == 'P')
            }
            'n' => single('\n'),
            'r' => single('\r'),
            't' => single('\t'),
            'f' => single('\u{c}'),
            'v' => single('\u{b}'),
            '0' => single('\0'),
            'a' => single('\u{7}'),
            'e' => single('\u{1b}'),
            'c' => {
                let letter = self.rest.next().unwrap_or('@');
                single(char::from_u32(u32::from(letter) % 32).unwrap_or('\0'))
            }
            'x' => single(self.hexadecimal(2)),
            'u' if self.eat('{') => {
                let digits: String = self.rest.by_ref().take_while(|c| *c != '}').collect();
                single(
                    u32::from_str_radix(&digits, 16)
                        .ok()
                        .and_then(char::from_u32)
                        .unwrap_or('\u{fffd}'),
                )
            }
            'u' => single(self.hexadecimal(4)),
            c => single(c),
        })
    }

    fn hexadecimal(&mut self, digits: usize) -> char {
        let text: String = self.rest.clone().take(digits).collect();
        match u32::from_str_radix(&text, 16) {
            Ok(code) if text.chars().count() == digits => {
                self.rest.by_ref().take(digits).for_each(drop);
                char::from_u32(code).unwrap_or('\u{fffd}')
            }
            _ => 'u',
        }
    }

    fn bracket_class(&mut self) -> Result<Class, String> {
        let negated = self.eat('^');
        let mut ranges = Vec::new();
        loop {
            let low = match self.rest.next() {
                None => return Err("a character class is not closed".to_owned()),
                Some(']') => break,
                Some('\\') if self.eat('b') => single('\u{8}'),
                Some('\\') => self.class_escape()?,
                // POSIX classes of other dialects.
                Some('[') if self.lookahead().starts_with(':') => {
                    let name: String = self
                        .rest
                        .by_ref()
                        .skip(1)
                        .take_while(|c| *c != ':')
                        .collect();
                    self.eat(']');
                    Class {
                        ranges: property(&name)?.to_vec(),
                        negated: false,
                    }
                }
                Some(c) => single(c),
            };
            let is_range = self.rest.peek() == Some(&'-')
                && self.rest.clone().nth(1).is_some_and(|c| c != ']');
            let start = single_of(&low);
            if let (true, Some(start)) = (is_range, start) {
                self.rest.next();
                let high = match self.rest.next() {
                    Some('\\') => self.class_escape()?,
                    Some(c) => single(c),
                    None => return Err("a character class is not closed".to_owned()),
                };
                match single_of(&high) {
                    Some(end) if start <= end => ranges.push((start, end)),
                    Some(_) => {
                        return Err("a range of characters is the wrong way round".to_owned());
                    }
                    None => {
                        ranges.extend([(start, start), ('-', '-')]);
                        ranges.extend(positive(high));
                    }
                }
            } else {
                ranges.extend(positive(low));
            }
        }
        Ok(Class { ranges, negated })
    }
}

fn literal(c: char) -> Part {
    Part::Class(single(c))
}

fn single(c: char) -> Class {
    Class {
        ranges: vec![(c, c)],
        negated: false,
    }
}

fn single_of(class: &Class) -> Option<char> {
    match class.ranges.as_slice() {
        [(low, high)] if low == high && !class.negated => Some(*low),
        _ => None,
    }
}

/// The ranges of a class without negation.
pub(super) fn positive(class: Class) -> Vec<(char, char)> {
    if !class.negated {
        return class.ranges;
    }
    let mut taken = class.ranges;
    taken.sort_unstable();
    let mut ranges = Vec::new();
    let mut next = 0_u32;
    for (low, high) in taken {
        push_range(&mut ranges, next, u32::from(low));
        next = next.max(u32::from(high) + 1);
    }
    push_range(&mut ranges, next, 0x11_0000);
    ranges
}

fn push_range(ranges: &mut Vec<(char, char)>, from: u32, until: u32) {
    // Surrogates are no characters.
    for (low, high) in [(from, until.min(0xd800)), (from.max(0xe000), until)] {
        if low < high
            && let (Some(low), Some(high)) = (char::from_u32(low), char::from_u32(high - 1))
        {
            ranges.push((low, high));
        }
    }
}

const DIGITS: &[(char, char)] = &[('0', '9')];
const WORD: &[(char, char)] = &[('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')];
const SPACE: &[(char, char)] = &[
    (' ', ' '),
    ('\t', '\r'),
    ('\u{a0}', '\u{a0}'),
    ('\u{1680}', '\u{1680}'),
    ('\u{2000}', '\u{200a}'),
    ('\u{2028}', '\u{2029}'),
    ('\u{202f}', '\u{202f}'),
    ('\u{205f}', '\u{205f}'),
    ('\u{3000}', '\u{3000}'),
    ('\u{feff}', '\u{feff}'),
];
const UPPER: &[(char, char)] = &[('A', 'Z'), ('À', 'Ö'), ('Ø', 'Þ'), ('Α', 'Ω'), ('А', 'Я')];
const LOWER: &[(char, char)] = &[('a', 'z'), ('ß', 'ö'), ('ø', 'ÿ'), ('α', 'ω'), ('а', 'я')];
const LETTERS: &[(char, char)] = &[
    ('a', 'z'),
    ('A', 'Z'),
    ('ª', 'ª'),
    ('µ', 'µ'),
    ('º', 'º'),
    ('À', 'Ö'),
    ('Ø', 'ö'),
    ('ø', '\u{2c1}'),
    ('\u{370}', '\u{373}'),
    ('\u{376}', '\u{377}'),
    ('\u{386}', '\u{386}'),
    ('\u{388}', '\u{3ff}'),
    ('\u{400}', '\u{481}'),
    ('\u{48a}', '\u{556}'),
    ('\u{5d0}', '\u{5ea}'),
    ('\u{620}', '\u{64a}'),
    ('\u{904}', '\u{939}'),
    ('\u{e01}', '\u{e30}'),
    ('\u{1e00}', '\u{1fff}'),
    ('\u{3041}', '\u{3096}'),
    ('\u{30a1}', '\u{30fa}'),
    ('\u{3400}', '\u{9fff}'),
    ('\u{ac00}', '\u{d7a3}'),
];
const ALPHANUMERIC: &[(char, char)] = &[('a', 'z'), ('A', 'Z'), ('0', '9')];
const PUNCTUATION: &[(char, char)] = &[
    ('!', '#'),
    ('%', '*'),
    (',', '/'),
    (':', ';'),
    ('?', '@'),
    ('[', ']'),
    ('_', '_'),
    ('{', '{'),
    ('}', '}'),
    ('\u{2010}', '\u{2027}'),
];
const SYMBOLS: &[(char, char)] = &[
    ('$', '$'),
    ('+', '+'),
    ('<', '>'),
    ('^', '^'),
    ('`', '`'),
    ('|', '|'),
    ('~', '~'),
    ('¢', '©'),
];
const CONTROL: &[(char, char)] = &[('\0', '\u{1f}'), ('\u{7f}', '\u{9f}')];
const MARKS: &[(char, char)] = &[
    ('\u{300}', '\u{36f}'),
    ('\u{1ab0}', '\u{1aff}'),
    ('\u{20d0}', '\u{20ff}'),
];

/// A Unicode property or POSIX class, to the extent that patterns of APIs use them.
fn property(name: &str) -> Result<&'static [(char, char)], String> {
    let name = name.rsplit_once('=').map_or(name, |(_, value)| value);
    Ok(match name {
        "L" | "Letter" | "Alphabetic" | "alpha" | "IsAlphabetic" => LETTERS,
        "Lu" | "Uppercase_Letter" | "upper" | "Lt" => UPPER,
        "Ll" | "Lowercase_Letter" | "lower" => LOWER,
        "Lm" | "Lo" => &[
            ('ª', 'ª'),
            ('º', 'º'),
            ('\u{5d0}', '\u{5ea}'),
            ('\u{3400}', '\u{9fff}'),
        ],
        "N" | "Nd" | "Number" | "digit" => DIGITS,
        "M" | "Mn" | "Mc" | "Mark" => MARKS,
        "P" | "Punctuation" | "punct" | "Pd" | "Ps" | "Pe" | "Po" | "Pc" => PUNCTUATION,
        "S" | "Sc" | "Sm" | "Sk" | "So" | "Symbol" => SYMBOLS,
        "Z" | "Zs" | "space" | "White_Space" | "Separator" => SPACE,
        "C" | "Cc" | "cntrl" => CONTROL,
        "Latin" => &[
            ('a', 'z'),
            ('A', 'Z'),
            ('À', 'Ö'),
            ('Ø', 'ö'),
            ('ø', '\u{24f}'),
        ],
        "alnum" => ALPHANUMERIC,
        "ASCII" | "print" => &[(' ', '~')],
        "xdigit" => &[('0', '9'), ('a', 'f'), ('A', 'F')],
        "word" => WORD,
        _ => return Err(format!("the character property {name} is not known")),
    })
}
