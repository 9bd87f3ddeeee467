//! Requests that nobody means well: valid ones, with bytes changed.

use sandbox_mock::random::Random;
use sandbox_mock::sample::Sample;

const TYPES: [&str; 10] = [
    "application/json",
    "application/json; charset=utf-16",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "multipart/form-data; boundary=\"\"",
    "application/x-www-form-urlencoded",
    "application/xml",
    "text/plain",
    "application/octet-stream",
    ";;;",
];
const BODIES: [&str; 12] = [
    "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x--\r\n",
    "--x\r\n\r\n\r\n--x--",
    "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n\u{0}\r\n--x",
    "a=1&b[c][]=2&b[c][]=3&=&%zz=%",
    "<a b='1'><c/>t<!-- x --><![CDATA[y]]></a>",
    "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
    "{\"a\":[1,2,{\"b\":null}],\"c\":1e400}",
    "[[[[[[[[[[[[[[[[[[[[",
    "\u{feff}{}",
    "-",
    "\"\\ud800\"",
    "",
];
const TOKENS: [&str; 14] = [
    "%00",
    "%ff",
    "../",
    "{}",
    "[]",
    "\u{0}",
    "null",
    "-1",
    "9999999999999999999999",
    "1e308",
    "\u{1f600}",
    "'",
    "\\",
    "#",
];

fn change(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(6) {
        let length = bytes.len() as u64;
        let at = random.below(length + 1) as usize;
        match random.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => {
                bytes.remove(at);
            }
            2 => bytes.insert(at, random.below(256) as u8),
            3 => bytes.truncate(at),
            4 => {
                let token = random.pick(&TOKENS).map_or("", |token| *token);
                bytes.splice(at..at, token.bytes());
            }
            _ => {
                let from = random.below(length + 1) as usize;
                let piece: Vec<u8> = bytes[from..].iter().copied().take(64).collect();
                bytes.splice(at..at, piece);
            }
        }
    }
}

fn changed_text(text: &str, random: &mut Random) -> String {
    let mut bytes = text.as_bytes().to_vec();
    change(&mut bytes, random);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A request like `valid`, with something in it changed.
pub fn mutate(valid: &Sample, random: &mut Random) -> Sample {
    let mut hostile = valid.clone();
    match random.below(8) {
        0 => hostile.path = format!("/{}", changed_text(&hostile.path, random)),
        1 => hostile.query = changed_text(&hostile.query, random),
        2 | 3 => {
            let body = random.pick(&BODIES).map_or("", |body| *body);
            let kind = random.pick(&TYPES).map_or("", |kind| *kind);
            hostile.body = body.as_bytes().to_vec();
            hostile.headers.retain(|(name, _)| name != "content-type");
            hostile
                .headers
                .push(("content-type".to_owned(), kind.to_owned()));
            if random.below(2) == 0 {
                change(&mut hostile.body, random);
            }
        }
        4 => {
            let count = hostile.headers.len() as u64;
            if let Some((_, value)) = hostile.headers.get_mut(random.below(count) as usize) {
                *value = changed_text(value, random);
            }
        }
        5 => {
            let names = [
                "prefer",
                "accept",
                "x-portico-scenario",
                "cookie",
                "idempotency-key",
                "content-type",
            ];
            let name = random.pick(&names).map_or("", |name| *name);
            let value = changed_text("code=200, example=a; dynamic=true; seed=1", random);
            hostile.headers.push((name.to_owned(), value));
        }
        _ => change(&mut hostile.body, random),
    }
    hostile
}

/// Whether an answer to a hostile request harms nobody: no error of ours, and nothing of our insides in the body.
/// A status that the request itself asks for by `Prefer` is no error of ours.
pub fn is_harmless(request: &Sample, status: u16, body: &[u8]) -> bool {
    let asks = request
        .headers
        .iter()
        .any(|(name, _)| name == "prefer" || name == "x-portico-scenario");
    let text = String::from_utf8_lossy(body);
    let tells = text.contains("panicked at") || text.contains(".rs:");
    (status < 500 || asks || status == 507) && !tells
}
