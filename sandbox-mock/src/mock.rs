//! The mock: a compiled document that answers requests.
//!
//! Owns the order of things: match, check credentials, check the request, look into what is remembered, answer.

use crate::document::{self, Finding, ReadFile};
use crate::generation::Wish;
use crate::json::Value;
use crate::matching::{Matched, Routes, parameter_names};
use crate::operation::{Api, DeclaredResponse, Operation, Status, compile};
use crate::random::Random;
use crate::request::Request;
use crate::response::{
    Problem, Response, SOURCE_HEADER, Source, choose, make_body, make_headers, problem,
    refusal_response, render,
};
use crate::scenario::{self, Scenario};
use crate::source::SourceError;
use crate::state::{Memory, Recall, Store};
use crate::text::{plain_name, singular};
use crate::validation::request::{Accepted, challenge, check, check_credentials};

/// A compiled document, ready to answer.
#[derive(Debug)]
pub struct Mock {
    pub(crate) api: Api,
    routes: Routes,
    memory: Memory,
}

/// What a document became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// `info.title`.
    pub title: String,
    /// How many operations are served.
    pub operations: usize,
    /// How many schemas they need.
    pub schemas: usize,
    /// How many collections remember what is created.
    pub collections: usize,
    /// How many webhooks the document describes.
    pub webhooks: usize,
    /// What is not served as it is written.
    pub findings: Vec<Finding>,
}

/// Who asks, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// Other seeds give other values.
    pub seed: u64,
    /// Whose memory is used.
    pub tenant: String,
    /// Unix time in milliseconds.
    pub now_ms: i64,
    /// Whether anything is remembered.
    pub stateful: bool,
}

/// The tenant that a request belongs to: the app or organisation that the gateway names, else the credential.
pub fn tenant_of(request: &Request<'_>) -> String {
    let named = request
        .header("x-portico-app")
        .or_else(|| request.header("x-portico-organisation"));
    if let Some(name) = named {
        return name.to_owned();
    }
    let credential = request
        .header("authorization")
        .or_else(|| request.header("x-api-key"));
    // Not the credential itself: it must not stand in a store.
    credential.map_or_else(
        || "default".to_owned(),
        |text| format!("key_{:016x}", Random::for_parts(0, &[text]).next()),
    )
}

/// An operation that was found, and what the request said.
struct Call<'m> {
    operation: &'m Operation,
    values: Vec<String>,
    accepted: Accepted,
}

impl Mock {
    /// Compiles a document. Only one that is neither JSON nor YAML is an error.
    pub fn from_source(bytes: &[u8]) -> Result<(Mock, Summary), SourceError> {
        Mock::from_files(bytes, &mut |_| None)
    }

    /// Compiles a document and the relative files it refers to.
    pub fn from_files(
        bytes: &[u8],
        read_file: ReadFile<'_>,
    ) -> Result<(Mock, Summary), SourceError> {
        let tree = document::load(bytes, read_file)?;
        let api = compile(&tree);
        drop(tree);
        let routes = Routes::new(&api);
        let memory = Memory::new(&api);
        let summary = Summary {
            title: api.title.clone(),
            operations: api.operations.len(),
            schemas: api.schemas.len(),
            collections: memory.collections(),
            webhooks: api.webhooks,
            findings: api.findings.clone(),
        };
        Ok((
            Mock {
                api,
                routes,
                memory,
            },
            summary,
        ))
    }

    /// The operations that are served.
    pub fn operations(&self) -> &[Operation] {
        &self.api.operations
    }

    /// The collections that remember what is created.
    pub fn families(&self) -> Vec<crate::state::Family> {
        self.memory.families()
    }

    /// Answers a request.
    pub async fn respond<S: Store>(
        &self,
        request: Request<'_>,
        store: &mut S,
        context: &Context,
    ) -> Response {
        let is_head = request.method == "HEAD";
        let call = match self.understand(&request, context) {
            Ok(call) => call,
            Err(response) => return finished(response, is_head),
        };
        let scenario = Scenario::read(&request);
        let recall = if context.stateful && scenario.code.is_none() {
            let recall = self
                .memory
                .recall(
                    &self.api,
                    call.operation,
                    &call.values,
                    call.accepted.body.as_ref(),
                    &request,
                    store,
                    context,
                )
                .await;
            match recall {
                Ok(recall) => recall,
                Err(problem) => {
                    let random = self.random(&call, &request, context, &scenario, 0);
                    return finished(
                        refusal_response(
                            &self.api,
                            Some(call.operation),
                            &request,
                            &problem,
                            random,
                        ),
                        is_head,
                    );
                }
            }
        } else {
            Recall::default()
        };
        if let Some(response) = recall.replay {
            return finished(response, is_head);
        }
        let (mut response, value) = self.answer(&call, &request, context, &scenario, &recall);
        if let Some(value) = value {
            let location = self
                .memory
                .remember(
                    &self.api,
                    call.operation,
                    &call.values,
                    &recall,
                    &value,
                    store,
                    context,
                )
                .await;
            if let (Some(location), 201) = (location, response.status) {
                response.headers.retain(|(name, _)| name != "location");
                response = response.with("location", location);
            }
        }
        if let Some(link) = recall.link {
            response.headers.retain(|(name, _)| name != "link");
            response = response.with("link", link);
        }
        if let Some(key) = &recall.idempotency {
            Memory::keep_answer(key, &response, store).await;
        }
        finished(response, is_head)
    }

    /// Answers from a state that is at hand; for callers without an executor.
    pub fn respond_now<S: Store>(
        &self,
        request: Request<'_>,
        store: &mut S,
        context: &Context,
    ) -> Response {
        let mut future = std::pin::pin!(self.respond(request, store, context));
        let mut task = std::task::Context::from_waker(std::task::Waker::noop());
        for _ in 0..1_000 {
            if let std::task::Poll::Ready(response) = future.as_mut().poll(&mut task) {
                return response;
            }
        }
        plain(503, "store_busy", "The store did not answer.")
    }

    /// Finds the operation and checks the request.
    fn understand(&self, request: &Request<'_>, context: &Context) -> Result<Call<'_>, Response> {
        let (path, fragment) = split_fragment(request.path);
        let mut matched = self.routes.find(request.method, path);
        if request.method == "HEAD" && !matches!(matched, Matched::Operations(..)) {
            matched = self.routes.find("GET", path);
        }
        let (indices, values) = match matched {
            Matched::Operations(indices, values) => (indices, values),
            Matched::OtherMethods(methods) => {
                let allow = methods.join(", ");
                if request.method == "OPTIONS" {
                    return Err(Response {
                        status: 204,
                        headers: Vec::new(),
                        body: Vec::new(),
                    }
                    .with("allow", allow));
                }
                let message = format!(
                    "{} is not a method of {path}; it has {allow}.",
                    request.method
                );
                return Err(plain(405, "method_not_allowed", &message).with("allow", allow));
            }
            Matched::Nothing => {
                return Err(plain(
                    404,
                    "unknown_path",
                    &format!(
                        "{} {path} is not an operation of {}.",
                        request.method, self.api.title
                    ),
                ));
            }
        };
        let mut candidates: Vec<&Operation> = indices
            .iter()
            .filter_map(|index| self.api.operations.get(*index))
            .collect();
        if let Some(fragment) = fragment {
            candidates.retain(|operation| operation.fragment.as_deref() == Some(fragment.as_str()));
        }
        // Several operations on one route: the one that knows most of what the request says.
        let mut best: Option<Call<'_>> = None;
        let mut refusal: Option<Response> = None;
        for operation in candidates {
            let random = || Random::for_parts(context.seed, &[&operation.id, request.path]);
            if let Err(broken) = check_credentials(&self.api, operation, request) {
                let response = refusal_response(
                    &self.api,
                    Some(operation),
                    request,
                    &Problem::of(&[broken]),
                    random(),
                );
                let response = if response.status == 401 {
                    response.with("www-authenticate", challenge(&self.api, operation))
                } else {
                    response
                };
                refusal.get_or_insert(response);
                continue;
            }
            match check(&self.api, operation, &values, request) {
                Ok(accepted)
                    if best
                        .as_ref()
                        .is_none_or(|best| accepted.recognised > best.accepted.recognised) =>
                {
                    best = Some(Call {
                        operation,
                        values: values.clone(),
                        accepted,
                    });
                }
                Ok(_) => {}
                Err(broken) => {
                    let response = refusal_response(
                        &self.api,
                        Some(operation),
                        request,
                        &Problem::of(&broken),
                        random(),
                    );
                    refusal.get_or_insert(response);
                }
            }
        }
        best.ok_or_else(|| {
            refusal.unwrap_or_else(|| plain(404, "unknown_path", "There is no such operation."))
        })
    }

    /// The random numbers for an answer: the same for the same seed, tenant, operation, path and history.
    fn random(
        &self,
        call: &Call<'_>,
        request: &Request<'_>,
        context: &Context,
        scenario: &Scenario,
        history: u64,
    ) -> Random {
        let seed = scenario.seed.as_deref().unwrap_or("");
        let body = call
            .accepted
            .body
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        let dynamic = if scenario.dynamic { request.query } else { "" };
        let history = history.to_string();
        let mut parts = vec![
            context.tenant.as_str(),
            call.operation.id.as_str(),
            seed,
            dynamic,
            history.as_str(),
            body.as_str(),
        ];
        parts.extend(call.values.iter().map(String::as_str));
        Random::for_parts(context.seed, &parts)
    }

    fn answer(
        &self,
        call: &Call<'_>,
        request: &Request<'_>,
        context: &Context,
        scenario: &Scenario,
        recall: &Recall,
    ) -> (Response, Option<Value>) {
        let operation = call.operation;
        let (status, declared) = match self.chosen_response(operation, scenario, recall) {
            Ok(chosen) => chosen,
            Err(response) => return (*response, None),
        };
        let random = self.random(call, request, context, scenario, recall.history);
        let success = (200..300).contains(&status);
        let wish = self.wish(call, request, scenario, recall, success);
        let mut response = Response {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        };
        let Some(declared) = declared else {
            return (response, Some(Value::Null));
        };
        response.headers = make_headers(&self.api, declared, &wish, &random);
        if declared.content.is_empty() || matches!(status, 100..=199 | 204 | 205 | 304) {
            return (
                response,
                Some(recall.overlay.clone().unwrap_or(Value::Null)),
            );
        }
        let Some(media) = choose(&declared.content, request.header("accept")) else {
            let names: Vec<&str> = declared
                .content
                .iter()
                .map(|media| media.name.as_str())
                .collect();
            let message = format!("The header accept must allow {}.", names.join(" or "));
            return (plain(406, "not_acceptable", &message), None);
        };
        let said = if success { Vec::new() } else { spoken(status) };
        let wish = Wish {
            said: &said,
            ..wish
        };
        match make_body(&self.api, media, scenario, &wish, random) {
            Ok((value, source)) => {
                let source = if recall.is_known {
                    Source::State
                } else {
                    source
                };
                let (content_type, body) = render(&self.api, media, &value);
                response.body = body;
                (
                    response
                        .with("content-type", content_type)
                        .with(SOURCE_HEADER, source.word()),
                    Some(value),
                )
            }
            Err(proof) => {
                let message = format!(
                    "No valid answer can be made for {} (line {}): {}.",
                    operation.id, operation.line, proof.0
                );
                (plain(501, "unsatisfiable_schema", &message), None)
            }
        }
    }

    fn chosen_response<'o>(
        &self,
        operation: &'o Operation,
        scenario: &Scenario,
        recall: &Recall,
    ) -> Result<(u16, Option<&'o DeclaredResponse>), Box<Response>> {
        if let Some(code) = scenario.code {
            return match operation.response(code) {
                Some(declared) => Ok((code, Some(declared))),
                None if code >= 400 => {
                    let name = scenario::NAMES
                        .iter()
                        .find(|(_, known)| *known == code)
                        .map_or("scenario", |(name, _)| *name);
                    let response = plain(code, name, "The request asked for this answer.");
                    Err(Box::new(if code == 429 || code == 503 {
                        response.with("retry-after", "1")
                    } else {
                        response
                    }))
                }
                None => {
                    let message = format!(
                        "The operation {} declares no response {code}.",
                        operation.id
                    );
                    Err(Box::new(plain(400, "undeclared_status", &message)))
                }
            };
        }
        if let Some(name) = &scenario.example {
            let holder = operation.responses.iter().find(|response| {
                response
                    .content
                    .iter()
                    .any(|media| media.examples.iter().any(|(known, _)| known == name))
            });
            return match holder {
                Some(declared) => {
                    let status = match declared.status {
                        Status::Code(code) => code,
                        Status::Class(class) => class * 100,
                        Status::Default => 200,
                    };
                    Ok((status, Some(declared)))
                }
                None => {
                    let message =
                        format!("The operation {} declares no example {name}.", operation.id);
                    Err(Box::new(plain(404, "unknown_example", &message)))
                }
            };
        }
        // Creating by PUT answers 201 where that is declared.
        if let Some(declared) = operation
            .responses
            .iter()
            .find(|response| recall.created && response.status == Status::Code(201))
        {
            return Ok((201, Some(declared)));
        }
        if let Some(declared) = operation
            .responses
            .iter()
            .find(|response| recall.is_known && response.status == Status::Code(200))
        {
            return Ok((200, Some(declared)));
        }
        Ok(operation
            .success()
            .map_or((200, None), |(status, declared)| (status, Some(declared))))
    }

    fn wish<'w>(
        &self,
        call: &'w Call<'_>,
        request: &Request<'w>,
        scenario: &Scenario,
        recall: &'w Recall,
        success: bool,
    ) -> Wish<'w> {
        let names = parameter_names(&call.operation.path);
        // `/fees/{id}/refunds` and `/fees/{fee}/refunds/{refund}` mean the same fee.
        let outer = self.memory.outer_names(call.operation);
        let echo: Vec<(String, String)> = names
            .iter()
            .map(|name| plain_name(name))
            .zip(call.values.iter().cloned())
            .chain(
                outer
                    .iter()
                    .map(|name| plain_name(name))
                    .zip(call.values.iter().cloned()),
            )
            .collect();
        let last = call.operation.path.rsplit('/').next().unwrap_or("");
        let item = call
            .values
            .last()
            .filter(|_| last.starts_with('{'))
            .cloned();
        let words: Vec<&str> = call
            .operation
            .path
            .split('/')
            .filter(|part| !part.is_empty() && !part.contains('{'))
            .collect();
        let body = call.accepted.body.as_ref().filter(|body| {
            body.as_object().is_some() && request.method != "GET" && !scenario.dynamic
        });
        let overlay = recall.overlay.as_ref().or(body);
        Wish {
            examples: !scenario.dynamic,
            varied: scenario.dynamic,
            echo: if success { echo } else { Vec::new() },
            item: item.filter(|_| success),
            overlay: overlay.filter(|_| success),
            headers: request.headers,
            resource: singular(words.last().copied().unwrap_or("record")),
            ..Wish::default()
        }
    }
}

/// What an error says that was asked for by a scenario.
fn spoken(status: u16) -> Vec<(&'static str, Value)> {
    vec![
        ("status", Value::Int(i64::from(status))),
        ("statuscode", Value::Int(i64::from(status))),
    ]
}

fn split_fragment(path: &str) -> (&str, Option<String>) {
    let found = path.split_once('#').or_else(|| path.split_once("%23"));
    match found {
        Some((path, fragment)) => (path, Some(crate::text::percent_decode(fragment))),
        None => (path, None),
    }
}

fn plain(status: u16, code: &str, message: &str) -> Response {
    let body = problem(status, code, message).to_string().into_bytes();
    Response {
        status,
        headers: Vec::new(),
        body,
    }
    .with("content-type", "application/problem+json")
}

fn finished(mut response: Response, is_head: bool) -> Response {
    let length = response.body.len();
    if is_head {
        response.body.clear();
    }
    if matches!(response.status, 100..=199 | 204 | 304) {
        return response;
    }
    response.with("content-length", length.to_string())
}
