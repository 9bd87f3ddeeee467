//! `portico mock`: serve a mock of an OpenAPI document, or compile it into a component.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use sandbox_mock::serve::{Event, Options, read_files, serve};
use sandbox_mock::{Summary, compiler};

/// What `mock` does.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Serve a mock; it follows the document when the file changes.
    Serve {
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
        /// Refuse what the gateway would refuse.
        #[arg(long)]
        enforce: bool,
    },
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

/// Runs `portico mock`.
pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    match arguments.action {
        Action::Serve { enforce: true, .. } => {
            bail!(
                "--enforce is not supported yet: put Envoy in front (`cargo xtask up`) to have the gateway's refusals"
            )
        }
        Action::Serve {
            spec,
            port,
            seed,
            stateful,
            enforce: false,
        } => {
            let stop = async {
                // Without a signal handler the mock runs until it is killed.
                if tokio::signal::ctrl_c().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            serve(
                Options {
                    spec,
                    port,
                    seed,
                    stateful,
                },
                stop,
                report,
            )
            .await?;
        }
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
