//! The port to the memory: keys and bytes.

use std::collections::HashMap;
use std::future::{Future, ready};

/// A store of bytes by key. A store that fails behaves like an empty one: a sandbox then forgets, but answers.
pub trait Store {
    /// Whether anything is kept at all.
    fn keeps(&self) -> bool {
        true
    }
    /// The bytes of a key.
    fn read(&mut self, key: &str) -> impl Future<Output = Option<Vec<u8>>>;
    /// Sets the bytes of a key.
    fn write(&mut self, key: &str, bytes: Vec<u8>) -> impl Future<Output = ()>;
    /// Removes a key.
    fn remove(&mut self, key: &str) -> impl Future<Output = ()>;
    /// The last line of a text, without its end.
    fn read_last_line(&mut self, key: &str) -> impl Future<Output = Option<Vec<u8>>> {
        async move {
            let bytes = self.read(key).await?;
            last_line(&bytes).map(<[u8]>::to_vec)
        }
    }
    /// Adds a line to a text of lines. When it has more than `most` bytes, its first half goes.
    fn append_line(&mut self, key: &str, line: &str, most: usize) -> impl Future<Output = ()> {
        async move {
            let mut bytes = self.read(key).await.unwrap_or_default();
            append_line(&mut bytes, line, most);
            self.write(key, bytes).await;
        }
    }
}

fn last_line(bytes: &[u8]) -> Option<&[u8]> {
    let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    text.rsplit(|byte| *byte == b'\n').next()
}

fn append_line(bytes: &mut Vec<u8>, line: &str, most: usize) {
    bytes.extend_from_slice(line.as_bytes());
    bytes.push(b'\n');
    if bytes.len() > most {
        let from = bytes.len() - most / 2;
        // The first whole line behind the middle.
        let rest = bytes.iter().skip(from).position(|byte| *byte == b'\n');
        bytes.drain(..rest.map_or(0, |at| from + at + 1));
    }
}

/// A store in memory, bounded: the key that was written longest ago goes first.
#[derive(Debug, Default)]
pub struct MemoryStore {
    entries: HashMap<String, (u64, Vec<u8>)>,
    ages: std::collections::BTreeMap<u64, String>,
    clock: u64,
    bytes: usize,
}

/// All tenants together.
const MOST_BYTES: usize = 512 * 1024 * 1024;

impl MemoryStore {
    /// The bytes of a key.
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.entries.get(key).map(|(_, bytes)| bytes.clone())
    }

    /// Sets the bytes of a key; makes room when the store is full.
    pub fn set(&mut self, key: &str, bytes: Vec<u8>) {
        self.forget(key);
        self.clock += 1;
        self.bytes += bytes.len() + key.len();
        self.ages.insert(self.clock, key.to_owned());
        self.entries.insert(key.to_owned(), (self.clock, bytes));
        self.make_room();
    }

    fn make_room(&mut self) {
        while self.bytes > MOST_BYTES {
            let Some((_, oldest)) = self.ages.pop_first() else {
                break;
            };
            self.forget(&oldest);
        }
    }

    /// Removes a key.
    pub fn forget(&mut self, key: &str) {
        if let Some((age, bytes)) = self.entries.remove(key) {
            self.ages.remove(&age);
            self.bytes -= bytes.len() + key.len();
        }
    }
}

impl Store for MemoryStore {
    fn read_last_line(&mut self, key: &str) -> impl Future<Output = Option<Vec<u8>>> {
        let bytes = self.entries.get(key).map(|(_, bytes)| bytes);
        ready(bytes.and_then(|bytes| last_line(bytes).map(<[u8]>::to_vec)))
    }

    fn append_line(&mut self, key: &str, line: &str, most: usize) -> impl Future<Output = ()> {
        // In its place: a log is written with every request.
        match self.entries.get_mut(key) {
            Some((age, bytes)) => {
                let before = bytes.len();
                append_line(bytes, line, most);
                self.bytes = (self.bytes + bytes.len()).saturating_sub(before);
                self.clock += 1;
                let old = std::mem::replace(age, self.clock);
                if let Some(name) = self.ages.remove(&old) {
                    self.ages.insert(self.clock, name);
                }
            }
            None => {
                let mut bytes = Vec::new();
                append_line(&mut bytes, line, most);
                self.set(key, bytes);
            }
        }
        self.make_room();
        ready(())
    }

    fn read(&mut self, key: &str) -> impl Future<Output = Option<Vec<u8>>> {
        ready(self.get(key))
    }

    fn write(&mut self, key: &str, bytes: Vec<u8>) -> impl Future<Output = ()> {
        self.set(key, bytes);
        ready(())
    }

    fn remove(&mut self, key: &str) -> impl Future<Output = ()> {
        self.forget(key);
        ready(())
    }
}

/// A store that remembers nothing.
#[derive(Debug, Default)]
pub struct NoStore;

impl Store for NoStore {
    fn keeps(&self) -> bool {
        false
    }

    fn read(&mut self, _: &str) -> impl Future<Output = Option<Vec<u8>>> {
        ready(None)
    }

    fn write(&mut self, _: &str, _: Vec<u8>) -> impl Future<Output = ()> {
        ready(())
    }

    fn remove(&mut self, _: &str) -> impl Future<Output = ()> {
        ready(())
    }
}
