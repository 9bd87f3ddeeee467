//! Numbers within their bounds, of a size that fits their name.

use super::choices::Flat;
use super::{Generator, Place, words};
use crate::json::Value;
use crate::schema::{Format, NumberRules};

impl<'g> Generator<'g> {
    /// A number; `fractions` says whether one that is not whole will do.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    pub(super) fn number(
        &mut self,
        flat: &Flat,
        place: &Place<'_>,
        fractions: bool,
    ) -> Option<Value> {
        let schemas = self.schemas;
        let rules: Vec<&'g NumberRules> = flat.rules(schemas, |schema| schema.number.as_deref());
        let format = flat.format(schemas);
        let int32 = format == Format::Int32;
        if let Some(said) = self
            .said(place)
            .filter(|said| said.as_f64().is_some() && self.follows_rules(flat, said))
        {
            return Some(said);
        }
        let steps: Vec<f64> = rules.iter().filter_map(|rules| rules.multiple_of).collect();
        let low = rules
            .iter()
            .flat_map(|rules| [rules.minimum, rules.exclusive_minimum])
            .flatten()
            .reduce(f64::max);
        let high = rules
            .iter()
            .flat_map(|rules| [rules.maximum, rules.exclusive_maximum])
            .flatten()
            .reduce(f64::min);
        let odd = rules.iter().any(|rules| rules.flagged) && high.is_none_or(|high| high > 1.0);
        let low = if odd {
            Some(low.map_or(1.01, |low| low.max(1.01)))
        } else {
            low
        };
        // A usual value first.
        let second = self.base_time - place.index as i64 * 3_607;
        let usual = words::number(
            place.name,
            place.parent,
            format,
            fractions && steps.is_empty(),
            second,
            &mut self.random,
        );
        let usual = if self.variant > 0 && fractions {
            usual.map(|value| Value::Float(value.as_f64().unwrap_or(0.0) + 0.5))
        } else {
            usual
        };
        if let Some(value) = usual
            .filter(|value| self.follows_rules(flat, value) && (!odd || value.as_f64() > Some(1.0)))
            && (self.variant == 0 || fractions)
        {
            return Some(value);
        }
        let limit = if int32 { 2_147_483_647.0 } else { 1_000_000.0 };
        let low =
            low.unwrap_or_else(|| high.map_or(1.0, |high| (high - 1_000.0).min(1.0).max(-limit)));
        let high = high
            .unwrap_or_else(|| low + 10_000.0_f64.max(low.abs()))
            .max(low);
        let step = match steps.as_slice() {
            [] if fractions => None,
            [] => Some(1.0),
            steps => Some(common_multiple(steps, fractions)),
        };
        for round in 0..40 {
            let value = match step {
                Some(step) => {
                    let (first, last) = ((low / step).ceil(), (high / step).floor());
                    if first > last {
                        break;
                    }
                    let span = (last - first).min(1.0e15);
                    let count = match round {
                        0..30 => first + self.random.below(span as u64 + 1) as f64,
                        // The bounds themselves, and one in, for exclusive ones.
                        30 => first,
                        31 => last,
                        _ => first + f64::from(round - 31),
                    };
                    decimal(count * step)
                }
                None => {
                    let part = self.random.below(10_000) as f64 / 10_000.0;
                    let value = low + (high - low) * part;
                    if round < 20 {
                        (value * 100.0).round() / 100.0
                    } else {
                        value
                    }
                }
            };
            let whole = value.fract() == 0.0 && value.abs() < 9.0e15;
            let candidate = if whole && !(fractions && self.variant > 0) {
                Value::Int(value as i64)
            } else {
                Value::Float(value)
            };
            let exact = steps.iter().all(|step| (value / step).fract() == 0.0);
            if exact && self.follows_rules(flat, &candidate) {
                return Some(candidate);
            }
        }
        // Whatever is left at the edges.
        for value in [low, high, low + 1.0, high - 1.0, (low + high) / 2.0, 0.0] {
            let candidate = if value.fract() == 0.0 && value.abs() < 9.0e15 {
                Value::Int(value as i64)
            } else {
                Value::Float(value)
            };
            if self.follows_rules(flat, &candidate) {
                return Some(candidate);
            }
        }
        self.fail(|| {
            format!(
                "no number between {low} and {high} follows the rules of {}",
                place.name
            )
        })
    }
}

/// Removes the noise of binary fractions: 0.07 instead of 0.07000000000000001.
fn decimal(value: f64) -> f64 {
    format!("{value:.12}").parse().unwrap_or(value)
}

fn common_multiple(steps: &[f64], fractions: bool) -> f64 {
    let mut all = steps.to_vec();
    if !fractions {
        all.push(1.0);
    }
    let largest = all.iter().copied().fold(0.0_f64, f64::max);
    (1..10_000)
        .map(|factor| largest * f64::from(factor))
        .find(|candidate| {
            all.iter()
                .all(|step| ((candidate / step) - (candidate / step).round()).abs() < 1e-9)
        })
        .unwrap_or(largest)
}
