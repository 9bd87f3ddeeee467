//! Seed data: items that are there before anybody created them.

use super::{Mistake, Tenant, Why};
use crate::json::{Value, object};
use crate::matching::Matched;
use crate::mock::{Call, Context, Mock};
use crate::operation::Operation;
use crate::request::{Request, shape};
use crate::scenario::Scenario;
use crate::state::Store;
use crate::validation::request::Accepted;

/// More items than this one request does not make.
const MOST: i64 = 2_000;

/// Makes what a body such as `{"/v1/customers": [{"name": "Ines"}], "/v1/orders": 5}` asks for.
pub(super) async fn seed<S: Store>(
    mock: &Mock,
    wanted: &Value,
    store: &mut S,
    context: &Context,
    tenant: &mut Tenant,
) -> Result<Value, Mistake> {
    if !context.stateful {
        return Err(Mistake {
            status: 409,
            code: "stateless",
            message: "This mock remembers nothing: serve it with --stateful.".to_owned(),
        });
    }
    let members = wanted
        .as_object()
        .ok_or_else(|| Mistake::invalid("The body must be an object of collections by path."))?;
    let mut plan = Vec::new();
    for (path, items) in members {
        let items = match items {
            Value::Array(items) => items.clone(),
            Value::Int(count) if (1..=MOST).contains(count) => {
                (0..*count).map(|_| Value::Object(Vec::new())).collect()
            }
            _ => {
                return Err(Mistake::invalid(format!(
                    "{path}: must be a list of items, or a number from 1 to {MOST}"
                )));
            }
        };
        let (operation, values) = find_collection(mock, path)?;
        plan.push((path, operation, values, items));
    }
    let mut made = Vec::new();
    for (path, operation, values, items) in plan {
        let mut ids = Vec::with_capacity(items.len());
        for (place, item) in items.into_iter().enumerate() {
            let call = Call {
                operation,
                values: values.clone(),
                accepted: Accepted {
                    body: Some(item),
                    ..Accepted::default()
                },
            };
            let id = make(mock, path, &call, store, context, tenant).await;
            ids.push(id.map_err(|problem| Mistake::invalid(format!("{path}/{place}: {problem}")))?);
        }
        made.push((path.clone(), Value::Array(ids)));
    }
    Ok(object([("created", Value::Object(made))]))
}

fn find_collection<'m>(
    mock: &'m Mock,
    path: &str,
) -> Result<(&'m Operation, Vec<String>), Mistake> {
    let found = match mock.routes.find("POST", path) {
        Matched::Operations(indices, values) => indices
            .iter()
            .filter_map(|index| mock.api.operations.get(*index))
            .find(|operation| mock.memory.creates(operation))
            .map(|operation| (operation, values)),
        _ => None,
    };
    found.ok_or_else(|| {
        let known: Vec<String> = mock
            .families()
            .into_iter()
            .filter(|family| family.create.is_some())
            .map(|family| family.collection)
            .collect();
        Mistake::invalid(format!(
            "{path}: is no collection that remembers; there are {}",
            known.join(", ")
        ))
    })
}

async fn make<S: Store>(
    mock: &Mock,
    path: &str,
    call: &Call<'_>,
    store: &mut S,
    context: &Context,
    tenant: &mut Tenant,
) -> Result<Value, String> {
    let request = Request {
        method: "POST",
        path,
        query: "",
        headers: &[],
        body: b"",
    };
    let operation = call.operation;
    let item = call.accepted.body.as_ref();
    let recall = mock
        .memory
        .recall(
            &mock.api,
            operation,
            &call.values,
            item,
            &request,
            store,
            context,
            tenant,
        )
        .await
        .map_err(|problem| problem.message)?;
    let (response, value) = mock.answer(
        call,
        &request,
        context,
        &Scenario::default(),
        &recall,
        &mut Why::default(),
    );
    let value = value
        .filter(|_| (200..300).contains(&response.status))
        .ok_or_else(|| String::from_utf8_lossy(&response.body).into_owned())?;
    let part = mock.memory.part(operation);
    let entity = part.and_then(|part| part.entity_in(&value));
    let (Some(part), Some(entity)) = (part, entity) else {
        return Err("its answer has no item with an id".to_owned());
    };
    if let Some(name) = not_taken(mock, operation, item, entity) {
        return Err(format!(
            "the member {name} does not fit the schema of the item"
        ));
    }
    let id = part
        .id_of(entity)
        .map_or(Value::Null, |(_, id)| Value::from(id));
    mock.memory
        .remember(
            operation,
            &call.values,
            &recall,
            &value,
            store,
            context,
            tenant,
        )
        .await
        .ok_or("it is too large to keep")?;
    Ok(id)
}

/// A member that the schema knows and that has another value in what was made.
fn not_taken(
    mock: &Mock,
    operation: &Operation,
    item: Option<&Value>,
    entity: &Value,
) -> Option<String> {
    let (_, declared) = operation.success()?;
    let schema = declared.content.first()?.schema?;
    let members = item.and_then(Value::as_object)?;
    members
        .iter()
        .find(|(name, value)| {
            let known = shape::property(&mock.api.schemas, schema, name).is_some();
            known && entity.get(name).is_none_or(|made| !made.same(value))
        })
        .map(|(name, _)| name.clone())
}
