//! Both ceremonies against an authenticator that lies in one point at a time.

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::authenticator::{Authenticator, HONEST};
use super::ceremony::{
    CeremonyError, KnownPasskey, RelyingParty, check_assertion, check_registration,
};
use crate::encoding::base64url;

const CHALLENGE: &[u8] = b"a challenge of 32 bytes, nearly.";

fn party() -> RelyingParty {
    RelyingParty {
        id: "portal.test".to_owned(),
        origin: "http://portal.test".to_owned(),
    }
}

fn register(authenticator: &Authenticator) -> Result<(), CeremonyError> {
    let client_data = authenticator.client_data("webauthn.create", &base64url(CHALLENGE));
    let object = authenticator.attestation_object();
    check_registration(&party(), CHALLENGE, &client_data, &object).map(|_| ())
}

fn log_in(authenticator: &Authenticator, sign_count: u32) -> Result<u32, CeremonyError> {
    let client_data = authenticator.client_data("webauthn.get", &base64url(CHALLENGE));
    let data = authenticator.authenticator_data(false);
    let signed = [data.as_slice(), &Sha256::digest(&client_data)].concat();
    let known = KnownPasskey {
        public_key: authenticator.public_key(),
        sign_count,
    };
    let signature = authenticator.sign(&signed);
    check_assertion(&party(), CHALLENGE, &known, &client_data, &data, &signature)
}

#[test]
fn an_honest_authenticator_registers_and_logs_in() {
    for mut authenticator in [Authenticator::es256(), Authenticator::ed25519()] {
        register(&authenticator).unwrap();
        assert_eq!(
            log_in(&authenticator, 0),
            Ok(0),
            "a synced passkey has no counter"
        );
        authenticator.counter = 7;
        assert_eq!(log_in(&authenticator, 6), Ok(7));
    }
}

#[test]
fn every_single_lie_is_found() {
    type Lie = fn(&mut Authenticator);
    let lies: [(Lie, CeremonyError); 7] = [
        (
            |a| a.origin = "https://portal.test".to_owned(),
            CeremonyError::WrongOrigin,
        ),
        (
            |a| a.origin = "http://portal.test.evil.example".to_owned(),
            CeremonyError::WrongOrigin,
        ),
        (
            |a| a.party_id = "evil.example".to_owned(),
            CeremonyError::WrongRelyingParty,
        ),
        (|a| a.flags = 0b100, CeremonyError::NotPresent),
        (|a| a.flags = 0b001, CeremonyError::NotVerified),
        (|a| a.flags = 0, CeremonyError::NotPresent),
        // Backed up, but not eligible for it.
        (|a| a.flags = HONEST | 16, CeremonyError::Malformed),
    ];
    for (lie, expected) in lies {
        let mut authenticator = Authenticator::es256();
        lie(&mut authenticator);
        assert_eq!(register(&authenticator), Err(expected));
        assert_eq!(log_in(&authenticator, 0), Err(expected));
    }
}

#[test]
fn an_answer_of_the_other_ceremony_or_to_another_challenge_is_refused() {
    let authenticator = Authenticator::es256();
    let object = authenticator.attestation_object();
    let get = authenticator.client_data("webauthn.get", &base64url(CHALLENGE));
    assert_eq!(
        check_registration(&party(), CHALLENGE, &get, &object),
        Err(CeremonyError::WrongType)
    );
    let other = authenticator.client_data("webauthn.create", &base64url(b"another"));
    assert_eq!(
        check_registration(&party(), CHALLENGE, &other, &object),
        Err(CeremonyError::WrongChallenge)
    );
    let framed = br#"{"type":"webauthn.create","challenge":"CH","origin":"http://portal.test","crossOrigin":true}"#;
    let framed = String::from_utf8_lossy(framed).replace("CH", &base64url(CHALLENGE));
    assert_eq!(
        check_registration(&party(), CHALLENGE, framed.as_bytes(), &object),
        Err(CeremonyError::WrongOrigin)
    );
}

#[test]
fn a_counter_that_does_not_grow_is_refused() {
    let mut authenticator = Authenticator::es256();
    for (counter, known) in [(5, 5), (4, 5), (0, 5)] {
        authenticator.counter = counter;
        assert_eq!(
            log_in(&authenticator, known),
            Err(CeremonyError::CounterWentBack)
        );
    }
}

#[test]
fn a_signature_by_another_key_is_refused() {
    let (one, mut other) = (Authenticator::es256(), Authenticator::ed25519());
    other.counter = 1;
    let client_data = one.client_data("webauthn.get", &base64url(CHALLENGE));
    let data = one.authenticator_data(false);
    let signed = [data.as_slice(), &Sha256::digest(&client_data)].concat();
    for (key, signature) in [
        (other.public_key(), one.sign(&signed)),
        (one.public_key(), other.sign(&signed)),
        (one.public_key(), one.sign(b"something else")),
        (one.public_key(), Vec::new()),
    ] {
        let known = KnownPasskey {
            public_key: key,
            sign_count: 0,
        };
        assert_eq!(
            check_assertion(&party(), CHALLENGE, &known, &client_data, &data, &signature),
            Err(CeremonyError::BadSignature)
        );
    }
}

#[test]
fn a_key_of_an_algorithm_that_was_not_asked_for_is_refused() {
    let mut key = Authenticator::es256().public_key();
    // The algorithm is the fourth byte: -7 is 0x26, ES384 would be -35.
    assert_eq!(key[4], 0x26);
    key[4] = 0x22;
    assert!(super::cose::read_key(&key).is_none());
}

proptest! {
    #[test]
    fn no_bytes_of_an_authenticator_or_browser_panic(
        place in 0..400_usize, value: u8, length in 0..400_usize, noise in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let authenticator = Authenticator::es256();
        let client_data = authenticator.client_data("webauthn.create", &base64url(CHALLENGE));
        let mut object = authenticator.attestation_object();
        if let Some(byte) = object.get_mut(place) {
            *byte = value;
        }
        object.truncate(length);
        let _ = check_registration(&party(), CHALLENGE, &client_data, &object);
        let _ = check_registration(&party(), CHALLENGE, &client_data, &noise);
        let _ = check_registration(&party(), CHALLENGE, &noise, &object);
        let known = KnownPasskey { public_key: noise.clone(), sign_count: 0 };
        prop_assert!(check_assertion(&party(), CHALLENGE, &known, &noise, &noise, &noise).is_err());
    }
}
