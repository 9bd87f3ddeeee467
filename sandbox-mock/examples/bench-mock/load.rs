//! Throughput over HTTP: the native server in a process of its own, a constant server of Node's and Prism beside it.

use super::Failure;
use super::peers::{find_prism, prism};
use sandbox_mock::Mock;
use sandbox_mock::json::{Value, object};
use sandbox_mock::sample::{Sample, sample};
use sandbox_mock::serve::{Event, Options};
use sandbox_mock::state::NoStore;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const CONNECTIONS: usize = 16;
const SLICE: Duration = Duration::from_millis(1_500);
const ROUNDS: usize = 5;
const NODE: &str = "require('node:http').createServer((q,s)=>{s.setHeader('content-type','application/json');s.end('{\"id\":\"1\",\"name\":\"Tea\"}')}).listen(0,'127.0.0.1',function(){console.log('http://127.0.0.1:'+this.address().port)})";

/// Serves a document until it is killed, and prints the address.
pub fn serve(spec: &str) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let options = Options {
        spec: spec.into(),
        port: 0,
        seed: 1,
        stateful: true,
        faults: None,
        gate: None,
        sender: None,
        handlers: None,
    };
    runtime.block_on(sandbox_mock::serve::serve(
        options,
        std::future::pending(),
        |event| {
            if let Event::Listening(address, _) = event {
                println!("http://{address}");
            }
        },
    ))?;
    Ok(())
}

/// A server that ends with this value.
pub struct Server {
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a server and reads the address from the first line that ends in one.
pub fn start(command: &mut Command) -> Option<Server> {
    let mut child = command.stdout(Stdio::piped()).spawn().ok()?;
    let mut lines = BufReader::new(child.stdout.take()?);
    let mut line = String::new();
    let address = loop {
        line.clear();
        if lines.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let found = line.trim().rsplit_once("http://").map(|(_, rest)| rest);
        if let Some(address) = found.filter(|rest| !rest.contains('/')) {
            break address.to_owned();
        }
    };
    // Who writes a line for each request must not wait for a reader.
    std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    Some(Server { child, address })
}

/// Sends requests in closed loops; answers per second.
fn run(server: &Server, request: &Wanted) -> Result<f64, Failure> {
    let (stop, count) = (AtomicBool::new(false), AtomicU64::new(0));
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let closed_loop = || -> std::io::Result<()> {
                    let mut stream = TcpStream::connect(&server.address)?;
                    stream.set_nodelay(true)?;
                    let mut buffer = vec![0; 64 * 1024];
                    while !stop.load(Ordering::Relaxed) {
                        stream.write_all(&request.bytes(count.load(Ordering::Relaxed)))?;
                        read_answer(&mut stream, &mut buffer)?;
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(())
                };
                if let Err(error) = closed_loop() {
                    eprintln!("{}: {error}", server.address);
                }
            });
        }
        std::thread::sleep(SLICE);
        stop.store(true, Ordering::Relaxed);
    });
    Ok(count.into_inner() as f64 / started.elapsed().as_secs_f64())
}

fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> std::io::Result<()> {
    let (mut filled, mut wanted) = (0, None);
    while wanted.is_none_or(|wanted| filled < wanted) {
        let read = stream.read(&mut buffer[filled..])?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        filled += read;
        if wanted.is_none()
            && let Some(end) = buffer[..filled]
                .windows(4)
                .position(|bytes| bytes == b"\r\n\r\n")
        {
            let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| {
                line.strip_prefix("content-length:")?
                    .trim()
                    .parse::<usize>()
                    .ok()
            });
            wanted = Some(end + 4 + length.unwrap_or(0));
        }
    }
    Ok(())
}

/// The operation that is asked for in the known documents, else the first `GET`.
fn chosen(mock: &Mock) -> Option<Sample> {
    let wanted = [
        "/v1/customers/{customer}",
        "/pets/{petId}",
        "/v1/orders/{order_id}",
    ];
    let operations = mock.operations();
    let position = operations
        .iter()
        .position(|operation| {
            operation.method == "GET" && wanted.contains(&operation.path.as_str())
        })
        .or_else(|| {
            operations
                .iter()
                .position(|operation| operation.method == "GET")
        })?;
    sample(mock, position, 1).ok()
}

/// The requests of a run: one, or one for another id each time.
struct Wanted {
    before_id: String,
    id: Option<String>,
    after_id: String,
}

impl Wanted {
    fn of(sample: &Sample) -> Wanted {
        let mut after_id = String::new();
        if !sample.query.is_empty() {
            after_id.push_str(&format!("?{}", sample.query));
        }
        after_id.push_str(" HTTP/1.1\r\nhost: localhost\r\n");
        for (name, value) in &sample.headers {
            after_id.push_str(&format!("{name}: {value}\r\n"));
        }
        after_id.push_str("\r\n");
        let (before, id) = sample.path.rsplit_once('/').unwrap_or(("", ""));
        Wanted {
            before_id: format!("GET {before}/"),
            id: Some(id.to_owned()),
            after_id,
        }
    }

    fn root() -> Wanted {
        Wanted::of(&Sample {
            path: "/".to_owned(),
            ..Sample::default()
        })
    }

    fn with_other_ids(self) -> Wanted {
        Wanted { id: None, ..self }
    }

    fn bytes(&self, number: u64) -> Vec<u8> {
        let id = self.id.clone().unwrap_or_else(|| (number + 1).to_string());
        format!("{}{id}{}", self.before_id, self.after_id).into_bytes()
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn shown(ratio: f64) -> String {
    if ratio.is_nan() {
        "–".to_owned()
    } else {
        format!("{ratio:.2}")
    }
}

fn ratio(value: f64) -> Value {
    if value.is_nan() {
        Value::Null
    } else {
        Value::Float(value)
    }
}

/// Each document, Node's server and Prism in turns, so that whatever else the machine does hits all of them.
pub fn throughput(root: &Path, specs: &[PathBuf]) -> Result<Value, Failure> {
    let node = start(Command::new("node").args(["-e", NODE]));
    if node.is_none() {
        println!("\nnode is not there: no server to compare with");
    }
    let peer = find_prism(root);
    println!(
        "\n| GET, {CONNECTIONS} connections | answers/s | / node:http | another id each time / node:http | / Prism |"
    );
    println!("|---|---|---|---|---|");
    let mut rows = Vec::new();
    for spec in specs {
        let name = spec
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let is_known =
            ["openapi.yaml", "oai30_petstore.json", "stripe.spec3.json"].contains(&name.as_str());
        let (mock, _) = Mock::from_source(&std::fs::read(spec)?)?;
        let Some(chosen) = chosen(&mock).filter(|_| is_known) else {
            continue;
        };
        let server = start(
            Command::new(std::env::current_exe()?)
                .arg("--serve")
                .arg(spec),
        )
        .ok_or_else(|| format!("{name} is not served"))?;
        // Prism does not come up on Stripe's document.
        let prism = peer
            .as_deref()
            .filter(|_| name != "stripe.spec3.json")
            .and_then(|program| prism(program, spec));
        let same = Wanted::of(&chosen);
        let other = Wanted::of(&chosen).with_other_ids();
        // Some ids are not free in their form.
        let (before, _) = chosen.path.rsplit_once('/').unwrap_or(("", ""));
        let numbered = Sample {
            path: format!("{before}/7"),
            ..chosen.clone()
        };
        let takes_numbers = super::respond(&mock, &numbered, &mut NoStore, 1).status == 200;
        let root = Wanted::root();
        run(&server, &same)?;
        let [mut ours, mut to_node, mut others, mut to_prism] = [const { Vec::new() }; 4];
        for _ in 0..ROUNDS {
            let own = run(&server, &same)?;
            ours.push(own);
            if let Some(node) = &node {
                let constant = run(node, &root)?;
                to_node.push(own / constant);
                if takes_numbers {
                    others.push(run(&server, &other)? / constant);
                }
            }
            if let Some(prism) = &prism {
                to_prism.push(own / run(prism, &same)?);
            }
        }
        let own = median(&mut ours);
        let ratios = [&mut to_node, &mut others, &mut to_prism].map(|ratios| median(ratios));
        let [to_node, others, to_prism] = ratios;
        println!(
            "| {name} | {own:.0} | {} | {} | {} |",
            shown(to_node),
            shown(others),
            shown(to_prism)
        );
        rows.push(object([
            ("document", Value::from(name.as_str())),
            ("per_second", Value::Float(own)),
            ("to_node", ratio(to_node)),
            ("other_ids_to_node", ratio(others)),
            ("to_prism", ratio(to_prism)),
        ]));
    }
    Ok(Value::Array(rows))
}
