//! One collection that remembers, from creation to deletion.

use sandbox_mock::json::{Value, read};
use sandbox_mock::sample::{Sample, sample};
use sandbox_mock::state::MemoryStore;
use sandbox_mock::{Context, Mock, Request};

/// Creates an item and follows it: shown the same, listed, changed, deleted, gone.
pub fn walk(mock: &Mock, family: &sandbox_mock::state::Family) -> Result<(), String> {
    let mut store = MemoryStore::default();
    let context = Context {
        seed: 1,
        tenant: "app_one".to_owned(),
        now_ms: 0,
        stateful: true,
    };
    let mut send = |sample: &Sample| {
        let request = Request {
            method: &sample.method,
            path: &sample.path,
            query: &sample.query,
            headers: &sample.headers,
            body: &sample.body,
        };
        mock.respond_now(request, &mut store, &context)
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
