//! Making the answer to a request that was understood.

use super::{Call, Context, Mock, plain};
use crate::control::Why;
use crate::generation::Wish;
use crate::json::Value;
use crate::matching::parameter_names;
use crate::operation::{DeclaredResponse, Operation, Status};
use crate::random::Random;
use crate::request::Request;
use crate::response::{
    Body, Response, SOURCE_HEADER, Source, choose, make_body, make_headers, render, said,
};
use crate::scenario::{self, Scenario};
use crate::schema::SchemaId;
use crate::state::{Recall, page_of_generated};
use crate::text::{plain_name, singular};
use crate::validation::Direction;
use crate::validation::schema::is_valid;

impl Mock {
    /// The random numbers for an answer: the same for the same seed, tenant, operation, path and history.
    pub(super) fn random(
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

    pub(crate) fn answer(
        &self,
        call: &Call<'_>,
        request: &Request<'_>,
        context: &Context,
        scenario: &Scenario,
        recall: &Recall,
        why: &mut Why,
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
        let said = if status < 400 {
            Vec::new()
        } else {
            said(status, scenario_name(status), ASKED_FOR, "")
        };
        let wish = Wish {
            said: &said,
            ..wish
        };
        let schema = media.schema;
        let line = schema.map(|id| self.api.schemas.get(id).line);
        why.media = Some((media.name.clone(), line));
        match make_body(&self.api, media, scenario, &wish, random) {
            Ok(Body {
                value,
                source,
                example,
            }) => {
                why.example = example;
                let value = match schema {
                    Some(schema) if success && !recall.is_known && operation.method == "GET" => {
                        self.paged(operation, request, scenario, schema, value, source)
                    }
                    _ => value,
                };
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

    /// A list as the page that was asked for.
    fn paged(
        &self,
        operation: &Operation,
        request: &Request<'_>,
        scenario: &Scenario,
        schema: SchemaId,
        value: Value,
        source: Source,
    ) -> Value {
        // An example is served as it is written unless a part of it is asked for.
        if source == Source::Example && request.query.is_empty() && !scenario.empty {
            return value;
        }
        let page = page_of_generated(
            &self.api,
            operation,
            request,
            schema,
            &value,
            scenario.empty,
        );
        page.filter(|page| is_valid(&self.api.schemas, schema, page, Direction::Response))
            .unwrap_or(value)
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
                    let response = plain(code, scenario_name(code), ASKED_FOR);
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
const ASKED_FOR: &str = "The request asked for this answer.";

/// The scenario that answers with a status.
fn scenario_name(status: u16) -> &'static str {
    scenario::NAMES
        .iter()
        .find(|(_, known)| *known == status)
        .map_or("scenario", |(name, _)| *name)
}
