//! Pages of webhooks, the same for partners and for the operator.

use askama::Template;

use super::endpoints::{self, EndpointBody, SecretBody, owner};
use super::events::{Audience, EVENTS, EventType};
use super::model::{DeliveryView, Endpoint, EndpointView};
use super::routes::{DeliveryDetail, deliveries_page, delivery_of_path, state_wanted};
use super::store;
use crate::apps::{may_build, organisation_page};
use crate::context::Context;
use crate::encoding::readable_time;
use crate::organisations::OperatorRole;
use crate::routes::{ADMINISTRATORS, Outcome};
use crate::web::forms::{Form, Shown};
use crate::web::listed::Listed;
use crate::web::{Failure, Page, response};

#[derive(Template)]
#[template(path = "webhooks/templates/endpoints.html")]
struct EndpointsPage {
    page: Page,
    shown: Shown,
    base: String,
    list: String,
    endpoints: Vec<EndpointView>,
    events: Vec<&'static EventType>,
    may_change: bool,
}

#[derive(Template)]
#[template(path = "webhooks/templates/endpoint.html")]
struct EndpointPage {
    page: Page,
    shown: Shown,
    base: String,
    list: String,
    endpoint: EndpointView,
    new_secret: Option<String>,
    state: String,
    deliveries: Vec<DeliveryView>,
    listed: Listed,
    events: Vec<&'static EventType>,
    may_change: bool,
}

impl EndpointPage {
    fn time(&self, unix_ms: &i64) -> String {
        readable_time(*unix_ms)
    }

    fn has_event(&self, name: &str) -> bool {
        self.endpoint.event_types.iter().any(|known| known == name)
    }
}

#[derive(Template)]
#[template(path = "webhooks/templates/delivery.html")]
struct DeliveryPage {
    page: Page,
    back: String,
    delivery: DeliveryDetail,
    may_change: bool,
}

impl DeliveryPage {
    fn time(&self, unix_ms: &i64) -> String {
        readable_time(*unix_ms)
    }
}

/// Events that an endpoint of this owner can get.
fn events_of(context: &Context) -> Result<Vec<&'static EventType>, Failure> {
    let is_operator = owner(context)?.is_none();
    Ok(EVENTS
        .iter()
        .filter(|event| is_operator || event.audience != Audience::Operator)
        .collect())
}

/// Where endpoints are below, and where the list is.
fn places(context: &Context) -> Result<(String, String), Failure> {
    Ok(match owner(context)? {
        None => (
            "/operator/webhook-endpoints".to_owned(),
            "/operator/webhooks".to_owned(),
        ),
        Some(id) => (
            "/webhook-endpoints".to_owned(),
            format!("/organisations/{id}/webhooks"),
        ),
    })
}

async fn page_of_owner(context: &Context, title: &str) -> Result<Page, Failure> {
    match owner(context)? {
        None => Ok(Page::new(context, title)),
        Some(_) => organisation_page(context, title).await,
    }
}

fn may_change(context: &Context) -> bool {
    match context.person() {
        Ok(person) if person.membership.is_some() => may_build(context),
        Ok(person) => OperatorRole::any_of(&person.operator_roles, ADMINISTRATORS),
        Err(_) => false,
    }
}

async fn endpoints_page(context: &Context, shown: Shown) -> Result<EndpointsPage, Failure> {
    let (base, list) = places(context)?;
    let endpoints = store::list_endpoints(context, owner(context)?).await?;
    Ok(EndpointsPage {
        page: page_of_owner(context, "Webhooks").await?,
        shown,
        base,
        list,
        endpoints: endpoints.iter().map(EndpointView::from).collect(),
        events: events_of(context)?,
        may_change: may_change(context),
    })
}

async fn endpoint_page(
    context: &Context,
    endpoint: &Endpoint,
    shown: Shown,
    new_secret: Option<String>,
) -> Result<EndpointPage, Failure> {
    let (base, list) = places(context)?;
    let deliveries = deliveries_page(context).await?;
    let title = if endpoint.description.is_empty() {
        "Webhook endpoint"
    } else {
        &endpoint.description
    };
    Ok(EndpointPage {
        page: page_of_owner(context, title).await?,
        shown,
        base: format!("{base}/{}", endpoint.id),
        list,
        endpoint: EndpointView::from(endpoint),
        new_secret,
        state: state_wanted(context)?,
        deliveries: deliveries.items,
        listed: {
            let path = format!("{base}/{}", endpoint.id);
            let api = format!("{path}/deliveries");
            Listed::of(context, &path, &api, deliveries.next_cursor.as_deref())
        },
        events: events_of(context)?,
        may_change: may_change(context),
    })
}

fn body_of(form: &Form) -> EndpointBody {
    EndpointBody {
        url: Some(form.text("url")),
        description: Some(form.text("description")),
        event_types: Some(form.all("event_types")),
        is_disabled: None,
    }
}

/// `GET …/webhooks`
pub async fn show_webhooks(context: &Context) -> Outcome {
    response::html(&endpoints_page(context, Shown::default()).await?)
}

/// `POST …/webhooks`: the only answer that shows the secret.
pub async fn create_webhook_form(context: &Context) -> Outcome {
    let form = context.form();
    match endpoints::create(context, &body_of(&form)).await {
        Ok((endpoint, secret)) => {
            let (base, list) = places(context)?;
            let base = format!("{base}/{}", endpoint.id);
            response::html(&EndpointPage {
                page: page_of_owner(context, "Webhook endpoint").await?,
                shown: Shown::default(),
                listed: Listed::of(context, &base, &format!("{base}/deliveries"), None),
                base,
                list,
                endpoint: EndpointView::from(&endpoint),
                new_secret: Some(secret),
                state: String::new(),
                deliveries: Vec::new(),
                events: events_of(context)?,
                may_change: true,
            })
        }
        Err(failure) => {
            let status = failure.status;
            let shown = Shown::again(form, failure)?;
            response::html_with(status, &endpoints_page(context, shown).await?)
        }
    }
}

/// `GET …/webhook-endpoints/{webhook_endpoint_id}`
pub async fn show_webhook_page(context: &Context) -> Outcome {
    let endpoint = endpoints::endpoint_of_path(context).await?;
    response::html(&endpoint_page(context, &endpoint, Shown::default(), None).await?)
}

/// `POST …/webhook-endpoints/{webhook_endpoint_id}`
pub async fn update_webhook_form(context: &Context) -> Outcome {
    let form = context.form();
    let outcome = endpoints::update(context, &body_of(&form)).await;
    after(context, form, outcome.map(|_| ())).await
}

/// `POST …/webhook-endpoints/{webhook_endpoint_id}/switch`
pub async fn switch_webhook_form(context: &Context) -> Outcome {
    let form = context.form();
    let body = EndpointBody {
        is_disabled: Some(form.text("to") == "off"),
        ..EndpointBody::default()
    };
    let outcome = endpoints::update(context, &body).await;
    after(context, form, outcome.map(|_| ())).await
}

/// `POST …/webhook-endpoints/{webhook_endpoint_id}/delete`
pub async fn delete_webhook_form(context: &Context) -> Outcome {
    endpoints::delete(context).await?;
    let (_, list) = places(context)?;
    Ok(response::see_other(&format!("{list}?done=removed")))
}

/// `POST …/webhook-endpoints/{webhook_endpoint_id}/secrets`
pub async fn rotate_webhook_secret_form(context: &Context) -> Outcome {
    let secret = endpoints::rotate_secret(context, &SecretBody::default()).await?;
    let endpoint = endpoints::endpoint_of_path(context).await?;
    response::html(&endpoint_page(context, &endpoint, Shown::default(), Some(secret)).await?)
}

/// `POST …/webhook-endpoints/{webhook_endpoint_id}/test-events`
pub async fn send_test_event_form(context: &Context) -> Outcome {
    let outcome = endpoints::send_test(context).await;
    after(context, context.form(), outcome.map(|_| ())).await
}

/// `GET …/webhook-endpoints/{webhook_endpoint_id}/deliveries/{event_id}`
pub async fn show_delivery_page(context: &Context) -> Outcome {
    let endpoint = endpoints::endpoint_of_path(context).await?;
    let (base, _) = places(context)?;
    response::html(&DeliveryPage {
        page: page_of_owner(context, "Delivery").await?,
        back: format!("{base}/{}", endpoint.id),
        delivery: delivery_of_path(context).await?,
        may_change: may_change(context),
    })
}

/// `POST …/webhook-endpoints/{webhook_endpoint_id}/deliveries/{event_id}/resend`
pub async fn resend_event_form(context: &Context) -> Outcome {
    let outcome = endpoints::resend(context).await;
    after(context, context.form(), outcome).await
}

async fn after(context: &Context, form: Form, outcome: Result<(), Failure>) -> Outcome {
    let endpoint = endpoints::endpoint_of_path(context).await?;
    let (base, _) = places(context)?;
    match outcome {
        Ok(()) => Ok(response::see_other(&format!(
            "{base}/{}?done=saved",
            endpoint.id
        ))),
        Err(failure) if failure.status == http::StatusCode::NOT_FOUND => Err(failure),
        Err(failure) => {
            let status = failure.status;
            let shown = Shown::again(form, failure)?;
            let page = endpoint_page(context, &endpoint, shown, None).await?;
            response::html_with(status, &page)
        }
    }
}
