//! Trying a call: the portal sends it to the gateway with the key that the visitor pasted.
//!
//! Only test keys, only operations of the product, only to the gateway: a test key never reaches
//! production, and this form cannot be turned on anything else. The key is neither stored nor logged.

use bytes::Bytes;
use http::StatusCode;
use shared::credential::{Environment, check_key};

use super::pages::{product_of_path, reference_of, render};
use crate::context::Context;
use crate::routes::Outcome;
use crate::web::Failure;
use crate::web::forms::Form;
use crate::web::throttle::{Limit, count_attempt};

const CALLS: Limit = Limit {
    name: "try_it",
    attempts: 60,
    window_ms: 60_000,
};
/// As much of an answer is shown.
const SHOWN_BYTES: usize = 64 * 1024;
const LONGEST_BODY: usize = 256 * 1024;

/// What was typed.
#[derive(Debug, Clone, Default)]
pub struct TryForm {
    /// The operation; empty before anything was sent.
    pub operation: String,
    /// What was wrong with it.
    pub problem: String,
    form: Form,
}

impl TryForm {
    /// A field as typed. The key is shown again, to the person who typed it.
    pub fn field(&self, name: &str) -> String {
        self.form.text(name)
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The request line.
    pub request: String,
    /// The status.
    pub status: u16,
    /// Headers worth a look.
    pub headers: Vec<(String, String)>,
    /// The body, cut if it is long.
    pub body: String,
}

/// `POST /products/{product_slug}/try`
pub async fn try_operation(context: &Context) -> Outcome {
    let form = context.form();
    let mut typed = TryForm {
        operation: form.text("operation"),
        problem: String::new(),
        form,
    };
    let product = product_of_path(context).await?;
    let reference = reference_of(context, &product).await?;
    let (slug, link) = reference
        .groups
        .iter()
        .find_map(|group| {
            let link = group
                .operations
                .iter()
                .find(|link| link.id == typed.operation)?;
            Some((group.slug.clone(), link.clone()))
        })
        .ok_or_else(Failure::not_found)?;
    count_attempt(context, CALLS, &context.person()?.person_id.to_string()).await?;
    let gateway = context.configuration().get("gateway_url").to_owned();
    let page = reference
        .operation(&link, &gateway)
        .ok_or_else(Failure::not_found)?;
    let names: Vec<(String, String)> = page
        .parameters
        .into_iter()
        .map(|parameter| (parameter.place, parameter.name))
        .collect();
    match call(context, &typed, &link.method, &link.path, &gateway, &names).await {
        Ok(sent) => render(context, StatusCode::OK, &slug, typed, Some(sent)).await,
        Err(problem) => {
            typed.problem = problem;
            render(
                context,
                StatusCode::UNPROCESSABLE_ENTITY,
                &slug,
                typed,
                None,
            )
            .await
        }
    }
}

fn check_test_key(context: &Context, key: &str) -> Result<(), String> {
    let brand = context.configuration().get("key_brand");
    match check_key(key, brand) {
        Ok(Environment::Test) => Ok(()),
        Ok(_) => Err("This is a live key. Only test keys are sent from here.".to_owned()),
        Err(_) => {
            Err("This is no key of this programme. Paste one of your app's test keys.".to_owned())
        }
    }
}

/// A segment or a value for a URL.
fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

async fn call(
    context: &Context,
    typed: &TryForm,
    method: &str,
    path: &str,
    gateway: &str,
    parameters: &[(String, String)],
) -> Result<Sent, String> {
    let key = typed.field("key");
    check_test_key(context, &key)?;
    let mut target = path.to_owned();
    let mut query = Vec::new();
    let mut headers = Vec::new();
    let mut fields = form_urlencoded::Serializer::new(String::new());
    let mut is_form = false;
    for (place, name) in parameters {
        let value = typed.field(&format!("{place}_{name}"));
        match place.as_str() {
            "path" if matches!(value.as_str(), "" | "." | "..") => {
                return Err(format!("{name}: give a value."));
            }
            "path" => target = target.replace(&format!("{{{name}}}"), &encode(&value)),
            "query" if !value.is_empty() => {
                query.push(format!("{}={}", encode(name), encode(&value)));
            }
            "header" if !value.is_empty() => headers.push((name.clone(), value)),
            "form" => {
                is_form = true;
                if !value.is_empty() {
                    fields.append_pair(name, &value);
                }
            }
            _ => {}
        }
    }
    if !query.is_empty() {
        target = format!("{target}?{}", query.join("&"));
    }
    let body = if is_form {
        fields.finish()
    } else {
        typed.field("body")
    };
    if body.len() > LONGEST_BODY {
        return Err(format!("The body is longer than {LONGEST_BODY} bytes."));
    }
    if !is_form
        && !body.is_empty()
        && let Err(error) = serde_json::from_str::<serde_json::Value>(&body)
    {
        return Err(format!("The body is not JSON: {error}."));
    }
    let mut request = http::Request::builder()
        .method(method)
        .uri(format!("{gateway}{target}"))
        .header("authorization", format!("Bearer {key}"));
    for (name, value) in &headers {
        request = request.header(name, value);
    }
    if !body.is_empty() {
        let content_type = if is_form {
            "application/x-www-form-urlencoded"
        } else {
            "application/json"
        };
        request = request.header("content-type", content_type);
    }
    let request = request
        .body(Bytes::from(body))
        .map_err(|_| "A header or the address holds a character that cannot be sent.".to_owned())?;
    send(context, format!("{method} {target}"), request).await
}

/// `GET path` at the gateway with a test key.
pub async fn send_example(context: &Context, key: &str, path: &str) -> Result<Sent, String> {
    check_test_key(context, key)?;
    let gateway = context.configuration().get("gateway_url");
    let request = http::Request::get(format!("{gateway}{path}"))
        .header("authorization", format!("Bearer {key}"))
        .body(Bytes::new())
        .map_err(|error| format!("The gateway's address cannot be called: {error}."))?;
    send(context, format!("GET {path}"), request).await
}

async fn send(
    context: &Context,
    line: String,
    request: http::Request<Bytes>,
) -> Result<Sent, String> {
    match context.app.http.send(request).await {
        Ok(answer) => Ok(sent(line, &answer)),
        Err(error) => {
            eprintln!("request {}: try-it: {error}", context.request_id);
            Err("The gateway cannot be reached from here. Use the curl line instead.".to_owned())
        }
    }
}

fn sent(request: String, answer: &http::Response<Bytes>) -> Sent {
    let shown = [
        "content-type",
        "ratelimit",
        "ratelimit-policy",
        "retry-after",
        "x-request-id",
        "location",
        "etag",
    ];
    let headers = answer
        .headers()
        .iter()
        .filter(|(name, _)| shown.contains(&name.as_str()))
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    let bytes = answer.body();
    let text = serde_json::from_slice::<serde_json::Value>(bytes)
        .ok()
        .and_then(|value| serde_json::to_string_pretty(&value).ok())
        .unwrap_or_else(|| String::from_utf8_lossy(bytes).into_owned());
    let mut body: String = text.chars().take(SHOWN_BYTES).collect();
    if body.len() < text.len() {
        body.push_str("\n…");
    }
    Sent {
        request,
        status: answer.status().as_u16(),
        headers,
        body,
    }
}
