//! Puts a document into the generic component: what `portico mock build` does, without the runner.
//! `cargo run --features compiler --example component -- GUEST.wasm SPEC OUT.wasm`

#[cfg(feature = "compiler")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [guest, spec, out] = arguments.as_slice() else {
        return Err("usage: component GUEST.wasm SPEC OUT.wasm".into());
    };
    let files = [(String::new(), std::fs::read(spec)?)];
    let guest_bytes = std::fs::read(guest)?;
    let started = std::time::Instant::now();
    let mut future = std::pin::pin!(sandbox_mock::compiler::build(&guest_bytes, &files));
    let mut task = std::task::Context::from_waker(std::task::Waker::noop());
    let built = loop {
        if let std::task::Poll::Ready(built) = future.as_mut().poll(&mut task) {
            break built?;
        }
    };
    std::fs::write(out, &built.wasm)?;
    println!(
        "{} ({} bytes, {:?})",
        built.summary,
        built.wasm.len(),
        started.elapsed()
    );
    Ok(())
}

#[cfg(not(feature = "compiler"))]
fn main() {
    println!("built without the feature `compiler`");
}
