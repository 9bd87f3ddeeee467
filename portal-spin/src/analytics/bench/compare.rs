//! Every number of the reports against the one counted from the log. Shares no code with the reports: dates
//! are text, sets are sets, what a percentile is is counted.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::generate::PRODUCTS;
use super::log::Log;
use crate::analytics::slow::percentile;
use crate::testing::TestPortal;

/// What was compared.
#[derive(Debug, Default)]
pub struct Compared {
    pub numbers: u64,
    pub difference: u64,
    pub first: Option<String>,
}

impl Compared {
    fn same(&mut self, found: &Json, expected: &Json, what: &str) {
        self.numbers += 1;
        if found != expected {
            self.difference += 1;
            self.first
                .get_or_insert_with(|| format!("{what}: {found}, counted {expected}"));
        }
    }
}

#[derive(Default, Clone)]
struct Totals {
    calls: i64,
    errors: i64,
    limited: i64,
    decided: i64,
    successes: i64,
}

/// The log with its days as text, sorted by partner.
struct Slow<'a> {
    log: &'a Log,
    dates: BTreeMap<i64, String>,
    first_live: BTreeMap<usize, i64>,
    first_test: BTreeMap<usize, i64>,
}

impl<'a> Slow<'a> {
    fn new(log: &'a Log) -> Self {
        let mut dates = BTreeMap::new();
        let days = log.calls.iter().map(|call| call.minute / 1_440);
        for day in days.chain(log.invoices.iter().map(|one| one.issued_ms / 86_400_000)) {
            dates.entry(day).or_insert_with(|| {
                let time = jiff::Timestamp::from_second(day * 86_400).unwrap();
                time.strftime("%Y-%m-%d").to_string()
            });
        }
        let (mut first_live, mut first_test) = (BTreeMap::new(), BTreeMap::new());
        for call in log.calls.iter().filter(|call| call.outcome == "2xx") {
            let firsts = if call.is_live {
                &mut first_live
            } else {
                &mut first_test
            };
            let first = firsts.entry(call.partner).or_insert(call.minute);
            *first = call.minute.min(*first);
        }
        Self {
            log,
            dates,
            first_live,
            first_test,
        }
    }

    fn month(&self, day: i64) -> &str {
        &self.dates[&day][..7]
    }

    /// Partners and calls with a live success, by month.
    fn active(&self) -> BTreeMap<String, (BTreeSet<usize>, i64)> {
        let mut months: BTreeMap<String, (BTreeSet<usize>, i64)> = BTreeMap::new();
        for call in self
            .log
            .calls
            .iter()
            .filter(|call| call.is_live && call.outcome == "2xx")
        {
            let month = months
                .entry(self.month(call.minute / 1_440).to_owned())
                .or_default();
            month.0.insert(call.partner);
            month.1 += call.count;
        }
        months
    }

    fn totals(&self, from: &str, to: &str) -> BTreeMap<usize, Totals> {
        let mut partners: BTreeMap<usize, Totals> = BTreeMap::new();
        for call in self.log.calls.iter().filter(|call| call.is_live) {
            let date = self.dates[&(call.minute / 1_440)].as_str();
            if date < from || date > to {
                continue;
            }
            let totals = partners.entry(call.partner).or_default();
            totals.decided += call.count;
            match call.outcome {
                "rate_limited" | "quota_exceeded" => totals.limited += call.count,
                outcome => {
                    totals.calls += call.count;
                    totals.errors += if matches!(outcome, "4xx" | "5xx") {
                        call.count
                    } else {
                        0
                    };
                    totals.successes += if outcome == "2xx" { call.count } else { 0 };
                }
            }
        }
        partners
    }

    fn steps(&self) -> Vec<Vec<Option<i64>>> {
        let mut still: BTreeSet<(usize, i64)> = BTreeSet::new();
        for call in self
            .log
            .calls
            .iter()
            .filter(|call| call.is_live && call.outcome == "2xx")
        {
            let first = self.first_live[&call.partner] / 1_440;
            let day = call.minute / 1_440;
            if day >= first + 60 && day <= first + 90 {
                still.insert((call.partner, day));
            }
        }
        let mut paying: BTreeMap<usize, i64> = BTreeMap::new();
        for invoice in self.log.invoices.iter().filter(|invoice| !invoice.is_void) {
            let first = paying.entry(invoice.partner).or_insert(invoice.issued_ms);
            *first = invoice.issued_ms.min(*first);
        }
        (0..self.log.partners.len())
            .map(|number| {
                let mut steps = self.log.partners[number].at_ms.to_vec();
                steps.push(self.first_test.get(&number).map(|minute| minute * 60_000));
                steps.push(self.first_live.get(&number).map(|minute| minute * 60_000));
                steps.push(paying.get(&number).copied());
                let kept = still.range((number, 0)..(number + 1, 0)).next();
                steps.push(kept.map(|(_, day)| day * 86_400_000));
                steps
            })
            .collect()
    }
}

fn table<'a>(report: &'a Json, name: &str) -> &'a Vec<Json> {
    let tables = report["tables"].as_array().unwrap();
    tables.iter().find(|table| table["name"] == name).unwrap()["rows"]
        .as_array()
        .unwrap()
}

fn share(part: i64, whole: i64) -> Json {
    if whole == 0 {
        return Json::Null;
    }
    #[allow(clippy::cast_precision_loss)]
    let share = part as f64 / whole as f64;
    // As the answer reads back: a JSON number may lose its last digit on the way.
    serde_json::from_str(&json!(share).to_string()).unwrap()
}

fn amount(minor: i64) -> Json {
    let major = shared::money::Money::from_minor("USD".parse().unwrap(), minor).to_major();
    json!({ "amount": major, "currency": "USD" })
}

async fn report(portal: &TestPortal, token: &str, path: &str) -> Json {
    let path = format!("/api/v1/operator/analytics/{path}");
    portal.get(&path, token).await.expect(200).json()
}

const SPAN: &str = "from=2026-01-02&to=2027-12-31";

pub async fn compare(portal: &TestPortal, token: &str, log: &Log) -> Compared {
    let slow = Slow::new(log);
    let mut compared = Compared::default();
    let home = report(portal, token, &format!("home?{SPAN}")).await;
    months(&slow, &home, &mut compared);
    let cohorts = report(portal, token, &format!("cohorts?{SPAN}")).await;
    retention(&slow, &cohorts, &mut compared);
    let funnel = report(portal, token, &format!("funnel?{SPAN}")).await;
    steps(&slow, &funnel, &mut compared);
    // Whole months, whole months and days, days alone.
    for (from, to) in [
        ("2026-05-01", "2027-04-30"),
        ("2026-05-03", "2027-10-17"),
        ("2027-02-03", "2027-02-20"),
    ] {
        let span = format!("from={from}&to={to}");
        let ranked = report(portal, token, &format!("partners?{span}")).await;
        calls(&slow, &ranked, (from, to), &mut compared);
        let revenue_report = report(portal, token, &format!("revenue?{span}")).await;
        revenue(&slow, &revenue_report, (from, to), &mut compared);
    }
    compared
}

fn months(slow: &Slow<'_>, home: &Json, compared: &mut Compared) {
    let active = slow.active();
    let (none, mut ever) = ((BTreeSet::new(), 0), BTreeSet::new());
    let mut before = &none.0;
    for row in table(home, "months") {
        let month = row[0].as_str().unwrap();
        let (here, calls) = active.get(month).unwrap_or(&none);
        let expected = [
            here.len(),
            (here - &ever).len(),
            (&(here & &ever) - before).len(),
            (before - here).len(),
            usize::try_from(*calls).unwrap(),
        ];
        for (place, expected) in [1, 2, 3, 4, 7].into_iter().zip(expected) {
            compared.same(&row[place], &json!(expected), month);
        }
        ever.extend(here);
        before = here;
    }
}

fn retention(slow: &Slow<'_>, report: &Json, compared: &mut Compared) {
    let active = slow.active();
    let names: Vec<&String> = active.keys().collect();
    for row in table(report, "retention") {
        let month = row[0].as_str().unwrap();
        let cohort: BTreeSet<usize> = slow
            .first_live
            .iter()
            .filter(|(_, minute)| slow.month(**minute / 1_440) == month)
            .map(|(partner, _)| *partner)
            .collect();
        compared.same(&row[1], &json!(cohort.len()), month);
        let place = names.iter().position(|name| *name == month).unwrap();
        for later in 1..row.as_array().unwrap().len() - 1 {
            let Some(then) = names.get(place + later) else {
                continue;
            };
            let still = (&active[*then].0 & &cohort).len();
            let (still, size) = (
                i64::try_from(still).unwrap(),
                i64::try_from(cohort.len()).unwrap(),
            );
            compared.same(&row[later + 1], &share(still, size), month);
        }
    }
}

fn steps(slow: &Slow<'_>, report: &Json, compared: &mut Compared) {
    let rows = table(report, "steps");
    let steps = slow.steps();
    for step in 0..8 {
        let row = &rows[step + 1];
        let reached = steps
            .iter()
            .filter(|partner| partner[step].is_some())
            .count();
        compared.same(&row[1], &json!(reached), "reached");
        if step == 0 {
            continue;
        }
        let took: Vec<i64> = steps
            .iter()
            .filter_map(|partner| Some((partner[step]? - partner[step - 1]?).max(0)))
            .collect();
        for (place, percent) in [(4, 50), (5, 90)] {
            let seconds = percentile(&took, percent).map(|ms| ms / 1_000);
            compared.same(&row[place], &json!(seconds), "time between steps");
        }
    }
}

fn calls(slow: &Slow<'_>, report: &Json, span: (&str, &str), compared: &mut Compared) {
    let totals = slow.totals(span.0, span.1);
    let rows: BTreeMap<&str, &Json> = table(report, "partners")
        .iter()
        .map(|row| (row[0].as_str().unwrap(), row))
        .collect();
    let all: i64 = totals.values().map(|one| one.successes).sum();
    for (number, partner) in slow.log.partners.iter().enumerate() {
        let Some(expected) = totals.get(&number) else {
            let found = rows
                .get(partner.name.as_str())
                .map_or(&Json::Null, |row| &row[2]);
            compared.same(
                &json!(found.as_i64().unwrap_or(0)),
                &json!(0),
                &partner.name,
            );
            continue;
        };
        let row = rows
            .get(partner.name.as_str())
            .copied()
            .unwrap_or(&Json::Null);
        compared.same(&row[2], &json!(expected.calls), &partner.name);
        compared.same(
            &row[3],
            &share(expected.errors, expected.calls),
            &partner.name,
        );
        compared.same(
            &row[4],
            &share(expected.limited, expected.decided),
            &partner.name,
        );
        compared.same(&row[5], &share(expected.successes, all), &partner.name);
    }
}

fn revenue(slow: &Slow<'_>, report: &Json, span: (&str, &str), compared: &mut Compared) {
    let (mut partners, mut products) = (BTreeMap::<usize, i64>::new(), [0_i64; PRODUCTS]);
    let (mut all, mut months) = (0, BTreeMap::<&str, [i64; 2]>::new());
    for invoice in slow.log.invoices.iter().filter(|invoice| !invoice.is_void) {
        let date = slow.dates[&(invoice.issued_ms / 86_400_000)].as_str();
        if date < span.0 || date > span.1 {
            continue;
        }
        let earned = invoice.fee + invoice.usage - invoice.discount;
        *partners.entry(invoice.partner).or_default() += earned;
        products[slow.log.partners[invoice.partner].product] += invoice.fee + invoice.usage;
        all += earned;
        let month = months.entry(&date[..7]).or_default();
        month[0] += earned;
        month[1] += invoice.fee;
    }
    let touched = |list: &[(usize, i64)]| {
        let mut counts = BTreeMap::<usize, i64>::new();
        for (partner, at_ms) in list {
            let time = jiff::Timestamp::from_millisecond(*at_ms).unwrap();
            let date = time.strftime("%Y-%m-%d").to_string();
            if date.as_str() >= span.0 && date.as_str() <= span.1 {
                *counts.entry(*partner).or_default() += 1;
            }
        }
        counts
    };
    let (actions, messages) = (touched(&slow.log.touches), touched(&slow.log.messages));
    let rows: BTreeMap<&str, &Json> = table(report, "partners")
        .iter()
        .map(|row| (row[0].as_str().unwrap(), row))
        .collect();
    for (number, minor) in partners {
        let name = slow.log.partners[number].name.as_str();
        let row = rows.get(name).copied().unwrap_or(&Json::Null);
        compared.same(&row[1], &amount(minor), name);
        compared.same(&row[2], &share(minor, all), name);
        compared.same(&row[5], &json!(actions.get(&number).unwrap_or(&0)), name);
        compared.same(&row[6], &json!(messages.get(&number).unwrap_or(&0)), name);
    }
    for row in table(report, "products") {
        let name = row[0].as_str().unwrap();
        if let Some(number) = name.strip_prefix("Product ") {
            let number: usize = number.parse().unwrap();
            compared.same(&row[1], &amount(products[number]), name);
        }
    }
    for row in table(report, "months") {
        let month = row[0].as_str().unwrap();
        let [earned, fees] = months.get(month).copied().unwrap_or_default();
        compared.same(&row[1], &amount(earned), month);
        compared.same(&row[2], &amount(fees), month);
    }
    compared.same(&report["figures"][0]["value"], &amount(all), "revenue");
}
