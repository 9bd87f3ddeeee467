//! Envoy: its configuration file and how it is started.

use anyhow::{Context, Result};

use super::Options;
use super::child::Recipe;
use super::data_folder::DataFolder;
use super::ports::Ports;
use super::secrets::Secrets;

const TEMPLATE: &str = include_str!("../../../deploy/envoy/bootstrap.yaml.template");
const NODE_ID: &str = "edge-1";

/// Renders the configuration and says how to run Envoy with it. The secrets
/// reach the filter by environment, so that the config dump does not show them.
pub fn recipe(
    options: &Options,
    data: &DataFolder,
    ports: Ports,
    secrets: &Secrets,
) -> Result<Recipe> {
    let filter = options.edge_filter.canonicalize()?;
    let rendered = render(&[
        ("gateway_port", ports.gateway.to_string()),
        ("admin_port", ports.envoy_admin.to_string()),
        ("portal_port", ports.portal.to_string()),
        ("sandbox_port", ports.sandbox.to_string()),
        ("upstream_port", ports.upstream.to_string()),
        ("edge_filter_wasm", filter.display().to_string()),
        ("access_log", data.file("access.log").display().to_string()),
        ("node_id", NODE_ID.to_owned()),
    ])?;
    let file = data.file("envoy.yaml");
    std::fs::write(&file, rendered).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(Recipe::new("envoy", options.envoy.clone())
        .arguments(["--config-path"])
        .argument(&file)
        .arguments([
            "--concurrency",
            "2",
            "--disable-hot-restart",
            "--log-level",
            "warning",
        ])
        .environment(vec![
            (
                "PORTICO_EDGE_SECRET".to_owned(),
                secrets.edge_secret.clone(),
            ),
            ("PORTICO_KEY_PEPPER".to_owned(), secrets.key_pepper.clone()),
        ])
        .log(data.file("envoy.log")))
}

fn render(values: &[(&str, String)]) -> Result<String> {
    let mut text = TEMPLATE.to_owned();
    for (name, value) in values {
        text = text.replace(&format!("{{{{{name}}}}}"), value);
    }
    let left = text
        .split("{{")
        .nth(1)
        .and_then(|rest| rest.split("}}").next());
    match left {
        Some(name) if name.len() < 40 => {
            anyhow::bail!("the Envoy template has a placeholder `{name}` that nothing fills")
        }
        _ => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_has_no_placeholder_that_nothing_fills() {
        let names = [
            "gateway_port",
            "admin_port",
            "portal_port",
            "sandbox_port",
            "upstream_port",
            "edge_filter_wasm",
            "access_log",
            "node_id",
        ];
        let values: Vec<_> = names.iter().map(|name| (*name, "1".to_owned())).collect();
        assert!(render(&values).is_ok());
        let error = render(&values[1..]).unwrap_err().to_string();
        assert!(error.contains("gateway_port"), "{error}");
    }
}
