//! The operator's home: what waits for a person, whether the gateways are well, who is new.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;

use super::store::count;
use crate::analytics::{self, Figure};
use crate::context::Context;
use crate::database::DatabaseError;
use crate::edges::{self, EdgeView};
use crate::encoding::readable_time;
use crate::params;
use crate::routes::Outcome;
use crate::web::paging::PageRequest;
use crate::web::{Failure, Page, response};

/// A number and the page that lists what it counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "CountedWork")]
pub struct Counted {
    /// What is counted.
    pub label: String,
    /// How many.
    pub count: i64,
    /// Where they are listed.
    pub href: String,
}

/// The operator's home.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct OperatorHome {
    /// Revenue first, then who is active, over the last twelve months.
    pub headline: Vec<Figure>,
    /// What waits for a person.
    pub waiting: Vec<Counted>,
    /// How large the programme is.
    pub programme: Vec<Counted>,
    /// The newest organisations.
    pub newest: Vec<NewOrganisation>,
    /// The newest feed position.
    pub feed_position: i64,
    /// The newest boots of edges.
    pub edges: Vec<EdgeView>,
    /// The newest mails that could not be delivered.
    pub failed_mails: Vec<FailedMail>,
}

/// A mail that no provider took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FailedMail {
    /// To whom.
    pub to: String,
    /// Its subject.
    pub subject: String,
    /// What the provider said.
    pub error: String,
    /// How often it was tried.
    pub attempts: i64,
}

/// An organisation that registered lately.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NewOrganisation {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it registered.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub created_at: i64,
}

/// What waits and what is counted: label, page, SQL. `$1` is the time. Each domain with a queue adds its line.
const WAITING: &[(&str, &str, &str)] = &[
    (
        "Requests to decide",
        "/operator/requests",
        "SELECT COUNT(*) FROM subscription_requests WHERE outcome IS NULL AND requested_at_ms <= $1",
    ),
    (
        "Overdue requests",
        "/operator/requests",
        "SELECT COUNT(*) FROM subscription_requests WHERE outcome IS NULL AND due_at_ms < $1",
    ),
    (
        "Apps in review",
        "/operator/submissions",
        "SELECT COUNT(*) FROM submissions WHERE state = 'in_review' AND queued_at_ms <= $1",
    ),
    (
        "Overdue reviews",
        "/operator/submissions",
        "SELECT COUNT(*) FROM submissions WHERE state = 'in_review' AND due_at_ms < $1",
    ),
    (
        "Partners who wait for an answer",
        "/operator/threads?state=waiting",
        "SELECT COUNT(*) FROM threads WHERE waits_since_ms <= $1 AND closed_at_ms IS NULL",
    ),
    (
        "Suspended apps past their deadline",
        "/operator/submissions?state=suspended",
        "SELECT COUNT(*) FROM submissions WHERE state = 'suspended' AND deadline_ms < $1",
    ),
    (
        "Mails that failed",
        "/operator#mails",
        "SELECT COUNT(*) FROM emails WHERE sent_at IS NULL AND last_error IS NOT NULL AND created_at < $1",
    ),
];

const PROGRAMME: &[(&str, &str, &str)] = &[
    (
        "Organisations",
        "/operator/partners",
        "SELECT COUNT(*) FROM registered_organisations WHERE created_at <= $1",
    ),
    (
        "New this week",
        "/operator/partners",
        "SELECT COUNT(*) FROM registered_organisations WHERE created_at + 604800000 >= $1",
    ),
    (
        "Live subscriptions",
        "/operator/partners",
        "SELECT COUNT(*) FROM subscriptions WHERE live_from_ms <= $1 AND cancelled_at_ms IS NULL",
    ),
];

async fn counted(
    context: &Context,
    lines: &[(&str, &str, &str)],
    time_ms: i64,
) -> Result<Vec<Counted>, DatabaseError> {
    let mut counts = Vec::with_capacity(lines.len());
    for (label, href, sql) in lines {
        counts.push(Counted {
            label: (*label).to_owned(),
            count: count(&context.connection, sql, params![time_ms]).await?,
            href: (*href).to_owned(),
        });
    }
    Ok(counts)
}

async fn newest_organisations(context: &Context) -> Result<Vec<NewOrganisation>, DatabaseError> {
    let rows = context
        .connection
        .query(
            "SELECT organisation_id, name, created_at FROM registered_organisations
             ORDER BY organisation_id DESC LIMIT 8",
            vec![],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(NewOrganisation {
                id: row.get(0)?,
                name: row.get(1)?,
                created_at: row.get(2)?,
            })
        })
        .collect()
}

async fn failed_mails(context: &Context) -> Result<Vec<FailedMail>, DatabaseError> {
    let rows = context
        .connection
        .query(
            "SELECT recipient, subject, last_error, attempts FROM emails
             WHERE sent_at IS NULL AND last_error IS NOT NULL ORDER BY email_id DESC LIMIT 20",
            vec![],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(FailedMail {
                to: row.get(0)?,
                subject: row.get(1)?,
                error: row.get(2)?,
                attempts: row.get(3)?,
            })
        })
        .collect()
}

async fn read(context: &Context) -> Result<OperatorHome, Failure> {
    let connection = &context.connection;
    let now_ms = context.now_ms;
    let feed = "SELECT COALESCE(MAX(position), 0) FROM feed_entries";
    Ok(OperatorHome {
        headline: analytics::headline(context).await?,
        waiting: counted(context, WAITING, now_ms).await?,
        programme: counted(context, PROGRAMME, now_ms).await?,
        newest: newest_organisations(context).await?,
        feed_position: count(connection, feed, vec![]).await?,
        edges: edges::boots::list_boots(connection, now_ms, &PageRequest::first(11)).await?,
        failed_mails: failed_mails(context).await?,
    })
}

/// `GET /api/v1/operator/home`
pub async fn read_operator_home(context: &Context) -> Outcome {
    response::ok(&read(context).await?)
}

struct EdgeLine {
    edge: EdgeView,
    tone: &'static str,
    started: String,
    last_seen: String,
    behind: i64,
}

#[derive(Template)]
#[template(path = "home/templates/operator.html")]
struct OperatorHomePage {
    page: Page,
    home: OperatorHome,
    edges: Vec<EdgeLine>,
}

impl OperatorHomePage {
    fn time(&self, unix_ms: &i64) -> String {
        readable_time(*unix_ms)
    }

    /// The list of partners, narrowed to this name.
    fn partner(&self, name: &str) -> String {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("q", name)
            .finish();
        format!("/operator/partners?{query}")
    }
}

/// `GET /operator`
pub async fn show_operator_home(context: &Context) -> Outcome {
    let mut home = read(context).await?;
    let edges = std::mem::take(&mut home.edges)
        .into_iter()
        .map(|edge| EdgeLine {
            tone: match edge.state.as_str() {
                "live" => "good",
                "silent" => "warn",
                "lost" => "bad",
                _ => "",
            },
            started: readable_time(edge.started_at),
            last_seen: readable_time(edge.last_seen_at),
            behind: (home.feed_position - edge.applied_position).max(0),
            edge,
        })
        .collect();
    response::html(&OperatorHomePage {
        page: Page::new(context, "Today"),
        edges,
        home,
    })
}
