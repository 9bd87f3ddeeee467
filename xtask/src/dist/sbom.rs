//! The software bill of materials: CycloneDX 1.6 of everything that is compiled into the parts.
//!
//! No time and no serial number: the same lock file gives the same bytes.

use crate::command::{cargo, output, root};
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const PARTS: [&str; 4] = ["edge-filter", "portal-spin", "runner", "sandbox-mock"];

/// The bill of materials of this commit.
pub fn bill_of_materials(version: &str) -> Result<Value> {
    let text = output(&mut cargo(&[
        "metadata",
        "--format-version",
        "1",
        "--locked",
    ]))
    .context("cannot run `cargo metadata --locked`")?;
    let lock = std::fs::read_to_string(root().join("Cargo.lock"))?;
    describe(&serde_json::from_str(&text)?, &lock, version)
}

/// From what `cargo metadata` prints and the lock file.
fn describe(metadata: &Value, lock: &str, version: &str) -> Result<Value> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let id_of = |value: &Value| value["id"].as_str().unwrap_or_default().to_owned();
    let packages: BTreeMap<String, Value> = list(&metadata["packages"])
        .into_iter()
        .map(|package| (id_of(&package), package))
        .collect();
    let nodes: BTreeMap<String, Value> = list(&metadata["resolve"]["nodes"])
        .into_iter()
        .map(|node| (id_of(&node), node))
        .collect();
    let checksums = checksums(lock);

    let mut waiting: Vec<String> = packages
        .iter()
        .filter(|(_, package)| PARTS.iter().any(|part| package["name"] == *part))
        .map(|(id, _)| id.clone())
        .collect();
    let mut seen: BTreeSet<String> = waiting.iter().cloned().collect();
    let mut components = BTreeMap::new();
    let mut dependencies = BTreeMap::new();
    while let Some(id) = waiting.pop() {
        let package = packages
            .get(&id)
            .with_context(|| format!("`cargo metadata` does not describe {id}"))?;
        let mut used = BTreeSet::new();
        for dependency in list(&nodes.get(&id).cloned().unwrap_or_default()["deps"]) {
            let is_compiled_in = list(&dependency["dep_kinds"])
                .iter()
                .any(|kind| kind["kind"].is_null());
            let Some(other) = dependency["pkg"].as_str().filter(|_| is_compiled_in) else {
                continue;
            };
            if let Some(package) = packages.get(other) {
                used.insert(purl(package));
            }
            if seen.insert(other.to_owned()) {
                waiting.push(other.to_owned());
            }
        }
        let reference = purl(package);
        dependencies.insert(
            reference.clone(),
            json!({ "ref": reference, "dependsOn": used }),
        );
        components.insert(reference, component(package, &checksums));
    }
    Ok(json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": { "component": { "type": "application", "bom-ref": "portico", "name": "portico", "version": version } },
        "components": components.into_values().collect::<Vec<_>>(),
        "dependencies": dependencies.into_values().collect::<Vec<_>>(),
    }))
}

fn component(package: &Value, checksums: &BTreeMap<(String, String), String>) -> Value {
    let text = |name: &str| package[name].as_str().unwrap_or_default().to_owned();
    let mut component = json!({
        "type": "library",
        "bom-ref": purl(package),
        "name": text("name"),
        "version": text("version"),
        "purl": purl(package),
    });
    if let Some(license) = package["license"].as_str() {
        component["licenses"] = json!([{ "expression": license.replace('/', " OR ") }]);
    }
    if let Some(checksum) = checksums.get(&(text("name"), text("version"))) {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    component
}

/// A package URL: <https://github.com/package-url/purl-spec>.
fn purl(package: &Value) -> String {
    let text = |name: &str| package[name].as_str().unwrap_or_default();
    format!("pkg:cargo/{}@{}", text("name"), text("version"))
}

/// The checksum of each package's archive, by name and version.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let value = |block: &str, name: &str| {
        block.lines().find_map(|line| {
            let (key, value) = line.split_once(" = ")?;
            (key == name).then(|| value.trim_matches('"').to_owned())
        })
    };
    lock.split("[[package]]")
        .filter_map(|block| {
            Some((
                (value(block, "name")?, value(block, "version")?),
                value(block, "checksum")?,
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compiled_in_is_listed_and_what_only_tests_use_is_not() -> Result<()> {
        let package = |name: &str, license: &str| json!({ "id": name, "name": name, "version": "1.0.0", "license": license });
        let uses =
            |name: &str, kind: Value| json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] });
        let metadata = json!({
            "packages": [package("runner", "Apache-2.0"), package("used", "MIT/Apache-2.0"), package("deep", "MIT"), package("tested", "MIT")],
            "resolve": { "nodes": [
                { "id": "runner", "deps": [uses("used", Value::Null), uses("tested", json!("dev"))] },
                { "id": "used", "deps": [uses("deep", Value::Null)] },
                { "id": "deep", "deps": [] },
                { "id": "tested", "deps": [] },
            ] },
        });
        let lock = "[[package]]\nname = \"used\"\nversion = \"1.0.0\"\nchecksum = \"ab\"\n";
        let bom = describe(&metadata, lock, "0.1.0")?;
        let names: Vec<&str> = bom["components"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|component| component["name"].as_str())
            .collect();
        assert_eq!(names, ["deep", "runner", "used"]);
        let used = &bom["components"][2];
        assert_eq!(used["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(used["hashes"][0]["content"], "ab");
        assert_eq!(
            bom["dependencies"][1],
            json!({ "ref": "pkg:cargo/runner@1.0.0", "dependsOn": ["pkg:cargo/used@1.0.0"] })
        );
        Ok(())
    }

    #[test]
    fn this_repository_has_a_bill_of_materials() -> Result<()> {
        let bom = bill_of_materials("0.1.0")?;
        let components = bom["components"].as_array().map_or(0, Vec::len);
        assert!(components > 100, "only {components} components");
        let text = bom.to_string();
        assert!(text.contains("pkg:cargo/wasmtime@") && text.contains("pkg:cargo/jsonwebtoken@"));
        Ok(())
    }
}
