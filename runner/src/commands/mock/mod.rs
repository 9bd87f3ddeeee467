//! `portico mock`: serve a mock of an OpenAPI document, or compile it into a component.

mod drift;
mod gate;
mod handlers;
mod programme;
mod record;
mod sender;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use gate::Gate;
use programme::Programme;
use sandbox_mock::document::{Outline, outline};
use sandbox_mock::serve::{Event, Options, read_files, serve};
use sandbox_mock::{Summary, compiler};
use sender::Sender;

/// How often the programme file is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// What `mock` does.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Serve a mock; it follows the document when the file changes.
    Serve(ServeArguments),
    /// Compare exchanges with production to the document and the mock.
    Drift(drift::Arguments),
    /// Record exchanges with production at an Envoy, redacted, for `drift`.
    Record(record::Arguments),
    /// Compile a document into one component.
    Build {
        /// The OpenAPI document, JSON or YAML.
        spec: PathBuf,
        /// Where to write the component.
        #[arg(short, long)]
        output: PathBuf,
        /// The generic component; by default `sandbox_guest.wasm` beside this program or in target/portico.
        #[arg(long)]
        guest: Option<PathBuf>,
    },
}

#[derive(clap::Args)]
struct ServeArguments {
    /// The OpenAPI document, JSON or YAML.
    spec: PathBuf,
    /// The port on 127.0.0.1; 0 for any free one.
    #[arg(long, default_value_t = 4010)]
    port: u16,
    /// Other seeds give other values.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Remember what is created.
    #[arg(long)]
    stateful: bool,
    /// Latency and errors by operation, a JSON file in the form of `/.portico/faults`.
    #[arg(long)]
    faults: Option<PathBuf>,
    /// Send webhooks and callbacks to this machine too, not only to public addresses.
    #[arg(long)]
    webhooks_to_loopback: bool,
    /// Refuse what the gateway would refuse.
    #[arg(long)]
    enforce: bool,
    /// The credentials, plans and routes to enforce, JSON or YAML; without it one key is made and printed.
    #[arg(long, requires = "enforce")]
    programme: Option<PathBuf>,
    /// Let a component of your own answer an operation (world `portico:handler/handler`).
    #[arg(long = "handler", value_name = "OPERATION=FILE.wasm", value_parser = parse_handler)]
    handlers: Vec<(String, PathBuf)>,
    /// How long a handler may take for a request.
    #[arg(long, default_value_t = 1_000)]
    handler_timeout_ms: u64,
    /// How much memory a handler may use for a request.
    #[arg(long, default_value_t = 64)]
    handler_memory_mib: usize,
}

fn parse_handler(text: &str) -> Result<(String, PathBuf), String> {
    text.split_once('=')
        .filter(|(operation, file)| !operation.is_empty() && !file.is_empty())
        .map(|(operation, file)| (operation.to_owned(), PathBuf::from(file)))
        .ok_or_else(|| "write it as OPERATION=FILE.wasm, with the operationId".to_owned())
}

/// Runs `portico mock`.
pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    match arguments.action {
        Action::Serve(arguments) => serve_mock(arguments).await?,
        Action::Drift(arguments) => return drift::run(&arguments),
        Action::Record(arguments) => return record::run(&arguments).await,
        Action::Build {
            spec,
            output,
            guest,
        } => {
            let guest = find_guest(guest)?;
            let component = std::fs::read(&guest)
                .with_context(|| format!("{} cannot be read", guest.display()))?;
            let built = compiler::build(&component, &read_files(&spec)?).await?;
            std::fs::write(&output, &built.wasm)
                .with_context(|| format!("{} cannot be written", output.display()))?;
            println!("{}", built.summary);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn serve_mock(arguments: ServeArguments) -> Result<()> {
    let enforced = arguments
        .enforce
        .then(|| Enforced::start(&arguments.spec, arguments.programme.clone()))
        .transpose()?
        .map(Arc::new);
    let stop = async {
        // Without a signal handler the mock runs until it is killed.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let gate = enforced
        .as_ref()
        .map(|enforced| Arc::clone(&enforced.gate) as Arc<dyn sandbox_mock::serve::Gate>);
    let handlers = (!arguments.handlers.is_empty())
        .then(|| {
            let limits = handlers::Limits {
                memory_bytes: arguments.handler_memory_mib << 20,
                time: Duration::from_millis(arguments.handler_timeout_ms),
            };
            handlers::Components::load(&arguments.handlers, limits)
        })
        .transpose()?
        .map(|components| Arc::new(components) as Arc<dyn sandbox_mock::serve::Handlers>);
    let options = Options {
        spec: arguments.spec,
        port: arguments.port,
        seed: arguments.seed,
        stateful: arguments.stateful,
        faults: arguments.faults,
        gate,
        sender: Some(Arc::new(Sender::new(arguments.webhooks_to_loopback)?)),
        handlers,
    };
    let watched = enforced.clone();
    let watch = async {
        match &watched {
            Some(enforced) => enforced.watch().await,
            None => std::future::pending().await,
        }
    };
    let served = serve(options, stop, move |event| {
        if let (Event::Reloaded(_), Some(enforced)) = (&event, &enforced)
            && let Err(error) = enforced.follow()
        {
            eprintln!("the routes of the programme did not change: {error:#}");
        }
        report(event);
    });
    tokio::select! {
        outcome = served => outcome,
        () = watch => Ok(()),
    }
}

/// The gate, and what it was made of.
struct Enforced {
    gate: Arc<Gate>,
    programme: Option<PathBuf>,
    current: Mutex<Programme>,
    spec: PathBuf,
    secret: String,
    /// When the billing periods began.
    from_ms: u64,
}

impl Enforced {
    fn start(spec: &Path, programme: Option<PathBuf>) -> Result<Enforced> {
        let made = match &programme {
            Some(path) => read_programme(path)?,
            None => {
                let (programme, key) = Programme::small()?;
                println!("key: {key}");
                programme
            }
        };
        let mut random = [0; 24];
        getrandom::fill(&mut random).context("no randomness for the digests of keys")?;
        let secret: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let from_ms = gate::wall_clock_ms();
        let changes = made.changes(&read_outline(spec)?, &secret, from_ms)?;
        Ok(Enforced {
            gate: Arc::new(Gate::start(changes, secret.clone())?),
            programme,
            current: Mutex::new(made),
            spec: spec.to_owned(),
            secret,
            from_ms,
        })
    }

    /// Follows the programme file, for as long as it is polled.
    async fn watch(&self) {
        let Some(path) = &self.programme else {
            return std::future::pending().await;
        };
        let mut seen = modified(path);
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = modified(path);
            // While it is being replaced there is no file.
            if now == seen || now.is_none() {
                continue;
            }
            seen = now;
            match self.follow() {
                Ok(()) => println!("the programme changed"),
                Err(error) => eprintln!("the programme changed and is not enforced: {error:#}"),
            }
        }
    }

    /// Publishes the programme anew, with the routes that the document has now.
    fn follow(&self) -> Result<()> {
        let outline = read_outline(&self.spec)?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let next = self.programme.as_deref().map(read_programme).transpose()?;
        let programme = next.as_ref().unwrap_or(&current);
        let mut changes = programme.changes(&outline, &self.secret, self.from_ms)?;
        changes.extend(programme.removals(&current, &self.secret));
        self.gate.publish(changes);
        if let Some(next) = next {
            *current = next;
        }
        Ok(())
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}

fn read_programme(path: &Path) -> Result<Programme> {
    let bytes =
        std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    Programme::parse(&bytes).with_context(|| path.display().to_string())
}

fn read_outline(spec: &Path) -> Result<Outline> {
    let bytes =
        std::fs::read(spec).with_context(|| format!("{} cannot be read", spec.display()))?;
    outline(&bytes).with_context(|| spec.display().to_string())
}

fn report(event: Event) {
    match event {
        Event::Listening(address, summary) => {
            print_summary(&summary);
            println!("listening on http://{address}");
        }
        Event::Reloaded(summary) => {
            println!("the document changed");
            print_summary(&summary);
        }
        Event::Broken(reason) => eprintln!("the document changed and is not served: {reason}"),
    }
}

fn print_summary(summary: &Summary) {
    println!(
        "{}: {} operations, {} schemas, {} collections that remember, {} webhooks",
        summary.title, summary.operations, summary.schemas, summary.collections, summary.webhooks
    );
    for finding in &summary.findings {
        println!("  {finding}");
    }
}

fn find_guest(named: Option<PathBuf>) -> Result<PathBuf> {
    const NAME: &str = "sandbox_guest.wasm";
    if let Some(path) = named {
        return Ok(path);
    }
    let beside = std::env::current_exe()
        .ok()
        .and_then(|program| Some(program.parent()?.join(NAME)));
    let candidates: Vec<PathBuf> = beside
        .into_iter()
        .chain([PathBuf::from("target/portico").join(NAME)])
        .collect();
    match candidates.iter().find(|path| path.is_file()) {
        Some(path) => Ok(path.clone()),
        None => bail!(
            "the generic component {NAME} is not beside this program: build it with `cargo build --profile wasm --target wasm32-wasip2 -p sandbox-mock` and name it with --guest"
        ),
    }
}
