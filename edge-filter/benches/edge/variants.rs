//! The Envoys that are compared, each a process with one worker.

use crate::portal::{EDGE_SECRET, KEY_PEPPER, Portal};
use crate::programme::{PERIOD, Programme, SUBSCRIPTION, plan, rate_limit};
use crate::stack::{find_envoy, find_filter, free_port};
use shared::credential::Environment;
use shared::feed::Change;
use shared::lease::LeaseKey;
use shared::plan::{Quota, QuotaEnforcement, RateLimitScope, WithoutLease};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// One way to serve the same call.
pub struct Variant {
    pub name: String,
    pub address: SocketAddr,
    pub pid: u32,
    pub target: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub status: u16,
}

/// Everything that must stay alive.
pub struct Bench {
    pub variants: Vec<Variant>,
    processes: Vec<Child>,
    directory: PathBuf,
    _programme: Programme,
}

impl Drop for Bench {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

const JSON_LOG: &str = r#"
          access_log:
          - name: envoy.access_loggers.file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: "{log}"
              log_format:
                json_format:
                  time: "%START_TIME%"
                  request_id: "%REQ(X-REQUEST-ID)%"
                  method: "%REQ(:METHOD)%"
                  status: "%RESPONSE_CODE%"
                  duration_ms: "%DURATION%"
                  partner: "%REQ(X-PARTNER-ID)%"
"#;

const API_KEY: &str = r#"
          - name: envoy.filters.http.api_key_auth
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuth
              credentials: [{key: "{key}", client: partner-1}]
              key_sources: [{header: x-api-key}]
              forwarding: {header: x-partner-id, hide_credentials: true}
"#;

const RATE_LIMIT: &str = r#"
          - name: envoy.filters.http.local_ratelimit
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
              stat_prefix: limit
              filter_enabled: {default_value: {numerator: 100}}
              filter_enforced: {default_value: {numerator: 100}}
              enable_x_ratelimit_headers: DRAFT_VERSION_03
              always_consume_default_token_bucket: false
              max_dynamic_descriptors: 200000
              token_bucket: {max_tokens: 1000000000, tokens_per_fill: 1000000000, fill_interval: 1s}
              rate_limits: [{actions: [{request_headers: {header_name: x-partner-id, descriptor_key: partner}}]}]
              descriptors:
              - entries: [{key: partner}]
                token_bucket: {max_tokens: 1000000000, tokens_per_fill: 1000000000, fill_interval: 1s}
"#;

const EXT_AUTHZ: &str = r#"
          - name: envoy.filters.http.ext_authz
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz
              http_service:
                server_uri: {uri: "http://127.0.0.1", cluster: authz, timeout: 5s}
                authorization_request: {allowed_headers: {patterns: [{exact: x-api-key}]}}
"#;

const PORTICO: &str = r#"
          - name: portico.edge
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                name: portico_edge
                root_id: portico_edge
                failure_policy: FAIL_RELOAD
                vm_config:
                  vm_id: portico_edge
                  runtime: envoy.wasm.runtime.v8
                  code: {local: {filename: "{filter}"}}
                  environment_variables: {host_env_keys: [PORTICO_EDGE_SECRET, PORTICO_KEY_PEPPER]}
                configuration:
                  "@type": type.googleapis.com/google.protobuf.StringValue
                  value: '{"portal_cluster": "portal", "portal_authority": "portal"}'
"#;

fn cluster(name: &str, port: u16) -> String {
    format!(
        r#"
  - name: {name}
    type: STATIC
    load_assignment:
      cluster_name: {name}
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}}}]}}]"#
    )
}

fn listener(port: u16, log: &str, filters: &str, route: &str) -> String {
    format!(
        r#"
  - name: gateway
    address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: gateway
          generate_request_id: true
          use_remote_address: true
          normalize_path: true{log}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{{match: {{prefix: "/"}}, {route}}}]
          http_filters:{filters}
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}"#
    )
}

fn start(directory: &Path, name: &str, yaml: &str) -> Child {
    let path = directory.join(format!("{}.yaml", name.replace(' ', "-")));
    std::fs::write(&path, yaml).expect("the temporary directory is writable");
    let log = std::fs::File::create(path.with_extension("log")).expect("as above");
    Command::new(find_envoy())
        .arg("-c")
        .arg(&path)
        .args([
            "--concurrency",
            "1",
            "--disable-hot-restart",
            "--log-level",
            "warning",
        ])
        .env("PORTICO_EDGE_SECRET", EDGE_SECRET)
        .env("PORTICO_KEY_PEPPER", KEY_PEPPER)
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("Envoy starts")
}

/// The programme of the full pipeline: a scope, an address list, three stacked
/// limits and a hard quota, none of them ever reached.
fn open_programme() -> (Programme, String) {
    let mut programme = Programme::start();
    let mut full = plan();
    let mut each = rate_limit("each", 1_000_000_000, 60);
    each.per = RateLimitScope::Credential;
    full.rate_limits = vec![
        rate_limit("burst", 1_000_000, 1),
        each,
        rate_limit("hour", 1_000_000_000, 3_600),
    ];
    full.quota = Some(Quota {
        name: "month".into(),
        limit: 1 << 40,
        enforcement: QuotaEnforcement::Hard,
        without_lease: WithoutLease::Overdraft { units: 1 << 40 },
        shadow: false,
    });
    programme.portal.publish(Change::Plan(full));
    let lease = LeaseKey {
        subscription: SUBSCRIPTION,
        environment: Environment::Live,
        period_start_ms: PERIOD[0],
    };
    programme.portal.state().ceilings.insert(lease, 1 << 40);
    let key = programme.issue(Environment::Live, |credential| {
        credential.addresses = vec!["127.0.0.0/8".into()];
        credential.scopes = Some(vec!["orders:read".into()]);
    });
    (programme, key)
}

fn wait_for(address: SocketAddr, headers: &[(&str, &str)], status: u16, portal: &Portal) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let answer = crate::http::Client::connect(address)
            .and_then(|mut client| client.send("GET", "/v1/orders", headers, b""));
        if answer.is_ok_and(|answer| answer.status() == status) {
            return;
        }
        let reports = portal.state().reports.len();
        assert!(
            std::time::Instant::now() < deadline,
            "{address} does not answer {status} ({reports} reports)"
        );
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// Other builds of the filter to compare with, as `name=path,…`.
fn other_builds() -> Vec<(String, String)> {
    let builds = std::env::var("PORTICO_BENCH_BUILDS").unwrap_or_default();
    let pairs = builds.split(',').filter_map(|build| build.split_once('='));
    pairs
        .map(|(name, path)| (name.to_owned(), path.to_owned()))
        .collect()
}

/// Whether a variant is among those named in `PORTICO_BENCH_ONLY`; all are where none is.
fn is_wanted(name: &str) -> bool {
    let only = std::env::var("PORTICO_BENCH_ONLY").unwrap_or_default();
    only.is_empty() || only.split(',').any(|wanted| wanted == name)
}

/// Starts everything that is compared.
pub fn start_variants() -> Bench {
    let (programme, key) = open_programme();
    let directory = std::env::temp_dir().join(format!("portico-bench-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("the temporary directory is writable");
    let (upstream, authz) = (free_port(), free_port());
    let answers = "direct_response: {status: 200, body: {inline_string: '{\"orders\":[]}'}}";
    let static_only = |port| {
        format!(
            "static_resources:\n  listeners:{}\n",
            listener(port, "", "", answers)
        )
    };
    let mut bench = Bench {
        variants: Vec::new(),
        processes: vec![
            start(&directory, "upstream", &static_only(upstream)),
            start(&directory, "authz", &static_only(authz)),
        ],
        directory,
        _programme: programme,
    };
    let portico = PORTICO.replace("{filter}", &find_filter().display().to_string());
    let api_key = API_KEY.replace("{key}", &key);
    let trio = format!("{api_key}{RATE_LIMIT}");
    // A gateway whose routes do not look at who calls, and whose access logs print the identity headers.
    let told_less = portico.replace(
        "\"portal_authority\": \"portal\"",
        "\"portal_authority\": \"portal\", \"routes_by_identity\": false, \"describe_accepted\": false",
    );
    let mut compared = vec![
        ("no filter".to_owned(), String::new(), false),
        ("api_key_auth".to_owned(), api_key, false),
        ("native trio".to_owned(), trio, true),
        ("portico".to_owned(), portico.clone(), false),
        ("portico told less".to_owned(), told_less, false),
        ("portico and JSON log".to_owned(), portico, true),
        ("ext_authz".to_owned(), EXT_AUTHZ.to_owned(), false),
    ];
    for (name, filter) in other_builds() {
        compared.push((name, PORTICO.replace("{filter}", &filter), false));
    }
    compared.retain(|(name, ..)| is_wanted(name));
    for (name, filters, logs) in compared {
        let port = free_port();
        let log = bench
            .directory
            .join(format!("{}.access.log", name.replace(' ', "-")));
        let log = if logs {
            JSON_LOG.replace("{log}", &log.display().to_string())
        } else {
            String::new()
        };
        let portal = bench._programme.portal.port();
        let yaml = format!(
            "static_resources:\n  listeners:{}\n  clusters:{}{}{}\n",
            listener(port, &log, &filters, "route: {cluster: upstream}"),
            cluster("upstream", upstream),
            cluster("authz", authz),
            cluster("portal", portal),
        );
        let process = start(&bench.directory, &name, &yaml);
        let variant = Variant {
            name,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            pid: process.id(),
            target: "/v1/orders",
            headers: vec![("x-api-key", key.clone())],
            status: 200,
        };
        bench.processes.push(process);
        wait_for(
            variant.address,
            &[("x-api-key", &key)],
            200,
            &bench._programme.portal,
        );
        bench.variants.push(variant);
    }
    add_refusals(&mut bench, &key);
    bench
}

/// Refused calls, served by the Envoys that serve the accepted ones.
fn add_refusals(bench: &mut Bench, key: &str) {
    let mut mistyped = key.to_owned();
    let last = mistyped.pop();
    mistyped.push(if last == Some('a') { 'b' } else { 'a' });
    let unknown = crate::portal::key_from(99_999, Environment::Live).0;
    for (name, of, text) in [
        ("portico: mistyped key", "portico", mistyped.clone()),
        ("portico: unknown key", "portico", unknown),
        ("api_key_auth: unknown key", "api_key_auth", mistyped),
    ] {
        let mut variants = bench.variants.iter();
        let Some(base) = variants.find(|variant| variant.name == of && is_wanted(name)) else {
            continue;
        };
        let variant = Variant {
            name: name.to_owned(),
            headers: vec![("x-api-key", text)],
            status: 401,
            ..*base
        };
        bench.variants.push(variant);
    }
}
