//! `portico rate`: what usage costs, JSON lines in and JSON lines out.
//!
//! Owns the lines, not the prices: one answer for each line that is not blank,
//! in order, and a bad line is answered with its error and its number.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use portal::billing::explanation::{Breakdown, explain};
use portal::billing::{
    FieldProblem, Price, RatedLine, Usage, price::Model, rate, read_distinct, read_quantity,
    read_whole,
};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// Rates usage: reads {"id":"a","price":{…},"quantity":"22","events":4} from
/// standard input, one a line, and writes {"id":"a","amount":"235.00","currency":"USD"}
/// or {"id":"a","error":"…"} for each.
#[derive(Args)]
pub struct Arguments {
    /// Add to each answer how its amount comes about.
    #[arg(long)]
    explain: bool,
}

/// The longest line that is read; a price of a thousand tiers is a tenth of it.
const MAX_LINE_BYTES: u64 = 1 << 20;

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let written = rate_lines(io::stdin().lock(), io::stdout().lock(), arguments.explain);
    match written {
        // Whoever reads the answers has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        other => other.map(|()| ExitCode::SUCCESS).context("could not rate"),
    }
}

/// Answers every line of `input`. Answers are flushed whenever the next line
/// would have to be waited for, so a partner process sees each at once and a
/// large file is still written in blocks.
fn rate_lines(input: impl Read, output: impl Write, explained: bool) -> io::Result<()> {
    let mut input = BufReader::with_capacity(1 << 16, input);
    let mut output = io::BufWriter::with_capacity(1 << 16, output);
    let mut line = Vec::new();
    let mut number = 0u64;
    loop {
        if input.buffer().is_empty() {
            output.flush()?;
        }
        line.clear();
        let read = (&mut input)
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut line)?;
        if read == 0 {
            return output.flush();
        }
        number += 1;
        let whole = line.ends_with(b"\n") || (read as u64) < MAX_LINE_BYTES;
        if !whole {
            skip_line(&mut input)?;
        }
        let answer = if !whole {
            Answer::failed(
                None,
                number,
                &format!("is longer than {MAX_LINE_BYTES} bytes: write shorter lines"),
            )
        } else if line.trim_ascii().is_empty() {
            continue;
        } else {
            answer_line(&line, number, explained)
        };
        serde_json::to_writer(&mut output, &answer)?;
        output.write_all(b"\n")?;
    }
}

fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        match buffer.iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                input.consume(end + 1);
                return Ok(());
            }
            None => {
                let length = buffer.len();
                input.consume(length);
            }
        }
    }
}

/// One line as it is written. The fields stay unread text at first: a number in
/// one of them that no machine can hold must not hide the line's id. Fields of
/// other names are the caller's own.
#[derive(Default)]
struct Line<'a> {
    id: Option<&'a RawValue>,
    price: Option<&'a RawValue>,
    quantity: Option<&'a RawValue>,
    events: Option<&'a RawValue>,
    /// The first of the line's own fields that is written again.
    twice: Option<&'static str>,
}

impl<'de> Deserialize<'de> for Line<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Line<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut line = Line::default();
        while let Some(name) = fields.next_key::<Cow<'de, str>>()? {
            let (field, name) = match name.as_ref() {
                "id" => (&mut line.id, "id"),
                "price" => (&mut line.price, "price"),
                "quantity" => (&mut line.quantity, "quantity"),
                "events" => (&mut line.events, "events"),
                _ => {
                    fields.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            let value = fields.next_value()?;
            if field.is_some() {
                line.twice = line.twice.or(Some(name));
            } else {
                *field = Some(value);
            }
        }
        Ok(line)
    }
}

/// One line of the answer: an amount in a currency, or an error.
#[derive(Default, Serialize)]
struct Answer<'a> {
    id: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Breakdown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl<'a> Answer<'a> {
    fn failed(id: Option<&'a RawValue>, number: u64, problem: &str) -> Self {
        Self {
            id,
            error: Some(format!("line {number}: {problem}")),
            ..Self::default()
        }
    }
}

fn answer_line(line: &[u8], number: u64, explained: bool) -> Answer<'_> {
    // Some editors begin a file with a byte order mark.
    let line = line
        .strip_prefix(b"\xef\xbb\xbf")
        .filter(|_| number == 1)
        .unwrap_or(line);
    let Ok(text) = std::str::from_utf8(line) else {
        return Answer::failed(None, number, "is not UTF-8: write the line in UTF-8");
    };
    if !text.trim_start().starts_with('{') {
        let problem = "is not a JSON object: write {\"id\":…,\"price\":{…},\"quantity\":\"…\"}";
        return Answer::failed(None, number, problem);
    }
    let line: Line<'_> = match serde_json::from_str(text) {
        Ok(line) => line,
        Err(error) => return Answer::failed(None, number, &not_json(&error)),
    };
    let id = match line.id {
        Some(id) if is_id(id) => id,
        Some(_) => {
            return Answer::failed(None, number, "id: must be a string, like \"a1\"");
        }
        None => {
            return Answer::failed(None, number, "id: is missing: give every line an id");
        }
    };
    match rate_line(&line) {
        Ok((price, rated)) => Answer {
            id: Some(id),
            amount: Some(rated.amount_text()),
            currency: Some(rated.currency.to_string()),
            explanation: explained.then(|| explain(&price, &rated)),
            error: None,
        },
        Err(problem) => Answer::failed(Some(id), number, &problem.to_string()),
    }
}

/// The parser's reason; where it is within the line, and not that it is line 1.
fn not_json(error: &serde_json::Error) -> String {
    let reason = error.to_string();
    let reason = reason.split(" at line ").next().unwrap_or_default();
    format!("is not a JSON object: {reason} (column {})", error.column())
}

/// A string or an integer; either is repeated in the answer as it was written.
fn is_id(id: &RawValue) -> bool {
    let text = id.get();
    let digits = text.strip_prefix('-').unwrap_or(text);
    text.starts_with('"') || digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn rate_line(line: &Line<'_>) -> Result<(Price, RatedLine), FieldProblem> {
    if let Some(name) = line.twice {
        return Err(problem(name, "is written twice: write it once"));
    }
    let price = field("price", line.price)?
        .ok_or_else(|| problem("price", "is missing: write the price as an object"))?;
    let price = Price::from_json(&price)?;
    let quantity = match field("quantity", line.quantity)? {
        Some(value) => read_quantity("quantity", &value)?,
        // What a flat price costs does not depend on it.
        None if matches!(price.model(), Model::Flat { .. }) => 1.into(),
        None => {
            return Err(problem(
                "quantity",
                "is missing: write it as a string, like \"22\"",
            ));
        }
    };
    let events = field("events", line.events)?
        .map(|value| read_whole("events", &value))
        .transpose()?;
    let rated = rate(&price, &Usage::new(quantity, events)?)?;
    Ok((price, rated))
}

/// A field's value; one that is absent or null says nothing.
fn field(name: &str, raw: Option<&RawValue>) -> Result<Option<Value>, FieldProblem> {
    let Some(raw) = raw else { return Ok(None) };
    let value = read_distinct(name, raw.get())?;
    Ok((!value.is_null()).then_some(value))
}

fn problem(field: &str, problem: &str) -> FieldProblem {
    FieldProblem {
        field: field.to_owned(),
        problem: problem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answers(input: &str) -> Vec<Value> {
        answers_to(input.as_bytes(), false)
    }

    fn answers_to(input: &[u8], explained: bool) -> Vec<Value> {
        let mut output = Vec::new();
        rate_lines(input, &mut output, explained).unwrap();
        let text = String::from_utf8(output).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    const PRICE: &str = r#"{"model":"per_unit","currency":"USD","unit_amount":"10"}"#;

    #[test]
    fn every_line_is_answered_in_order_and_blank_ones_are_not() {
        let input = format!(
            "{{\"id\":\"a\",\"price\":{PRICE},\"quantity\":\"22\"}}\r\n\n  \n{{\"id\":7,\"price\":{PRICE},\"quantity\":3,\"source\":\"x\"}}"
        );
        assert_eq!(
            answers(&input),
            [
                json!({"id":"a","amount":"220.00","currency":"USD"}),
                json!({"id":7,"amount":"30.00","currency":"USD"}),
            ]
        );
    }

    #[test]
    fn a_bad_line_is_named_and_the_next_is_rated() {
        let good = format!("{{\"id\":\"z\",\"price\":{PRICE},\"quantity\":\"1\"}}");
        for (line, id, error) in [
            (
                "{",
                Value::Null,
                "line 1: is not a JSON object: EOF while parsing",
            ),
            ("[1]", Value::Null, "line 1: is not a JSON object: write"),
            (
                "{}",
                Value::Null,
                "line 1: id: is missing: give every line an id",
            ),
            (r#"{"id":"a"}"#, json!("a"), "line 1: price: is missing"),
            (
                r#"{"id":"a","price":"x"}"#,
                json!("a"),
                "line 1: price: must be a JSON object",
            ),
            (
                &format!(r#"{{"id":"a","price":{PRICE}}}"#),
                json!("a"),
                "line 1: quantity: is missing",
            ),
            (
                &format!(r#"{{"id":"a","price":{PRICE},"quantity":1.5}}"#),
                json!("a"),
                "line 1: quantity: is a JSON number with a fraction",
            ),
            (
                &format!(r#"{{"id":"a","price":{PRICE},"quantity":"-1"}}"#),
                json!("a"),
                "line 1: quantity: is -1: it must not be negative",
            ),
            (
                &format!(r#"{{"id":"a","price":{PRICE},"quantity":"1e1000000000"}}"#),
                json!("a"),
                "line 1: quantity: \"1e1000000000\" is written with an exponent",
            ),
            (
                &format!(r#"{{"id":"a","price":{PRICE},"quantity":1e1000000000}}"#),
                json!("a"),
                "line 1: quantity: has a JSON number that is out of range",
            ),
            (
                &format!(r#"{{"id":"a","price":{PRICE},"quantity":"1","events":-1}}"#),
                json!("a"),
                "line 1: events: is -1",
            ),
            (
                r#"{"id":"a","price":{"model":"flat","currency":"USD","flat_amount":"1","flat_amount":"2"}}"#,
                json!("a"),
                "line 1: price.flat_amount: is written twice: write it once",
            ),
            (
                r#"{"id":"a","price":{"model":"graduated","currency":"USD","tiers":[{"up_to":null,"unit_amount":"1","up_to":"5"}]},"quantity":"1"}"#,
                json!("a"),
                "line 1: price.tiers[0].up_to: is written twice",
            ),
            (
                &format!(r#"{{"id":"a","price":{PRICE},"price":{PRICE},"quantity":"1"}}"#),
                json!("a"),
                "line 1: price: is written twice",
            ),
            (
                &format!(r#"{{"id":"a","quantity":"1","quantity":"2","price":{PRICE}}}"#),
                json!("a"),
                "line 1: quantity: is written twice",
            ),
            (
                r#"{"id":"a","price":{"model":"flat","currency":"USD","flat_amount":"1","flat_amout":"2"}}"#,
                json!("a"),
                "line 1: price.flat_amout: is not a field of a flat price",
            ),
            (
                r#"{"id":"a","price":{"model":"flat","currency":"USD","flat_amount":"-1"}}"#,
                json!("a"),
                "line 1: price.flat_amount: is -1: it must not be negative",
            ),
            (
                r#"{"id":"a","price":{"model":"flat","currency":"USD","flat_amount":1.0},"quantity":"1"}"#,
                json!("a"),
                "line 1: price.flat_amount: is a JSON number",
            ),
        ] {
            let answers = answers(&format!("{line}\n{good}\n"));
            assert_eq!(answers.len(), 2, "{line}");
            assert_eq!(answers[0]["id"], id, "{line}");
            let text = answers[0]["error"].as_str().unwrap();
            assert!(text.starts_with(error), "{line}: {text}");
            assert_eq!(answers[1]["amount"], "10.00");
        }
    }

    #[test]
    fn a_line_too_long_or_not_utf8_costs_that_line_alone() {
        let good = format!("{{\"id\":\"z\",\"price\":{PRICE},\"quantity\":\"1\"}}\n");
        let mut input = vec![b'9'; 3 << 20];
        input.push(b'\n');
        input.extend_from_slice(b"\xff\xfe\n");
        input.extend_from_slice(good.as_bytes());
        let answers = answers_to(&input, false);
        assert!(
            answers[0]["error"]
                .as_str()
                .unwrap()
                .starts_with("line 1: is longer than")
        );
        assert!(
            answers[1]["error"]
                .as_str()
                .unwrap()
                .starts_with("line 2: is not UTF-8")
        );
        assert_eq!(
            answers[2],
            json!({"id":"z","amount":"10.00","currency":"USD"})
        );
    }

    #[test]
    fn a_flat_price_needs_no_quantity_and_explain_says_how() {
        let input = r#"{"id":"a","price":{"model":"flat","currency":"JPY","flat_amount":"100.5"}}"#;
        let answers = answers_to(input.as_bytes(), true);
        assert_eq!(answers[0]["amount"], "101");
        assert_eq!(
            answers[0]["explanation"]["formula"],
            "100.5 = 100.5 rounded to 101 JPY"
        );
    }

    /// Gives one line at a time and notes how many answers were out by then.
    struct OneAtATime<'a> {
        lines: Vec<String>,
        written: &'a std::cell::RefCell<Vec<u8>>,
        answered_before_each: Vec<usize>,
    }

    impl Read for &mut OneAtATime<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let answered = self
                .written
                .borrow()
                .iter()
                .filter(|byte| **byte == b'\n')
                .count();
            self.answered_before_each.push(answered);
            if self.lines.is_empty() {
                return Ok(0);
            }
            let line = self.lines.remove(0);
            buffer[..line.len()].copy_from_slice(line.as_bytes());
            Ok(line.len())
        }
    }

    struct Shared<'a>(&'a std::cell::RefCell<Vec<u8>>);

    impl Write for Shared<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_answer_is_out_before_the_next_line_is_waited_for() {
        let written = std::cell::RefCell::new(Vec::new());
        let line = format!("{{\"id\":\"a\",\"price\":{PRICE},\"quantity\":\"1\"}}\n");
        let mut input = OneAtATime {
            lines: vec![line.clone(), line],
            written: &written,
            answered_before_each: Vec::new(),
        };
        rate_lines(&mut input, Shared(&written), false).unwrap();
        assert_eq!(
            input.answered_before_each.get(..3),
            Some([0, 1, 2].as_slice())
        );
    }
}
