//! The clock by which a running guest is made to give way to the host.

use std::time::Duration;

use wasmtime::Engine;

/// How often it does, as in Spin.
const TICK: Duration = Duration::from_millis(10);

/// Moves the epoch on for as long as the engine lives.
///
/// # Errors
/// When no thread can be started.
pub fn add_ticks(engine: &Engine) -> std::io::Result<()> {
    let ticked = engine.weak();
    std::thread::Builder::new()
        .name("epoch".to_owned())
        .spawn(move || {
            while let Some(engine) = ticked.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        })?;
    Ok(())
}
