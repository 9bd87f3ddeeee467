//! Answers of secret fields, sealed in the database under a key made from `signing_seed`.

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::agreements::signing;
use crate::context::Context;
use crate::encoding::{hex, unhex};
use crate::listings::{FieldKind, FormField};
use crate::web::Failure;

/// What a sealed answer begins with.
const SEALED: &str = "sealed:";

fn cipher(context: &Context) -> Result<ChaCha20Poly1305, Failure> {
    let seed = signing::signing_key(context.configuration())?.to_bytes();
    let mut digest = Sha256::new();
    digest.update(b"portico installation answers\0");
    digest.update(seed);
    let key: [u8; 32] = digest.finalize().into();
    Ok(ChaCha20Poly1305::new(&Key::from(key)))
}

/// Seals what the form calls secret. What is sealed already stays.
pub fn seal_answers(
    context: &Context,
    form: &[FormField],
    mut answers: Map<String, Value>,
) -> Result<Map<String, Value>, Failure> {
    for field in form.iter().filter(|field| field.kind == FieldKind::Secret) {
        let Some(Value::String(text)) = answers.get_mut(&field.name) else {
            continue;
        };
        if text.starts_with(SEALED) {
            continue;
        }
        let nonce = context.random::<12>();
        let sealed = cipher(context)?
            .encrypt(&Nonce::from(nonce), text.as_bytes())
            .map_err(|_| Failure::internal("an answer could not be sealed"))?;
        *text = format!("{SEALED}{}{}", hex(&nonce), hex(&sealed));
    }
    Ok(answers)
}

/// The answers as the app gets them, secrets opened. Only for the app itself.
pub fn open_answers(
    context: &Context,
    answers: &Map<String, Value>,
) -> Result<Map<String, Value>, Failure> {
    let unreadable =
        || Failure::internal("a sealed answer does not open: was `signing_seed` changed?");
    let mut opened = answers.clone();
    for value in opened.values_mut() {
        let Some(sealed) = value.as_str().and_then(|text| text.strip_prefix(SEALED)) else {
            continue;
        };
        let bytes = unhex(sealed).ok_or_else(unreadable)?;
        let (nonce, text) = bytes.split_at_checked(12).ok_or_else(unreadable)?;
        let nonce = Nonce::try_from(nonce).map_err(|_| unreadable())?;
        let text = cipher(context)?
            .decrypt(&nonce, text)
            .map_err(|_| unreadable())?;
        *value = Value::String(String::from_utf8(text).map_err(|_| unreadable())?);
    }
    Ok(opened)
}

/// The answers as people see them: a secret shows only that it is set.
pub fn hide_secrets(answers: &Map<String, Value>) -> Map<String, Value> {
    let mut shown = answers.clone();
    for value in shown.values_mut() {
        if value.as_str().is_some_and(|text| text.starts_with(SEALED)) {
            *value = Value::String("••••••".to_owned());
        }
    }
    shown
}
