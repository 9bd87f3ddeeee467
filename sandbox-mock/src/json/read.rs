//! Reads JSON text, strictly, within a bounded depth.

use super::Value;
use std::fmt;

/// Deeper nesting than this is refused: no real body has it, and a reader must not run out of stack.
pub const MAX_DEPTH: usize = 200;

/// Why a text is not JSON, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadError {
    /// The line, counted from 1.
    pub line: u32,
    /// What was wrong there.
    pub reason: &'static str,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl std::error::Error for ReadError {}

/// Reads one JSON value that fills the whole text.
pub fn read(bytes: &[u8]) -> Result<Value, ReadError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        ReadError {
            line: 1 + u32::try_from(before.iter().filter(|byte| **byte == b'\n').count())
                .unwrap_or(0),
            reason: "the text is not UTF-8",
        }
    })?;
    let mut scanner = Scanner::new(text);
    let value = read_value(&mut scanner, 0)?;
    scanner.end()?;
    Ok(value)
}

fn read_value(scanner: &mut Scanner<'_>, depth: usize) -> Result<Value, ReadError> {
    if depth > MAX_DEPTH {
        return Err(scanner.error("nested too deeply"));
    }
    match scanner.peek() {
        Some(b'{') => {
            let mut members = Vec::new();
            scanner.bump();
            if scanner.peek() == Some(b'}') {
                scanner.bump();
                return Ok(Value::Object(members));
            }
            loop {
                let name = scanner.string()?.into_string();
                scanner.expect(b':', "a colon is missing after a member's name")?;
                let value = read_value(scanner, depth + 1)?;
                members.push((name, value));
                if !scanner.another(b'}')? {
                    return Ok(Value::Object(drop_repeated_names(members)));
                }
            }
        }
        Some(b'[') => {
            let mut entries = Vec::new();
            scanner.bump();
            if scanner.peek() == Some(b']') {
                scanner.bump();
                return Ok(Value::Array(entries));
            }
            loop {
                entries.push(read_value(scanner, depth + 1)?);
                if !scanner.another(b']')? {
                    return Ok(Value::Array(entries));
                }
            }
        }
        Some(b'"') => Ok(Value::String(scanner.string()?.into_string())),
        _ => scanner.scalar(),
    }
}

/// The last of several members with one name counts, as in every common reader.
fn drop_repeated_names(mut members: Vec<(String, Value)>) -> Vec<(String, Value)> {
    let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let repeated = names
        .windows(2)
        .any(|pair| matches!(pair, [a, b] if a == b));
    if repeated {
        let mut seen = std::collections::HashSet::new();
        members.reverse();
        members.retain(|(name, _)| seen.insert(name.clone()));
        members.reverse();
    }
    members
}

/// A string in the text: as it stands there, or with its escapes resolved.
pub(crate) enum Text<'t> {
    Plain(&'t str),
    Unescaped(String),
}

impl Text<'_> {
    pub(crate) fn into_string(self) -> String {
        match self {
            Text::Plain(text) => text.to_owned(),
            Text::Unescaped(text) => text,
        }
    }
}

/// Walks over JSON text token by token. The document reader and the body reader both build on it.
pub(crate) struct Scanner<'t> {
    text: &'t str,
    at: usize,
    line: u32,
}

impl<'t> Scanner<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Scanner {
            text,
            at: 0,
            line: 1,
        }
    }

    pub(crate) fn line(&self) -> u32 {
        self.line
    }

    pub(crate) fn error(&self, reason: &'static str) -> ReadError {
        ReadError {
            line: self.line,
            reason,
        }
    }

    /// The next byte that is not white space.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at)? {
                b'\n' => {
                    self.line += 1;
                    self.at += 1;
                }
                b' ' | b'\t' | b'\r' => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }

    pub(crate) fn bump(&mut self) {
        self.at += 1;
    }

    pub(crate) fn expect(&mut self, byte: u8, otherwise: &'static str) -> Result<(), ReadError> {
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        Err(self.error(otherwise))
    }

    /// After an entry: whether another one follows (a comma) or the container ends with `close`.
    pub(crate) fn another(&mut self, close: u8) -> Result<bool, ReadError> {
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(self.error("a comma or the end of an object or array is missing")),
        }
    }

    pub(crate) fn end(&mut self) -> Result<(), ReadError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.error("there is more after the value")),
        }
    }

    pub(crate) fn string(&mut self) -> Result<Text<'t>, ReadError> {
        self.expect(b'"', "a string is missing")?;
        let bytes = self.text.as_bytes();
        let start = self.at;
        loop {
            match bytes.get(self.at) {
                Some(b'"') => {
                    let plain = self.text.get(start..self.at).unwrap_or_default();
                    self.at += 1;
                    return Ok(Text::Plain(plain));
                }
                Some(b'\\') => return self.escaped_string(start),
                Some(byte) if *byte < 0x20 => {
                    return Err(self.error("a control character in a string"));
                }
                Some(_) => self.at += 1,
                None => return Err(self.error("a string does not end")),
            }
        }
    }

    fn escaped_string(&mut self, start: usize) -> Result<Text<'t>, ReadError> {
        let bytes = self.text.as_bytes();
        let mut out = self.text.get(start..self.at).unwrap_or_default().to_owned();
        loop {
            match bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Text::Unescaped(out));
                }
                Some(b'\\') => {
                    let escape = bytes.get(self.at + 1).copied();
                    self.at += 2;
                    match escape {
                        Some(b'n') => out.push('\n'),
                        Some(b't') => out.push('\t'),
                        Some(b'r') => out.push('\r'),
                        Some(b'b') => out.push('\u{8}'),
                        Some(b'f') => out.push('\u{c}'),
                        Some(byte @ (b'"' | b'\\' | b'/')) => out.push(char::from(byte)),
                        Some(b'u') => out.push(self.unicode_escape()?),
                        _ => return Err(self.error("an unknown escape in a string")),
                    }
                }
                Some(byte) if *byte < 0x20 => {
                    return Err(self.error("a control character in a string"));
                }
                Some(_) => {
                    let from = self.at;
                    while bytes
                        .get(self.at)
                        .is_some_and(|byte| !matches!(byte, b'"' | b'\\') && *byte >= 0x20)
                    {
                        self.at += 1;
                    }
                    out.push_str(self.text.get(from..self.at).unwrap_or_default());
                }
                None => return Err(self.error("a string does not end")),
            }
        }
    }

    fn unicode_escape(&mut self) -> Result<char, ReadError> {
        let first = self.hex4()?;
        if !(0xd800..0xdc00).contains(&first) {
            return Ok(char::from_u32(first).unwrap_or('\u{fffd}'));
        }
        if self.text.as_bytes().get(self.at..self.at + 2) == Some(b"\\u") {
            let back = self.at;
            self.at += 2;
            let second = self.hex4()?;
            if (0xdc00..0xe000).contains(&second) {
                let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or('\u{fffd}'));
            }
            self.at = back;
        }
        Ok('\u{fffd}')
    }

    fn hex4(&mut self) -> Result<u32, ReadError> {
        let digits = self
            .text
            .get(self.at..self.at + 4)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .ok_or_else(|| self.error("four hexadecimal digits are missing"))?;
        self.at += 4;
        u32::from_str_radix(digits, 16)
            .map_err(|_| self.error("four hexadecimal digits are missing"))
    }

    /// `true`, `false`, `null` or a number.
    pub(crate) fn scalar(&mut self) -> Result<Value, ReadError> {
        self.peek();
        let rest = self.text.get(self.at..).unwrap_or_default();
        for (word, value) in [
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("null", Value::Null),
        ] {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        let length = rest
            .bytes()
            .take_while(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'))
            .count();
        let token = rest.get(..length).unwrap_or_default();
        let number = parse_number(token).ok_or_else(|| self.error("a value is missing"))?;
        self.at += length;
        Ok(number)
    }
}

/// Reads a number by JSON's grammar: no leading zeros, digits on both sides of the point.
fn parse_number(token: &str) -> Option<Value> {
    let digits = token.strip_prefix('-').unwrap_or(token);
    let (mantissa, exponent) = match digits.find(['e', 'E']) {
        Some(at) => (digits.get(..at)?, Some(digits.get(at + 1..)?)),
        None => (digits, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let all_digits =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = whole.len() > 1 && whole.starts_with('0');
    let exponent_digits = |text: &str| all_digits(text.strip_prefix(['+', '-']).unwrap_or(text));
    if !all_digits(whole)
        || leading_zero
        || !fraction.is_none_or(all_digits)
        || !exponent.is_none_or(exponent_digits)
    {
        return None;
    }
    if fraction.is_none()
        && exponent.is_none()
        && let Ok(number) = token.parse::<i64>()
    {
        return Some(Value::Int(number));
    }
    let number: f64 = token.parse().ok()?;
    Some(Value::Float(number.clamp(f64::MIN, f64::MAX)))
}
