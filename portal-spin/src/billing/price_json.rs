//! The JSON form of a price and of the usage beside it.
//!
//! Owns spelling: which fields each model has, how a number is written, and an
//! error that names the field for everything else. Written by hand because a
//! derived reader of tagged variants loses the path to the field, and because a
//! misspelt field that is skipped is money lost.

use super::decimal::{Decimal, parse_decimal};
use super::price::{FieldProblem, Model, Price, Tier, ZeroUsage};
use bigdecimal::{Signed, Zero};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};
use shared::money::Currency;

/// More tiers than any price has; the bound keeps one hostile line cheap.
const MAX_TIERS: usize = 1_000;

/// Names every model shares.
const SHARED: [&str; 6] = [
    "model",
    "currency",
    "minimum",
    "maximum",
    "included_units",
    "zero_usage",
];

const MODELS: [&str; 7] = [
    "flat",
    "per_unit",
    "graduated",
    "volume",
    "stairstep",
    "package",
    "percentage",
];

impl Price {
    /// Reads and checks a price; the first problem found is returned.
    pub fn from_json(value: &Value) -> Result<Self, FieldProblem> {
        let fields = Fields::of(value, "price")?;
        let name = fields.text(
            "model",
            "write one of flat, per_unit, graduated, volume, stairstep, package, percentage",
        )?;
        if !MODELS.contains(&name) {
            return Err(fields.problem(
                "model",
                format!(
                    "{} is no model: write one of {}",
                    quoted(name),
                    MODELS.join(", ")
                ),
            ));
        }
        let own: &[&str] = match name {
            "flat" => &["flat_amount"],
            "per_unit" => &["unit_amount"],
            "package" => &["package_amount", "package_size", "free_units"],
            "percentage" => &["rate", "fixed_per_event", "free_units", "free_events"],
            _ => &["tiers"],
        };
        fields.refuse_others(&[&SHARED, own], &format!("a {name} price"))?;
        let model = match name {
            "flat" => Model::Flat {
                flat_amount: fields.amount("flat_amount")?,
            },
            "per_unit" => Model::PerUnit {
                unit_amount: fields.amount("unit_amount")?,
            },
            "graduated" => Model::Graduated {
                tiers: read_tiers(&fields, false)?,
            },
            "volume" => Model::Volume {
                tiers: read_tiers(&fields, false)?,
            },
            "stairstep" => Model::Stairstep {
                tiers: read_tiers(&fields, true)?,
            },
            "package" => Model::Package {
                package_amount: fields.amount("package_amount")?,
                package_size: fields.count("package_size")?,
                free_units: fields.optional_count("free_units")?.unwrap_or_default(),
            },
            _ => Model::Percentage {
                rate: fields.amount("rate")?,
                fixed_per_event: fields
                    .optional_amount("fixed_per_event")?
                    .unwrap_or_default(),
                free_units: fields.optional_count("free_units")?.unwrap_or_default(),
                free_events: fields.optional_whole("free_events")?.unwrap_or_default(),
            },
        };
        let code = fields.text("currency", "write an ISO 4217 code, like \"USD\"")?;
        let currency = code.parse::<Currency>().map_err(|_| {
            fields.problem(
                "currency",
                format!(
                    "{} is not an ISO 4217 currency: write a code like \"USD\"",
                    quoted(code)
                ),
            )
        })?;
        let price = Self {
            currency,
            model,
            minimum: fields.optional_amount("minimum")?,
            maximum: fields.optional_amount("maximum")?,
            included_units: fields.optional_count("included_units")?.unwrap_or_default(),
            zero_usage: read_zero_usage(&fields)?,
        };
        price.check()
    }

    /// The price as JSON, with every digit as it was written, in one order of
    /// fields, without the optional fields that say nothing.
    pub fn to_json(&self) -> Value {
        let mut out = Map::new();
        out.insert("model".to_owned(), json!(self.model().name()));
        out.insert("currency".to_owned(), json!(self.currency().as_str()));
        let mut put = |name: &str, number: &Decimal| {
            out.insert(name.to_owned(), json!(number.to_plain_string()));
        };
        match self.model() {
            Model::Flat { flat_amount } => put("flat_amount", flat_amount),
            Model::PerUnit { unit_amount } => put("unit_amount", unit_amount),
            Model::Graduated { tiers } | Model::Volume { tiers } | Model::Stairstep { tiers } => {
                out.insert(
                    "tiers".to_owned(),
                    Value::Array(tiers.iter().map(tier_json).collect()),
                );
            }
            Model::Package {
                package_amount,
                package_size,
                free_units,
            } => {
                put("package_amount", package_amount);
                put("package_size", package_size);
                put("free_units", free_units);
            }
            Model::Percentage {
                rate,
                fixed_per_event,
                free_units,
                free_events,
            } => {
                put("rate", rate);
                put("fixed_per_event", fixed_per_event);
                put("free_units", free_units);
                out.insert("free_events".to_owned(), json!(free_events));
            }
        }
        let mut put = |name: &str, number: &Decimal| {
            out.insert(name.to_owned(), json!(number.to_plain_string()));
        };
        if let Some(minimum) = self.minimum() {
            put("minimum", minimum);
        }
        if let Some(maximum) = self.maximum() {
            put("maximum", maximum);
        }
        if !self.included_units().is_zero() {
            put("included_units", self.included_units());
        }
        if self.zero_usage() == ZeroUsage::Skip {
            out.insert("zero_usage".to_owned(), json!(ZeroUsage::Skip));
        }
        Value::Object(out)
    }
}

impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(&Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Price {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

fn tier_json(tier: &Tier) -> Value {
    let mut out = Map::new();
    out.insert(
        "up_to".to_owned(),
        tier.up_to
            .as_ref()
            .map_or(Value::Null, |bound| json!(bound.to_plain_string())),
    );
    for (name, amount) in [
        ("flat_amount", &tier.flat_amount),
        ("unit_amount", &tier.unit_amount),
    ] {
        if let Some(amount) = amount {
            out.insert(name.to_owned(), json!(amount.to_plain_string()));
        }
    }
    Value::Object(out)
}

fn read_tiers(fields: &Fields<'_>, flat_only: bool) -> Result<Vec<Tier>, FieldProblem> {
    let tiers = match fields.get("tiers") {
        Some(Value::Array(tiers)) => tiers,
        Some(_) => {
            return Err(fields.problem(
                "tiers",
                "must be a list of tiers, like [{\"up_to\":null,\"unit_amount\":\"1\"}]",
            ));
        }
        None => return Err(fields.problem("tiers", "is missing: write at least one tier")),
    };
    if tiers.len() > MAX_TIERS {
        return Err(fields.problem(
            "tiers",
            format!("has {} tiers: write at most {MAX_TIERS}", tiers.len()),
        ));
    }
    let read = |(index, value): (usize, &Value)| {
        let tier = Fields::of(value, &format!("{}.tiers[{index}]", fields.path))?;
        let (names, what): (&[&str], _) = if flat_only {
            (&["up_to", "flat_amount"], "a stairstep tier")
        } else {
            (&["up_to", "flat_amount", "unit_amount"], "a tier")
        };
        tier.refuse_others(&[names], what)?;
        if !tier.object.contains_key("up_to") {
            return Err(tier.problem(
                "up_to",
                "is missing: write the tier's upper bound, or null for the last tier",
            ));
        }
        Ok(Tier {
            up_to: tier.optional_count("up_to")?,
            flat_amount: tier.optional_amount("flat_amount")?,
            unit_amount: if flat_only {
                None
            } else {
                tier.optional_amount("unit_amount")?
            },
        })
    };
    tiers.iter().enumerate().map(read).collect()
}

fn read_zero_usage(fields: &Fields<'_>) -> Result<ZeroUsage, FieldProblem> {
    match fields.get("zero_usage") {
        None => Ok(ZeroUsage::default()),
        Some(value) => ZeroUsage::deserialize(value)
            .map_err(|_| fields.problem("zero_usage", "must be \"charge_flat\" or \"skip\"")),
    }
}

/// Reads a quantity of usage: a decimal string or a JSON integer, not negative.
pub fn read_quantity(field: &str, value: &Value) -> Result<Decimal, FieldProblem> {
    read_number(field, value, Integers::Accepted)
}

/// Reads a count of events: a whole number, not negative.
pub fn read_whole(field: &str, value: &Value) -> Result<u64, FieldProblem> {
    let number = read_number(field, value, Integers::Accepted)?;
    bigdecimal::ToPrimitive::to_u64(&number)
        .filter(|whole| number == *whole)
        .ok_or_else(|| {
            FieldProblem::new(
                field,
                format!("is {number}: write a whole number up to {}", u64::MAX),
            )
        })
}

/// Whether a JSON integer may stand for the number. For an amount of money it
/// may not: 1000 could mean dollars or, as in other systems, cents.
#[derive(Clone, Copy, PartialEq)]
enum Integers {
    Accepted,
    Refused,
}

fn read_number(field: &str, value: &Value, integers: Integers) -> Result<Decimal, FieldProblem> {
    let problem = |text: String| FieldProblem::new(field, text);
    let number = match value {
        Value::String(text) => parse_decimal(text)
            .map_err(|problem_found| problem(format!("{} {problem_found}", quoted(text))))?,
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            _ if integers == Integers::Refused && !number.is_f64() => {
                return Err(problem(format!(
                    "is the JSON number {number}: write the amount in major units as a string, like \"{number}\""
                )));
            }
            (Some(whole), _) => Decimal::from(whole),
            (None, Some(whole)) => Decimal::from(whole),
            (None, None) => {
                return Err(problem("is a JSON number with a fraction or too large to be exact: write it as a string, like \"12.50\"".to_owned()));
            }
        },
        _ => {
            return Err(problem(
                "must be a decimal number in a string, like \"12.50\"".to_owned(),
            ));
        }
    };
    if number.is_negative() {
        return Err(problem(format!("is {number}: it must not be negative")));
    }
    Ok(number)
}

/// A user's own text in an error: short, and with no control characters.
fn quoted(text: &str) -> String {
    const SHOWN: usize = 40;
    let mut shown: String = text
        .chars()
        .take(SHOWN)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    format!("\"{shown}\"")
}

/// One JSON object and the path that leads to it.
struct Fields<'a> {
    object: &'a Map<String, Value>,
    path: String,
}

impl<'a> Fields<'a> {
    fn of(value: &'a Value, path: &str) -> Result<Self, FieldProblem> {
        match value {
            Value::Object(object) => Ok(Self {
                object,
                path: path.to_owned(),
            }),
            _ => Err(FieldProblem::new(path, "must be a JSON object")),
        }
    }

    /// A field that is absent or null says nothing.
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    fn problem(&self, name: &str, problem: impl Into<String>) -> FieldProblem {
        FieldProblem::new(self.field(name), problem)
    }

    fn field(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    fn text(&self, name: &str, advice: &str) -> Result<&'a str, FieldProblem> {
        match self.get(name) {
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(self.problem(name, format!("must be a string: {advice}"))),
            None => Err(self.problem(name, format!("is missing: {advice}"))),
        }
    }

    fn optional_amount(&self, name: &str) -> Result<Option<Decimal>, FieldProblem> {
        self.get(name)
            .map(|value| read_number(&self.field(name), value, Integers::Refused))
            .transpose()
    }

    fn amount(&self, name: &str) -> Result<Decimal, FieldProblem> {
        self.optional_amount(name)?
            .ok_or_else(|| self.problem(name, "is missing: write a decimal string, like \"12.50\""))
    }

    fn optional_count(&self, name: &str) -> Result<Option<Decimal>, FieldProblem> {
        self.get(name)
            .map(|value| read_number(&self.field(name), value, Integers::Accepted))
            .transpose()
    }

    fn count(&self, name: &str) -> Result<Decimal, FieldProblem> {
        self.optional_count(name)?
            .ok_or_else(|| self.problem(name, "is missing: write a number, like \"10\""))
    }

    fn optional_whole(&self, name: &str) -> Result<Option<u64>, FieldProblem> {
        self.get(name)
            .map(|value| read_whole(&self.field(name), value))
            .transpose()
    }

    fn refuse_others(&self, known: &[&[&str]], what: &str) -> Result<(), FieldProblem> {
        match self
            .object
            .keys()
            .find(|name| !known.concat().contains(&name.as_str()))
        {
            None => Ok(()),
            Some(name) => Err(FieldProblem::new(
                format!("{}.{}", self.path, quoted(name).trim_matches('"')),
                format!(
                    "is not a field of {what}: remove it, or use one of {}",
                    known.concat().join(", ")
                ),
            )),
        }
    }
}
