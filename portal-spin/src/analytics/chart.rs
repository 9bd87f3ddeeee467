//! Charts as SVG, drawn from the table that stands behind each. No colour and no style in the drawing:
//! classes, so that the page's palette holds in light and dark and the content policy needs no exception.

use std::fmt::Write;

use super::report::{Datum, Table};
use crate::web::languages::Language;
use languages::marks;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 28.0;
/// Labels below the axis at most.
const LABELS: usize = 8;

/// So many bars all have their name below, in two lines of so many characters.
const BARS_NAMED: usize = 10;
const LINE: usize = 12;

/// How rows stand on the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A line per column, over the rows in order.
    Lines,
    /// A bar per row, of one column.
    Bars,
}

/// A drawing of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chart {
    /// How.
    pub kind: Kind,
    /// Which columns.
    pub columns: &'static [usize],
}

/// Lines of these columns.
pub const fn lines(columns: &'static [usize]) -> Option<Chart> {
    Some(Chart {
        kind: Kind::Lines,
        columns,
    })
}

/// Bars of this column.
pub const fn bars(columns: &'static [usize]) -> Option<Chart> {
    Some(Chart {
        kind: Kind::Bars,
        columns,
    })
}

impl Chart {
    /// The drawing. The first column names the rows.
    pub fn draw(&self, table: &Table, language: Language) -> String {
        let heights: Vec<Vec<Option<f64>>> = self
            .columns
            .iter()
            .map(|column| {
                table
                    .rows
                    .iter()
                    .map(|row| row.get(*column).and_then(Datum::height))
                    .collect()
            })
            .collect();
        let highest = heights
            .iter()
            .flatten()
            .flatten()
            .fold(0.0_f64, |high, one| high.max(*one));
        let (top, step) = nice_scale(highest);
        let mut svg = String::new();
        let _ = write!(
            svg,
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\""
        );
        // Said already: a value, which the page's own translation leaves as it is.
        let caption = language.say("The same numbers stand in the table below.");
        let caption = format!("{}. {caption}", language.say(&table.title));
        let _ = marks::write_value(&mut svg, &caption);
        svg.push_str("\"><g class=\"chart-grid\">");
        let sample = table
            .rows
            .first()
            .and_then(|row| row.get(self.columns.first().copied().unwrap_or_default()));
        let mut mark = 0.0;
        while mark <= top * 1.000_1 {
            let y = y_of(mark, top);
            let _ = write!(
                svg,
                "<line x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" class=\"chart-scale\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 8.0,
                y + 4.0,
                escape(&scale_text(mark, sample))
            );
            mark += step;
        }
        svg.push_str("</g>");
        self.draw_labels(table, &mut svg, language);
        for (place, series) in heights.iter().enumerate() {
            match self.kind {
                Kind::Lines => draw_line(&mut svg, place, series, top),
                Kind::Bars => draw_bars(&mut svg, place, series, top),
            }
        }
        svg.push_str("</svg>");
        if self.columns.len() > 1 {
            self.draw_legend(table, &mut svg);
        }
        svg
    }

    fn draw_labels(&self, table: &Table, svg: &mut String, language: Language) {
        let rows = table.rows.len();
        let is_each_named = self.kind == Kind::Bars && rows <= BARS_NAMED;
        let every = if is_each_named {
            1
        } else {
            rows.div_ceil(LABELS).max(1)
        };
        svg.push_str("<g class=\"chart-labels\">");
        for (place, row) in table.rows.iter().enumerate().step_by(every) {
            let label = row.first().map(Datum::text).unwrap_or_default();
            let x = match self.kind {
                Kind::Lines => x_of(place, rows),
                Kind::Bars => bar_of(place, rows).0 + bar_of(place, rows).1 / 2.0,
            };
            let lines = if is_each_named {
                two_lines(&language.say(&label))
            } else {
                [String::new(), label.chars().take(14).collect()]
            };
            for (line, y) in lines.iter().zip([HEIGHT - 14.0, HEIGHT - 3.0]) {
                if !line.is_empty() {
                    let _ = write!(
                        svg,
                        "<text x=\"{x:.1}\" y=\"{y:.1}\">{}</text>",
                        escape(line)
                    );
                }
            }
        }
        svg.push_str("</g>");
    }

    fn draw_legend(&self, table: &Table, svg: &mut String) {
        svg.push_str("<ul class=\"chart-legend\">");
        for (place, column) in self.columns.iter().enumerate() {
            let label = table
                .columns
                .get(*column)
                .map_or("", |column| &column.label);
            let _ = write!(
                svg,
                "<li class=\"series-{}\">{}</li>",
                place + 1,
                escape(label)
            );
        }
        svg.push_str("</ul>");
    }
}

/// A label in two lines, broken between words; what does not fit is left out.
fn two_lines(label: &str) -> [String; 2] {
    let mut lines = [String::new(), String::new()];
    let mut place = 0;
    for word in label.split_whitespace() {
        let is_full = lines
            .get(place)
            .is_some_and(|line| !line.is_empty() && line.len() + word.len() >= LINE);
        if is_full {
            place += 1;
        }
        if let Some(line) = lines.get_mut(place) {
            if !line.is_empty() {
                line.push(' ');
            }
            line.extend(word.chars().take(LINE));
        }
    }
    lines
}

fn draw_line(svg: &mut String, place: usize, series: &[Option<f64>], top: f64) {
    let mut path = String::new();
    let mut is_down = false;
    for (point, height) in series.iter().enumerate() {
        let Some(height) = height else {
            is_down = false;
            continue;
        };
        let (x, y) = (x_of(point, series.len()), y_of(*height, top));
        let _ = write!(path, "{}{x:.1} {y:.1}", if is_down { "L" } else { "M" });
        is_down = true;
    }
    let number = place + 1;
    let _ = write!(
        svg,
        "<path class=\"chart-line series-{number}\" d=\"{path}\"/>"
    );
    for (point, height) in series.iter().enumerate() {
        if let Some(height) = height {
            let (x, y) = (x_of(point, series.len()), y_of(*height, top));
            let _ = write!(
                svg,
                "<circle class=\"chart-point series-{number}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\"/>"
            );
        }
    }
}

fn draw_bars(svg: &mut String, place: usize, series: &[Option<f64>], top: f64) {
    for (point, height) in series.iter().enumerate() {
        let Some(height) = height else { continue };
        let (x, width) = bar_of(point, series.len());
        let y = y_of(*height, top);
        let _ = write!(
            svg,
            "<rect class=\"chart-bar series-{}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{:.1}\"/>",
            place + 1,
            (HEIGHT - BOTTOM - y).max(0.0)
        );
    }
}

#[allow(clippy::cast_precision_loss)] // a few hundred points at most
fn x_of(point: usize, points: usize) -> f64 {
    let room = WIDTH - LEFT - RIGHT;
    if points < 2 {
        return LEFT + room / 2.0;
    }
    LEFT + room * point as f64 / (points - 1) as f64
}

#[allow(clippy::cast_precision_loss)] // a few hundred points at most
fn bar_of(point: usize, points: usize) -> (f64, f64) {
    let slot = (WIDTH - LEFT - RIGHT) / points.max(1) as f64;
    (LEFT + slot * (point as f64 + 0.15), slot * 0.7)
}

fn y_of(height: f64, top: f64) -> f64 {
    let room = HEIGHT - TOP - BOTTOM;
    HEIGHT - BOTTOM - room * (height.max(0.0) / top)
}

/// The top of the scale and the distance of its marks: 1, 2 or 5 times a power of ten.
fn nice_scale(highest: f64) -> (f64, f64) {
    if highest <= 0.0 || !highest.is_finite() {
        return (1.0, 1.0);
    }
    let rough = highest / 4.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|times| times * power)
        .find(|step| *step >= rough)
        .unwrap_or(rough);
    ((highest / step).ceil() * step, step)
}

fn scale_text(mark: f64, sample: Option<&Datum>) -> String {
    match sample {
        Some(Datum::Share(..) | Datum::Change(..)) => format!("{:.0} %", mark * 100.0),
        #[allow(clippy::cast_possible_truncation)] // a mark on a scale
        Some(Datum::Span(_)) => Datum::Span(mark as i64).text(),
        Some(Datum::Amount(money)) => {
            let plain = scale_text(mark, None);
            format!("{plain} {}", money.currency.as_str())
        }
        _ if mark >= 1_000_000.0 => format!("{} M", trimmed(mark / 1_000_000.0)),
        _ if mark >= 1_000.0 => format!("{} k", trimmed(mark / 1_000.0)),
        _ => trimmed(mark),
    }
}

fn trimmed(number: f64) -> String {
    format!("{number:.2}")
        .trim_end_matches('0')
        .trim_end_matches('.')
        .to_owned()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::report::column;
    use super::*;

    #[test]
    fn a_chart_holds_every_row_and_no_markup_of_others() {
        let table = Table {
            name: "t",
            title: "<b>\"Calls\"".to_owned(),
            definition: String::new(),
            columns: ["Month", "Calls", "Share"].map(column).to_vec(),
            rows: vec![
                vec![
                    Datum::Text("a&b".to_owned()),
                    Datum::Count(5),
                    Datum::Share(1, 2),
                ],
                vec![
                    Datum::Text("c".to_owned()),
                    Datum::Nothing,
                    Datum::Share(1, 4),
                ],
                vec![
                    Datum::Text("d".to_owned()),
                    Datum::Count(10),
                    Datum::Share(0, 0),
                ],
            ],
            chart: lines(&[1, 2]),
        };
        let svg = table.svg(crate::web::languages::english());
        assert_eq!(svg.matches("<circle").count(), 4);
        assert!(svg.contains("a&amp;b") && svg.contains("&#60;b&#62;&#34;Calls&#34;"));
        assert!(!svg.contains("style") && !svg.contains("<b>"));
        assert!(svg.contains("series-2"));
    }

    #[test]
    fn a_label_is_broken_between_words() {
        assert_eq!(two_lines("First sandbox call"), ["First", "sandbox call"]);
        assert_eq!(two_lines("Keyed"), ["Keyed", ""]);
        assert_eq!(two_lines("Keyed → First sandbox call")[0], "Keyed →");
    }

    #[test]
    fn the_scale_reaches_the_highest_value_in_round_steps() {
        assert_eq!(nice_scale(97.0), (100.0, 50.0));
        assert_eq!(nice_scale(0.0), (1.0, 1.0));
        for highest in [0.3, 1.0, 7.0, 1234.0, 9e9] {
            let (top, step) = nice_scale(highest);
            assert!(
                top >= highest && top / step <= 5.0,
                "{highest}: {top} {step}"
            );
        }
    }
}
