//! `portico run`: one Spin application on one listener, as `spin up` does it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::blocked_networks::BlockedNetworks;
use crate::manifest::Manifest;
use crate::spin_host::{Application, ApplicationOptions, Limits, build_engine, server};
use crate::variables::Variables;

#[derive(Args)]
pub struct Arguments {
    /// The Spin manifest to run.
    #[arg(long, default_value = "spin.toml")]
    manifest: PathBuf,
    /// Where databases and compiled components are kept.
    #[arg(long, default_value = ".portico")]
    data_dir: PathBuf,
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// Give a variable of the manifest a value.
    #[arg(long = "variable", value_name = "NAME=VALUE", value_parser = parse_variable)]
    variables: Vec<(String, String)>,
    /// Networks that components may not send requests to, as Spin's `block_networks`: `private`,
    /// a network such as 10.0.0.0/8, or `none`.
    #[arg(long, value_name = "NETWORK", default_value = "private")]
    block_networks: Vec<String>,
    /// How long a request may take, in seconds.
    #[arg(long, default_value_t = 30)]
    request_timeout_secs: u64,
    /// How much memory one instance of a component may use, in mebibytes.
    #[arg(long, default_value_t = 256)]
    memory_mib: usize,
}

fn parse_variable(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "write it as NAME=VALUE".to_owned())
}

pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    let manifest = Manifest::read(&arguments.manifest)?;
    let overrides: BTreeMap<_, _> = arguments.variables.into_iter().collect();
    let variables = Variables::of_manifest(&manifest, &overrides)?;
    // Before compiling, which takes a while: a taken port is said at once.
    let listener = server::bind(arguments.listen, "application").await?;
    let listen = listener.local_addr()?;
    let engine = build_engine(&arguments.data_dir.join("cache"))?;
    let blocked_networks = BlockedNetworks::parse(&arguments.block_networks)?;
    let options = ApplicationOptions {
        blocked_networks,
        data_dir: arguments.data_dir,
        limits: Limits {
            request_timeout: Duration::from_secs(arguments.request_timeout_secs),
            memory_bytes: arguments.memory_mib << 20,
        },
        listen,
    };
    let application = Arc::new(Application::load(&engine, &manifest, &variables, &options).await?);
    println!("Serving http://{listen}");
    for (route, component) in application.router.routes() {
        println!(
            "  {component}: http://{listen}{}",
            route.replace("/...", "/")
        );
    }
    tokio::select! {
        () = server::serve(listener, application.clone()) => {}
        result = crate::signals::wait_for_stop() => result?,
    }
    application.flush().await;
    Ok(ExitCode::SUCCESS)
}
