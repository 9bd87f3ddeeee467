//! A software authenticator for tests: makes and uses passkeys, honestly or not.

use ciborium::Value;
use ed25519_dalek::Signer as _;
use p256::ecdsa::signature::Signer as _;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use crate::encoding::{base64url, from_base64url};

pub enum Key {
    Es256(p256::ecdsa::SigningKey),
    EdDsa(ed25519_dalek::SigningKey),
}

pub struct Authenticator {
    pub key: Key,
    pub credential_id: Vec<u8>,
    pub counter: u32,
    pub user_handle: String,
    /// What tests bend: the site, the domain, the flags.
    pub origin: String,
    pub party_id: String,
    pub flags: u8,
}

/// User present, user verified.
pub const HONEST: u8 = 0b101;

impl Authenticator {
    pub fn es256() -> Self {
        Self::with(Key::Es256(
            p256::ecdsa::SigningKey::from_slice(&[9; 32]).unwrap(),
        ))
    }

    pub fn ed25519() -> Self {
        Self::with(Key::EdDsa(ed25519_dalek::SigningKey::from_bytes(&[5; 32])))
    }

    fn with(key: Key) -> Self {
        Self {
            key,
            credential_id: vec![1, 2, 3, 4],
            counter: 0,
            user_handle: String::new(),
            origin: "http://portal.test".to_owned(),
            party_id: "portal.test".to_owned(),
            flags: HONEST,
        }
    }

    pub fn public_key(&self) -> Vec<u8> {
        let number = |n: i64| Value::Integer(n.into());
        let map = match &self.key {
            Key::Es256(key) => {
                let point = key.verifying_key().to_encoded_point(false);
                vec![
                    (number(1), number(2)),
                    (number(3), number(-7)),
                    (number(-1), number(1)),
                    (number(-2), Value::Bytes(point.x().unwrap().to_vec())),
                    (number(-3), Value::Bytes(point.y().unwrap().to_vec())),
                ]
            }
            Key::EdDsa(key) => vec![
                (number(1), number(1)),
                (number(3), number(-8)),
                (number(-1), number(6)),
                (
                    number(-2),
                    Value::Bytes(key.verifying_key().as_bytes().to_vec()),
                ),
            ],
        };
        cbor(&Value::Map(map))
    }

    pub fn client_data(&self, kind: &str, challenge: &str) -> Vec<u8> {
        json!({ "type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false })
            .to_string()
            .into_bytes()
    }

    pub fn authenticator_data(&self, with_key: bool) -> Vec<u8> {
        let mut data = Sha256::digest(self.party_id.as_bytes()).to_vec();
        data.push(if with_key {
            self.flags | 64
        } else {
            self.flags
        });
        data.extend_from_slice(&self.counter.to_be_bytes());
        if with_key {
            data.extend_from_slice(&[0; 16]);
            let length = u16::try_from(self.credential_id.len()).unwrap();
            data.extend_from_slice(&length.to_be_bytes());
            data.extend_from_slice(&self.credential_id);
            data.extend_from_slice(&self.public_key());
        }
        data
    }

    pub fn attestation_object(&self) -> Vec<u8> {
        let text = |text: &str| Value::Text(text.to_owned());
        cbor(&Value::Map(vec![
            (text("fmt"), text("none")),
            (text("attStmt"), Value::Map(vec![])),
            (
                text("authData"),
                Value::Bytes(self.authenticator_data(true)),
            ),
        ]))
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.key {
            Key::Es256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.to_der().as_bytes().to_vec()
            }
            Key::EdDsa(key) => key.sign(message).to_bytes().to_vec(),
        }
    }

    /// Answers creation options, as a browser would pass it on.
    pub fn create(&mut self, options: &Json) -> Json {
        let handle = options["user"]["id"].as_str().unwrap();
        self.user_handle = handle.to_owned();
        let challenge = options["challenge"].as_str().unwrap();
        json!({ "id": base64url(&self.credential_id), "type": "public-key", "response": {
            "clientDataJSON": base64url(&self.client_data("webauthn.create", challenge)),
            "attestationObject": base64url(&self.attestation_object()),
        } })
    }

    /// Answers request options.
    pub fn get(&mut self, options: &Json) -> Json {
        self.counter += 1;
        let client_data = self.client_data("webauthn.get", options["challenge"].as_str().unwrap());
        let data = self.authenticator_data(false);
        let signed = [data.as_slice(), &Sha256::digest(&client_data)].concat();
        json!({ "id": base64url(&self.credential_id), "type": "public-key", "response": {
            "clientDataJSON": base64url(&client_data),
            "authenticatorData": base64url(&data),
            "signature": base64url(&self.sign(&signed)),
            "userHandle": self.user_handle,
        } })
    }
}

/// The bytes behind a base64url text.
pub fn bytes(text: &str) -> Vec<u8> {
    from_base64url(text).unwrap()
}

fn cbor(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}
