//! Faults: answers that come late or not as wished, by operation.
//!
//! Owns their form and the draw. The draw is from the tenant's history, so the same calls meet the same faults.

use crate::json::Value;
use crate::random::Random;

/// No answer is held back longer.
pub(crate) const LONGEST_MS: u64 = 30_000;
const MOST: usize = 500;

/// What happens to calls of an operation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fault {
    /// An `operationId`, or `*`.
    operation: String,
    /// The share of calls that it happens to.
    rate: f64,
    status: Option<u16>,
    latency: Latency,
}

#[derive(Debug, Clone, PartialEq)]
enum Latency {
    Fixed(u64),
    /// Upper bounds in microseconds and how many calls were at most that slow.
    Histogram(Vec<(u64, u64)>),
}

/// What happens to one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Drawn {
    pub(crate) status: Option<u16>,
    pub(crate) latency_ms: u64,
}

/// The bounds of the gateway's latency buckets: 250 µs, each √2 times the one before.
fn bound_us(bucket: u64) -> u64 {
    let doubled = 250_u64 << (bucket / 2).min(40);
    if bucket.is_multiple_of(2) {
        doubled
    } else {
        // √2 to nine places; a microsecond more or less is not felt.
        doubled.saturating_mul(1_414_213_562) / 1_000_000_000
    }
}

impl Fault {
    fn read(value: &Value) -> Result<Fault, String> {
        let Some(members) = value.as_object() else {
            return Err("must be an object".to_owned());
        };
        let mut fault = Fault {
            operation: "*".to_owned(),
            rate: 1.0,
            status: None,
            latency: Latency::Fixed(0),
        };
        for (name, value) in members {
            let number = || value.as_i64().and_then(|number| u64::try_from(number).ok());
            match name.as_str() {
                "operation" => {
                    fault.operation = value
                        .as_str()
                        .ok_or("operation: must be an operationId or `*`")?
                        .to_owned();
                }
                "rate" => {
                    fault.rate = value
                        .as_f64()
                        .filter(|rate| (0.0..=1.0).contains(rate))
                        .ok_or("rate: must be a number from 0 to 1")?;
                }
                "status" => {
                    fault.status = Some(
                        number()
                            .and_then(|code| u16::try_from(code).ok())
                            .filter(|code| (200..=599).contains(code))
                            .ok_or("status: must be a status from 200 to 599")?,
                    );
                }
                "latency_ms" => {
                    fault.latency = Latency::Fixed(
                        number()
                            .filter(|ms| *ms <= LONGEST_MS)
                            .ok_or("latency_ms: must be a whole number up to 30000")?,
                    );
                }
                "histogram" => fault.latency = Latency::Histogram(read_histogram(value)?),
                other => {
                    return Err(format!(
                        "{other}: is not known; there are operation, rate, status, latency_ms and histogram"
                    ));
                }
            }
        }
        Ok(fault)
    }

    /// Reads a list of faults, and says which one is wrong.
    pub(crate) fn read_all(value: &Value) -> Result<Vec<Fault>, String> {
        let entries = value.as_array().ok_or("must be a list of faults")?;
        if entries.len() > MOST {
            return Err(format!("must have at most {MOST} faults"));
        }
        entries
            .iter()
            .enumerate()
            .map(|(place, entry)| {
                Fault::read(entry).map_err(|problem| format!("/{place} {problem}"))
            })
            .collect()
    }
}

/// Pairs of a bucket and a count, as usage cells of the gateway have them.
fn read_histogram(value: &Value) -> Result<Vec<(u64, u64)>, String> {
    let problem = "histogram: must be a list of [bucket, count] with a count above 0";
    let mut bounds = Vec::new();
    for pair in value.as_array().ok_or(problem)? {
        let numbers: Vec<u64> = pair
            .as_array()
            .unwrap_or_default()
            .iter()
            .filter_map(|number| u64::try_from(number.as_i64()?).ok())
            .collect();
        match numbers.as_slice() {
            [bucket, count] if *bucket <= 38 && *count > 0 => {
                bounds.push((bound_us(*bucket), *count));
            }
            _ => return Err(problem.to_owned()),
        }
    }
    if bounds.is_empty() {
        return Err(problem.to_owned());
    }
    Ok(bounds)
}

/// What becomes of a call of `operation`. A fault of the tenant comes before one of the server; the first that fits
/// says the status, the first that has a latency says that.
pub(crate) fn draw<'f>(
    faults: impl Iterator<Item = &'f Fault>,
    operation: &str,
    mut random: Random,
) -> Drawn {
    let mut drawn = Drawn::default();
    let mut is_late = false;
    for fault in faults.filter(|fault| fault.operation == "*" || fault.operation == operation) {
        // 2^32 steps are finer than any rate that is set.
        let point = random.below(1 << 32) as f64 / (1_u64 << 32) as f64;
        if point >= fault.rate {
            continue;
        }
        drawn.status = drawn.status.or(fault.status);
        if !is_late && fault.latency != Latency::Fixed(0) {
            is_late = true;
            drawn.latency_ms = latency_ms(&fault.latency, &mut random);
        }
    }
    drawn
}

fn latency_ms(latency: &Latency, random: &mut Random) -> u64 {
    let drawn = match latency {
        Latency::Fixed(ms) => *ms,
        Latency::Histogram(bounds) => {
            let total = bounds
                .iter()
                .fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
            let mut point = random.below(total);
            let mut chosen = 0;
            for (bound, count) in bounds {
                chosen = *bound;
                if point < *count {
                    break;
                }
                point -= count;
            }
            // Somewhere in the bucket: its lower bound is √2 below.
            let low = chosen * 707 / 1_000;
            (low + random.below(chosen.saturating_sub(low).saturating_add(1))).div_ceil(1_000)
        }
    };
    drawn.min(LONGEST_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::read;

    fn faults(text: &str) -> Result<Vec<Fault>, String> {
        Fault::read_all(&read(text.as_bytes()).unwrap())
    }

    fn drawn(faults: &[Fault], operation: &str, seed: u64) -> Drawn {
        draw(faults.iter(), operation, Random::new(seed))
    }

    #[test]
    fn a_fault_meets_its_operation_at_its_rate() {
        let faults =
            faults(r#"[{"operation":"a","status":503,"rate":0.25},{"latency_ms":40}]"#).unwrap();
        let hits = (0..4_000)
            .filter(|seed| drawn(&faults, "a", *seed).status == Some(503))
            .count();
        assert!((850..1_150).contains(&hits), "{hits}");
        assert_eq!(drawn(&faults, "b", 1).status, None);
        assert_eq!(drawn(&faults, "b", 1).latency_ms, 40);
    }

    #[test]
    fn a_histogram_gives_the_latencies_that_it_counted() {
        // Buckets 12 (≤ 16 ms) and 24 (≤ 1024 ms), three to one.
        let faults = faults(r#"[{"histogram":[[12,3],[24,1]]}]"#).unwrap();
        let all: Vec<u64> = (0..4_000)
            .map(|seed| drawn(&faults, "a", seed).latency_ms)
            .collect();
        let slow = all.iter().filter(|ms| **ms > 16).count();
        assert!((850..1_150).contains(&slow), "{slow}");
        assert!(
            all.iter()
                .all(|ms| (11..=16).contains(ms) || (723..=1_024).contains(ms))
        );
    }

    #[test]
    fn a_fault_that_cannot_be_meant_is_refused_by_its_field() {
        for (text, field) in [
            (r#"{}"#, "list"),
            (r#"[{"rate":2}]"#, "/0 rate"),
            (r#"[{},{"status":99}]"#, "/1 status"),
            (r#"[{"latency_ms":-1}]"#, "/0 latency_ms"),
            (r#"[{"histogram":[[1]]}]"#, "/0 histogram"),
            (r#"[{"delay":5}]"#, "/0 delay"),
        ] {
            let problem = faults(text).unwrap_err();
            assert!(problem.contains(field), "{text}: {problem}");
        }
    }
}
