//! The customer's form for an opinion, and the operator's choice.

use askama::Template;

use super::opinions::{OpinionBody, OpinionList, choose, list_opinions, write_opinion};
use crate::context::Context;
use crate::encoding::readable_time;
use crate::installations::{own_installation, refuse_opinion};
use crate::organisations::OperatorRole;
use crate::routes::{EDITORS, Outcome};
use crate::web::listed::Listed;
use crate::web::{Page, response};

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

#[derive(Template)]
#[template(path = "directory/templates/opinions.html")]
struct OpinionsPage {
    page: Page,
    list: OpinionList,
    listed: Listed,
    may_choose: bool,
}

impl OpinionsPage {
    fn time(&self, unix_ms: &i64) -> String {
        readable_time(*unix_ms)
    }
}

/// `GET /operator/opinions`
pub async fn show_opinions_page(context: &Context) -> Outcome {
    let roles = &context.person()?.operator_roles;
    let list = list_opinions(context).await?;
    let path = "/operator/opinions";
    response::html(&OpinionsPage {
        page: Page::new(context, "What customers say"),
        listed: Listed::of(context, path, path, list.next_cursor.as_deref()),
        list,
        may_choose: OperatorRole::any_of(roles, EDITORS),
    })
}

/// `POST /operator/opinions/{installation_id}`
pub async fn submit_opinion_choice(context: &Context) -> Outcome {
    choose(context, context.form().text("choice") == "show").await?;
    Ok(response::see_other("/operator/opinions?done=saved"))
}
