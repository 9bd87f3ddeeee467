//! One collection that remembers, from creation to deletion.

use sandbox_mock::json::{Value, read};
use sandbox_mock::sample::{Sample, sample};
use sandbox_mock::state::{Family, MemoryStore};
use sandbox_mock::{Context, Mock, Request};

/// Creates an item and follows it: shown the same, listed, changed, deleted, gone.
pub fn walk(mock: &Mock, family: &Family) -> Result<(), String> {
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
        identified(&body, family).ok_or_else(|| format!("create: no id in {body}"))?;
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
    let shown_entity = identified(&shown_body, family)
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
            let named = known.and_then(|known| known.get("id").or_else(|| known.get("gid")));
            match named.or(known).and_then(Value::as_str) {
                Some(value) => format!("{name}={value}"),
                None => pair.to_owned(),
            }
        });
        request.query = pairs.collect::<Vec<_>>().join("&");
        let listed = send(&request);
        if !(200..300).contains(&listed.status)
            || !String::from_utf8_lossy(&listed.body).contains(&id)
        {
            return Err(format!("list: {} does not have {id}", listed.status));
        }
    }
    if let Some(update) = family.update {
        let change = at_item(update)?;
        let updated = send(&change);
        if updated.status >= 300 {
            return Err(format!(
                "update of {id}: {} {}",
                updated.status,
                String::from_utf8_lossy(&updated.body)
            ));
        }
    }
    if let (Some(update), Some(show)) = (family.update, family.read) {
        let sent = read(&at_item(update)?.body).unwrap_or(Value::Null);
        let answer = read(&send(&at_item(show)?).body).unwrap_or(Value::Null);
        let shown = identified(&answer, family).map_or(&answer, |(entity, _)| entity);
        // A body is wrapped as the answer is.
        let inner = match sent.as_object() {
            Some([(name, only @ Value::Object(_))])
                if answer.get(name).is_some_and(|own| own.same(shown)) =>
            {
                only
            }
            _ => &sent,
        };
        // A member may be shown in another form, an id as an object; that none shows means that nothing was changed.
        let plain = |value: &&Value| value.as_object().is_none() && value.as_array().is_none();
        let sent = inner.as_object().unwrap_or_default().iter();
        let shown: Vec<(&String, bool)> = sent
            .filter(|(_, value)| plain(&value))
            .filter_map(|(name, value)| {
                let other = shown.get(name).filter(plain)?;
                Some((name, other.same(value)))
            })
            .collect();
        if shown.len() > 1 && shown.iter().all(|(_, is_same)| !is_same) {
            return Err(format!("update: shows none of {shown:?}"));
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

/// The item in an answer, and its id: under the name of the path's parameter or the end of that name, else under a
/// usual one.
fn identified<'v>(body: &'v Value, family: &Family) -> Option<(&'v Value, String)> {
    let plain = |name: &str| name.replace(['_', '-'], "").to_lowercase();
    let parameter = plain(&family.parameter);
    let collection = plain(family.collection.rsplit('/').next().unwrap_or(""));
    let id_of = |entity: &Value| {
        let members = entity.as_object()?;
        let mut own: Vec<&String> = members.iter().map(|(name, _)| name).collect();
        own.retain(|name| {
            let name = plain(name);
            name.len() > 1
                && (parameter.ends_with(&name) && name.ends_with("id") || parameter == name)
        });
        own.sort_by_key(|name| std::cmp::Reverse(name.len()));
        let usual = ["id", "sid", "uuid", "key", "slug", "name"].map(str::to_owned);
        let ends = members.iter().map(|(name, _)| plain(name));
        let ends = ends.filter(|name| name.len() > 1 && parameter.ends_with(name.as_str()));
        let names = own.into_iter().map(|name| plain(name));
        let names = names.chain(usual).chain(ends);
        names.into_iter().find_map(|wanted| {
            let (_, value) = members.iter().find(|(name, _)| plain(name) == wanted)?;
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
    let named = members
        .iter()
        .find(|(name, member)| parameter.starts_with(&plain(name)) && id_of(member).is_some());
    let mut all = named.into_iter().chain(members);
    all.find_map(|(name, member)| {
        let is_list_of_it = plain(name) == collection;
        let first = member
            .as_array()
            .filter(|_| is_list_of_it)
            .and_then(<[Value]>::first);
        let entity = first.unwrap_or(member);
        id_of(entity).map(|id| (entity, id))
    })
}
