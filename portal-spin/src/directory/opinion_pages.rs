//! The customer's form for an opinion, and the operator's choice.

use askama::Template;
use schemars::JsonSchema;
use serde::Deserialize;

use super::opinions::{
    OpinionBody, OpinionList, choose, find_opinion, list_opinions, write_opinion,
};
use crate::context::Context;
use crate::encoding::readable_time;
use crate::installations::{own_installation, refuse_opinion};
use crate::organisations::OperatorRole;
use crate::routes::{EDITORS, Outcome};
use crate::web::bulk::{self, Done, Report, Task};
use crate::web::forms::Shown;
use crate::web::listed::Listed;
use crate::web::{Failure, Page, response};

/// `POST /installations/{installation_id}/opinion`
pub async fn submit_opinion(context: &Context) -> Outcome {
    let form = context.form();
    let body = OpinionBody {
        rating: form.text("rating").parse().unwrap_or_default(),
        body: form.text("body").replace("\r\n", "\n"),
        signed_by: form.text("signed_by"),
    };
    let installation = own_installation(context).await?;
    match write_opinion(context, &installation, &body).await {
        Ok(()) => Ok(response::see_other(&format!(
            "/installations/{}?done=sent",
            installation.id
        ))),
        Err(failure) => refuse_opinion(context, &installation, form, failure).await,
    }
}

const PATH: &str = "/operator/opinions";

#[derive(Template)]
#[template(path = "directory/templates/opinions.html")]
struct OpinionsPage {
    page: Page,
    list: OpinionList,
    listed: Listed,
    may_choose: bool,
    shown: Shown,
    report: Option<Report>,
}

impl OpinionsPage {
    fn time(&self, unix_ms: &i64) -> String {
        readable_time(*unix_ms)
    }
}

async fn opinions_page(
    context: &Context,
    shown: Shown,
    report: Option<Report>,
) -> Result<OpinionsPage, Failure> {
    let roles = &context.person()?.operator_roles;
    let list = list_opinions(context).await?;
    Ok(OpinionsPage {
        page: Page::new(context, "What customers say"),
        listed: Listed::of(context, PATH, PATH, list.next_cursor.as_deref()),
        list,
        may_choose: OperatorRole::any_of(roles, EDITORS),
        shown,
        report,
    })
}

/// `GET /operator/opinions`
pub async fn show_opinions_page(context: &Context) -> Outcome {
    response::html(&opinions_page(context, Shown::default(), None).await?)
}

/// Several opinions are shown or hidden.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpinionChoicesBody {
    /// The installations whose customers wrote them, at most 100.
    pub installation_ids: Vec<String>,
    /// Whether the directory shows them.
    pub is_shown: bool,
}

async fn choose_one(context: &Context, id: &str, is_shown: bool) -> Result<Done, Failure> {
    let installation_id = id.parse().map_err(|_| Failure::not_found())?;
    let found = find_opinion(&context.connection, installation_id).await?;
    let opinion = found.ok_or_else(Failure::not_found)?;
    if opinion.is_shown == is_shown {
        return Err(bulk::no_change());
    }
    choose(context, installation_id, is_shown).await?;
    let back = if is_shown { "hide" } else { "show" };
    let name = format!("{} · {}", opinion.app, opinion.signed_by);
    Ok(Done::until(name, vec![("choice", back.to_owned())]))
}

async fn choose_each(context: &Context, tasks: &[Task<bool>]) -> Report {
    bulk::run(context, tasks, PATH, async |id, is_shown: &bool| {
        choose_one(context, id, *is_shown).await
    })
    .await
}

/// `POST /api/v1/operator/opinion-choices`
pub async fn choose_opinions(context: &Context) -> Outcome {
    let body: OpinionChoicesBody = context.json()?;
    let tasks = bulk::tasks_of(&body.installation_ids, &body.is_shown)?;
    response::ok(&choose_each(context, &tasks).await.told)
}

/// `POST /operator/opinions`
pub async fn submit_opinion_choices(context: &Context) -> Outcome {
    let form = context.form();
    match bulk::tasks_of_form(&form, |form| Ok(form.text("choice") == "show")) {
        Ok(tasks) => {
            let report = choose_each(context, &tasks).await;
            response::html(&opinions_page(context, Shown::default(), Some(report)).await?)
        }
        Err(failure) => {
            let status = failure.status;
            let shown = bulk::refused(form, failure)?;
            response::html_with(status, &opinions_page(context, shown, None).await?)
        }
    }
}

/// `POST /operator/opinions/{installation_id}`: the list again, with what takes the choice back.
pub async fn submit_opinion_choice(context: &Context) -> Outcome {
    let task = Task {
        id: context.path_text("installation_id").to_owned(),
        change: context.form().text("choice") == "show",
    };
    let report = choose_each(context, &[task]).await;
    response::html(&opinions_page(context, Shown::default(), Some(report)).await?)
}
