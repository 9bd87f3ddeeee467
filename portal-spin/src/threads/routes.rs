//! Partners' side in JSON.

use shared::ids::{AppId, OrganisationId, ThreadId};

use super::model::{
    Message, MessageBody, NewThreadBody, ThreadList, ThreadView, clean_message, clean_opening,
};
use super::store::{self, Subject, find_thread};
use crate::apps::find_app;
use crate::context::Context;
use crate::database::DatabaseError;
use crate::emails;
use crate::organisations::MemberRole;
use crate::organisations::store::list_member_emails;
use crate::params;
use crate::partners::{self, clean_tags};
use crate::routes::Outcome;
use crate::web::paging::{PageRequest, finds};
use crate::web::{Failure, response};

/// `GET /api/v1/organisations/{organisation_id}/threads?app=&tag=`
pub async fn list_threads(context: &Context) -> Outcome {
    response::ok(&threads_of_partner(context).await?)
}

pub(super) async fn threads_of_partner(context: &Context) -> Result<ThreadList, Failure> {
    let page = PageRequest::read(context)?;
    let query = |name: &str| context.query(name).unwrap_or_default();
    let searched = finds("$7", &["t.subject", "a.name", "t.thread_id"]);
    let found = store::list_where(
        &context.connection,
        &format!(
            "t.organisation_id = $1 AND t.thread_id < $2 AND ($3 = '' OR t.app_id = $4)
                AND ($5 = '' OR EXISTS (SELECT 1 FROM thread_tags g
                    WHERE g.thread_id = t.thread_id AND g.tag = $6)) AND {searched}
             ORDER BY t.thread_id DESC LIMIT $8"
        ),
        params![
            context.organisation_id()?,
            page.before.as_str(),
            query("app"),
            query("app"),
            query("tag"),
            query("tag"),
            page.wanted.as_str(),
            page.limit_and_one()
        ],
    )
    .await?;
    Ok(page.page_of(found, |thread| thread.id.clone()))
}

/// The thread that the path names, with its messages.
pub(super) async fn thread_of_path(context: &Context) -> Result<ThreadView, Failure> {
    let id: ThreadId = context.path_id("thread_id")?;
    find_thread(&context.connection, &id.to_string())
        .await?
        .ok_or_else(Failure::not_found)
}

/// `GET /api/v1/threads/{thread_id}`
pub async fn show_thread(context: &Context) -> Outcome {
    response::ok(&thread_of_path(context).await?)
}

/// `POST /api/v1/organisations/{organisation_id}/threads`
pub async fn open_thread(context: &Context) -> Outcome {
    let id = open(context, context.organisation_id()?, &context.json()?, false).await?;
    response::created(&find_thread(&context.connection, &id.to_string()).await?)
}

/// Opens a thread with its first message.
pub(super) async fn open(
    context: &Context,
    organisation_id: OrganisationId,
    body: &NewThreadBody,
    is_from_operator: bool,
) -> Result<ThreadId, Failure> {
    let (words, text) = clean_opening(body)?;
    let tags = clean_tags(body.tags.iter().map(String::as_str))?;
    let subject = Subject {
        organisation_id,
        app_id: app_of(context, organisation_id, body.app_id.as_deref()).await?,
        submission_id: None,
        words,
        tags,
    };
    let message = Message {
        is_from_operator,
        body: text,
        sent_at: context.now_ms,
    };
    context
        .connection
        .transaction(async || {
            let id = store::open_thread(context, &subject).await?;
            store::append_message(context, organisation_id, id, &message).await?;
            tell(context, organisation_id, id, &subject.words, &message).await?;
            Ok(id)
        })
        .await
}

/// The app that a thread is about: one of the partner's own.
async fn app_of(
    context: &Context,
    organisation_id: OrganisationId,
    given: Option<&str>,
) -> Result<Option<AppId>, Failure> {
    let Some(given) = given.map(str::trim).filter(|given| !given.is_empty()) else {
        return Ok(None);
    };
    let unknown = || {
        Failure::field(
            "app_id",
            "unknown_value",
            "Name an app of this organisation, or leave it out.",
        )
    };
    let app_id: AppId = given.parse().map_err(|_| unknown())?;
    match find_app(&context.connection, app_id).await? {
        Some(app) if app.organisation_id == organisation_id => Ok(Some(app_id)),
        _ => Err(unknown()),
    }
}

/// `POST /api/v1/threads/{thread_id}/messages`
pub async fn write_in_thread(context: &Context) -> Outcome {
    let body: MessageBody = context.json()?;
    write(context, &body.body, false).await?;
    show_thread(context).await
}

/// Appends a message to the thread of the path and tells the other side.
pub(super) async fn write(
    context: &Context,
    body: &str,
    is_from_operator: bool,
) -> Result<(), Failure> {
    let thread = thread_of_path(context).await?;
    if thread.submission_id.is_some() {
        return Err(Failure::conflict(
            "answer_at_the_submission",
            "This thread is about a review: answer it on the submission's page.",
        ));
    }
    let message = Message {
        is_from_operator,
        body: clean_message(body)?,
        sent_at: context.now_ms,
    };
    let id: ThreadId = context.path_id("thread_id")?;
    let organisation_id: OrganisationId = thread
        .organisation_id
        .parse()
        .map_err(|_| Failure::not_found())?;
    context
        .connection
        .transaction(async || {
            store::append_message(context, organisation_id, id, &message).await?;
            tell(context, organisation_id, id, &thread.subject, &message).await?;
            Ok(())
        })
        .await
}

/// Mails a message to the other side: to the partner's owners and developers, or to the staff who wrote in
/// the thread before, else to who looks after the partner. What nobody was mailed about waits on the operator's page.
async fn tell(
    context: &Context,
    organisation_id: OrganisationId,
    id: ThreadId,
    subject: &str,
    message: &Message,
) -> Result<(), DatabaseError> {
    let connection = &context.connection;
    let (readers, path) = if message.is_from_operator {
        let roles = [MemberRole::Owner, MemberRole::Developer];
        let readers = list_member_emails(connection, organisation_id, &roles).await?;
        (readers, "threads")
    } else {
        let rows = connection
            .query(
                "SELECT DISTINCT p.email FROM thread_messages m JOIN people p ON p.person_id = m.author
                 WHERE m.thread_id = $1 AND m.is_from_operator = 1 AND p.disabled_at IS NULL
                 ORDER BY p.email",
                params![id],
            )
            .await?;
        let mut readers: Vec<String> = rows
            .iter()
            .map(|row| row.get(0))
            .collect::<Result<_, _>>()?;
        if readers.is_empty() {
            readers.extend(partners::owner_email(connection, organisation_id).await?);
        }
        (readers, "operator/threads")
    };
    let link = format!("{}/{path}/{id}", context.configuration().public_url);
    let values = [
        ("subject", subject),
        ("message", message.body.as_str()),
        ("link", link.as_str()),
    ];
    for to in readers {
        emails::send(context, "thread-message", &to, &values).await?;
    }
    Ok(())
}
