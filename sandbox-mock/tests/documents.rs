//! Every document at hand: the demo API always, real ones where `../shared/specs` (or the folder that `PORTICO_SPECS`
//! names) has them.
//!
//! The validator here is the mock's own; `check_documents.py` says the same with an independent one.

mod family;

use family::walk;
use sandbox_mock::sample::{Sample, sample, sample_broken, sample_without_credentials};
use sandbox_mock::state::NoStore;
use sandbox_mock::{Context, Mock, Request, Response, Summary};
use std::path::{Path, PathBuf};

fn documents() -> Vec<(String, PathBuf)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut paths = vec![root.join("examples/demo-api/openapi.yaml")];
    let folder = std::env::var_os("PORTICO_SPECS")
        .map_or_else(|| root.join("../shared/specs"), PathBuf::from);
    let shared = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    paths.extend(shared.filter(|path| {
        path.extension()
            .is_some_and(|ending| ending == "json" || ending == "yaml")
    }));
    let named = |path: PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, path)
    };
    paths.into_iter().map(named).collect()
}

/// A document with the files beside it.
fn load(path: &Path) -> (Mock, Summary) {
    let bytes = std::fs::read(path).unwrap();
    let folder = path.parent().unwrap();
    Mock::from_files(&bytes, &mut |name| std::fs::read(folder.join(name)).ok()).unwrap()
}

fn context() -> Context {
    Context {
        seed: 1,
        tenant: "app_one".to_owned(),
        now_ms: 0,
        stateful: false,
    }
}

fn send(mock: &Mock, sample: &Sample) -> Response {
    let request = Request {
        method: &sample.method,
        path: &sample.path,
        query: &sample.query,
        headers: &sample.headers,
        body: &sample.body,
    };
    mock.respond_now(request, &mut NoStore, &context())
}

#[test]
fn every_operation_answers_a_valid_request_and_refuses_one_without_credentials() {
    for (name, path) in documents() {
        let (mock, summary) = load(&path);
        assert_eq!(summary.operations, mock.operations().len());
        for (index, operation) in mock.operations().iter().enumerate() {
            for dynamic in [false, true] {
                let mut request = sample(&mock, index, 1)
                    .unwrap_or_else(|reason| panic!("{name} {}: {reason}", operation.id));
                if dynamic {
                    request
                        .headers
                        .push(("prefer".to_owned(), "dynamic=true".to_owned()));
                }
                let response = send(&mock, &request);
                let shown = String::from_utf8_lossy(&response.body);
                // A few operations declare nothing but a redirect.
                assert!(
                    response.status < 400,
                    "{name} {} {}: {} {shown}",
                    operation.method,
                    operation.path,
                    response.status
                );
            }
            if let Some(broken) = sample_broken(&mock, index, 1) {
                let status = send(&mock, &broken).status;
                assert!(
                    (400..500).contains(&status),
                    "{name} {}: {status} to {broken:?}",
                    operation.id
                );
            }
            let bare = sample_without_credentials(&mock, index, 1).unwrap();
            if bare != sample(&mock, index, 1).unwrap() && !allows_anyone(&mock, index) {
                let status = send(&mock, &bare).status;
                assert!(
                    matches!(status, 401 | 403),
                    "{name} {}: {status}",
                    operation.id
                );
            }
        }
    }
}

/// Whether one of the alternatives asks for nothing: then the sample's credentials were not needed.
fn allows_anyone(mock: &Mock, index: usize) -> bool {
    let bare = Sample {
        headers: Vec::new(),
        ..sample_without_credentials(mock, index, 1).unwrap()
    };
    !matches!(send(mock, &bare).status, 401 | 403)
}

#[test]
fn collections_remember_what_is_created() {
    let (mut total, mut forgetful) = (0, Vec::new());
    for (name, path) in documents() {
        let (mock, _) = load(&path);
        let families: Vec<_> = mock
            .families()
            .into_iter()
            .filter(|family| family.create.is_some() && family.read.is_some())
            .collect();
        let mut broken = Vec::new();
        for family in &families {
            if let Err(reason) = walk(&mock, family) {
                broken.push(format!("{}: {reason}", family.collection));
            }
        }
        println!(
            "{name}: {} of {} families",
            families.len() - broken.len(),
            families.len()
        );
        for reason in &broken {
            println!("  {reason}");
        }
        total += families.len();
        forgetful.extend(broken);
    }
    assert!(
        forgetful.len() * 20 <= total,
        "more than one family in twenty forgets: {forgetful:#?}"
    );
}

#[test]
fn hostile_requests_are_answered_without_harm() {
    let deep = "[".repeat(100_000);
    let bodies: [&[u8]; 9] = [
        b"",
        b"{",
        b"\xff\xfe",
        deep.as_bytes(),
        b"1e999999",
        b"--x\r\n\r\n--x--",
        b"a[b]=c&a=d&a[][][]=1",
        b"<a><b",
        b"{\"a\":{\"a\":\"\\ud800\"}}",
    ];
    let types = [
        "application/json",
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "application/xml",
        "text/plain",
        "",
        ";;;",
        "\u{0}",
    ];
    for (name, path) in documents() {
        let (mock, _) = load(&path);
        for index in (0..mock.operations().len()).step_by(23) {
            let Ok(valid) = sample(&mock, index, 3) else {
                continue;
            };
            for body in bodies {
                for content_type in types {
                    let headers = vec![
                        ("authorization".to_owned(), "Bearer x".to_owned()),
                        ("content-type".to_owned(), content_type.to_owned()),
                        ("prefer".to_owned(), "code=99999, example=, seed".to_owned()),
                        ("accept".to_owned(), ";q=,*/*;q=x".to_owned()),
                    ];
                    let hostile = Sample {
                        headers,
                        body: body.to_vec(),
                        query: "a=%ff&[=]&%=1".to_owned(),
                        ..valid.clone()
                    };
                    let response = send(&mock, &hostile);
                    assert!(
                        response.status < 500,
                        "{name} {}: {}",
                        valid.path,
                        response.status
                    );
                }
            }
        }
    }
}
