//! Growing, going quiet, forecast: what a series of numbers says. Pure, whole numbers only.

/// Weeks that the present is compared with.
const BASE_WEEKS: usize = 8;
/// Weeks that make the present.
const RECENT_WEEKS: usize = 2;
/// Below so many expected calls nobody is called quiet: a partner that small is noise.
const FEWEST_EXPECTED: i64 = 20;

/// What a partner's last two whole weeks are against what its own past lets expect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quiet {
    /// Calls that were expected.
    pub expected: i64,
    /// Calls that came.
    pub actual: i64,
}

/// Calls expected in the last two of these weeks (oldest first, whole weeks only): twice the median of
/// the eight before, times what the same two weeks a year ago were against the eight before them, when
/// the partner called that long ago. `None` while the series is too short.
pub fn expected_against_season(weeks: &[i64], a_year_ago: Option<&[i64]>) -> Option<Quiet> {
    let (base, actual) = split(weeks)?;
    let mut expected = i128::from(base) * RECENT_WEEKS as i128;
    if let Some((base, then)) = a_year_ago.and_then(split).filter(|(base, _)| *base > 0) {
        let usual = i128::from(base) * RECENT_WEEKS as i128;
        // A season may halve or double what is expected, not more: last year was another size.
        let then = i128::from(then).clamp(usual / 2, usual * 2);
        expected = expected * then / usual;
    }
    Some(Quiet {
        expected: i64::try_from(expected).unwrap_or(i64::MAX),
        actual,
    })
}

/// The median of the eight weeks before the last two, and the sum of the last two.
fn split(weeks: &[i64]) -> Option<(i64, i64)> {
    let end = weeks.len().checked_sub(RECENT_WEEKS)?;
    let start = end.checked_sub(BASE_WEEKS)?;
    let mut base = weeks.get(start..end)?.to_vec();
    let actual = weeks.get(end..)?.iter().sum();
    Some((median(&mut base)?, actual))
}

/// The middle of an odd number of values, the lower middle of an even number.
pub fn median(values: &mut [i64]) -> Option<i64> {
    values.sort_unstable();
    values.get(values.len().checked_sub(1)? / 2).copied()
}

impl Quiet {
    /// Less than half of what was expected came.
    pub const fn is_quiet(self) -> bool {
        self.expected >= FEWEST_EXPECTED && self.actual * 2 < self.expected
    }
}

/// A way to say what the next month brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The same as the last month.
    Last,
    /// The last month, and half of the mean change of the last three.
    Drift,
    /// The mean of the last three months.
    Mean,
}

impl Method {
    const ANY: [Self; 3] = [Self::Last, Self::Drift, Self::Mean];

    /// In words.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Last => "the same as the last whole month",
            Self::Drift => "the last whole month plus half of the mean change over the last three",
            Self::Mean => "the mean of the last three whole months",
        }
    }

    /// What follows on these months; never below zero.
    fn next(self, months: &[i64]) -> Option<i64> {
        let last = *months.last()?;
        let three = months
            .len()
            .checked_sub(3)
            .and_then(|from| months.get(from..));
        let next = match self {
            Self::Last => last,
            Self::Mean => three?.iter().sum::<i64>() / 3,
            Self::Drift => {
                let before = *months.get(months.len().checked_sub(4)?)?;
                last + (last - before) / 6
            }
        };
        Some(next.max(0))
    }
}

/// What the next month is likely to bring, and how wrong the method was on the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forecast {
    /// The method that was least wrong.
    pub method: Method,
    /// The next month.
    pub next: i64,
    /// Sum of what the method was off by, over the months it was tried on.
    pub error: i64,
    /// What those months brought.
    pub tried_on: i64,
    /// How many they were.
    pub months: i64,
}

/// How many months each method is tried on.
const TRIED: usize = 6;

/// Tries every method on each of the last six months, knowing only those before it, and takes the one
/// that was off by least in all. `None` with fewer than six months.
pub fn forecast(months: &[i64]) -> Option<Forecast> {
    let first = months.len().saturating_sub(TRIED).max(4);
    let tried = months
        .len()
        .checked_sub(first)
        .filter(|tried| *tried >= 2)?;
    Method::ANY
        .into_iter()
        .filter_map(|method| {
            let mut error = 0_i64;
            for place in first..months.len() {
                let guess = method.next(months.get(..place)?)?;
                error = error.saturating_add((guess - months.get(place)?).abs());
            }
            Some(Forecast {
                method,
                next: method.next(months)?,
                error,
                tried_on: months.get(first..)?.iter().sum(),
                months: i64::try_from(tried).unwrap_or(0),
            })
        })
        .min_by_key(|forecast| forecast.error)
}

/// A partner's share of a total, and of all up to it, ranked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranked<K> {
    /// Who.
    pub key: K,
    /// How much.
    pub amount: i64,
    /// This and everything ranked above.
    pub up_to_here: i64,
}

/// Ranks by amount, highest first, equal amounts by key.
pub fn rank<K: Ord>(amounts: impl IntoIterator<Item = (K, i64)>) -> Vec<Ranked<K>> {
    let mut amounts: Vec<(K, i64)> = amounts.into_iter().collect();
    amounts.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    let mut up_to_here = 0;
    amounts
        .into_iter()
        .map(|(key, amount)| {
            up_to_here += amount;
            Ranked {
                key,
                amount,
                up_to_here,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partner_is_quiet_against_its_own_weeks() {
        let mut weeks = vec![100; 10];
        assert!(!expected_against_season(&weeks, None).unwrap().is_quiet());
        weeks[8] = 30;
        weeks[9] = 30;
        assert_eq!(
            expected_against_season(&weeks, None),
            Some(Quiet {
                expected: 200,
                actual: 60
            })
        );
        assert!(expected_against_season(&weeks, None).unwrap().is_quiet());
        assert_eq!(expected_against_season(&weeks[1..], None), None);
    }

    #[test]
    fn a_partner_that_always_rests_at_new_year_is_not_quiet_then() {
        let mut weeks = vec![100; 62];
        for place in [8, 9, 60, 61] {
            weeks[place] = 45;
        }
        let found = expected_against_season(&weeks[52..], Some(&weeks[..10])).unwrap();
        assert_eq!((found.expected, found.actual), (100, 90));
        assert!(!found.is_quiet());
        assert!(
            expected_against_season(&weeks[52..], None)
                .unwrap()
                .is_quiet()
        );
    }

    #[test]
    fn one_big_week_does_not_make_the_next_ones_quiet() {
        let mut weeks = vec![100; 10];
        weeks[7] = 100_000;
        assert!(!expected_against_season(&weeks, None).unwrap().is_quiet());
    }

    #[test]
    fn the_forecast_says_how_wrong_it_would_have_been() {
        let flat = forecast(&[50; 8]).unwrap();
        assert_eq!((flat.next, flat.error, flat.months), (50, 0, 4));
        let months = [100, 120, 140, 160, 180, 200, 220, 240, 260, 280];
        let rising = forecast(&months).unwrap();
        assert_eq!(rising.method, Method::Drift);
        // Each month was forecast 10 short: half of the change of 20.
        assert_eq!((rising.next, rising.error, rising.months), (290, 60, 6));
        assert_eq!(rising.tried_on, months[4..].iter().sum::<i64>());
        assert_eq!(forecast(&[1, 2, 3, 4, 5]), None);
    }

    #[test]
    fn ranks_add_up_to_the_whole() {
        let ranked = rank([("b", 5), ("a", 5), ("c", 90)]);
        let order: Vec<_> = ranked.iter().map(|one| (one.key, one.up_to_here)).collect();
        assert_eq!(order, [("c", 90), ("a", 95), ("b", 100)]);
    }
}
