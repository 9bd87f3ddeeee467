//! The two ceremonies of WebAuthn, as decisions over bytes (Level 3, sections 7.1 and 7.2).

use ciborium::Value;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::cose::read_key;
use crate::encoding::from_base64url;
use crate::signatures::EcdsaForm;

/// Whom a passkey is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelyingParty {
    /// The domain it is bound to.
    pub id: String,
    /// The one origin whose pages may use it.
    pub origin: String,
}

/// Why a ceremony fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CeremonyError {
    /// Not what a browser sends.
    #[error("the browser's answer is malformed")]
    Malformed,
    /// Made for the other ceremony.
    #[error("the answer belongs to another ceremony")]
    WrongType,
    /// Not the challenge that was given.
    #[error("the answer is to another challenge")]
    WrongChallenge,
    /// Made on a page of another site.
    #[error("the answer was made on another site")]
    WrongOrigin,
    /// Bound to another domain.
    #[error("the passkey belongs to another domain")]
    WrongRelyingParty,
    /// Nobody touched the authenticator.
    #[error("nobody was present at the authenticator")]
    NotPresent,
    /// The authenticator did not check who it was.
    #[error("the authenticator did not verify its user")]
    NotVerified,
    /// No key, or one of an algorithm that was not asked for.
    #[error("the passkey's key is of no kind that is accepted here")]
    UnsupportedKey,
    /// Not signed by the key.
    #[error("the signature does not hold")]
    BadSignature,
    /// The counter did not grow: perhaps a copy.
    #[error("the passkey's counter went back, so there may be a copy of it")]
    CounterWentBack,
}

/// What registration gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPasskey {
    /// Names it at the authenticator.
    pub credential_id: Vec<u8>,
    /// COSE.
    pub public_key: Vec<u8>,
    /// Where its counter stands.
    pub sign_count: u32,
    /// Whether it is kept on several devices.
    pub is_synced: bool,
}

/// What is kept of a passkey that log-in needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownPasskey {
    /// COSE.
    pub public_key: Vec<u8>,
    /// Where its counter stood.
    pub sign_count: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: bool,
}

/// The challenge that client data answer to, for looking it up.
pub fn challenge_of(client_data: &[u8]) -> Result<Vec<u8>, CeremonyError> {
    let data: ClientData =
        serde_json::from_slice(client_data).map_err(|_| CeremonyError::Malformed)?;
    from_base64url(&data.challenge).ok_or(CeremonyError::Malformed)
}

fn check_client_data(
    party: &RelyingParty,
    challenge: &[u8],
    kind: &str,
    client_data: &[u8],
) -> Result<(), CeremonyError> {
    let data: ClientData =
        serde_json::from_slice(client_data).map_err(|_| CeremonyError::Malformed)?;
    if data.kind != kind {
        return Err(CeremonyError::WrongType);
    }
    let given = from_base64url(&data.challenge).ok_or(CeremonyError::Malformed)?;
    if !bool::from(given.ct_eq(challenge)) {
        return Err(CeremonyError::WrongChallenge);
    }
    if data.origin != party.origin || data.cross_origin {
        return Err(CeremonyError::WrongOrigin);
    }
    Ok(())
}

const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 1 << 2;
const BACKUP_ELIGIBLE: u8 = 1 << 3;
const BACKED_UP: u8 = 1 << 4;
const HAS_CREDENTIAL: u8 = 1 << 6;

/// Authenticator data (section 6.1) up to the counter, and what follows.
struct AuthenticatorData<'a> {
    flags: u8,
    sign_count: u32,
    rest: &'a [u8],
}

fn read_authenticator_data<'a>(
    party: &RelyingParty,
    bytes: &'a [u8],
) -> Result<AuthenticatorData<'a>, CeremonyError> {
    let (hash, rest) = bytes
        .split_first_chunk::<32>()
        .ok_or(CeremonyError::Malformed)?;
    let (flags, rest) = rest.split_first().ok_or(CeremonyError::Malformed)?;
    let (count, rest) = rest
        .split_first_chunk::<4>()
        .ok_or(CeremonyError::Malformed)?;
    let expected: [u8; 32] = Sha256::digest(party.id.as_bytes()).into();
    if !bool::from(hash.ct_eq(&expected)) {
        return Err(CeremonyError::WrongRelyingParty);
    }
    if flags & USER_PRESENT == 0 {
        return Err(CeremonyError::NotPresent);
    }
    if flags & USER_VERIFIED == 0 {
        return Err(CeremonyError::NotVerified);
    }
    if flags & BACKED_UP != 0 && flags & BACKUP_ELIGIBLE == 0 {
        return Err(CeremonyError::Malformed);
    }
    Ok(AuthenticatorData {
        flags: *flags,
        sign_count: u32::from_be_bytes(*count),
        rest,
    })
}

/// Registration: what the authenticator made, if it is for this challenge, site and user.
pub fn check_registration(
    party: &RelyingParty,
    challenge: &[u8],
    client_data: &[u8],
    attestation_object: &[u8],
) -> Result<NewPasskey, CeremonyError> {
    check_client_data(party, challenge, "webauthn.create", client_data)?;
    let object: Value =
        ciborium::from_reader(attestation_object).map_err(|_| CeremonyError::Malformed)?;
    let bytes = object
        .as_map()
        .and_then(|map| {
            map.iter()
                .find(|(name, _)| name.as_text() == Some("authData"))
        })
        .and_then(|(_, value)| value.as_bytes())
        .ok_or(CeremonyError::Malformed)?;
    let data = read_authenticator_data(party, bytes)?;
    if data.flags & HAS_CREDENTIAL == 0 {
        return Err(CeremonyError::UnsupportedKey);
    }
    // 16 bytes name the make of the authenticator; a length and the credential's id follow.
    let (length, rest) = data
        .rest
        .get(16..)
        .and_then(|rest| rest.split_first_chunk::<2>())
        .ok_or(CeremonyError::Malformed)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (credential_id, rest) = rest
        .split_at_checked(length)
        .ok_or(CeremonyError::Malformed)?;
    if credential_id.is_empty() || credential_id.len() > 1023 {
        return Err(CeremonyError::Malformed);
    }
    // The key is one CBOR item; extensions may follow it.
    let mut behind = rest;
    let _: Value = ciborium::from_reader(&mut behind).map_err(|_| CeremonyError::Malformed)?;
    let public_key = rest
        .get(..rest.len() - behind.len())
        .ok_or(CeremonyError::Malformed)?;
    read_key(public_key).ok_or(CeremonyError::UnsupportedKey)?;
    Ok(NewPasskey {
        credential_id: credential_id.to_vec(),
        public_key: public_key.to_vec(),
        sign_count: data.sign_count,
        is_synced: data.flags & BACKED_UP != 0,
    })
}

/// Log-in: the counter's new value, if the known passkey signed this challenge for this site.
pub fn check_assertion(
    party: &RelyingParty,
    challenge: &[u8],
    known: &KnownPasskey,
    client_data: &[u8],
    authenticator_data: &[u8],
    signature: &[u8],
) -> Result<u32, CeremonyError> {
    check_client_data(party, challenge, "webauthn.get", client_data)?;
    let data = read_authenticator_data(party, authenticator_data)?;
    let key = read_key(&known.public_key).ok_or(CeremonyError::UnsupportedKey)?;
    let mut signed = authenticator_data.to_vec();
    signed.extend_from_slice(&Sha256::digest(client_data));
    if !key.verifies(&signed, signature, EcdsaForm::Der) {
        return Err(CeremonyError::BadSignature);
    }
    // Synced passkeys have no counter: both are 0 (section 6.1.1).
    let counts = known.sign_count != 0 || data.sign_count != 0;
    if counts && data.sign_count <= known.sign_count {
        return Err(CeremonyError::CounterWentBack);
    }
    Ok(data.sign_count)
}
