//! Makes one valid request for every operation of a document and prints what the mock answers, as JSON lines, for a
//! check by an independent validator. `cargo run --example exchanges -- SPEC [dynamic] [SEED]`

use sandbox_mock::json::{Value, object};
use sandbox_mock::sample::{Sample, sample, sample_without_credentials};
use sandbox_mock::state::NoStore;
use sandbox_mock::{Context, Mock, Request};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let spec = arguments.first().expect("the path of a document");
    let dynamic = arguments.iter().any(|argument| argument == "dynamic");
    let seed = arguments
        .iter()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(1);
    let started = std::time::Instant::now();
    let bytes = std::fs::read(spec).expect("a document");
    let folder = std::path::Path::new(spec).parent().expect("a file");
    let (mock, summary) =
        Mock::from_files(&bytes, &mut |name| std::fs::read(folder.join(name)).ok())
            .expect("a document that is JSON or YAML");
    eprintln!(
        "{}: {} operations, {} schemas, {} collections, {} findings, loaded in {:?}",
        spec,
        summary.operations,
        summary.schemas,
        summary.collections,
        summary.findings.len(),
        started.elapsed()
    );
    for finding in &summary.findings {
        eprintln!("  {finding}");
    }
    let context = Context {
        seed,
        tenant: "default".to_owned(),
        now_ms: 1_750_000_000_000,
        stateful: false,
    };
    for (index, operation) in mock.operations().iter().enumerate() {
        let mut line = object([
            ("method", Value::from(operation.method.as_str())),
            ("path", Value::from(operation.path.as_str())),
            (
                "fragment",
                operation
                    .fragment
                    .as_deref()
                    .map_or(Value::Null, Value::from),
            ),
        ]);
        match sample(&mock, index, seed) {
            Err(reason) => line.set("unsatisfiable", Value::from(reason)),
            Ok(mut sample) => {
                if dynamic {
                    sample
                        .headers
                        .push(("prefer".to_owned(), "dynamic=true".to_owned()));
                }
                let started = std::time::Instant::now();
                let response = respond(&mock, &sample, &context);
                line.set(
                    "micros",
                    Value::Int(i64::try_from(started.elapsed().as_micros()).unwrap_or(0)),
                );
                line.set("status", Value::Int(i64::from(response.status)));
                line.set(
                    "content_type",
                    Value::from(response.header("content-type").unwrap_or("")),
                );
                line.set(
                    "source",
                    Value::from(response.header("x-portico-mock-source").unwrap_or("")),
                );
                line.set(
                    "body",
                    Value::from(String::from_utf8_lossy(&response.body).into_owned()),
                );
                line.set(
                    "request_path",
                    Value::from(format!("{}?{}", sample.path, sample.query)),
                );
                line.set(
                    "request_body",
                    Value::from(String::from_utf8_lossy(&sample.body).into_owned()),
                );
                let bare = sample_without_credentials(&mock, index, seed).unwrap_or_default();
                let refused = respond(&mock, &bare, &context);
                line.set("without_credentials", Value::Int(i64::from(refused.status)));
            }
        }
        println!("{line}");
    }
}

fn respond(mock: &Mock, sample: &Sample, context: &Context) -> sandbox_mock::Response {
    let request = Request {
        method: &sample.method,
        path: &sample.path,
        query: &sample.query,
        headers: &sample.headers,
        body: &sample.body,
    };
    mock.respond_now(request, &mut NoStore, context)
}
