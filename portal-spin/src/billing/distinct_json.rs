//! JSON in which no object names a field twice. The usual reader keeps the last of two and says nothing;
//! of a price, that is money.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::price::FieldProblem;

/// Reads JSON text; `path` is what it is called in problems.
pub fn read_distinct(path: &str, text: &str) -> Result<Value, FieldProblem> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let twice = RefCell::new(None);
    let read = Distinct {
        path: path.to_owned(),
        twice: &twice,
    }
    .deserialize(&mut reader)
    .and_then(|value| reader.end().map(|()| value));
    read.map_err(|error| {
        let out_of_range = error.to_string().starts_with("number out of range");
        match twice.take() {
            Some(field) => FieldProblem::new(field, "is written twice: write it once"),
            None if out_of_range => FieldProblem::new(
                path,
                "has a JSON number that is out of range: write numbers as strings, like \"12.50\"",
            ),
            None => FieldProblem::new(path, format!("cannot be read: {error}")),
        }
    })
}

/// For `#[serde(deserialize_with = "…")]`: any value, or null, without a field twice.
pub fn deserialize_distinct<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Value>, D::Error> {
    let value = deserialize_value(deserializer)?;
    Ok((!value.is_null()).then_some(value))
}

/// As [`deserialize_distinct`], where there must be a value.
pub fn deserialize_value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    Distinct {
        path: String::new(),
        twice: &RefCell::new(None),
    }
    .deserialize(deserializer)
}

/// Reads a value and knows where it is.
struct Distinct<'a> {
    path: String,
    /// The field that is written twice, once one is found.
    twice: &'a RefCell<Option<String>>,
}

impl Distinct<'_> {
    fn below(&self, path: String) -> Self {
        Self {
            path,
            twice: self.twice,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Distinct<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Distinct<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) =
            items.next_element_seed(self.below(format!("{}[{}]", self.path, list.len())))?
        {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let separator = if self.path.is_empty() { "" } else { "." };
            let path = format!("{}{separator}{name}", self.path);
            if object.contains_key(&name) {
                let problem = format!("{path} is written twice: write it once");
                self.twice.replace(Some(path));
                return Err(A::Error::custom(problem));
            }
            let value = fields.next_value_seed(self.below(path))?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_written_once_reads_as_ever() {
        let text = r#"{"a":[1,-2,2.5,"x",null,true,{"b":{}}],"c":18446744073709551615}"#;
        let plain: Value = serde_json::from_str(text).unwrap();
        assert_eq!(read_distinct("price", text).unwrap(), plain);
        assert_eq!(read_distinct("price", " 7 ").unwrap(), json!(7));
    }

    #[test]
    fn a_field_written_twice_is_named_however_deep() {
        for (text, field) in [
            (r#"{"a":1,"b":2,"a":1}"#, "price.a"),
            (
                r#"{"tiers":[{"up_to":1},{"up_to":2,"up_to":null}]}"#,
                "price.tiers[1].up_to",
            ),
            (r#"{"a":{"b":[[{"c":0,"c":0}]]}}"#, "price.a.b[0][0].c"),
        ] {
            let problem = read_distinct("price", text).unwrap_err();
            assert_eq!(
                problem.to_string(),
                format!("{field}: is written twice: write it once")
            );
        }
        for broken in ["{", "1 2", "[1e999]"] {
            assert_eq!(read_distinct("price", broken).unwrap_err().field, "price");
        }
    }
}
