//! `portico up`: the whole programme on one machine, in the foreground.
//!
//! Owns: the order of starting and stopping, what is written into the data
//! folder, and keeping the children alive. The parts themselves are ordinary:
//! portal and sandbox are `portico run` on the same `spin.toml` that Spin takes,
//! the gateway is Envoy with a rendered configuration file.

mod child;
mod client;
mod data_folder;
mod demo;
mod envoy;
mod ports;
mod secrets;
mod ticker;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::demo_upstream;
use child::{Family, Recipe};
use data_folder::DataFolder;
use ports::Ports;
use secrets::Secrets;

/// How long each part may take to answer, on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(180);

/// An edge reports about once a second; longer than that, and a little more.
const REPORT_WITHIN: Duration = Duration::from_millis(1_500);

/// So many new connections meet both workers but for one time in thirty thousand.
const CONNECTIONS_TO_MEET_EVERY_WORKER: u32 = 16;

/// What `portico up` is asked for.
#[derive(Debug, Clone)]
pub struct Options {
    pub data_dir: PathBuf,
    pub port_base: u16,
    pub fresh: bool,
    /// The demo programme's past; `None` for no demo programme.
    pub demo_months: Option<u32>,
    pub manifest: PathBuf,
    pub edge_filter: PathBuf,
    pub sandbox: PathBuf,
    pub envoy: PathBuf,
}

/// Starts everything, says `ready`, and stays until told to stop.
pub async fn run(options: Options) -> Result<()> {
    for (file, what) in [
        (&options.manifest, "the Spin manifest"),
        (&options.edge_filter, "the edge filter"),
        (&options.sandbox, "the sandbox component"),
        (&options.envoy, "Envoy"),
    ] {
        if !file.is_file() {
            bail!(
                "there is no {} ({what}): run `cargo xtask up`, which builds and installs what is missing",
                file.display()
            );
        }
    }
    let data = DataFolder::open(&options.data_dir, options.fresh)?;
    let ports = Ports::from_base(options.port_base)?;
    let listener = ports.claim().await?;
    let secrets = Secrets::read_or_create(&data)?;

    let mut family = Family::new(data.processes());
    let upstream = tokio::spawn(demo_upstream::serve(listener));
    let whole_life = async {
        start(&options, &data, ports, &secrets, &mut family).await?;
        stay(ports, &secrets, &mut family, options.demo_months.is_some()).await;
        anyhow::Ok(())
    };
    let result = tokio::select! {
        ended = whole_life => ended,
        stopped = crate::signals::wait_for_stop() => stopped,
    };
    drain(ports).await;
    family.stop().await;
    upstream.abort();
    result
}

/// Runs for ever; a part that dies is started again by its family.
async fn stay(ports: Ports, secrets: &Secrets, family: &mut Family, has_demo: bool) {
    let past = async {
        if has_demo {
            demo::play_history(ports.portal).await;
        }
    };
    tokio::join!(
        family.keep_alive(),
        ticker::run(ports.portal, secrets.tick_secret.clone()),
        past
    );
}

/// Lets the gateway finish: no new calls, and time for one more usage report.
async fn drain(ports: Ports) {
    let stopped = client::send("POST", ports.envoy_admin, "/drain_listeners", &[]).await;
    if stopped.is_ok() {
        tokio::time::sleep(REPORT_WITHIN).await;
    }
}

async fn start(
    options: &Options,
    data: &DataFolder,
    ports: Ports,
    secrets: &Secrets,
    family: &mut Family,
) -> Result<()> {
    data.write_json("endpoints.json", &ports.endpoints(), false)?;
    let program = std::env::current_exe().context("cannot find the portico binary itself")?;

    let portal = Recipe::new("portal", program.clone())
        .arguments(["run", "--manifest"])
        .argument(&options.manifest)
        .arguments(["--data-dir"])
        .argument(data.path())
        .arguments(["--listen", &format!("127.0.0.1:{}", ports.portal)])
        // Development: gateway, webhook receivers and identity providers are on this machine.
        .arguments(["--block-networks", "none"])
        .environment(secrets.portal_variables(ports));
    let sandbox = Recipe::new("sandbox", program)
        .arguments(["run", "--manifest"])
        .argument(data.write_sandbox_manifest(&options.sandbox)?)
        .arguments(["--data-dir"])
        .argument(data.path())
        .arguments(["--listen", &format!("127.0.0.1:{}", ports.sandbox)]);
    family.start(portal.log(data.file("portal.log")))?;
    family.start(sandbox.log(data.file("sandbox.log")))?;
    family
        .wait_until_it_answers("portal", ports.portal, "/healthz", 200, READY_WITHIN)
        .await?;

    let demo = match options.demo_months {
        Some(months) => Some(demo::seed(ports.portal, months, data).await?),
        None => None,
    };

    let envoy = envoy::recipe(options, data, ports, secrets)?;
    family.start(envoy)?;
    family
        .wait_until_it_answers("envoy", ports.envoy_admin, "/ready", 200, READY_WITHIN)
        .await?;
    // The gateway refuses everybody with 503 until it has read the feed. Each of
    // Envoy's workers reads it by itself, and each connection meets one of them.
    for _ in 0..CONNECTIONS_TO_MEET_EVERY_WORKER {
        family
            .wait_until_it_answers("envoy", ports.gateway, "/", 401, READY_WITHIN)
            .await?;
    }
    family
        .wait_until_it_answers(
            "sandbox",
            ports.sandbox,
            "/.well-known/spin/health",
            200,
            READY_WITHIN,
        )
        .await?;

    announce(ports, demo.as_ref());
    Ok(())
}

fn announce(ports: Ports, demo: Option<&serde_json::Value>) {
    for (name, address) in ports.endpoints().as_object().into_iter().flatten() {
        println!(
            "{:<12} {}",
            name.replace('_', " "),
            address.as_str().unwrap_or_default()
        );
    }
    if let Some(demo) = demo {
        for (who, member) in [
            ("operator", "operator"),
            ("partner", "partner"),
            ("one of 60", "partner_with_history"),
        ] {
            let login = &demo[member];
            if let (Some(email), Some(password)) =
                (login["email"].as_str(), login["password"].as_str())
            {
                println!("{who:<12} {email} / {password}");
            }
        }
        if let Some(key) = demo["test_key"].as_str() {
            println!(
                "try          curl -H 'authorization: Bearer {key}' http://127.0.0.1:{}/v1/orders",
                ports.gateway
            );
        }
    } else {
        println!(
            "try          examples/first-call.sh http://127.0.0.1:{} http://127.0.0.1:{}",
            ports.portal, ports.gateway
        );
    }
    println!("ready");
}

impl Ports {
    /// The addresses that `endpoints.json` names.
    fn endpoints(self) -> serde_json::Value {
        let address = |port: u16| format!("http://127.0.0.1:{port}");
        json!({
            "portal": address(self.portal),
            "gateway": address(self.gateway),
            "sandbox": address(self.sandbox),
            "upstream": address(self.upstream),
            "envoy_admin": address(self.envoy_admin),
        })
    }
}
