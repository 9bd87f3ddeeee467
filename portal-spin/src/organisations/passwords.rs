//! Passwords: argon2id at OWASP's minimum (m = 19 MiB, t = 2, p = 1), as PHC strings.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::context::Context;
use crate::database::DatabaseError;
use crate::web::Failure;

const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const OUTPUT_BYTES: usize = 32;

/// A hash that no password has, with the cost of a real one: it is checked when the account does not
/// exist, so that the time of an answer does not tell.
pub const NO_PASSWORD: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$!";

/// Hashes a password in its turn: argon2 keeps the instance's only thread busy.
pub async fn hash_new_password(context: &Context, password: &str) -> Result<String, Failure> {
    let _turn = context.connection.take_turn().await?;
    hash_password(password, &context.random()).ok_or_else(|| Failure::internal("argon2 failed"))
}

/// Checks a password in its turn.
pub async fn check_password(
    context: &Context,
    password: &str,
    phc: &str,
) -> Result<bool, DatabaseError> {
    let _turn = context.connection.take_turn().await?;
    Ok(verify_password(password, phc))
}

/// Hashes a password.
pub fn hash_password(password: &str, salt: &[u8; 16]) -> Option<String> {
    let output = derive(password, salt)?;
    Some(format!(
        "$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${}${}",
        STANDARD_NO_PAD.encode(salt),
        STANDARD_NO_PAD.encode(output)
    ))
}

/// Whether the password is the one hashed. Takes the same time for every hash of this module.
pub fn verify_password(password: &str, phc: &str) -> bool {
    let mut parts = phc.rsplit('$');
    let (output, salt) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let salt = STANDARD_NO_PAD.decode(salt).unwrap_or_else(|_| vec![0; 16]);
    let expected = STANDARD_NO_PAD.decode(output).unwrap_or_default();
    derive(password, &salt).is_some_and(|derived| bool::from(derived.as_slice().ct_eq(&expected)))
}

fn derive(password: &str, salt: &[u8]) -> Option<[u8; OUTPUT_BYTES]> {
    let parameters = Params::new(MEMORY_KIB, PASSES, LANES, Some(OUTPUT_BYTES)).ok()?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
    let mut output = [0; OUTPUT_BYTES];
    argon2
        .hash_password_into(password.as_bytes(), salt, &mut output)
        .ok()?;
    Some(output)
}

/// The 3 000 most used passwords of at least 8 characters, sorted (ASVS 5.0, 6.2.4).
const COMMON: &str = include_str!("common_passwords.txt");

/// Whether everybody's first guess is this password, in lower case.
pub fn is_common(password: &str) -> bool {
    COMMON.lines().any(|common| common == password)
}

/// The first four bytes of the SHA-256 of 17 950 passwords of at least 8 characters that breaches have
/// shown, lower case, sorted (ASVS 5.0, 6.2.12). Other passwords meet one of them four times in a million.
const BREACHED: &[u8] = include_bytes!("breached_passwords.bin");

/// Whether a breach has shown this password, in lower case. No service of others is asked.
pub fn is_breached(password: &str) -> bool {
    let digest: [u8; 32] = Sha256::digest(password.as_bytes()).into();
    let (known, _) = BREACHED.as_chunks::<4>();
    digest
        .first_chunk()
        .is_some_and(|wanted| known.binary_search(wanted).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_breaches_are_known_and_good_ones_are_not() {
        for known in ["password", "1qaz2wsx", "qwertyuiop", "football", "iloveyou"] {
            assert!(is_breached(known), "{known}");
        }
        for good in [
            "correct horse battery",
            "a long password for the tests",
            "Tr0ub4dor&3x",
        ] {
            assert!(!is_breached(&good.to_lowercase()), "{good}");
        }
        let (known, rest) = BREACHED.as_chunks::<4>();
        assert!(known.len() > 17_000 && rest.is_empty() && known.is_sorted());
    }
}
