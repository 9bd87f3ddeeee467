//! `/operator/audit`: the log, found by who, what, to what and when.

use std::collections::BTreeMap;

use askama::Template;
use http::StatusCode;
use shared::ids::{OrganisationId, PersonId};

use super::AuditRecord;
use super::search::{Search, find_records};
use crate::context::Context;
use crate::encoding::readable_time;
use crate::organisations::store::{find_organisation, find_person};
use crate::routes::Outcome;
use crate::web::forms::{Form, Shown};
use crate::web::listed::Listed;
use crate::web::paging::PageOf;
use crate::web::{Failure, Page, response};

struct Row {
    record: AuditRecord,
    time: String,
    actor: String,
    organisation: String,
    by_actor: String,
    by_action: String,
    by_object: String,
}

#[derive(Template)]
#[template(path = "audit/templates/audit.html")]
struct AuditPage {
    page: Page,
    shown: Shown,
    search: Search,
    rows: Vec<Row>,
    listed: Listed,
}

/// `GET /operator/audit?actor=&action=&object=&organisation_id=&from=&until=`
pub async fn show_audit_log(context: &Context) -> Outcome {
    let search = Search::read(context);
    let (found, shown, status) = match find_records(context, &search).await {
        Ok(found) => (found, Shown::default(), StatusCode::OK),
        Err(failure) => {
            let nothing = PageOf {
                items: Vec::new(),
                next_cursor: None,
            };
            let status = failure.status;
            (nothing, Shown::again(Form::default(), failure)?, status)
        }
    };
    let mut names = Names::default();
    let mut rows = Vec::with_capacity(found.items.len());
    for record in found.items {
        rows.push(Row {
            time: readable_time(record.recorded_at_ms),
            by_actor: query_of("actor", &record.actor),
            by_action: query_of("action", &record.action),
            by_object: query_of("object", &record.object),
            actor: names.of_actor(context, &record.actor).await?,
            organisation: match &record.organisation_id {
                Some(id) => names.of_organisation(context, id).await?,
                None => String::new(),
            },
            record,
        });
    }
    let page = AuditPage {
        page: Page::new(context, "Audit log"),
        shown,
        listed: Listed::of(
            context,
            "/operator/audit",
            "/operator/audit-records",
            found.next_cursor.as_deref(),
        ),
        search,
        rows,
    };
    response::html_with(status, &page)
}

fn query_of(name: &str, value: &str) -> String {
    form_urlencoded::Serializer::new(String::new())
        .append_pair(name, value)
        .finish()
}

/// Names of people and organisations, each looked up once for a page.
#[derive(Default)]
struct Names(BTreeMap<String, String>);

impl Names {
    async fn of_actor(&mut self, context: &Context, actor: &str) -> Result<String, Failure> {
        if let Some(known) = self.0.get(actor) {
            return Ok(known.clone());
        }
        let person = match actor.parse::<PersonId>() {
            Ok(person_id) => find_person(&context.connection, person_id).await?,
            Err(_) => None,
        };
        let name = person.map_or_else(|| actor.to_owned(), |person| person.email);
        self.0.insert(actor.to_owned(), name.clone());
        Ok(name)
    }

    async fn of_organisation(&mut self, context: &Context, id: &str) -> Result<String, Failure> {
        if let Some(known) = self.0.get(id) {
            return Ok(known.clone());
        }
        let organisation = match id.parse::<OrganisationId>() {
            Ok(organisation_id) => find_organisation(&context.connection, organisation_id).await?,
            Err(_) => None,
        };
        let name = organisation.map_or_else(|| id.to_owned(), |organisation| organisation.name);
        self.0.insert(id.to_owned(), name.clone());
        Ok(name)
    }
}
