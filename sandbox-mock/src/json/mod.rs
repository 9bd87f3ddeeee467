//! JSON values as the mock holds, reads and writes them.
//!
//! Owns a value that keeps members in the order they came in, a reader that survives hostile input, and a writer.
//! It knows nothing about schemas.

mod read;
mod write;

pub(crate) use read::Scanner;
pub use read::{MAX_DEPTH, ReadError, read};
pub use write::write_string;

/// A JSON value. Integers outside 64 bits become floats, as in most parsers.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// `null`
    #[default]
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number without fraction and exponent.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object, its members in order.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// The member called `name` of an object.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.as_object()?
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// Sets the member `name`, in its old place or at the end. Does nothing when this is no object.
    pub fn set(&mut self, name: &str, value: Value) {
        if let Value::Object(members) = self {
            match members.iter_mut().find(|(key, _)| key == name) {
                Some(member) => member.1 = value,
                None => members.push((name.to_owned(), value)),
            }
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The members of an object.
    pub fn as_object(&self) -> Option<&[(String, Value)]> {
        match self {
            Value::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The entries of an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Value::Array(entries) => Some(entries),
            _ => None,
        }
    }

    /// A number of either kind.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            #[allow(clippy::cast_precision_loss)]
            Value::Int(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// A whole number, also one that was written with a fraction of zero.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            #[allow(clippy::cast_possible_truncation)]
            Value::Float(number) if number.fract() == 0.0 && number.abs() < 9.0e15 => {
                Some(*number as i64)
            }
            _ => None,
        }
    }

    /// Equality as JSON Schema means it: `1` equals `1.0`, and the order of members does not count.
    pub fn same(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
                self.as_f64() == other.as_f64()
            }
            (Value::Array(a), Value::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
            }
            (Value::Object(a), Value::Object(b)) => {
                a.len() == b.len()
                    && a.iter()
                        .all(|(name, a)| other.get(name).is_some_and(|b| a.same(b)))
            }
            (a, b) => a == b,
        }
    }

    /// The word JSON Schema uses for this kind of value.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Int(_) => "integer",
            Value::Float(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::String(text)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Value {
        Value::Bool(truth)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Int(number)
    }
}

/// Builds an object from names and values.
pub fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Object(
        members
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_and_writing_keeps_order_and_numbers() {
        let text = r#"{"b":1,"a":[1.5,-0.25,1e21,null,true,"x\"\\\n\u0001é😀"],"c":{}}"#;
        let value = read(text.as_bytes()).unwrap();
        assert_eq!(
            value.to_string(),
            r#"{"b":1,"a":[1.5,-0.25,1e21,null,true,"x\"\\\n\u0001é😀"],"c":{}}"#
        );
        assert_eq!(read(value.to_string().as_bytes()).unwrap(), value);
    }

    #[test]
    fn surrogate_pairs_are_read_and_lone_ones_replaced() {
        assert_eq!(read(br#""\ud83d\ude00""#).unwrap(), Value::from("😀"));
        assert_eq!(read(br#""\ud83dx""#).unwrap(), Value::from("\u{fffd}x"));
    }

    #[test]
    fn broken_or_hostile_input_is_an_error_with_a_line() {
        for text in [
            "",
            "{",
            "[1,]",
            "{\"a\" 1}",
            "nul",
            "\"\\x\"",
            "1 2",
            "{\"a\":1,}",
            "-",
            "01",
            "\"a\nb\"",
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text:?} was read");
        }
        assert!(read(b"\"\xff\"").is_err());
        assert_eq!(read(b"{\n\n  oops").unwrap_err().line, 3);
        assert!(read("[".repeat(100_000).as_bytes()).is_err());
    }

    #[test]
    fn huge_numbers_become_floats() {
        assert_eq!(read(b"9223372036854775808").unwrap().type_name(), "number");
        assert!(read(b"1e999999").unwrap().as_f64().is_some());
        assert_eq!(
            read(b"1e999999").unwrap().to_string(),
            "1.7976931348623157e308"
        );
    }
}
