//! The operator's side in JSON: the queue of threads, answering, sorting and closing.

use serde_json::json;
use shared::ids::OrganisationId;

use super::model::{MessageBody, ThreadChangeBody, ThreadList, ThreadView};
use super::routes::{open, show_thread, thread_of_path, write};
use super::store::{find_thread, list_where, write_tags};
use crate::context::Context;
use crate::organisations::store::find_organisation;
use crate::partners::clean_tags;
use crate::routes::Outcome;
use crate::web::paging::{PageRequest, finds};
use crate::web::{Failure, response};
use crate::{audit, params};

/// `GET /api/v1/operator/threads?state=&tag=&organisation_id=&app=`
pub async fn list_all_threads(context: &Context) -> Outcome {
    response::ok(&queue(context).await?)
}

pub(super) async fn queue(context: &Context) -> Result<ThreadList, Failure> {
    let page = PageRequest::read(context)?;
    let query = |name: &str| context.query(name).unwrap_or_default();
    let condition = match query("state").as_str() {
        "" => "1 = 1",
        "waiting" => "t.waits_since_ms IS NOT NULL AND t.closed_at_ms IS NULL",
        "answered" => "t.waits_since_ms IS NULL AND t.closed_at_ms IS NULL",
        "closed" => "t.closed_at_ms IS NOT NULL",
        _ => {
            return Err(Failure::field(
                "state",
                "unknown_value",
                "Give `waiting`, `answered` or `closed`, or leave it out.",
            ));
        }
    };
    let searched = finds("$8", &["t.subject", "o.name", "a.name", "t.thread_id"]);
    let found = list_where(
        &context.connection,
        &format!(
            "t.thread_id < $1 AND {condition} AND ($2 = '' OR t.organisation_id = $3)
                AND ($4 = '' OR t.app_id = $5)
                AND ($6 = '' OR EXISTS (SELECT 1 FROM thread_tags g
                    WHERE g.thread_id = t.thread_id AND g.tag = $7)) AND {searched}
             ORDER BY t.thread_id DESC LIMIT $9"
        ),
        params![
            page.before.as_str(),
            query("organisation_id"),
            query("organisation_id"),
            query("app"),
            query("app"),
            query("tag").to_lowercase(),
            query("tag").to_lowercase(),
            page.wanted.as_str(),
            page.limit_and_one()
        ],
    )
    .await?;
    Ok(page.page_of(found, |thread| thread.id.clone()))
}

/// `GET /api/v1/operator/threads/{thread_id}`
pub async fn show_operator_thread(context: &Context) -> Outcome {
    show_thread(context).await
}

/// `POST /api/v1/operator/organisations/{organisation_id}/threads`
pub async fn open_thread_with_partner(context: &Context) -> Outcome {
    let organisation_id: OrganisationId = context.path_id("organisation_id")?;
    find_organisation(&context.connection, organisation_id)
        .await?
        .ok_or_else(Failure::not_found)?;
    let id = open(context, organisation_id, &context.json()?, true).await?;
    response::created(&find_thread(&context.connection, &id.to_string()).await?)
}

/// `POST /api/v1/operator/threads/{thread_id}/messages`
pub async fn answer_thread(context: &Context) -> Outcome {
    let body: MessageBody = context.json()?;
    write(context, &body.body, true).await?;
    show_thread(context).await
}

/// `PATCH /api/v1/operator/threads/{thread_id}`
pub async fn change_thread(context: &Context) -> Outcome {
    let thread = thread_of_path(context).await?;
    change(context, &thread, &context.json()?).await?;
    show_thread(context).await
}

/// Sets tags, closes or opens again. What waited when it was closed waits when it is opened.
pub(super) async fn change(
    context: &Context,
    thread: &ThreadView,
    body: &ThreadChangeBody,
) -> Result<(), Failure> {
    let tags = match &body.tags {
        Some(tags) => Some(clean_tags(tags.iter().map(String::as_str))?),
        None => None,
    };
    let organisation_id: Option<OrganisationId> = thread.organisation_id.parse().ok();
    let connection = &context.connection;
    connection
        .transaction(async || {
            if let Some(tags) = &tags {
                write_tags(connection, &thread.id, tags).await?;
            }
            if let Some(is_closed) = body.is_closed {
                let id = thread.id.as_str();
                let (sql, parameters) = if is_closed {
                    let sql = "UPDATE threads SET closed_at_ms = COALESCE(closed_at_ms, $1)
                         WHERE thread_id = $2";
                    (sql, params![context.now_ms, id])
                } else {
                    let sql = "UPDATE threads SET closed_at_ms = NULL WHERE thread_id = $1";
                    (sql, params![id])
                };
                connection.execute(sql, parameters).await?;
            }
            let detail = json!({ "tags": tags, "is_closed": body.is_closed });
            audit::record(
                context,
                organisation_id,
                "thread.sorted",
                &thread.id,
                detail,
            )
            .await?;
            Ok(())
        })
        .await
}
