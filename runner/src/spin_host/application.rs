//! An application: the components of a manifest, compiled and ready to serve.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};
use wasmtime_wasi_http::handler::ProxyHandler;
use wasmtime_wasi_http::p3::bindings::ServicePre;

use super::instance::Instances;
use super::{ComponentGrants, State};
use crate::allowed_hosts::AllowedHosts;
use crate::blocked_networks::BlockedNetworks;
use crate::manifest::Manifest;
use crate::outbound_http::SelfOrigin;
use crate::routes::Router;
use crate::variables::Variables;

/// How many instances may live at once, over all components of a process.
pub(super) const MAX_INSTANCES: u32 = 512;
/// How many requests one component works on at once; the rest wait. An
/// instance outlives its request by up to a second, hence not `MAX_INSTANCES`.
const MAX_REQUESTS_PER_COMPONENT: usize = 128;

/// What bounds one instance.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub request_timeout: Duration,
    pub memory_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(30),
            memory_bytes: 256 << 20,
        }
    }
}

/// How an application is run.
#[derive(Debug, Clone)]
pub struct ApplicationOptions {
    pub data_dir: PathBuf,
    pub limits: Limits,
    /// Where the application will listen; `http://self` leads there.
    pub listen: SocketAddr,
    /// Where no component may connect to, whatever its allowed hosts are.
    pub blocked_networks: BlockedNetworks,
}

/// The components of one manifest behind one router.
pub struct Application {
    pub name: String,
    pub router: Router,
    components: BTreeMap<String, Served>,
    key_value: crate::key_value::Database,
}

/// A component that takes requests.
#[derive(Clone)]
pub struct Served {
    pub handler: ProxyHandler<Instances>,
    pub permits: Arc<Semaphore>,
}

impl Application {
    /// Compiles (or loads from the cache) every component that a trigger names.
    pub async fn load(
        engine: &Engine,
        manifest: &Manifest,
        variables: &Variables,
        options: &ApplicationOptions,
    ) -> Result<Self> {
        std::fs::create_dir_all(&options.data_dir)
            .with_context(|| format!("cannot create the folder {}", options.data_dir.display()))?;
        let router = Router::new(
            manifest
                .triggers
                .iter()
                .map(|trigger| (trigger.route.as_str(), trigger.component.as_str())),
        )?;
        if manifest.triggers.is_empty() {
            bail!("the manifest has no HTTP trigger, so there is nothing to serve");
        }
        let mut linker = Linker::new(engine);
        super::link(&mut linker)?;
        let sqlite = crate::sqlite::IdleConnections::default();
        let postgres = crate::postgres::Pools::default();
        let key_value = crate::key_value::Database::new(&options.data_dir);
        let blocked_networks = Arc::new(options.blocked_networks.clone());
        let mut components = BTreeMap::new();
        for trigger in &manifest.triggers {
            let id = &trigger.component;
            if components.contains_key(id) {
                continue;
            }
            let component = manifest
                .components
                .get(id)
                .with_context(|| format!("there is no component named {id:?}"))?;
            let grants = ComponentGrants {
                id: id.clone(),
                variables: variables
                    .for_component(&component.variables)
                    .with_context(|| format!("component.{id}.variables"))?,
                environment: component.environment.clone(),
                allowed_hosts: Arc::new(
                    AllowedHosts::parse(&component.allowed_outbound_hosts, variables)
                        .with_context(|| format!("component.{id}.allowed_outbound_hosts"))?,
                ),
                blocked_networks: blocked_networks.clone(),
                sqlite_databases: component.sqlite_databases.clone(),
                key_value_stores: component.key_value_stores.clone(),
                data_dir: options.data_dir.clone(),
                sqlite: sqlite.clone(),
                postgres: postgres.clone(),
                key_value: key_value.clone(),
            };
            let service = compile(engine, &linker, id, component.source.clone()).await?;
            components.insert(
                id.clone(),
                Served {
                    handler: ProxyHandler::new(Instances {
                        service,
                        component: Arc::new(grants),
                        limits: options.limits,
                        origin: SelfOrigin(options.listen),
                    }),
                    permits: Arc::new(Semaphore::new(MAX_REQUESTS_PER_COMPONENT)),
                },
            );
        }
        Ok(Self {
            name: manifest.name.clone(),
            router,
            components,
            key_value,
        })
    }

    /// Writes what components set and is only in memory; for the end of the process.
    pub async fn flush(&self) {
        if let Err(error) = self.key_value.flush().await {
            tracing::error!("what the sandbox remembers was not all written: {error}");
        }
    }

    pub fn find_component(&self, id: &str) -> Option<&Served> {
        self.components.get(id)
    }
}

async fn compile(
    engine: &Engine,
    linker: &Linker<State>,
    id: &str,
    source: PathBuf,
) -> Result<ServicePre<State>> {
    if !source.is_file() {
        bail!(
            "component.{id}: there is no file {}; build the component first",
            source.display()
        );
    }
    let compiler = engine.clone();
    let file = source.clone();
    let component = tokio::task::spawn_blocking(move || Component::from_file(&compiler, &file))
        .await?
        .map_err(anyhow::Error::from)
        .with_context(|| format!("component.{id}: cannot load {}", source.display()))?;
    let instance = linker
        .instantiate_pre(&component)
        .map_err(anyhow::Error::from)
        .with_context(|| {
            format!(
                "component.{id}: {} needs an interface that is not offered here",
                source.display()
            )
        })?;
    ServicePre::new(instance)
        .map_err(anyhow::Error::from)
        .with_context(|| {
            format!(
                "component.{id}: {} does not export wasi:http/handler@0.3.0 (spin-sdk 7)",
                source.display()
            )
        })
}
