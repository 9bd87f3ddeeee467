//! The whole state of a tenant as one JSON document, out and in.

use super::{Fault, Mistake, Tenant};
use crate::control::binding::Binding;
use crate::events::delivery::check_endpoints;
use crate::json::{Value, object};
use crate::mock::Context;
use crate::state::{Store, export_collection, import_collection};

const VERSION: i64 = 1;

/// Everything that is remembered and set; not the log.
pub(super) async fn take<S: Store>(store: &mut S, tenant: &Tenant) -> Value {
    let mut collections = Vec::new();
    for index_key in &tenant.collections {
        if let Some(collection) = export_collection(store, index_key).await {
            collections.push((tenant.path_of(index_key).to_owned(), collection));
        }
    }
    object([
        ("version", Value::Int(VERSION)),
        ("collections", Value::Object(collections)),
        ("clock_ahead_ms", Value::Int(tenant.ahead_ms)),
        ("settings", tenant.settings.clone()),
    ])
}

/// Puts a snapshot in the place of everything; nothing is changed when it has a mistake.
pub(super) async fn restore<S: Store>(
    snapshot: &Value,
    store: &mut S,
    context: &Context,
    tenant: &mut Tenant,
) -> Result<(), Mistake> {
    if snapshot.get("version").and_then(Value::as_i64) != Some(VERSION) {
        return Err(Mistake::invalid(format!("version: must be {VERSION}")));
    }
    let declared = snapshot
        .get("collections")
        .and_then(Value::as_object)
        .ok_or_else(|| Mistake::invalid("collections: must be an object"))?;
    let mut collections = Vec::with_capacity(declared.len());
    for (path, value) in declared {
        if !path.starts_with('/') {
            return Err(Mistake::invalid(format!(
                "collections: {path} is no path of a collection"
            )));
        }
        let imported = import_collection(value)
            .map_err(|problem| Mistake::invalid(format!("collections{path}/{problem}")))?;
        collections.push((tenant.index_key(path), imported));
    }
    let ahead_ms = snapshot
        .get("clock_ahead_ms")
        .and_then(Value::as_i64)
        .unwrap_or(0);
    if !(0..=super::FURTHEST_MS).contains(&ahead_ms) {
        return Err(Mistake::invalid("clock_ahead_ms: is out of range"));
    }
    let settings = snapshot.get("settings");
    let setting = |name: &str| settings.and_then(|settings| settings.get(name));
    if let Some(faults) = setting("faults") {
        Fault::read_all(faults)
            .map_err(|problem| Mistake::invalid(format!("settings/faults{problem}")))?;
    }
    if let Some(scenarios) = setting("scenarios") {
        Binding::read_all(scenarios)
            .map_err(|problem| Mistake::invalid(format!("settings/scenarios{problem}")))?;
    }
    if let Some(webhooks) = setting("webhooks") {
        check_endpoints(webhooks)
            .map_err(|problem| Mistake::invalid(format!("settings/webhooks{problem}")))?;
    }
    tenant.forget_items(store).await;
    for (index_key, imported) in collections {
        if !tenant.has_room(&index_key) {
            return Err(Mistake::invalid("collections: are too many"));
        }
        imported.write(store, &index_key).await;
        tenant.note_collection(&index_key, context.now_ms);
    }
    tenant.set_ahead(ahead_ms);
    for name in ["faults", "scenarios", "webhooks"] {
        let value = setting(name).cloned();
        tenant.set(name, value.unwrap_or(Value::Array(Vec::new())));
    }
    Ok(())
}
