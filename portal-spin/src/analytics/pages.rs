//! The operator's analytics: every report as page, JSON and CSV, at one address each.

use askama::Template;

use super::report::Report;
use super::{at_step, friction, home, journeys, partners, questions, revenue, worth};
use crate::context::Context;
use crate::ports::PortFuture;
use crate::routes::Outcome;
use crate::web::languages::Language;
use crate::web::{Failure, Page, response};

type Make = for<'a> fn(&'a Context) -> PortFuture<'a, Result<Report, Failure>>;

/// A report of the operator's: its place in the URL, its label, whether the span can be chosen.
pub struct Entry {
    /// In the URL.
    pub name: &'static str,
    /// In the list of reports; empty: reached from other reports only.
    pub label: &'static str,
    /// Whether `from` and `to` are read.
    pub has_span: bool,
    make: Make,
}

macro_rules! reports {
    ($($name:literal $label:literal $has_span:literal => $make:path;)*) => {
        /// Every report.
        pub const REPORTS: &[Entry] = &[$(Entry {
            name: $name,
            label: $label,
            has_span: $has_span,
            make: |context| Box::pin($make(context)),
        }),*];
    };
}

reports! {
    "home" "Overview" true => home::show_home;
    "revenue" "Revenue" true => revenue::show_revenue;
    "worth" "Is it worth it?" true => worth::show_worth;
    "funnel" "Funnel" true => journeys::show_funnel;
    "cohorts" "Cohorts" true => journeys::show_cohorts;
    "partners" "Partners" true => partners::rank_partners;
    "products" "Products" true => partners::show_products;
    "friction" "Friction" true => friction::show_friction;
    "limits" "Hitting limits" true => questions::who_hits_limits;
    "never-called" "Never called" false => questions::who_never_called;
    "earning-products" "Products that earn" true => revenue::which_products_earn;
    "growing" "Growing" true => questions::who_grows;
    "quiet" "Going quiet" false => questions::who_goes_quiet;
    "churned" "Churned" false => questions::who_churned;
    "one-off-prices" "One-off prices" false => questions::who_has_a_one_off_price;
    "partner" "" true => partners::show_partner;
    "at-step" "" true => at_step::who_stands_at_a_step;
}

/// An entry of the list of reports.
pub(super) struct Place {
    pub(super) label: &'static str,
    pub(super) href: String,
    pub(super) is_current: bool,
}

#[derive(Template)]
#[template(path = "analytics/templates/report.html")]
pub(super) struct ReportPage {
    page: Page,
    /// The visitor's, for what charts say.
    language: Language,
    report: Report,
    places: Vec<Place>,
    /// Whether the span can be chosen here.
    has_span: bool,
    /// Fields of the query that the form keeps.
    kept: Vec<(String, String)>,
    /// The address of this report as CSV, up to the table's name.
    csv: String,
    /// Its address as JSON.
    json: String,
}

impl ReportPage {
    pub(super) fn of(
        context: &Context,
        page: Page,
        path: &str,
        places: Vec<Place>,
        has_span: bool,
        report: Report,
    ) -> Self {
        let is_asked = |name: &str| {
            matches!(name, "from" | "to" | "format" | "table")
                || report.choices.iter().any(|choice| choice.name == name)
        };
        let kept = query_pairs(context)
            .into_iter()
            .filter(|(name, _)| !is_asked(name))
            .collect();
        Self {
            page,
            language: context.language,
            csv: format!("{}&table=", address(context, path, "csv")),
            json: address(context, path, "json"),
            places,
            has_span,
            kept,
            report,
        }
    }
}

/// The same query in another format.
fn address(context: &Context, path: &str, format: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in query_pairs(context) {
        if name != "format" && name != "table" {
            query.append_pair(&name, &value);
        }
    }
    query.append_pair("format", format);
    format!("{path}?{}", query.finish())
}

pub(super) fn query_pairs(context: &Context) -> Vec<(String, String)> {
    let query = context.request.uri().query().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect()
}

/// What `?format=` asks for: the whole report as JSON, or the table that `&table=` names as CSV; `None` where
/// nothing is asked for.
pub(super) fn answer(
    context: &Context,
    report: &Report,
) -> Result<Option<crate::web::Response>, Failure> {
    match context.query("format").as_deref() {
        None | Some("html") => return Ok(None),
        Some("json") => return response::ok(report).map(Some),
        Some("csv") => {}
        Some(_) => {
            let detail = "Give `csv` or `json`, or leave it out.";
            return Err(Failure::field("format", "unknown_value", detail));
        }
    }
    let wanted = context.query("table");
    let table = match &wanted {
        None => report.tables.first(),
        Some(name) => report.tables.iter().find(|table| table.name == *name),
    };
    let table = table.ok_or_else(|| {
        let names: Vec<&str> = report.tables.iter().map(|table| table.name).collect();
        Failure::field(
            "table",
            "unknown_value",
            format!("Give one of {}.", names.join(", ")),
        )
    })?;
    let file = format!(
        "{}-{}-{}-{}.csv",
        report.name, table.name, report.from, report.to
    );
    Ok(Some(response::download(
        "text/csv; charset=utf-8",
        &file,
        table.csv(),
    )))
}

fn entry(context: &Context) -> Result<&'static Entry, Failure> {
    let name = match context.path_text("report") {
        "" => "home",
        name => name,
    };
    REPORTS
        .iter()
        .find(|entry| entry.name == name)
        .ok_or_else(Failure::not_found)
}

/// `GET /api/v1/operator/analytics/{report}`
pub async fn read_report(context: &Context) -> Outcome {
    let report = (entry(context)?.make)(context).await?;
    match answer(context, &report)? {
        Some(file) => Ok(file),
        None => response::ok(&report),
    }
}

/// `GET /operator/analytics` and `GET /operator/analytics/{report}`
pub async fn show_report(context: &Context) -> Outcome {
    let entry = entry(context)?;
    let report = (entry.make)(context).await?;
    if let Some(file) = answer(context, &report)? {
        return Ok(file);
    }
    let path = format!("/operator/analytics/{}", entry.name);
    let places = REPORTS
        .iter()
        .filter(|known| !known.label.is_empty())
        .map(|known| Place {
            label: known.label,
            href: format!("/operator/analytics/{}", known.name),
            is_current: known.name == entry.name,
        })
        .chain([Place {
            label: "Costs",
            href: "/operator/programme-costs".to_owned(),
            is_current: false,
        }])
        .collect();
    let page = Page::new(context, &report.title);
    response::html(&ReportPage::of(
        context,
        page,
        &path,
        places,
        entry.has_span,
        report,
    ))
}
