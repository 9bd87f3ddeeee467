//! Application variables and the `spin:variables` interface.
//!
//! Owns how a value is found, in Spin's order: `--variable name=value`, then
//! the environment (`SPIN_VARIABLE_<NAME>`), then the manifest's default; and
//! the `{{ name }}` templates by which a component asks for one.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use wasmtime::component::{Accessor, HasSelf};

use crate::manifest::{Manifest, Variable};
use crate::spin_host::State;
use crate::spin_host::bindings::spin::variables::variables::{self, Error};

/// The application's variables, each with the value it has for this run.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    values: BTreeMap<String, String>,
}

impl Variables {
    /// Resolves every variable of the manifest. A required one without a value
    /// and an override the manifest does not declare are errors.
    pub fn resolve(
        declared: &BTreeMap<String, Variable>,
        overrides: &BTreeMap<String, String>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        if let Some(unknown) = overrides.keys().find(|name| !declared.contains_key(*name)) {
            bail!("the manifest has no variable named {unknown:?}");
        }
        let mut values = BTreeMap::new();
        for (name, variable) in declared {
            check_name(name).map_err(anyhow::Error::msg)?;
            let environment_name = format!("SPIN_VARIABLE_{}", name.to_ascii_uppercase());
            let value = overrides
                .get(name)
                .cloned()
                .or_else(|| environment(&environment_name))
                .or_else(|| variable.default.clone())
                .with_context(|| {
                    format!(
                        "the variable {name:?} has no value; set {environment_name} or pass \
                         --variable {name}=VALUE"
                    )
                })?;
            values.insert(name.clone(), value);
        }
        Ok(Self { values })
    }

    /// Resolves the variables of a manifest from the process environment.
    pub fn of_manifest(manifest: &Manifest, overrides: &BTreeMap<String, String>) -> Result<Self> {
        Self::resolve(&manifest.variables, overrides, |name| {
            std::env::var(name).ok()
        })
    }

    /// Replaces each `{{ name }}` of a template.
    pub fn expand(&self, template: &str) -> Result<String> {
        let mut expanded = String::new();
        let mut rest = template;
        while let Some((literal, expression)) = rest.split_once("{{") {
            let (name, after) = expression
                .split_once("}}")
                .with_context(|| format!("unmatched '{{{{' in {template:?}"))?;
            let name = name.trim();
            let value = self
                .values
                .get(name)
                .with_context(|| format!("unknown variable {name:?} in {template:?}"))?;
            expanded.push_str(literal);
            expanded.push_str(value);
            rest = after;
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    /// The values one component may read.
    pub fn for_component(
        &self,
        templates: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>> {
        templates
            .iter()
            .map(|(name, template)| {
                check_name(name).map_err(anyhow::Error::msg)?;
                Ok((name.clone(), self.expand(template)?))
            })
            .collect()
    }
}

/// Spin's rule for a variable's name.
fn check_name(name: &str) -> Result<(), String> {
    let reason = if name.is_empty() {
        "must not be empty"
    } else if !name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    {
        "may contain only lower-case letters, numbers and underscores"
    } else if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        "must start with a lower-case letter"
    } else if name.ends_with('_') {
        "must end with a lower-case letter or digit"
    } else if name.contains("__") {
        "must not contain consecutive underscores"
    } else {
        return Ok(());
    };
    Err(format!("{name:?}: {reason}"))
}

impl variables::Host for State {}

impl<T: Send> variables::HostWithStore<T> for HasSelf<State> {
    async fn get(
        accessor: &Accessor<T, Self>,
        name: String,
    ) -> wasmtime::Result<Result<String, Error>> {
        if let Err(reason) = check_name(&name) {
            return Ok(Err(Error::InvalidName(reason)));
        }
        let component = accessor.with(|mut access| access.get().component.clone());
        Ok(component.variables.get(&name).cloned().ok_or_else(|| {
            Error::Undefined(format!("no variable for {:?}.{name:?}", component.id))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(default: Option<&str>) -> Variable {
        Variable {
            required: default.is_none(),
            default: default.map(str::to_owned),
            secret: false,
            description: None,
        }
    }

    fn declared() -> BTreeMap<String, Variable> {
        BTreeMap::from([
            ("edge_secret".to_owned(), variable(None)),
            ("host".to_owned(), variable(Some("localhost"))),
        ])
    }

    #[test]
    fn an_override_wins_over_the_environment_and_that_over_the_default() {
        let environment = |name: &str| match name {
            "SPIN_VARIABLE_EDGE_SECRET" => Some("from environment".to_owned()),
            "SPIN_VARIABLE_HOST" => Some("example.com".to_owned()),
            _ => None,
        };
        let overrides = BTreeMap::from([("edge_secret".to_owned(), "given".to_owned())]);
        let variables = Variables::resolve(&declared(), &overrides, environment).unwrap();
        assert_eq!(variables.expand("{{ edge_secret }}").unwrap(), "given");
        assert_eq!(
            variables.expand("https://{{host}}:{{ host }}/").unwrap(),
            "https://example.com:example.com/"
        );
    }

    #[test]
    fn a_required_variable_without_a_value_says_how_to_set_it() {
        let error = Variables::resolve(&declared(), &BTreeMap::new(), |_| None).unwrap_err();
        assert!(error.to_string().contains("SPIN_VARIABLE_EDGE_SECRET"));
    }

    #[test]
    fn an_undeclared_override_is_refused() {
        let overrides = BTreeMap::from([("colour".to_owned(), "red".to_owned())]);
        let error = Variables::resolve(&declared(), &overrides, |_| None).unwrap_err();
        assert!(error.to_string().contains("colour"));
    }

    #[test]
    fn templates_with_unknown_names_or_open_braces_are_refused() {
        let variables = Variables::default();
        assert!(variables.expand("{{ nothing }}").is_err());
        assert!(variables.expand("{{ open").is_err());
        assert_eq!(variables.expand("plain }}").unwrap(), "plain }}");
    }

    #[test]
    fn names_follow_spins_rule() {
        for good in ["a", "a1", "a_b"] {
            assert_eq!(check_name(good), Ok(()));
        }
        for bad in ["", "A", "1a", "a_", "a__b", "a-b"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
