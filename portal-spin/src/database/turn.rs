//! One transaction at a time per instance.
//!
//! An instance has one thread. While a transaction waits for its next statement, other requests of the
//! instance run: if one of them hashes a password, the transaction, and with it the database's write
//! lock, would wait for that, and thirty log-ins at once would hold the lock until others give up. So
//! transactions take turns, and so does whatever keeps the thread busy for long.
//!
//! Who waits asks again after a short pause of the host's clock. Waking one request from another would be
//! neater; components cannot do it without a feature of wit-bindgen that traps on the current hosts.

use std::cell::Cell;

use crate::ports::RawConnection;

thread_local! {
    static IS_TAKEN: Cell<bool> = const { Cell::new(false) };
}

const FIRST_PAUSE_MS: u64 = 1;
const LONGEST_PAUSE_MS: u64 = 16;

/// Holds the turn; dropping it passes it on.
#[must_use]
pub struct Turn(());

/// Waits for the turn.
pub(super) async fn take_turn(raw: &dyn RawConnection) -> Turn {
    let mut pause_ms = FIRST_PAUSE_MS;
    while IS_TAKEN.replace(true) {
        raw.pause(pause_ms).await;
        pause_ms = (pause_ms * 2).min(LONGEST_PAUSE_MS);
    }
    Turn(())
}

impl Drop for Turn {
    fn drop(&mut self) {
        IS_TAKEN.set(false);
    }
}
