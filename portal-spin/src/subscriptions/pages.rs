//! Pages of an app's plans.

use askama::Template;
use http::StatusCode;
use shared::ids::AppId;

use super::model::{Subscription, SubscriptionView};
use super::plan_changes::{PlanChangeBody, PlanChangePreview, ask_plan_change, preview_of_path};
use super::policy::ChecklistItem;
use super::routes;
use super::{decisions, store};
use crate::apps::{App, find_app, may_build, organisation_page};
use crate::catalogue;
use crate::context::Context;
use crate::encoding::readable_time;
use crate::partners::Reach;
use crate::routes::Outcome;
use crate::web::forms::Shown;
use crate::web::{Failure, Page, response};

struct Row {
    base: String,
    period: String,
    ends: String,
    next_plan: String,
    due: String,
    checklist: Vec<ChecklistItem>,
    is_ready: bool,
    may_ask: bool,
    other_plans: Vec<(String, String)>,
    view: SubscriptionView,
}

#[derive(Template)]
#[template(path = "subscriptions/templates/subscriptions.html")]
struct SubscriptionsPage {
    page: Page,
    shown: Shown,
    app_id: String,
    rows: Vec<Row>,
    offers: Vec<(String, String)>,
    may_build: bool,
    billing: String,
    agreements: String,
}

async fn row(context: &Context, app: &App, subscription: &Subscription) -> Result<Row, Failure> {
    let plan = routes::plan_of(context, subscription).await?;
    let view = routes::view(context, subscription).await?;
    let checklist = decisions::checklist(context, app, subscription, &plan).await?;
    let request = view.request.as_ref();
    let next_plan = match subscription.next_plan {
        Some((plan_id, from_ms)) => {
            let next = catalogue::find_plan(&context.connection, plan_id).await?;
            let name = next.map(|plan| plan.name).unwrap_or_default();
            format!("The plan {name} follows on {}.", readable_time(from_ms))
        }
        None => String::new(),
    };
    let offered = catalogue::list_offered_plans(
        &context.connection,
        subscription.product_id,
        &Reach::of_organisation(&context.connection, app.organisation_id).await?,
    )
    .await?;
    Ok(Row {
        base: format!("/apps/{}/subscriptions/{}", app.id, subscription.id),
        period: view.period.words.clone(),
        ends: view.ends_at.map(readable_time).unwrap_or_default(),
        next_plan,
        due: request
            .map(|request| readable_time(request.due_at))
            .unwrap_or_default(),
        is_ready: checklist.iter().all(|item| item.is_met),
        checklist,
        may_ask: request.is_none_or(|request| request.state != "waiting"),
        other_plans: offered
            .into_iter()
            .filter(|other| other.id != subscription.plan_id)
            .map(|other| (other.id.to_string(), other.name))
            .collect(),
        view,
    })
}

async fn render(context: &Context, status: StatusCode, shown: Shown) -> Outcome {
    let app_id: AppId = context.path_id("app_id")?;
    let app = find_app(&context.connection, app_id)
        .await?
        .ok_or_else(Failure::not_found)?;
    let subscriptions = store::list_of_app(&context.connection, app_id).await?;
    let mut rows = Vec::with_capacity(subscriptions.len());
    for subscription in &subscriptions {
        rows.push(row(context, &app, subscription).await?);
    }
    let mut offers = Vec::new();
    let reach = Reach::of_organisation(&context.connection, app.organisation_id).await?;
    for product in catalogue::list_offered_products(&context.connection).await? {
        if subscriptions
            .iter()
            .any(|known| known.product_id == product.id)
        {
            continue;
        }
        let plans = catalogue::list_offered_plans(&context.connection, product.id, &reach).await?;
        offers.extend(plans.into_iter().map(|plan| {
            (
                plan.id.to_string(),
                format!("{}: {}", product.name, plan.name),
            )
        }));
    }
    let page = SubscriptionsPage {
        page: organisation_page(context, &format!("Plans of {}", app.name)).await?,
        shown,
        app_id: app_id.to_string(),
        rows,
        offers,
        may_build: may_build(context),
        billing: format!(
            "/organisations/{}/billing?next=/apps/{app_id}/subscriptions#account",
            app.organisation_id
        ),
        agreements: format!("/organisations/{}/agreements", app.organisation_id),
    };
    response::html_with(status, &page)
}

async fn after<T>(context: &Context, outcome: Result<T, Failure>) -> Outcome {
    match outcome {
        Ok(_) => {
            let app_id = context.path_text("app_id");
            Ok(response::see_other(&format!(
                "/apps/{app_id}/subscriptions?done=saved"
            )))
        }
        Err(mut failure)
            if failure.status.is_client_error() && failure.status != StatusCode::NOT_FOUND =>
        {
            // The forms have no field of their own to show an error at.
            failure.errors.clear();
            let status = failure.status;
            render(context, status, Shown::again(context.form(), failure)?).await
        }
        Err(failure) => Err(failure),
    }
}

/// `GET /apps/{app_id}/subscriptions`
pub async fn show_subscriptions_page(context: &Context) -> Outcome {
    render(context, StatusCode::OK, Shown::default()).await
}

/// `POST /apps/{app_id}/subscriptions`
pub async fn subscribe_form(context: &Context) -> Outcome {
    let outcome = routes::subscribe(context, &context.form().text("plan_id")).await;
    after(context, outcome).await
}

/// `POST /apps/{app_id}/subscriptions/{subscription_id}/go-live`
pub async fn go_live_form(context: &Context) -> Outcome {
    let outcome = routes::ask_go_live(context, &context.form().text("note")).await;
    after(context, outcome).await
}

#[derive(Template)]
#[template(path = "subscriptions/templates/plan_change.html")]
struct PlanChangePage {
    page: Page,
    billing: String,
    preview: PlanChangePreview,
    prices: (String, String),
    effective: String,
    when: String,
    base: String,
    back: String,
}

/// Where billing details are given; from there the way leads back to this page.
fn billing_page(context: &Context) -> Result<String, Failure> {
    let here = context.request.uri().path_and_query();
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("next", here.map_or("/", |here| here.as_str()))
        .finish();
    let organisation_id = context.organisation_id()?;
    Ok(format!(
        "/organisations/{organisation_id}/billing?{query}#account"
    ))
}

/// `GET /apps/{app_id}/subscriptions/{subscription_id}/plan?plan_id=…&when=…`: what would change.
pub async fn preview_plan_change_page(context: &Context) -> Outcome {
    let preview = match preview_of_path(context).await {
        Ok(preview) => preview,
        Err(failure) => return after::<()>(context, Err(failure)).await,
    };
    let back = format!("/apps/{}/subscriptions", context.path_text("app_id"));
    let price = |plan: &catalogue::PlanView| catalogue::cost_in_words(&plan.terms);
    response::html(&PlanChangePage {
        page: organisation_page(context, "Change of plan").await?,
        prices: (price(&preview.from), price(&preview.to)),
        effective: readable_time(preview.effective_at),
        when: context.query("when").unwrap_or_default(),
        billing: billing_page(context)?,
        base: format!("{back}/{}", context.path_text("subscription_id")),
        back,
        preview,
    })
}

/// `POST /apps/{app_id}/subscriptions/{subscription_id}/plan`
pub async fn change_plan_form(context: &Context) -> Outcome {
    let form = context.form();
    let body = PlanChangeBody {
        plan_id: form.text("plan_id"),
        when: Some(form.text("when")),
        note: form.text("note"),
    };
    match ask_plan_change(context, &body).await {
        // The preview says what is missing and leads there.
        Err(failure) if failure.code == "billing_details_required" => {
            let query = form_urlencoded::Serializer::new(String::new())
                .append_pair("plan_id", &body.plan_id)
                .append_pair("when", body.when.as_deref().unwrap_or_default())
                .finish();
            let path = context.request.uri().path();
            Ok(response::see_other(&format!("{path}?{query}")))
        }
        outcome => after(context, outcome).await,
    }
}

/// `POST /apps/{app_id}/subscriptions/{subscription_id}/cancel`
pub async fn cancel_form(context: &Context) -> Outcome {
    let outcome = routes::cancel(context, "period_end", &context.form().text("reason")).await;
    after(context, outcome).await
}

/// `POST /apps/{app_id}/subscriptions/{subscription_id}/keep`
pub async fn keep_form(context: &Context) -> Outcome {
    let outcome = routes::withdraw_planned(context).await;
    after(context, outcome).await
}

/// `POST /apps/{app_id}/subscriptions/{subscription_id}/withdraw`
pub async fn withdraw_form(context: &Context) -> Outcome {
    let outcome = routes::withdraw(context).await;
    after(context, outcome).await
}
