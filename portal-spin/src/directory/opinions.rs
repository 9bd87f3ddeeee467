//! What customers say of apps they have installed, and which of it the operator shows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::credential::Environment;
use shared::ids::{AppId, InstallationId};

use crate::audit;
use crate::context::Context;
use crate::database::{Connection, DatabaseError, Row, Value};
use crate::installations::{Installation, check_standing, own_installation};
use crate::organisations::sessions::find_member_role;
use crate::params;
use crate::routes::Outcome;
use crate::web::paging::{Stretch, finds};
use crate::web::{Failure, FieldError, response};

/// What a customer says.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpinionBody {
    /// 1 to 5.
    pub rating: i64,
    /// At most 1 000 characters.
    pub body: String,
    /// How the customer is named beside it.
    pub signed_by: String,
}

/// An opinion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Opinion {
    /// The installation whose customer wrote it.
    pub installation_id: String,
    /// The app's name.
    pub app: String,
    /// 1 to 5.
    pub rating: i64,
    /// What it says.
    pub body: String,
    /// How the customer is named.
    pub signed_by: String,
    /// When it was written.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub written_at: i64,
    /// Whether the directory shows it.
    pub is_shown: bool,
}

/// Opinions, newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OpinionList {
    /// The opinions.
    pub items: Vec<Opinion>,
    /// Send as `cursor` for the next part; null on the last.
    pub next_cursor: Option<String>,
}

/// What the operator chooses.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpinionChoice {
    /// Whether the directory shows it.
    pub is_shown: bool,
}

fn read(row: &Row) -> Result<Opinion, DatabaseError> {
    Ok(Opinion {
        installation_id: row.get(0)?,
        app: row.get(1)?,
        rating: row.get(2)?,
        body: row.get(3)?,
        signed_by: row.get(4)?,
        written_at: row.get(5)?,
        is_shown: row.get::<Option<i64>>(6)?.is_some(),
    })
}

async fn list_where(
    connection: &Connection,
    condition: &str,
    parameters: Vec<Value>,
) -> Result<Vec<Opinion>, DatabaseError> {
    let sql = format!(
        "SELECT p.installation_id, a.name, p.rating, p.body, p.signed_by, p.written_at_ms, p.shown_at_ms
         FROM opinions p JOIN apps a ON a.app_id = p.app_id WHERE {condition}"
    );
    let rows = connection.query(&sql, parameters).await?;
    rows.iter().map(read).collect()
}

/// What the directory shows of an app, newest first.
pub async fn list_shown(
    connection: &Connection,
    app_id: AppId,
) -> Result<Vec<Opinion>, DatabaseError> {
    let condition =
        "p.app_id = $1 AND p.shown_at_ms IS NOT NULL ORDER BY p.written_at_ms DESC LIMIT 20";
    list_where(connection, condition, params![app_id]).await
}

/// What the customer of an installation has said.
pub async fn find_opinion(
    connection: &Connection,
    installation_id: InstallationId,
) -> Result<Option<Opinion>, DatabaseError> {
    let condition = "p.installation_id = $1";
    Ok(list_where(connection, condition, params![installation_id])
        .await?
        .pop())
}

/// Every opinion, those that wait for a choice first.
pub async fn list_opinions(context: &Context) -> Result<OpinionList, Failure> {
    let stretch = Stretch::read(context, 50)?;
    let shown = match context.query("is_shown").unwrap_or_default().as_str() {
        "" => "1 = 1",
        "true" => "p.shown_at_ms IS NOT NULL",
        "false" => "p.shown_at_ms IS NULL",
        _ => {
            let detail = "Give `true` or `false`.";
            return Err(Failure::field("is_shown", "unknown_value", detail));
        }
    };
    let found = finds("$1", &["p.body", "p.signed_by", "a.name"]);
    let condition = format!(
        "{shown} AND {found} ORDER BY CASE WHEN p.shown_at_ms IS NULL THEN 0 ELSE 1 END,
            p.written_at_ms DESC, p.installation_id LIMIT $2 OFFSET $3"
    );
    let parameters = params![
        stretch.wanted.as_str(),
        stretch.limit_and_one(),
        stretch.from
    ];
    let rows = list_where(&context.connection, &condition, parameters).await?;
    let (items, next_cursor) = stretch.cut(rows);
    Ok(OpinionList { items, next_cursor })
}

fn check(body: &OpinionBody) -> Result<(), Failure> {
    let faults: Vec<FieldError> = [
        (
            "rating",
            (1..=5).contains(&body.rating),
            "Give 1 to 5, 5 being the best.",
        ),
        (
            "body",
            (10..=1_000).contains(&body.body.trim().chars().count()),
            "Write 10 to 1 000 characters.",
        ),
        (
            "signed_by",
            (2..=80).contains(&body.signed_by.trim().chars().count()),
            "Say how you want to be named, in 2 to 80 characters.",
        ),
    ]
    .into_iter()
    .filter(|(_, is_good, _)| !is_good)
    .map(|(field, _, detail)| FieldError {
        field: field.to_owned(),
        code: "out_of_range".to_owned(),
        detail: detail.to_owned(),
    })
    .collect();
    if faults.is_empty() {
        return Ok(());
    }
    Err(Failure::fields(faults))
}

/// Stores what the customer says; changed words wait for the operator's choice again.
pub async fn write_opinion(
    context: &Context,
    installation: &Installation,
    body: &OpinionBody,
) -> Result<(), Failure> {
    check_standing(installation)?;
    check(body)?;
    let connection = &context.connection;
    let owner = connection
        .query_one(
            "SELECT organisation_id FROM apps WHERE app_id = $1",
            params![installation.app_id],
        )
        .await?
        .parse(0)?;
    let is_own = find_member_role(connection, owner, installation.person_id)
        .await?
        .is_some();
    if is_own || installation.environment == Environment::Test {
        return Err(Failure::conflict(
            "own_app",
            "Nobody reviews an app of their own organisation, or one they only test.",
        ));
    }
    connection
        .transaction(async || {
            let detail = json!({ "app_id": installation.app_id.to_string(), "rating": body.rating });
            let object = installation.id.to_string();
            audit::record(context, Some(owner), "opinion.written", &object, detail).await?;
            connection
                .execute(
                    "INSERT INTO opinions (installation_id, app_id, rating, body, signed_by, written_at_ms, shown_at_ms)
                     VALUES ($1, $2, $3, $4, $5, $6, NULL)
                     ON CONFLICT (installation_id) DO UPDATE SET rating = excluded.rating,
                        body = excluded.body, signed_by = excluded.signed_by,
                        written_at_ms = excluded.written_at_ms, shown_at_ms = NULL",
                    params![
                        installation.id,
                        installation.app_id,
                        body.rating,
                        body.body.trim(),
                        body.signed_by.trim(),
                        context.now_ms
                    ],
                )
                .await?;
            Ok::<_, Failure>(())
        })
        .await
}

/// Shows or hides an opinion.
pub async fn choose(
    context: &Context,
    installation_id: InstallationId,
    is_shown: bool,
) -> Result<(), Failure> {
    let connection = &context.connection;
    let action = if is_shown {
        "opinion.shown"
    } else {
        "opinion.hidden"
    };
    connection
        .transaction(async || {
            let object = installation_id.to_string();
            audit::record(context, None, action, &object, json!({})).await?;
            let changed = connection
                .execute(
                    "UPDATE opinions SET shown_at_ms = $2 WHERE installation_id = $1",
                    params![installation_id, is_shown.then_some(context.now_ms)],
                )
                .await?;
            if changed == 0 {
                return Err(Failure::not_found());
            }
            Ok(())
        })
        .await
}

/// `PUT /api/v1/installations/{installation_id}/opinion`
pub async fn put_opinion(context: &Context) -> Outcome {
    let body: OpinionBody = context.json()?;
    let installation = own_installation(context).await?;
    write_opinion(context, &installation, &body).await?;
    let written = find_opinion(&context.connection, installation.id).await?;
    response::ok(&written.ok_or_else(Failure::not_found)?)
}

/// `GET /api/v1/operator/opinions`
pub async fn show_opinions(context: &Context) -> Outcome {
    response::ok(&list_opinions(context).await?)
}

/// `PUT /api/v1/operator/opinions/{installation_id}`
pub async fn put_opinion_choice(context: &Context) -> Outcome {
    let body: OpinionChoice = context.json()?;
    let installation_id = context.path_id("installation_id")?;
    choose(context, installation_id, body.is_shown).await?;
    let opinion = find_opinion(&context.connection, installation_id).await?;
    response::ok(&opinion.ok_or_else(Failure::not_found)?)
}
