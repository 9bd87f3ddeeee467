//! `deploy/`: what can be tried without a cluster is tried, the rest at least parses.

use anyhow::{Context as _, Result, ensure};
use sandbox_mock::source::Tree;
use std::path::Path;
use std::process::Command;
use tests::stack::{Stack, artifacts, repository};

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(repository().join(path)).with_context(|| path.to_owned())
}

#[test]
fn every_manifest_parses_and_names_its_kind() -> Result<()> {
    for (file, kinds) in [
        (
            "deploy/istio/wasmplugin.yaml",
            &[
                "WasmPlugin",
                "ServiceEntry",
                "DestinationRule",
                "VirtualService",
            ][..],
        ),
        (
            "deploy/envoy-gateway/extension-policy.yaml",
            &[
                "EnvoyExtensionPolicy",
                "EnvoyProxy",
                "HTTPRoute",
                "HTTPRoute",
            ],
        ),
        ("deploy/spinkube/spinapp.yaml", &["SpinApp", "Deployment"]),
    ] {
        let text = read(file)?;
        let documents: Vec<&str> = text.split("\n---\n").collect();
        ensure!(
            documents.len() == kinds.len(),
            "{file} has {} documents",
            documents.len()
        );
        for (document, kind) in documents.iter().zip(kinds) {
            let tree = Tree::read(document.as_bytes()).with_context(|| file.to_owned())?;
            let root = tree.root();
            ensure!(
                tree.get_str(root, "kind") == Some(kind),
                "{file}: no {kind}"
            );
            for member in ["apiVersion", "metadata", "spec"] {
                ensure!(
                    tree.get(root, member).is_some(),
                    "{file}: {kind} has no {member}"
                );
            }
        }
    }
    for (file, member) in [
        ("deploy/compose/compose.yaml", "services"),
        ("deploy/prometheus/prometheus.yaml", "scrape_configs"),
        ("deploy/prometheus/alerts.yaml", "groups"),
        ("deploy/grafana/gateway.json", "panels"),
    ] {
        let tree = Tree::read(read(file)?.as_bytes()).with_context(|| file.to_owned())?;
        ensure!(
            tree.get(tree.root(), member).is_some(),
            "{file} has no {member}"
        );
    }
    for unit in [
        "portal.service",
        "envoy.service",
        "tick.service",
        "backup.service",
        "backup.timer",
    ] {
        let text = read(&format!("deploy/systemd/portico-{unit}"))?;
        let section = if unit.ends_with("timer") {
            "[Timer]"
        } else {
            "ExecStart="
        };
        ensure!(
            text.contains("[Unit]") && text.contains(section),
            "{unit} lacks {section}"
        );
    }
    Ok(())
}

#[test]
fn manifests_hold_against_the_schemas_that_their_projects_publish() -> Result<()> {
    let Some(folder) = std::env::var_os("PORTICO_MANIFEST_SCHEMAS") else {
        println!("skipped: npm installs the schemas, and it is not there");
        return Ok(());
    };
    let output = Command::new("node")
        .arg(repository().join("tests/manifests/validate.mjs"))
        .arg(folder)
        .arg(repository())
        .output()
        .context("node does not start")?;
    let (seen, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    ensure!(output.status.success(), "{seen}\n{errors}");
    ensure!(seen.contains("hold"), "{seen}");
    Ok(())
}

#[test]
fn every_variable_that_a_manifest_sets_is_one_of_the_application() -> Result<()> {
    let application = read("spin.toml")?;
    let known = |name: &str| application.contains(&format!("\n{name} = {{"));
    let spinapp = read("deploy/spinkube/spinapp.yaml")?;
    let unit = read("deploy/systemd/portico-portal.service")?;
    let compose = read("deploy/compose/compose.yaml")?;
    let from_spinapp = spinapp
        .split("  variables:")
        .nth(1)
        .unwrap_or_default()
        .split("---")
        .next()
        .unwrap_or_default()
        .lines()
        .filter_map(|line| {
            let line = line.trim_start();
            line.strip_prefix("- name: ")
                .or(line.strip_prefix("- { name: "))
        })
        .map(|rest| rest.split([',', ' ']).next().unwrap_or_default().to_owned());
    ensure!(
        !unit.contains("--variable"),
        "secrets on a command line are for every user of the machine"
    );
    let from_unit = unit
        .split("SPIN_VARIABLE_")
        .skip(1)
        .filter_map(|rest| {
            rest.split(|c: char| c != '_' && !c.is_ascii_uppercase())
                .next()
        })
        .map(str::to_lowercase);
    let from_compose = compose
        .split("- --variable\n      - ")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('=')?.0.to_owned()));
    let from_unit = from_unit.chain(from_compose);
    let names: Vec<String> = from_spinapp
        .chain(from_unit)
        .filter(|name| !name.is_empty())
        .collect();
    ensure!(names.len() > 15, "too few were found: {names:?}");
    for name in names {
        ensure!(known(&name), "spin.toml declares no variable {name}");
    }
    Ok(())
}

/// Asks Envoy whether it would start with this configuration.
fn validate(envoy: &Path, name: &str, folder: &Path) -> Result<()> {
    let text = read(&format!("deploy/envoy/{name}"))?
        .replace(
            "/etc/portico/edge_filter.wasm",
            &artifacts()?.join("edge_filter.wasm").to_string_lossy(),
        )
        .replace("/etc/portico/tls", &folder.to_string_lossy());
    let file = folder.join(name);
    std::fs::write(&file, text)?;
    let secret = "0123456789abcdef0123456789abcdef";
    let output = Command::new(envoy)
        .args(["--mode", "validate", "-c"])
        .arg(&file)
        .env("PORTICO_EDGE_SECRET", secret)
        .env("PORTICO_KEY_PEPPER", secret)
        .output()?;
    ensure!(
        output.status.success(),
        "{name}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

#[test]
fn envoy_accepts_every_bootstrap() -> Result<()> {
    let envoy = std::env::var_os("PORTICO_ENVOY")
        .context("PORTICO_ENVOY is not set: run this by `cargo xtask test`")?;
    let folder = tempfile::tempdir()?;
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "1",
            "-subj",
            "/CN=gateway",
            "-keyout",
        ])
        .arg(folder.path().join("gateway.key"))
        .arg("-out")
        .arg(folder.path().join("gateway.crt"))
        .output()
        .context("openssl makes the certificate of this test")?;
    ensure!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    for name in ["static.yaml", "tls.yaml", "xds.yaml"] {
        validate(Path::new(&envoy), name, folder.path())?;
    }
    Ok(())
}

#[test]
fn the_oci_layout_holds_the_filter_under_its_digest() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let wasm = artifacts()?.join("edge_filter.wasm");
    let made = Command::new("sh")
        .arg(repository().join("deploy/oci/layout.sh"))
        .arg(&wasm)
        .arg(folder.path())
        .output()?;
    ensure!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let json = |path: &Path| -> Result<serde_json::Value> {
        Ok(serde_json::from_slice(&std::fs::read(path)?)?)
    };
    let blob = |described: &serde_json::Value| -> Result<std::path::PathBuf> {
        let digest = described["digest"]
            .as_str()
            .context("no digest")?
            .replace(':', "/");
        let path = folder.path().join("blobs").join(digest);
        let size = std::fs::metadata(&path)?.len();
        ensure!(
            Some(size) == described["size"].as_u64(),
            "{} has {size} bytes",
            path.display()
        );
        Ok(path)
    };
    let index = json(&folder.path().join("index.json"))?;
    let manifest = json(&blob(&index["manifests"][0])?)?;
    blob(&manifest["config"])?;
    let layer = blob(&manifest["layers"][0])?;
    ensure!(
        std::fs::read(layer)? == std::fs::read(wasm)?,
        "the layer is another file"
    );
    Ok(())
}

#[tokio::test]
async fn every_statistic_that_an_alert_or_the_dashboard_names_exists() -> Result<()> {
    let stack = Stack::shared().await?;
    let demo = stack.demo()?;
    let key = demo["test_key"].as_str().context("no test key")?;
    let client = reqwest::Client::new();
    client
        .get(format!("{}/v1/whoami", stack.endpoints().gateway))
        .bearer_auth(key)
        .send()
        .await?;
    let known = client
        .get(format!(
            "{}/stats/prometheus",
            stack.endpoints().envoy_admin
        ))
        .send()
        .await?
        .text()
        .await?;
    for file in [
        "deploy/prometheus/alerts.yaml",
        "deploy/grafana/gateway.json",
    ] {
        let text = read(file)?;
        for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            let is_label = matches!(
                word,
                "envoy_response_code_class"
                    | "envoy_http_conn_manager_prefix"
                    | "envoy_cluster_name"
            );
            if word.starts_with("envoy_") && !is_label {
                ensure!(
                    known.contains(&format!("\n{word}{{")),
                    "{file}: Envoy has no {word}"
                );
            }
        }
    }
    Ok(())
}
