//! Reads a Spin application manifest (`spin.toml`, manifest version 2).
//!
//! Owns the parts of the format the runner acts on: HTTP triggers, components,
//! application and component variables. A key that Spin has and the runner
//! cannot honour (a file mount, a trigger other than HTTP) is refused by name
//! instead of being ignored, so that the same file never means two things.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// A manifest that has been read and checked.
#[derive(Debug, Clone)]
pub struct Manifest {
    pub name: String,
    pub variables: BTreeMap<String, Variable>,
    pub triggers: Vec<HttpTrigger>,
    pub components: BTreeMap<String, Component>,
}

/// An application variable: either it has a default or it is required.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    #[serde(default)]
    pub required: bool,
    pub default: Option<String>,
    #[serde(default)]
    pub secret: bool,
    pub description: Option<String>,
}

/// One `[[trigger.http]]`: a route and the component that answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpTrigger {
    pub route: String,
    pub component: String,
}

/// One `[component.<id>]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Absolute, or relative to the working directory as the manifest's path is.
    pub source: PathBuf,
    pub variables: BTreeMap<String, String>,
    pub environment: BTreeMap<String, String>,
    pub allowed_outbound_hosts: Vec<String>,
    pub key_value_stores: Vec<String>,
    pub sqlite_databases: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawManifest {
    spin_manifest_version: i64,
    application: RawApplication,
    #[serde(default)]
    variables: BTreeMap<String, Variable>,
    #[serde(default)]
    trigger: BTreeMap<String, Vec<RawTrigger>>,
    #[serde(default)]
    component: BTreeMap<String, RawComponent>,
}

#[derive(Deserialize)]
struct RawApplication {
    name: String,
}

#[derive(Deserialize)]
struct RawTrigger {
    #[serde(default)]
    route: Option<toml::Value>,
    #[serde(default)]
    component: Option<toml::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawComponent {
    source: toml::Value,
    #[serde(default)]
    variables: BTreeMap<String, String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    allowed_outbound_hosts: Vec<String>,
    #[serde(default)]
    key_value_stores: Vec<String>,
    #[serde(default)]
    sqlite_databases: Vec<String>,
    #[serde(default)]
    files: Vec<toml::Value>,
    #[serde(default)]
    dependencies: toml::Table,
    // How Spin builds and describes a component; of no effect on running it.
    #[serde(default, rename = "description")]
    _description: Option<String>,
    #[serde(default, rename = "build")]
    _build: Option<toml::Table>,
    #[serde(default, rename = "tool")]
    _tool: Option<toml::Table>,
    #[serde(default, rename = "targets")]
    _targets: Option<toml::Value>,
}

impl Manifest {
    /// Reads the manifest at `path`; component sources become relative to its folder.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the Spin manifest {}", path.display()))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        Self::parse(&text, folder).with_context(|| format!("in {}", path.display()))
    }

    /// Parses manifest text; `folder` is what relative component sources start from.
    pub fn parse(text: &str, folder: &Path) -> Result<Self> {
        let raw: RawManifest = toml::from_str(text)?;
        if raw.spin_manifest_version != 2 {
            bail!(
                "spin_manifest_version is {}, but only version 2 can be run",
                raw.spin_manifest_version
            );
        }
        let components = raw
            .component
            .into_iter()
            .map(|(id, component)| Ok((id.clone(), component.check(&id, folder)?)))
            .collect::<Result<BTreeMap<_, _>>>()?;
        let mut triggers = Vec::new();
        for (kind, entries) in raw.trigger {
            if kind != "http" {
                bail!("trigger.{kind}: only HTTP triggers can be run");
            }
            for (index, entry) in entries.into_iter().enumerate() {
                triggers.push(entry.check(index, &components)?);
            }
        }
        for (name, variable) in &raw.variables {
            if variable.required == variable.default.is_some() {
                bail!("variables.{name}: give it either `required = true` or a `default`");
            }
        }
        Ok(Self {
            name: raw.application.name,
            variables: raw.variables,
            triggers,
            components,
        })
    }

    /// Keeps the trigger of `component` only and serves it at the root, as a
    /// listener of its own does.
    pub fn only_component_at_root(&self, component: &str) -> Result<Self> {
        let kept = self
            .components
            .get(component)
            .with_context(|| format!("the manifest has no component named {component:?}"))?;
        Ok(Self {
            name: self.name.clone(),
            variables: self.variables.clone(),
            triggers: vec![HttpTrigger {
                route: "/...".to_owned(),
                component: component.to_owned(),
            }],
            components: BTreeMap::from([(component.to_owned(), kept.clone())]),
        })
    }

    /// Leaves out a component together with its triggers.
    pub fn without_component(&self, component: &str) -> Self {
        let mut manifest = self.clone();
        manifest.components.remove(component);
        manifest
            .triggers
            .retain(|trigger| trigger.component != component);
        manifest
    }

    /// Replaces a component's source, as `--portal FILE` and `--sandbox FILE` do.
    pub fn set_source(&mut self, component: &str, source: PathBuf) -> Result<()> {
        self.components
            .get_mut(component)
            .with_context(|| format!("the manifest has no component named {component:?}"))?
            .source = source;
        Ok(())
    }
}

impl RawTrigger {
    fn check(self, index: usize, components: &BTreeMap<String, Component>) -> Result<HttpTrigger> {
        let place = format!("trigger.http number {}", index + 1);
        let Some(toml::Value::String(route)) = self.route else {
            bail!("{place}: `route` must be a string such as \"/...\"");
        };
        let Some(toml::Value::String(component)) = self.component else {
            bail!("{place}: `component` must name a component of this manifest");
        };
        if !components.contains_key(&component) {
            bail!("{place}: there is no component named {component:?}");
        }
        Ok(HttpTrigger { route, component })
    }
}

impl RawComponent {
    fn check(self, id: &str, folder: &Path) -> Result<Component> {
        let toml::Value::String(source) = self.source else {
            bail!("component.{id}.source: only a local file can be run");
        };
        if !self.files.is_empty() {
            bail!("component.{id}.files: file mounts are not offered; embed the files");
        }
        if !self.dependencies.is_empty() {
            bail!("component.{id}.dependencies: compose the component when it is built");
        }
        // Spin offers other labels only through a runtime configuration file.
        for (key, labels) in [
            ("sqlite_databases", &self.sqlite_databases),
            ("key_value_stores", &self.key_value_stores),
        ] {
            if let Some(label) = labels.iter().find(|label| *label != "default") {
                bail!("component.{id}.{key}: {label:?} is not known; use \"default\"");
            }
        }
        Ok(Component {
            source: folder.join(source),
            variables: self.variables,
            environment: self.environment,
            allowed_outbound_hosts: self.allowed_outbound_hosts,
            key_value_stores: self.key_value_stores,
            sqlite_databases: self.sqlite_databases,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_COMPONENTS: &str = r#"
spin_manifest_version = 2

[application]
name = "portico"
version = "0.1.0"

[variables]
edge_secret = { required = true, secret = true }
environment = { default = "development" }

[[trigger.http]]
route = "/..."
component = "portal"

[[trigger.http]]
route = "/sandbox/..."
component = "sandbox"

[component.portal]
source = "target/portal.wasm"
sqlite_databases = ["default"]
key_value_stores = ["default"]
allowed_outbound_hosts = ["https://*:*"]
[component.portal.variables]
edge_secret = "{{ edge_secret }}"
[component.portal.build]
command = "cargo build"

[component.sandbox]
source = "/abs/sandbox.wasm"
"#;

    #[test]
    fn both_components_and_their_routes_are_read() {
        let manifest = Manifest::parse(TWO_COMPONENTS, Path::new("app")).unwrap();
        assert_eq!(manifest.name, "portico");
        assert_eq!(manifest.triggers.len(), 2);
        let portal = &manifest.components["portal"];
        assert_eq!(portal.source, Path::new("app/target/portal.wasm"));
        assert_eq!(portal.variables["edge_secret"], "{{ edge_secret }}");
        assert_eq!(portal.allowed_outbound_hosts, ["https://*:*"]);
        let sandbox = &manifest.components["sandbox"];
        assert_eq!(sandbox.source, Path::new("/abs/sandbox.wasm"));
        assert!(sandbox.sqlite_databases.is_empty());
    }

    #[test]
    fn a_component_can_be_served_alone_at_the_root() {
        let manifest = Manifest::parse(TWO_COMPONENTS, Path::new(".")).unwrap();
        let alone = manifest.only_component_at_root("sandbox").unwrap();
        assert_eq!(alone.triggers[0].route, "/...");
        assert_eq!(alone.components.len(), 1);
        assert_eq!(manifest.without_component("sandbox").triggers.len(), 1);
    }

    #[test]
    fn what_cannot_be_run_is_refused_by_name() {
        let refusals = [
            (
                "spin_manifest_version = 2",
                "spin_manifest_version = 1",
                "version 2",
            ),
            ("[[trigger.http]]", "[[trigger.redis]]", "trigger.redis"),
            (
                "component = \"portal\"",
                "component = \"other\"",
                "\"other\"",
            ),
            ("[\"default\"]", "[\"second\"]", "\"second\""),
            (
                "sqlite_databases = [\"default\"]",
                "files = [{ source = \"a\", destination = \"/a\" }]",
                "component.portal.files",
            ),
            ("required = true, secret", "secret", "variables.edge_secret"),
        ];
        for (from, to, expected) in refusals {
            let text = TWO_COMPONENTS.replace(from, to);
            let error = Manifest::parse(&text, Path::new(".")).unwrap_err();
            assert!(
                format!("{error:#}").contains(expected),
                "{to}: {error:#} does not name {expected}"
            );
        }
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let text = TWO_COMPONENTS.replace("[component.portal.build]", "[component.portal.bild]");
        let error = Manifest::parse(&text, Path::new(".")).unwrap_err();
        assert!(error.to_string().contains("bild"), "{error}");
    }
}
