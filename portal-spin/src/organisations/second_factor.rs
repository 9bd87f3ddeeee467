//! The second factor: TOTP (RFC 6238: SHA-1, 6 digits, 30 s) and recovery codes.

use hmac::{Hmac, KeyInit, Mac};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use shared::ids::PersonId;
use subtle::ConstantTimeEq;

use super::sessions::{hash_token, note_second_factor};
use super::store;
use crate::audit;
use crate::context::Context;
use crate::params;
use crate::web::Failure;
use crate::web::throttle::{Limit, count_attempt, forget_attempts};

const STEP_SECS: i64 = 30;
const RECOVERY_CODES: usize = 10;

/// A secret to put into an authenticator app.
#[derive(Serialize, JsonSchema)]
pub struct TotpSetup {
    /// Base32, for typing.
    pub secret: String,
    /// For a QR code.
    pub uri: String,
}

/// The first code of the authenticator: proof that it holds the secret.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeRequest {
    /// 6 digits.
    pub code: String,
}

/// Shown once.
#[derive(Serialize, JsonSchema)]
pub struct RecoveryCodes {
    /// Each works once in place of the authenticator.
    pub recovery_codes: Vec<String>,
}

/// Codes that somebody who is signed in may try: a stolen session must not be able to guess one. Log-in
/// counts its own, so this locks nobody out.
const CODES_OF_SESSIONS: Limit = Limit {
    name: "second_factor_by_session",
    attempts: 10,
    window_ms: 15 * 60 * 1000,
};

fn wrong_code() -> Failure {
    Failure::new(
        http::StatusCode::UNAUTHORIZED,
        "wrong_code",
        "This code is not valid now. Check the clock of the device, wait for the next code, or use a recovery code.",
    )
}

/// Makes a new secret. It counts only after [`enable`].
pub async fn begin(context: &Context) -> Result<TotpSetup, Failure> {
    let person = context.person()?;
    let current = store::find_person(&context.connection, person.person_id).await?;
    if current.is_some_and(|person| person.totp_enabled_at.is_some()) {
        return Err(Failure::conflict(
            "second_factor_enabled",
            "An authenticator is set up already. Switch it off first.",
        ));
    }
    let secret = context.random::<20>();
    context
        .connection
        .execute(
            "UPDATE people SET totp_secret = $1, totp_last_step = NULL
             WHERE person_id = $2 AND totp_enabled_at IS NULL",
            params![secret, person.person_id],
        )
        .await?;
    let secret = base32(&secret);
    let encode = |text: &str| -> String {
        form_urlencoded::byte_serialize(text.as_bytes())
            .collect::<String>()
            .replace('+', "%20")
    };
    let issuer = encode(&context.app.brand().name);
    let uri = format!(
        "otpauth://totp/{issuer}:{}?secret={secret}&issuer={issuer}",
        encode(&person.email)
    );
    Ok(TotpSetup { secret, uri })
}

/// Switches the second factor on, and answers recovery codes.
pub async fn enable(context: &Context, code: &str) -> Result<RecoveryCodes, Failure> {
    let person_id = context.person()?.person_id;
    count_attempt(context, CODES_OF_SESSIONS, &person_id.to_string()).await?;
    check_totp(context, person_id, code, false).await?;
    forget_attempts(context, CODES_OF_SESSIONS, &person_id.to_string()).await?;
    let codes: Vec<String> = (0..RECOVERY_CODES)
        .map(|_| draw_recovery_code(context))
        .collect();
    let connection = &context.connection;
    connection
        .transaction(async || {
            connection
                .execute(
                    "UPDATE people SET totp_enabled_at = $1 WHERE person_id = $2",
                    params![context.now_ms, person_id],
                )
                .await?;
            connection
                .execute(
                    "DELETE FROM recovery_codes WHERE person_id = $1",
                    params![person_id],
                )
                .await?;
            for code in &codes {
                connection
                    .execute(
                        "INSERT INTO recovery_codes (person_id, code_hash) VALUES ($1, $2)",
                        params![person_id, hash_token(code)],
                    )
                    .await?;
            }
            note_second_factor(context).await?;
            let object = person_id.to_string();
            audit::record(
                context,
                None,
                "second_factor.enabled",
                &object,
                serde_json::json!({}),
            )
            .await
        })
        .await?;
    Ok(RecoveryCodes {
        recovery_codes: codes,
    })
}

/// Switches it off; needs a current code.
pub async fn disable(context: &Context, code: &str) -> Result<(), Failure> {
    let person_id = context.person()?.person_id;
    count_attempt(context, CODES_OF_SESSIONS, &person_id.to_string()).await?;
    check_code(context, person_id, code).await?;
    forget_attempts(context, CODES_OF_SESSIONS, &person_id.to_string()).await?;
    let connection = &context.connection;
    connection
        .transaction(async || {
            connection
                .execute(
                    "UPDATE people SET totp_enabled_at = NULL, totp_secret = NULL WHERE person_id = $1",
                    params![person_id],
                )
                .await?;
            connection
                .execute("DELETE FROM recovery_codes WHERE person_id = $1", params![person_id])
                .await?;
            let object = person_id.to_string();
            audit::record(context, None, "second_factor.disabled", &object, serde_json::json!({})).await
        })
        .await?;
    Ok(())
}

/// Accepts the authenticator's code or a recovery code; each only once (ASVS 5.0, 6.5.1).
pub async fn check_code(context: &Context, person_id: PersonId, code: &str) -> Result<(), Failure> {
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    if code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()) {
        return check_totp(context, person_id, &code, true).await;
    }
    let used = context
        .connection
        .execute(
            "UPDATE recovery_codes SET used_at = $1
             WHERE person_id = $2 AND code_hash = $3 AND used_at IS NULL",
            params![context.now_ms, person_id, hash_token(&code.to_lowercase())],
        )
        .await?;
    if used == 1 { Ok(()) } else { Err(wrong_code()) }
}

async fn check_totp(
    context: &Context,
    person_id: PersonId,
    code: &str,
    must_be_enabled: bool,
) -> Result<(), Failure> {
    let person = store::find_person(&context.connection, person_id)
        .await?
        .ok_or_else(wrong_code)?;
    let secret = person
        .totp_secret
        .filter(|_| !must_be_enabled || person.totp_enabled_at.is_some())
        .ok_or_else(wrong_code)?;
    let now_step = context.now_ms / 1000 / STEP_SECS;
    // One step of tolerance for a slow clock or a slow hand.
    let step = [now_step, now_step - 1]
        .into_iter()
        .find(|step| bool::from(totp(&secret, *step).as_bytes().ct_eq(code.as_bytes())))
        .ok_or_else(wrong_code)?;
    let is_new = context
        .connection
        .execute(
            "UPDATE people SET totp_last_step = $1
             WHERE person_id = $2 AND (totp_last_step IS NULL OR totp_last_step < $1)",
            params![step, person_id],
        )
        .await?;
    if is_new == 1 {
        Ok(())
    } else {
        Err(wrong_code())
    }
}

/// The code of a time step.
pub fn totp(secret: &[u8], step: i64) -> String {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret) else {
        return String::new();
    };
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let offset = usize::from(digest.last().copied().unwrap_or_default() & 15);
    let word = digest
        .get(offset..offset + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u32::from_be_bytes);
    format!("{:06}", (word & 0x7fff_ffff) % 1_000_000)
}

fn draw_recovery_code(context: &Context) -> String {
    // 120 bits: then a fast hash is enough to keep them (ASVS 5.0, 6.5.2).
    let text = base32(&context.random::<15>()).to_lowercase();
    format!(
        "{}-{}-{}",
        text.get(..8).unwrap_or_default(),
        text.get(8..16).unwrap_or_default(),
        text.get(16..).unwrap_or_default()
    )
}

fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::new();
    let (mut buffer, mut bits) = (0_u32, 0);
    for byte in bytes {
        buffer = buffer << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            let digit = (buffer >> bits) & 31;
            text.push(
                ALPHABET
                    .get(digit as usize)
                    .map_or('A', |letter| char::from(*letter)),
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_match_the_published_examples() {
        // RFC 6238, appendix B, SHA-1; the last six of the eight digits.
        let secret = b"12345678901234567890";
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(totp(secret, seconds / STEP_SECS), code);
        }
    }

    #[test]
    fn base32_matches_the_published_examples() {
        // RFC 4648, section 10, for lengths that need no padding.
        assert_eq!(base32(b"fooba"), "MZXW6YTB");
    }
}
