//! What documents of the wild do: server variables, every style of parameter, discriminators, formats, negotiation.

use sandbox_mock::json::{Value, read};
use sandbox_mock::sample::sample;
use sandbox_mock::state::NoStore;
use sandbox_mock::{Context, Mock, Request, Response};

const DOCUMENT: &str = include_str!("wild/openapi.yaml");

struct Api(Mock);

impl Api {
    fn new() -> Api {
        let (mock, summary) = Mock::from_source(DOCUMENT.as_bytes()).unwrap();
        assert_eq!(summary.findings, []);
        Api(mock)
    }

    fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Response {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut all: Vec<(String, String)> = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        if !body.is_empty() && all.iter().all(|(name, _)| name != "content-type") {
            all.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        let request = Request {
            method,
            path,
            query,
            headers: &all,
            body: body.as_bytes(),
        };
        let context = Context {
            seed: 1,
            tenant: "app_one".to_owned(),
            now_ms: 0,
            stateful: false,
        };
        self.0.respond_now(request, &mut NoStore, &context)
    }

    fn get(&self, target: &str) -> Response {
        self.send("GET", target, &[], "")
    }
}

fn text(response: &Response) -> String {
    String::from_utf8_lossy(&response.body).into_owned()
}

fn json(response: &Response) -> Value {
    read(&response.body).unwrap_or_else(|_| panic!("not JSON: {}", text(response)))
}

#[test]
fn a_request_may_carry_every_value_of_a_server_variable() {
    let api = Api::new();
    for base in ["", "/v2/shop", "/v1/shop", "/tenants/acme/shop"] {
        assert_eq!(api.get(&format!("{base}/pets/7")).status, 200, "{base}");
    }
    for path in ["/v9/shop/pets/7", "/v1/pets/7", "/tenants//shop/pets/7"] {
        assert_eq!(api.get(path).status, 404, "{path}");
    }
}

#[test]
fn every_style_of_parameter_is_read_and_checked() {
    let api = Api::new();
    let target = |matrix: &str, label: &str, simple: &str, query: &str| {
        format!("/styles/{matrix}/{label}/{simple}{query}")
    };
    let (matrix, label, simple) = (";m=1;m=2", ".ab.cd", "x=1,y=true");
    let good = [
        target(matrix, label, simple, ""),
        target(";m=5", ".ab,cd", "y=false,x=3", ""),
        target(matrix, label, simple, "?list=1,2&space=1%202&pipe=a%7Cb"),
        target(matrix, label, simple, "?deep[gte]=1&deep%5Blte%5D=2"),
        target(matrix, label, simple, "?fa=1&fb=x&content=%7B%22k%22:1%7D"),
    ];
    for target in good {
        let response = api.get(&target);
        assert_eq!(response.status, 200, "{target}: {}", text(&response));
    }
    let bad = [
        (target(";m=1;m=z", label, simple, ""), "path m"),
        (target(matrix, ".ab.c", simple, ""), "path label"),
        (target(matrix, label, "x=z", ""), "path simple"),
        (target(matrix, label, simple, "?list=1,z"), "query list"),
        (target(matrix, label, simple, "?space=1%20z"), "query space"),
        (target(matrix, label, simple, "?pipe=a|c"), "query pipe"),
        (target(matrix, label, simple, "?deep[lte]=1"), "query deep"),
        (target(matrix, label, simple, "?fa=z"), "query form"),
        (target(matrix, label, simple, "?content=1"), "query content"),
    ];
    for (target, place) in bad {
        let response = api.get(&target);
        assert_eq!(response.status, 400, "{target}");
        assert!(text(&response).contains(place), "{}", text(&response));
    }
    let listed = |value| {
        api.send(
            "GET",
            &target(matrix, label, simple, ""),
            &[("X-List", value)],
            "",
        )
    };
    assert_eq!(listed("1, 2,\t3").status, 200);
    assert!(text(&listed("1, b")).contains("header X-List"));
    assert_eq!(api.get("/ratio/.2.5").status, 200);
}

#[test]
fn the_samples_of_every_operation_are_understood() {
    let api = Api::new();
    for (index, operation) in api.0.operations().iter().enumerate() {
        for seed in 1..=5 {
            let sample = sample(&api.0, index, seed).unwrap();
            let request = Request {
                method: &sample.method,
                path: &sample.path,
                query: &sample.query,
                headers: &sample.headers,
                body: &sample.body,
            };
            let context = Context {
                seed,
                tenant: "app_one".to_owned(),
                now_ms: 0,
                stateful: false,
            };
            let response = api.0.respond_now(request, &mut NoStore, &context);
            assert!(
                response.status < 300,
                "{}: {sample:?} {}",
                operation.id,
                text(&response)
            );
        }
    }
}

#[test]
fn a_body_has_to_be_what_its_discriminator_says() {
    let api = Api::new();
    let status = |body: &str| {
        let response = api.send("POST", "/pets", &[], body);
        (response.status, text(&response))
    };
    assert_eq!(status(r#"{"kind":"Dog","loud":true}"#).0, 201);
    // It would fit a dog, but says that it is a cat.
    let (refused, why) = status(r#"{"kind":"Cat","loud":true}"#);
    assert_eq!(refused, 400);
    assert!(why.contains("lives is missing"), "{why}");
    let (refused, why) = status(r#"{"kind":"Fish","loud":true}"#);
    assert_eq!(refused, 400);
    assert!(why.contains("kind must be one of Cat, Dog"), "{why}");
}

#[test]
fn ids_with_reserved_characters_reach_their_operation() {
    let api = Api::new();
    for (written, id) in [("a%23b", "a#b"), ("a%2Fb", "a/b"), ("%C3%A9", "é")] {
        let response = api.get(&format!("/things/{written}"));
        assert_eq!(json(&response).get("id"), Some(&Value::from(id)));
    }
}

#[test]
fn what_is_allowed_on_a_path_includes_head() {
    let response = Api::new().send("PATCH", "/pets/7", &[], "");
    assert_eq!(response.status, 405);
    assert_eq!(response.header("allow"), Some("DELETE, GET, HEAD"));
}

#[test]
fn a_media_type_that_is_named_itself_comes_before_one_of_its_kind() {
    let api = Api::new();
    let answered = |accept| {
        let response = api.send("GET", "/documents", &[("accept", accept)], "");
        let media = response.header("content-type").unwrap_or("").to_owned();
        (response.status, media)
    };
    assert_eq!(
        answered("application/vnd.api+json").1,
        "application/vnd.api+json"
    );
    assert_eq!(answered("application/json").1, "application/json");
    assert_eq!(answered("*/*").1, "application/json");
    assert_eq!(answered("text/csv, */*;q=0.5").1, "text/csv");
    assert_eq!(answered("image/png").0, 406);
}

#[test]
fn an_error_that_was_asked_for_speaks_of_its_status() {
    let api = Api::new();
    let response = api.send("GET", "/pets/7", &[("prefer", "code=404")], "");
    assert_eq!(response.status, 404);
    let body = json(&response);
    assert_eq!(body.get("status"), Some(&Value::Int(404)));
    assert_eq!(body.get("title"), Some(&Value::from("Not found")));
    // The document's own words stay.
    assert_eq!(
        body.get("detail"),
        Some(&Value::from("The pet has run away."))
    );
}

#[test]
fn a_list_of_errors_names_a_mistake_once() {
    let response = Api::new().send("POST", "/orders", &[], r#"{"amount":0}"#);
    assert_eq!(response.status, 422);
    let body = json(&response);
    let errors = body.get("errors").and_then(Value::as_array).unwrap();
    assert_eq!(errors.len(), 1, "{body}");
    assert!(body.to_string().contains("amount"), "{body}");
}

#[test]
fn basic_credentials_have_to_be_base64_of_a_user_and_a_password() {
    let api = Api::new();
    let status = |value| {
        let headers = [("authorization", value)];
        api.send("GET", "/secret", &headers, "").status
    };
    assert_eq!(status("Basic YTpi"), 200);
    for value in ["Basic !!!", "Basic YWI=", "Basic ", "Bearer YTpi"] {
        assert_eq!(status(value), 401, "{value}");
    }
}

#[test]
fn headers_of_an_answer_follow_their_schemas() {
    let response = Api::new().get("/documents");
    let count = response.header("x-count").unwrap();
    assert!(count.parse::<u32>().is_ok(), "{count}");
}

#[test]
fn a_schema_whose_alternatives_never_end_is_given_up_soon() {
    let api = Api::new();
    let started = std::time::Instant::now();
    // null fits both alternatives of `inner`, so that no object of it is finite.
    assert_eq!(json(&api.get("/endless")), Value::Null);
    assert!(started.elapsed().as_secs() < 5);
}
