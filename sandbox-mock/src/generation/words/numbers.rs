//! Numbers of the size that fields of certain names usually have.

use super::dates::date_rank;
use crate::json::Value;
use crate::random::Random;
use crate::schema::Format;
use crate::text::words as words_of;

/// A usual number for a field; the caller checks it against the bounds.
#[allow(clippy::cast_precision_loss)]
pub(in crate::generation) fn number(
    name: &str,
    parent: &str,
    format: Format,
    fractions: bool,
    second: i64,
    random: &mut Random,
) -> Option<Value> {
    let words = words_of(name);
    let last = words.last();
    let mut within =
        |low: i64, count: u64| Value::Int(low + i64::try_from(random.below(count)).unwrap_or(0));
    if format == Format::UnixTime
        || (!fractions
            && matches!(
                last,
                "created" | "updated" | "expires" | "timestamp" | "modified"
            )
            || words.len() > 1 && last == "at")
    {
        return Some(Value::Int(second + date_rank(&words)));
    }
    let _ = parent;
    Some(match last {
        "age" => within(19, 60),
        "quantity" | "qty" => within(1, 4),
        "count" | "total" if !fractions => within(1, 40),
        "amount" | "price" | "cost" | "total" | "balance" | "fee" | "tax" | "subtotal"
            if fractions =>
        {
            let minor = within(500, 40_000).as_f64().unwrap_or(0.0);
            Value::Float(minor / 100.0)
        }
        "amount" | "price" | "cost" | "balance" | "fee" | "tax" | "subtotal" => within(500, 40_000),
        "latitude" | "lat" => Value::Float(52.0 + within(0, 1000).as_f64().unwrap_or(0.0) / 1000.0),
        "longitude" | "lng" | "lon" => {
            Value::Float(4.0 + within(0, 1000).as_f64().unwrap_or(0.0) / 1000.0)
        }
        "year" => within(2025, 3),
        "month" => within(1, 12),
        "day" => within(1, 28),
        "hour" => within(0, 24),
        "minute" | "second" => within(0, 60),
        "port" => Value::Int(443),
        "page" => Value::Int(1),
        "offset" | "skip" | "start" => Value::Int(0),
        "limit" | "size" if !fractions && words.len() > 1 || last == "limit" => Value::Int(20),
        "percent" | "percentage" | "rate" => within(1, 25),
        "status" => Value::Int(200),
        "id" | "number" => within(100_000, 900_000),
        "size" | "bytes" | "length" => within(1_000, 90_000),
        "rating" | "score" | "priority" | "rank" | "level" => within(1, 5),
        _ if fractions => Value::Float(within(100, 9_000).as_f64().unwrap_or(0.0) / 100.0),
        _ => within(1, 100),
    })
}
