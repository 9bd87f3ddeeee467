//! Throughput over HTTP: the native server in a process of its own, and a constant server of Node's beside it.

use super::Failure;
use sandbox_mock::Mock;
use sandbox_mock::json::{Value, object};
use sandbox_mock::sample::{Sample, sample};
use sandbox_mock::serve::{Event, Options};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
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
struct Server {
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

fn start(command: &mut Command) -> Option<Server> {
    let mut child = command.stdout(Stdio::piped()).spawn().ok()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take()?)
        .read_line(&mut line)
        .ok()?;
    let address = line.trim().strip_prefix("http://")?.to_owned();
    Some(Server { child, address })
}

/// Sends the request in closed loops; answers per second.
fn run(server: &Server, request: &[u8]) -> Result<f64, Failure> {
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
                        stream.write_all(request)?;
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

fn raw(sample: &Sample, host: &str) -> Vec<u8> {
    let mut text = format!("GET {}", sample.path);
    if !sample.query.is_empty() {
        text.push_str(&format!("?{}", sample.query));
    }
    text.push_str(&format!(" HTTP/1.1\r\nhost: {host}\r\n"));
    for (name, value) in &sample.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.into_bytes()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Each document and Node's server in turns, so that whatever else the machine does hits both.
pub fn throughput(specs: &[PathBuf]) -> Result<Value, Failure> {
    let node = start(Command::new("node").args(["-e", NODE]));
    println!("\n| GET, {CONNECTIONS} connections | answers/s | / node:http |");
    println!("|---|---|---|");
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
        let Some(request) = chosen(&mock).filter(|_| is_known) else {
            continue;
        };
        let server = start(
            Command::new(std::env::current_exe()?)
                .arg("--serve")
                .arg(spec),
        )
        .ok_or_else(|| format!("{name} is not served"))?;
        let request = raw(&request, &server.address);
        run(&server, &request)?;
        let (mut ours, mut ratios) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let own = run(&server, &request)?;
            ours.push(own);
            if let Some(node) = &node {
                ratios.push(own / run(node, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")?);
            }
        }
        let (own, ratio) = (median(&mut ours), median(&mut ratios));
        println!("| {name} | {own:.0} | {ratio:.2} |");
        rows.push(object([
            ("document", Value::from(name.as_str())),
            ("per_second", Value::Float(own)),
            (
                "to_node",
                if ratio.is_nan() {
                    Value::Null
                } else {
                    Value::Float(ratio)
                },
            ),
        ]));
    }
    Ok(Value::Array(rows))
}
