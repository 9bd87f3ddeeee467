//! Writes JSON text: compact, and the same bytes for the same value everywhere.

use super::Value;
use std::fmt::{self, Write};

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_value(f, self)
    }
}

fn write_value(out: &mut impl Write, value: &Value) -> fmt::Result {
    match value {
        Value::Null => out.write_str("null"),
        Value::Bool(truth) => out.write_str(if *truth { "true" } else { "false" }),
        Value::Int(number) => write!(out, "{number}"),
        Value::Float(number) => write_float(out, *number),
        Value::String(text) => write_string(out, text),
        Value::Array(entries) => {
            out.write_char('[')?;
            for (index, entry) in entries.iter().enumerate() {
                if index > 0 {
                    out.write_char(',')?;
                }
                write_value(out, entry)?;
            }
            out.write_char(']')
        }
        Value::Object(members) => {
            out.write_char('{')?;
            for (index, (name, member)) in members.iter().enumerate() {
                if index > 0 {
                    out.write_char(',')?;
                }
                write_string(out, name)?;
                out.write_char(':')?;
                write_value(out, member)?;
            }
            out.write_char('}')
        }
    }
}

fn write_float(out: &mut impl Write, number: f64) -> fmt::Result {
    if !number.is_finite() {
        return out.write_str("0");
    }
    let size = number.abs();
    if size != 0.0 && !(1e-5..1e16).contains(&size) {
        return write!(out, "{number:e}");
    }
    if number.fract() == 0.0 {
        return write!(out, "{number:.1}");
    }
    write!(out, "{number}")
}

/// Writes a JSON string with its quotes.
pub fn write_string(out: &mut impl Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => "",
            _ => continue,
        };
        out.write_str(text.get(from..at).unwrap_or_default())?;
        if escape.is_empty() {
            write!(out, "\\u{byte:04x}")?;
        } else {
            out.write_str(escape)?;
        }
        from = at + 1;
    }
    out.write_str(text.get(from..).unwrap_or_default())?;
    out.write_char('"')
}
