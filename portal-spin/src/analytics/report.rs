//! An answer of analytics: figures and tables with their definitions. One value makes the page, the JSON
//! and the CSV, so that they cannot differ. Knows no domain.

use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use serde_json::{Value as Json, json};
use shared::money::{Currency, Money};

use super::chart::Chart;
use crate::encoding::grouped;
use crate::web::languages::Language;

/// Rows of a table on a page.
const ROWS_SHOWN: usize = 200;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Datum {
    /// Words.
    Text(String),
    /// Words that lead somewhere.
    Link(String, String),
    /// A number of things.
    Count(i64),
    /// A number of things, and where they are listed.
    Listed(i64, String),
    /// A part of a whole; nothing of a whole that is zero.
    Share(i64, i64),
    /// A change from one number to another, as a part of the first.
    Change(i64, i64),
    /// An amount.
    Amount(Money),
    /// A length of time in milliseconds.
    Span(i64),
    /// Nothing to say.
    Nothing,
}

impl Datum {
    /// A length of time, if there is one.
    pub fn span(ms: Option<i64>) -> Self {
        ms.map_or(Self::Nothing, Self::Span)
    }

    /// An amount of minor units.
    pub fn amount(currency: Currency, minor: i64) -> Self {
        Self::Amount(Money::from_minor(currency, minor))
    }

    /// As programs read it: seconds for lengths of time, 0 to 1 for shares.
    pub fn json(&self) -> Json {
        match self {
            Self::Text(text) | Self::Link(text, _) => json!(text),
            Self::Count(count) | Self::Listed(count, _) => json!(count),
            Self::Share(part, whole) => {
                ratio(*part, *whole).map_or(Json::Null, |share| json!(share))
            }
            Self::Change(from, to) => {
                ratio(to - from, *from).map_or(Json::Null, |change| json!(change))
            }
            Self::Amount(money) => {
                json!({ "amount": money.to_major(), "currency": money.currency.as_str() })
            }
            Self::Span(ms) => json!(ms / 1_000),
            Self::Nothing => Json::Null,
        }
    }

    /// As people read it.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) | Self::Link(text, _) => text.clone(),
            Self::Count(count) | Self::Listed(count, _) => signed(*count),
            Self::Share(part, whole) => {
                ratio(*part, *whole).map_or_else(dash, |share| format!("{:.1} %", share * 100.0))
            }
            Self::Change(from, to) => ratio(to - from, *from)
                .map_or_else(dash, |change| format!("{:+.1} %", change * 100.0)),
            Self::Amount(money) => amount_text(money),
            Self::Span(ms) => readable_span(*ms),
            Self::Nothing => dash(),
        }
    }

    /// As a spreadsheet reads it: plain numbers, no units.
    pub fn csv(&self) -> String {
        match self {
            Self::Amount(money) => money.to_major(),
            other => match other.json() {
                Json::String(text) => text,
                Json::Null => String::new(),
                value => value.to_string(),
            },
        }
    }

    /// Minor units of an amount.
    pub const fn minor(&self) -> Option<i64> {
        match self {
            Self::Amount(money) => Some(money.minor),
            _ => None,
        }
    }

    /// Where it leads; empty for nowhere.
    pub fn href(&self) -> &str {
        match self {
            Self::Link(_, href) | Self::Listed(_, href) => href,
            _ => "",
        }
    }

    /// Whether it stands to the right.
    pub const fn is_number(&self) -> bool {
        !matches!(self, Self::Text(_) | Self::Link(..))
    }

    /// Its height in a chart.
    #[allow(clippy::cast_precision_loss)] // for drawing only
    pub fn height(&self) -> Option<f64> {
        match self {
            Self::Count(count) | Self::Listed(count, _) | Self::Span(count) => Some(*count as f64),
            Self::Share(part, whole) => ratio(*part, *whole),
            Self::Change(from, to) => ratio(to - from, *from),
            Self::Amount(money) => {
                Some(money.minor as f64 / 10_f64.powi(i32::from(money.currency.decimals())))
            }
            Self::Text(_) | Self::Link(..) | Self::Nothing => None,
        }
    }
}

impl Serialize for Datum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json().serialize(serializer)
    }
}

fn dash() -> String {
    "–".to_owned()
}

#[allow(clippy::cast_precision_loss)] // a share is shown to one decimal
fn ratio(part: i64, whole: i64) -> Option<f64> {
    (whole != 0).then(|| part as f64 / whole as f64)
}

fn signed(count: i64) -> String {
    let text = grouped(count.unsigned_abs());
    if count < 0 {
        format!("−{text}")
    } else {
        text
    }
}

/// `12 345.60 USD`.
fn amount_text(money: &Money) -> String {
    let major = Money::from_minor(money.currency, money.minor.saturating_abs()).to_major();
    let (whole, part) = major.split_once('.').unwrap_or((&major, ""));
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), grouped);
    let sign = if money.minor < 0 { "−" } else { "" };
    let dot = if part.is_empty() { "" } else { "." };
    format!("{sign}{whole}{dot}{part} {}", money.currency.as_str())
}

fn readable_span(ms: i64) -> String {
    let seconds = ms / 1_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) if seconds == 0 => "< 1 min".to_owned(),
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// A number that stands by itself.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Figure {
    /// Its name in JSON.
    pub name: &'static str,
    /// Its name on the page.
    pub label: &'static str,
    /// The number.
    #[schemars(with = "Json")]
    pub value: Datum,
    /// The same for the period before; null where there is none.
    #[schemars(with = "Json")]
    pub before: Datum,
    /// What counts, which events, over which time.
    pub definition: String,
    /// Where what it counts is listed.
    #[serde(skip)]
    pub href: String,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Column {
    /// Its heading.
    pub label: String,
    /// What counts; empty where the heading says it all.
    pub definition: String,
}

/// A column without more words.
pub fn column(label: &str) -> Column {
    defined(label, "")
}

/// A column and what counts in it.
pub fn defined(label: &str, definition: &str) -> Column {
    Column {
        label: label.to_owned(),
        definition: definition.to_owned(),
    }
}

/// Rows under headings.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Table {
    /// Its name in JSON and in `?table=`.
    pub name: &'static str,
    /// Its title.
    pub title: String,
    /// What it shows, and what counts.
    pub definition: String,
    /// The headings.
    pub columns: Vec<Column>,
    /// The rows, each as long as the headings.
    #[schemars(with = "Vec<Vec<Json>>")]
    pub rows: Vec<Vec<Datum>>,
    /// How to draw it.
    #[serde(skip)]
    pub chart: Option<Chart>,
}

impl Table {
    /// Whether a column's values stand to the right; so does its heading.
    pub fn has_numbers_in(&self, column: &usize) -> bool {
        let values = self.rows.iter().filter_map(|row| row.get(*column));
        let mut known = values.filter(|value| **value != Datum::Nothing).peekable();
        known.peek().is_some() && known.all(|value| value.is_number())
    }

    /// The rows that a page shows: more than these nobody reads on a screen.
    pub fn shown_rows(&self) -> &[Vec<Datum>] {
        self.rows.get(..ROWS_SHOWN).unwrap_or(&self.rows)
    }

    /// Whether a page shows fewer rows than there are.
    pub const fn is_cut(&self) -> bool {
        self.rows.len() > ROWS_SHOWN
    }

    /// Comma-separated, with a heading line.
    pub fn csv(&self) -> String {
        let headings = self.columns.iter().map(|column| column.label.clone());
        let mut text = csv_line(headings);
        for row in &self.rows {
            text.push_str(&csv_line(row.iter().map(Datum::csv)));
        }
        text
    }

    /// The chart as SVG; empty without one.
    pub fn svg(&self, language: Language) -> String {
        match &self.chart {
            Some(chart) if !self.rows.is_empty() => chart.draw(self, language),
            _ => String::new(),
        }
    }

    /// The columns that need words.
    pub fn defined_columns(&self) -> Vec<&Column> {
        self.columns
            .iter()
            .filter(|column| !column.definition.is_empty())
            .collect()
    }
}

/// RFC 4180; a cell that a spreadsheet would take for a formula gets an apostrophe.
fn csv_line(cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<String> = cells
        .map(|cell| {
            let is_number = cell.parse::<f64>().is_ok();
            let cell = if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number {
                format!("'{cell}")
            } else {
                cell
            };
            if cell.contains(['"', ',', '\n', '\r']) {
                format!("\"{}\"", cell.replace('"', "\"\""))
            } else {
                cell
            }
        })
        .collect();
    format!("{}\r\n", cells.join(","))
}

/// A whole answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Report {
    /// Its name in the URL.
    pub name: &'static str,
    /// Its title.
    pub title: String,
    /// The question that it answers.
    pub question: &'static str,
    /// First day, UTC.
    pub from: String,
    /// Last day, UTC.
    pub to: String,
    /// Numbers that stand by themselves.
    pub figures: Vec<Figure>,
    /// Tables.
    pub tables: Vec<Table>,
    /// What it can be narrowed to, beside the span.
    #[serde(skip)]
    pub choices: Vec<Choice>,
}

/// Something that a report can be narrowed to: a field of its form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// In the query.
    pub name: &'static str,
    /// On the page.
    pub label: &'static str,
    /// Value and words; an empty value is no narrowing.
    pub options: Vec<(String, String)>,
    /// The value that is chosen.
    pub chosen: String,
}

impl Choice {
    /// One of these values, always.
    pub fn one_of(
        name: &'static str,
        label: &'static str,
        options: Vec<(String, String)>,
        chosen: &str,
    ) -> Self {
        Self {
            name,
            label,
            options,
            chosen: chosen.to_owned(),
        }
    }

    /// One of these values, or all.
    pub fn among(
        name: &'static str,
        label: &'static str,
        options: Vec<(String, String)>,
        chosen: &str,
    ) -> Self {
        let all = (String::new(), "All".to_owned());
        let options = std::iter::once(all).chain(options).collect();
        Self::one_of(name, label, options, chosen)
    }

    /// Whether a value is the chosen one.
    pub fn is_chosen(&self, value: &str) -> bool {
        self.chosen == value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_well_and_export_plainly() {
        let usd: Currency = "USD".parse().unwrap();
        for (datum, text, csv) in [
            (
                Datum::Count(-1_234_567),
                "−1\u{202f}234\u{202f}567",
                "-1234567",
            ),
            (Datum::Share(1, 8), "12.5 %", "0.125"),
            (Datum::Share(0, 0), "–", ""),
            (Datum::Change(50, 75), "+50.0 %", "0.5"),
            (Datum::amount(usd, -1_250), "−12.50 USD", "-12.50"),
            (
                Datum::amount(usd, 123_456_789),
                "1\u{202f}234\u{202f}567.89 USD",
                "1234567.89",
            ),
            (Datum::Span(1_830_000), "30 min", "1830"),
            (Datum::Span(93_600_000), "1 d 2 h", "93600"),
            (Datum::Nothing, "–", ""),
        ] {
            assert_eq!((datum.text().as_str(), datum.csv().as_str()), (text, csv));
        }
    }

    #[test]
    fn a_cell_is_quoted_and_never_a_formula() {
        let line = csv_line(
            ["a,b", "say \"hi\"", "=1+1", "-5", "@x"]
                .map(str::to_owned)
                .into_iter(),
        );
        assert_eq!(line, "\"a,b\",\"say \"\"hi\"\"\",'=1+1,-5,'@x\r\n");
    }
}
