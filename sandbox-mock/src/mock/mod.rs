//! The mock: a compiled document that answers requests.
//!
//! Owns the order of things: match, check credentials, check the request, look into what is remembered, answer.

mod answer;
mod kept;
mod understand;

use crate::control::{
    self, Fault, LATENCY_HEADER, LONGEST_MS, Log, Tenant, Why, draw, scenario_for,
};
use crate::document::{self, Finding, ReadFile};
use crate::events::delivery::set_off;
use crate::handler::{Handled, HandlerCall, Handlers, Turn};
use crate::json::Value;
use crate::matching::{Matched, Routes};
use crate::operation::{Api, Operation, compile};
use crate::random::Random;
use crate::redaction::redact_target;
use crate::request::Request;
use crate::response::{Response, SOURCE_HEADER, problem, refusal_response};
use crate::source::SourceError;
use crate::state::{Memory, PageLink, Recall, Store};
use crate::text::plain_name;
use crate::validation::request::Accepted;
use kept::{Answers, Kept, Question};

/// Headers that say how many items a whole list has.
const TOTALS: [&str; 6] = [
    "xtotalcount",
    "xtotal",
    "totalcount",
    "xtotalitems",
    "xpaginationtotal",
    "xpaginationtotalcount",
];

/// A compiled document, ready to answer.
#[derive(Debug)]
pub struct Mock {
    pub(crate) api: Api,
    pub(crate) routes: Routes,
    pub(crate) memory: Memory,
    /// Whether operations share paths and differ by what follows `#`.
    has_fragments: bool,
    faults: Vec<Fault>,
    pub(crate) handlers: Handlers,
    answers: Answers,
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
pub(crate) struct Call<'m> {
    pub(crate) operation: &'m Operation,
    pub(crate) values: Vec<String>,
    pub(crate) accepted: Accepted,
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
        let mut operations = api.operations.iter();
        let has_fragments = operations.any(|operation| operation.fragment.is_some());
        Ok((
            Mock {
                api,
                routes,
                memory,
                has_fragments,
                faults: Vec::new(),
                handlers: Handlers::new(),
                answers: Answers::default(),
            },
            summary,
        ))
    }

    /// The operations that are served.
    pub fn operations(&self) -> &[Operation] {
        &self.api.operations
    }

    /// Whether the document asks for no credential to call this.
    pub fn is_open(&self, method: &str, path: &str) -> bool {
        let Matched::Operations(found, _) = self.routes.find(method, path) else {
            return false;
        };
        found
            .iter()
            .filter_map(|index| self.api.operations.get(*index))
            .all(|operation| {
                operation.security.is_empty() || operation.security.iter().any(Vec::is_empty)
            })
    }

    /// The collections that remember what is created.
    pub fn families(&self) -> Vec<crate::state::Family> {
        self.memory.families()
    }

    /// Sets what happens to calls of every tenant: a list of faults, as `/.portico/faults` takes it.
    pub fn set_faults(&mut self, json: &[u8]) -> Result<(), String> {
        let value = crate::json::read(json)
            .map_err(|error| format!("line {}: {}", error.line, error.reason))?;
        self.faults = Fault::read_all(&value)?;
        Ok(())
    }

    /// Answers a request; for hosts that run no handlers.
    pub async fn respond<S: Store>(
        &self,
        request: Request<'_>,
        store: &mut S,
        context: &Context,
    ) -> Response {
        match self.respond_turn(request, store, context, None).await {
            Turn::Answer(response) => response,
            Turn::Ask(call) => {
                let message = format!("Nothing here runs the handler of {}.", call.operation);
                plain(501, "handler_not_run", &message)
            }
        }
    }

    /// Answers a request, or says that a handler has to be asked first; nothing is changed then, and the request is
    /// brought again with what the handler said.
    pub async fn respond_turn<S: Store>(
        &self,
        request: Request<'_>,
        store: &mut S,
        context: &Context,
        handled: Option<&Handled>,
    ) -> Turn {
        let is_head = request.method == "HEAD";
        if !store.keeps() && control::path_of(request.path).is_some() {
            return Turn::Answer(plain(
                404,
                "unknown_path",
                "This mock keeps nothing to show or set.",
            ));
        }
        let mut tenant = Tenant::default();
        let mut log = Log::default();
        if store.keeps() {
            tenant = Tenant::load(store, context).await;
            if let Some(path) = control::path_of(request.path) {
                let answer = control::serve(self, path, &request, store, context, &mut tenant);
                let response = answer.await;
                tenant.save(store).await;
                return Turn::Answer(finished(response, is_head));
            }
            log = Log::load(store, &tenant).await;
        }
        let context = Context {
            now_ms: context.now_ms.saturating_add(tenant.ahead_ms),
            ..context.clone()
        };
        let mut why = Why {
            outcome: "answered",
            ..Why::default()
        };
        let noted = (log.next, &mut why);
        let answer = self.answer_call(&request, store, &context, &mut tenant, noted, handled);
        let mut response = match answer.await {
            Ok(response) => response,
            Err(call) => return Turn::Ask(call),
        };
        if why.latency_ms > 0 {
            response = response.with(LATENCY_HEADER, why.latency_ms.to_string());
        }
        if store.keeps() {
            let entry = why.entry(
                &log.next_id(),
                context.now_ms,
                (request.method, redact_target(request.path, request.query)),
                response.status,
                response.header(SOURCE_HEADER),
            );
            log.append(&entry, store, &tenant).await;
            tenant.save(store).await;
        }
        Turn::Answer(finished(response, is_head))
    }

    /// The answer, or what a handler has to be asked.
    async fn answer_call<S: Store>(
        &self,
        request: &Request<'_>,
        store: &mut S,
        context: &Context,
        tenant: &mut Tenant,
        (number, why): (u64, &mut Why),
        handled: Option<&Handled>,
    ) -> Result<Response, Box<HandlerCall>> {
        let call = match self.understand(request, context, why) {
            Ok(call) => call,
            Err(response) => return Ok(response),
        };
        let operation = call.operation;
        let (mut scenario, asked) = scenario_for(&tenant.bindings, &operation.id, request);
        why.scenario = asked;
        let faults = tenant.faults.iter().chain(&self.faults);
        let drawn = draw(
            faults,
            &operation.id,
            Random::for_parts(
                context.seed,
                &[&context.tenant, &operation.id, &number.to_string()],
            ),
        );
        why.latency_ms = scenario
            .latency_ms
            .unwrap_or(drawn.latency_ms)
            .min(LONGEST_MS);
        if scenario.code.is_none() {
            scenario.code = drawn.status;
            why.fault = drawn.status;
        }
        let recall = if context.stateful && scenario.code.is_none() {
            let recall = self
                .memory
                .recall(
                    &self.api,
                    operation,
                    &call.values,
                    call.accepted.body.as_ref(),
                    request,
                    store,
                    context,
                    tenant,
                )
                .await;
            match recall {
                Ok(recall) => recall,
                Err(problem) => {
                    why.refused_by(&problem);
                    let random = self.random(&call, request, context, &scenario, 0);
                    let refusal =
                        refusal_response(&self.api, Some(operation), request, &problem, random);
                    return Ok(refusal);
                }
            }
        } else {
            Recall::default()
        };
        if let Some(response) = recall.replay {
            why.outcome = "replayed";
            return Ok(response);
        }
        // A scenario or a fault that asks for an answer gets it from the mock.
        let is_custom = self.handlers.contains_key(&operation.id)
            && scenario.code.is_none()
            && scenario.example.is_none();
        let question = Question::of(&call, request, context, &scenario, &recall)
            .filter(|_| !is_custom && self.answers_itself(operation));
        if let Some(kept) = question
            .as_ref()
            .and_then(|question| self.answers.find(question))
        {
            (why.media, why.example) = (kept.media, kept.example);
            return Ok(kept.response);
        }
        let (mut response, value) = match handled.filter(|_| is_custom) {
            Some(handled) => match self.handled(operation, handled, why) {
                // Nothing happened that could be remembered.
                (response, None) => return Ok(response),
                made => made,
            },
            None => self.answer(&call, request, context, &scenario, &recall, why),
        };
        if is_custom && handled.is_none() {
            let mut random = self.random(&call, request, context, &scenario, recall.history);
            let ask = self.handler_call(&call, request, context, random.next(), response);
            return Err(Box::new(ask));
        }
        if let Some(question) = question {
            let kept = Kept {
                response: response.clone(),
                media: why.media.clone(),
                example: why.example.clone(),
            };
            self.answers.keep(question, kept);
            return Ok(response);
        }
        if store.keeps() && (200..300).contains(&response.status) {
            // A deletion is about what was there.
            let subject = value
                .as_ref()
                .filter(|value| **value != Value::Null)
                .or(recall.overlay.as_ref());
            let about = (&call, request, subject);
            why.deliveries = set_off(self, about, store, context, tenant, number).await;
        }
        if let Some(value) = value {
            let location = self
                .memory
                .remember(
                    operation,
                    &call.values,
                    &recall,
                    &value,
                    store,
                    context,
                    tenant,
                )
                .await;
            if let (Some(location), 201) = (location, response.status) {
                response.headers.retain(|(name, _)| name != "location");
                response = response.with("location", location);
            }
        }
        if let Some(link) = recall.link {
            let before = response.headers.len();
            response.headers.retain(|(name, _)| name != "link");
            match link {
                PageLink::Next(link) => response = response.with("link", link),
                PageLink::Last(link) if response.headers.len() < before => {
                    response = response.with("link", link);
                }
                PageLink::Last(_) => {}
            }
        }
        if let Some(total) = recall.total {
            for (_, value) in response
                .headers
                .iter_mut()
                .filter(|(name, _)| TOTALS.contains(&plain_name(name).as_str()))
            {
                *value = total.to_string();
            }
        }
        if let Some(key) = &recall.idempotency {
            Memory::keep_answer(key, &response, store, tenant).await;
        }
        Ok(response)
    }

    /// Whether an operation sends nothing, and shows no header of the request.
    fn answers_itself(&self, operation: &Operation) -> bool {
        let mut events = self.api.events.iter();
        !self.api.schemas.show_headers
            && events.all(|event| {
                let callback = event.callback.as_ref();
                callback.is_none_or(|(index, _)| *index != operation.index)
            })
    }

    /// Answers from a state that is at hand; for callers without an executor.
    pub fn respond_now<S: Store>(
        &self,
        request: Request<'_>,
        store: &mut S,
        context: &Context,
    ) -> Response {
        finish_now(self.respond(request, store, context))
            .unwrap_or_else(|| plain(503, "store_busy", "The store did not answer."))
    }

    /// As [`Mock::respond_turn`], from a state that is at hand.
    pub fn respond_turn_now<S: Store>(
        &self,
        request: Request<'_>,
        store: &mut S,
        context: &Context,
        handled: Option<&Handled>,
    ) -> Turn {
        finish_now(self.respond_turn(request, store, context, handled))
            .unwrap_or_else(|| Turn::Answer(plain(503, "store_busy", "The store did not answer.")))
    }

    /// By how many milliseconds the clock of the tenant is ahead; for callers without an executor.
    pub fn clock_ahead_ms<S: Store>(&self, store: &mut S, context: &Context) -> u64 {
        let tenant = finish_now(Tenant::load(store, context)).unwrap_or_default();
        u64::try_from(tenant.ahead_ms).unwrap_or(0)
    }
}

/// Runs a future whose waits end at once.
pub(crate) fn finish_now<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    let mut task = std::task::Context::from_waker(std::task::Waker::noop());
    for _ in 0..100_000 {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut task) {
            return Some(value);
        }
    }
    None
}

pub(crate) fn plain(status: u16, code: &str, message: &str) -> Response {
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
