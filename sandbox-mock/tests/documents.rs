//! Every document at hand: the demo API always, real ones where `../shared/specs` has them.
//!
//! The validator here is the mock's own; `check_documents.py` says the same with an independent one.

use sandbox_mock::json::{Value, read};
use sandbox_mock::sample::{Sample, sample, sample_without_credentials};
use sandbox_mock::state::{MemoryStore, NoStore};
use sandbox_mock::{Context, Mock, Request, Response};
use std::path::PathBuf;

fn documents() -> Vec<(String, Vec<u8>)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut paths = vec![root.join("examples/demo-api/openapi.yaml")];
    let shared = std::fs::read_dir(root.join("../shared/specs"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    paths.extend(shared.filter(|path| {
        path.extension()
            .is_some_and(|ending| ending == "json" || ending == "yaml")
    }));
    paths
        .into_iter()
        .map(|path| {
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                std::fs::read(&path).unwrap(),
            )
        })
        .collect()
}

fn context(stateful: bool) -> Context {
    Context {
        seed: 1,
        tenant: "app_one".to_owned(),
        now_ms: 0,
        stateful,
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
    mock.respond_now(request, &mut NoStore, &context(false))
}

#[test]
fn every_operation_answers_a_valid_request_and_refuses_one_without_credentials() {
    for (name, bytes) in documents() {
        let (mock, summary) = Mock::from_source(&bytes).unwrap();
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
    for (name, bytes) in documents() {
        let (mock, _) = Mock::from_source(&bytes).unwrap();
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

fn walk(mock: &Mock, family: &sandbox_mock::state::Family) -> Result<(), String> {
    let mut store = MemoryStore::default();
    let mut send = |sample: &Sample| {
        let request = Request {
            method: &sample.method,
            path: &sample.path,
            query: &sample.query,
            headers: &sample.headers,
            body: &sample.body,
        };
        mock.respond_now(request, &mut store, &context(true))
    };
    let create = sample(mock, family.create.unwrap(), 1)?;
    let created = send(&create);
    if created.status >= 300 {
        return Err(format!(
            "create: {} {}",
            created.status,
            String::from_utf8_lossy(&created.body)
        ));
    }
    // An empty answer leaves the id that was sent.
    let told = if created.body.is_empty() {
        &create.body
    } else {
        &created.body
    };
    let body = read(told).map_err(|error| format!("create: {error}"))?;
    let (entity, id) =
        identified(&body, &family.parameter).ok_or_else(|| format!("create: no id in {body}"))?;
    let (base, ending) = match create
        .path
        .rsplit_once('.')
        .filter(|(_, ending)| !ending.contains('/') && family.collection.ends_with(*ending))
    {
        Some((base, ending)) => (base.to_owned(), format!(".{ending}")),
        None => (create.path.clone(), String::new()),
    };
    let path = format!("{base}/{id}{ending}");
    let at_item = |index: usize| -> Result<Sample, String> {
        Ok(Sample {
            path: path.clone(),
            ..sample(mock, index, 2)?
        })
    };
    let shown = send(&at_item(family.read.unwrap())?);
    let shown_body =
        read(&shown.body).map_err(|error| format!("read: {} {error}", shown.status))?;
    let shown_entity = identified(&shown_body, &family.parameter)
        .map(|(entity, _)| entity)
        .unwrap_or(&shown_body);
    for (member, value) in entity.as_object().unwrap_or_default() {
        if let Some(other) = shown_entity.get(member).filter(|other| !other.same(value)) {
            return Err(format!("read: {member} is {other}, not {value}"));
        }
    }
    if let Some(list) = family.list {
        let mut request = sample(mock, list, 1)?;
        request.path.clone_from(&create.path);
        // What must be asked for is asked for as it was created.
        let pairs = request.query.split('&').map(|pair| {
            let name = pair.split('=').next().unwrap_or("");
            let sent = read(&create.body).unwrap_or(Value::Null);
            let known = entity.get(name).or_else(|| sent.get(name));
            match known.and_then(Value::as_str) {
                Some(value) => format!("{name}={value}"),
                None => pair.to_owned(),
            }
        });
        request.query = pairs.collect::<Vec<_>>().join("&");
        let listed = send(&request);
        if listed.status != 200 || !String::from_utf8_lossy(&listed.body).contains(&id) {
            return Err(format!("list: {} does not have {id}", listed.status));
        }
    }
    if let Some(update) = family.update {
        let updated = send(&at_item(update)?);
        if updated.status >= 300 {
            return Err(format!(
                "update: {} {}",
                updated.status,
                String::from_utf8_lossy(&updated.body)
            ));
        }
    }
    if let Some(delete) = family.delete {
        let deleted = send(&at_item(delete)?);
        if deleted.status >= 300 {
            return Err(format!(
                "delete: {} {}",
                deleted.status,
                String::from_utf8_lossy(&deleted.body)
            ));
        }
        let gone = send(&at_item(family.read.unwrap())?);
        if !matches!(gone.status, 404 | 410) {
            return Err(format!("read after delete: {}", gone.status));
        }
    }
    Ok(())
}

fn identified<'v>(body: &'v Value, parameter: &str) -> Option<(&'v Value, String)> {
    let plain = |name: &str| name.replace(['_', '-'], "").to_lowercase();
    let id_of = |entity: &Value| {
        let names = [
            plain(parameter),
            "id".into(),
            "sid".into(),
            "uuid".into(),
            "key".into(),
            "slug".into(),
            "name".into(),
        ];
        names.into_iter().find_map(|wanted| {
            let (_, value) = entity
                .as_object()?
                .iter()
                .find(|(name, _)| plain(name) == wanted)?;
            match value {
                Value::String(text) => Some(text.clone()),
                Value::Int(number) => Some(number.to_string()),
                _ => None,
            }
        })
    };
    if let Some(id) = id_of(body) {
        return Some((body, id));
    }
    let members = body.as_object()?;
    let named = members.iter().find(|(name, member)| {
        plain(parameter).starts_with(&plain(name)) && id_of(member).is_some()
    });
    let mut all = named.into_iter().chain(members);
    all.find_map(|(_, member)| id_of(member).map(|id| (member, id)))
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
    for (name, bytes) in documents() {
        let (mock, _) = Mock::from_source(&bytes).unwrap();
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
