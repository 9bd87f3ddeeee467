//! Public keys of others and their signatures: ES256, EdDSA (Ed25519) and RS256, as passkeys and identity
//! providers use them. Does not own the portal's own key (`agreements::signing`).

use p256::ecdsa::signature::Verifier as _;
use rsa::BigUint;
use sha2::{Digest, Sha256};

/// Whether `name` means the algorithm: RFC 9864 gave `EdDSA` with Ed25519, the only curve taken here, a name of its
/// own, and libraries write either.
pub fn is_called(algorithm: &str, name: &str) -> bool {
    name == algorithm || (algorithm == "EdDSA" && name == "Ed25519")
}

/// A public key of a known algorithm.
#[derive(Debug, Clone)]
pub enum PublicKey {
    /// ECDSA on P-256 with SHA-256.
    Es256(p256::ecdsa::VerifyingKey),
    /// Ed25519.
    EdDsa(ed25519_dalek::VerifyingKey),
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256(Box<rsa::RsaPublicKey>),
}

/// How an ECDSA signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EcdsaForm {
    /// ASN.1 DER, as WebAuthn has it.
    Der,
    /// `r` and `s` of 32 bytes each, as JWS has it (RFC 7518, section 3.4).
    Fixed,
}

/// `DigestInfo` of SHA-256 up to the digest (RFC 8017, section 9.2, note 1).
const SHA256_PREFIX: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];

impl PublicKey {
    /// A point on P-256; `None` if it is not on the curve.
    pub fn es256(x: &[u8], y: &[u8]) -> Option<Self> {
        if x.len() != 32 || y.len() != 32 {
            return None;
        }
        let point = [&[4], x, y].concat();
        p256::ecdsa::VerifyingKey::from_sec1_bytes(&point)
            .ok()
            .map(Self::Es256)
    }

    /// A point on edwards25519; `None` if it is none or of small order.
    pub fn ed25519(x: &[u8]) -> Option<Self> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(x.try_into().ok()?).ok()?;
        (!key.is_weak()).then_some(Self::EdDsa(key))
    }

    /// An RSA key of 2048 to 4096 bits.
    pub fn rs256(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let n = BigUint::from_bytes_be(modulus);
        if !(2048..=4096).contains(&n.bits()) {
            return None;
        }
        let key = rsa::RsaPublicKey::new(n, BigUint::from_bytes_be(exponent)).ok()?;
        Some(Self::Rs256(Box::new(key)))
    }

    /// The algorithm's name in JWS (RFC 7518, RFC 8037).
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Es256(_) => "ES256",
            Self::EdDsa(_) => "EdDSA",
            Self::Rs256(_) => "RS256",
        }
    }

    /// Whether a header or key set may call the algorithm so.
    pub fn is_called(&self, name: &str) -> bool {
        is_called(self.algorithm(), name)
    }

    /// Whether the signature over the message is this key's.
    pub fn verifies(&self, message: &[u8], signature: &[u8], form: EcdsaForm) -> bool {
        match self {
            Self::Es256(key) => {
                let signature = match form {
                    EcdsaForm::Der => p256::ecdsa::Signature::from_der(signature),
                    EcdsaForm::Fixed => p256::ecdsa::Signature::from_slice(signature),
                };
                signature.is_ok_and(|signature| key.verify(message, &signature).is_ok())
            }
            Self::EdDsa(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
            Self::Rs256(key) => {
                let scheme = rsa::Pkcs1v15Sign {
                    hash_len: Some(32),
                    prefix: Box::new(SHA256_PREFIX),
                };
                let digest = Sha256::digest(message);
                key.verify(scheme, &digest, signature).is_ok()
            }
        }
    }
}

#[cfg(test)]
#[path = "signature_tests.rs"]
mod tests;
