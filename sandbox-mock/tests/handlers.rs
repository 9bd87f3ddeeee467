//! Operations that a handler answers, told by the host what the handler said.

use sandbox_mock::handler::{Handled, HandlerCall, HandlerFailure, Turn};
use sandbox_mock::json::{Value, read};
use sandbox_mock::state::MemoryStore;
use sandbox_mock::{Context, Mock, Request, Response};

const DEMO: &[u8] = include_bytes!("../../examples/demo-api/openapi.yaml");
const ORDER: &str = r#"{"customer_id":"cus_7Hq2LmX9aB","currency":"EUR","items":[{"product_id":"prod_4kTz81WqYc","quantity":2}]}"#;

struct Sandbox {
    mock: Mock,
    store: MemoryStore,
}

impl Sandbox {
    fn with_handlers(operations: &[&str]) -> Sandbox {
        let (mut mock, _) = Mock::from_source(DEMO).unwrap();
        let handlers: Vec<(String, String)> = operations
            .iter()
            .map(|id| ((*id).to_owned(), "own.wasm".to_owned()))
            .collect();
        mock.set_handlers(&handlers).unwrap();
        Sandbox {
            mock,
            store: MemoryStore::default(),
        }
    }

    fn turn(
        &mut self,
        (method, path): (&str, &str),
        more: &[(&str, &str)],
        body: &str,
        handled: Option<&Handled>,
    ) -> Turn {
        let mut headers = vec![
            ("authorization".to_owned(), "Bearer pk_test_1".to_owned()),
            ("content-type".to_owned(), "application/json".to_owned()),
        ];
        headers.extend(
            more.iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let request = Request {
            method,
            path,
            query: "",
            headers: &headers,
            body: body.as_bytes(),
        };
        let context = Context {
            seed: 1,
            tenant: "app_one".to_owned(),
            now_ms: 1_767_225_600_000,
            stateful: true,
        };
        self.mock
            .respond_turn_now(request, &mut self.store, &context, handled)
    }

    fn asked(&mut self, operation: (&str, &str), body: &str) -> HandlerCall {
        match self.turn(operation, &[], body, None) {
            Turn::Ask(call) => *call,
            Turn::Answer(answer) => panic!("{}", shown(&answer)),
        }
    }

    fn answer(
        &mut self,
        operation: (&str, &str),
        body: &str,
        handled: Option<&Handled>,
    ) -> Response {
        match self.turn(operation, &[], body, handled) {
            Turn::Answer(answer) => answer,
            Turn::Ask(call) => panic!("asks for {}", call.operation),
        }
    }

    fn why(&mut self) -> Value {
        json(&self.answer(("GET", "/.portico/why"), "", None))
    }
}

fn shown(answer: &Response) -> String {
    format!(
        "{} {}",
        answer.status,
        String::from_utf8_lossy(&answer.body)
    )
}

fn json(answer: &Response) -> Value {
    read(&answer.body).unwrap()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

const CREATE: (&str, &str) = ("POST", "/v1/orders");

#[test]
fn a_handler_sees_the_request_the_suggestion_and_no_credential() {
    let mut sandbox = Sandbox::with_handlers(&["createOrder"]);
    let call = sandbox.asked(CREATE, ORDER);
    assert_eq!(call.operation, "createOrder");
    assert_eq!(call.tenant, "app_one");
    assert_eq!(call.now_ms, 1_767_225_600_000);
    assert_eq!(call.body, ORDER.as_bytes());
    assert_eq!(call.suggestion.status, 201);
    assert_eq!(
        text(&json(&call.suggestion), "customer_id"),
        "cus_7Hq2LmX9aB"
    );
    let names: Vec<&str> = call.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["content-type"]);
    // The same request, the same words.
    assert_eq!(sandbox.asked(CREATE, ORDER), call);
}

#[test]
fn what_a_handler_answers_is_sent_logged_and_remembered() {
    let mut sandbox = Sandbox::with_handlers(&["createOrder"]);
    let suggestion = sandbox.asked(CREATE, ORDER).suggestion;
    let mut order = json(&suggestion);
    order.set("total_amount", Value::Int(4_200));
    let mut said = suggestion;
    said.body = order.to_string().into_bytes();
    said.headers
        .push(("Content-Length".to_owned(), "1".to_owned()));
    let answer = sandbox.answer(CREATE, ORDER, Some(&Ok(said)));
    assert_eq!(answer.status, 201, "{}", shown(&answer));
    assert_eq!(answer.header("x-portico-mock-source"), Some("handler"));
    let length = answer.body.len().to_string();
    let lengths = answer
        .headers
        .iter()
        .filter(|(name, _)| name == "content-length");
    assert_eq!(
        lengths.map(|(_, value)| value).collect::<Vec<_>>(),
        [&length]
    );
    let why = sandbox.why();
    assert_eq!(text(&why, "source"), "handler");
    assert!(why.get("violations").is_none(), "{why}");
    let path = format!("/v1/orders/{}", text(&order, "id"));
    let again = sandbox.answer(("GET", &path), "", None);
    assert_eq!(json(&again).get("total_amount"), Some(&Value::Int(4_200)));
}

#[test]
fn an_answer_that_the_document_does_not_declare_is_sent_and_the_log_says_so() {
    let mut sandbox = Sandbox::with_handlers(&["getBalance"]);
    let mut said = sandbox.asked(("GET", "/v1/balance"), "").suggestion;
    said.body = b"{\"available\": \"much\"}".to_vec();
    let answer = sandbox.answer(("GET", "/v1/balance"), "", Some(&Ok(said.clone())));
    assert_eq!(answer.body, b"{\"available\": \"much\"}");
    let why = sandbox.why();
    let violations = why.get("violations").and_then(Value::as_array).unwrap();
    assert!(
        violations
            .iter()
            .all(|broken| text(broken, "location") == "response")
    );
    said.status = 418;
    sandbox.answer(("GET", "/v1/balance"), "", Some(&Ok(said)));
    assert!(sandbox.why().to_string().contains("418 is not declared"));
}

#[test]
fn a_failure_costs_one_request_and_names_the_handler() {
    let mut sandbox = Sandbox::with_handlers(&["createOrder"]);
    let failures = [
        (
            HandlerFailure::TimedOut { after_ms: 1_000 },
            504,
            "did not answer within 1000 ms",
        ),
        (
            HandlerFailure::Crashed("unreachable".to_owned()),
            500,
            "crashed: unreachable",
        ),
        (
            HandlerFailure::Refused("no stock.".to_owned()),
            500,
            "failed: no stock",
        ),
    ];
    for (failure, status, words) in failures {
        let answer = sandbox.answer(CREATE, ORDER, Some(&Err(failure)));
        assert_eq!(answer.status, status);
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
        let detail = format!("The handler own.wasm of createOrder {words}.");
        assert_eq!(text(&json(&answer), "detail"), detail);
        assert!(sandbox.why().to_string().contains(&detail));
    }
    // Nothing was created.
    let list = json(&sandbox.answer(("GET", "/v1/orders"), "", None));
    assert!(!list.to_string().contains("pk_test"));
    assert!(matches!(
        sandbox.turn(CREATE, &[], ORDER, None),
        Turn::Ask(_)
    ));
}

#[test]
fn refusals_scenarios_and_other_operations_do_not_reach_a_handler() {
    let mut sandbox = Sandbox::with_handlers(&["createOrder"]);
    assert_eq!(sandbox.answer(CREATE, "{}", None).status, 422);
    assert_eq!(sandbox.answer(("GET", "/v1/balance"), "", None).status, 200);
    let asked_for = sandbox.turn(CREATE, &[("prefer", "code=429")], ORDER, None);
    assert!(matches!(asked_for, Turn::Answer(answer) if answer.status == 429));
    let unknown = [("placeOrder".to_owned(), "own.wasm".to_owned())];
    let error = sandbox.mock.set_handlers(&unknown).unwrap_err();
    assert!(
        error.contains("own.wasm is for the operation placeOrder"),
        "{error}"
    );
}
