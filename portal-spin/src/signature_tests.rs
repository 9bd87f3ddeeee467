//! Signatures made elsewhere: OpenSSL 3 for RSA, RFC 8032 for Ed25519; ECDSA is tried with our own signer.

use super::*;
use crate::encoding::unhex;
use p256::ecdsa::signature::Signer as _;

const MODULUS: &str = "936593733beca80f7d5fdfa5303f6f09945f0a49bc29fe3fbccc8e05214ab91e7b16bed5f07f299df4f2af2dfa8292b3b76da47318c1eed0fa22120d88c4b1bd826e6074a507d4fe2f73a8a5b567270096b2b45eeea86c4173f7ab13254a722943a728ad8832d3d6fd5f88eed7711e8a1236025402b32b54910b6531a6f180e705b8625bf05ba7677f845b12c4f33164c6a719e49fcdc76fab2ef3d093681557d64414c419e26fc2e54a76550fbb6316a30c4478aa092944e5421b3d6844e9ca108c794257a0fdd96c3f6b4416b045a2b6b3eec7a72ec162ed76bb3e345d8705265dcd2907fe8b7d5d7f50842375d5bbb48798d7a371a469c455e76a66db4cf3";
const RSA_SIGNATURE: &str = "60d20d7769dcea505566d90c1d37dfd8b75058d92ae0f9ef9820be1282e9ebc0ef677109c76f8fd0ab7c53a8ddaa6c3a43dd42564c73ea2cf3075ce7003cbf74a72efc90575c16a702c83c83dab74e957aeadc004e148486b184a109030d2f4a91e3a9133a1c00b5ce01e0a4fb5fe71a4beb38f759075c49d93f501771a69bcdadcae66b7e65d71bc133b410421479d0d26fba3ffe95dbc31cb8daeb15a4f625827de510406c69c0bce3c076311ef3f13434b49c912a1f3b828391fa8ebf793d874f62b87585190501f056b4bf2566a0345e5f1ccb9f40a52994d9c7458374bb9e63dbe67bb1760a907a41438cdd7494d1f882ab39dd3a108f7a5ed463ebdd92";

#[test]
fn a_signature_by_openssl_holds_for_its_message_only() {
    let modulus = unhex(MODULUS).unwrap();
    let key = PublicKey::rs256(&modulus, &[1, 0, 1]).unwrap();
    let mut signature = unhex(RSA_SIGNATURE).unwrap();
    assert!(key.verifies(b"portico", &signature, EcdsaForm::Der));
    assert!(!key.verifies(b"Portico", &signature, EcdsaForm::Der));
    signature[9] ^= 1;
    assert!(!key.verifies(b"portico", &signature, EcdsaForm::Der));
    assert!(!key.verifies(b"portico", &[], EcdsaForm::Der));
    assert!(
        PublicKey::rs256(&modulus[..128], &[1, 0, 1]).is_none(),
        "1024 bits are too few"
    );
}

#[test]
fn the_published_example_of_ed25519_holds() {
    // RFC 8032, section 7.1, test 2.
    let key = unhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c").unwrap();
    let signature = unhex("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00").unwrap();
    let key = PublicKey::ed25519(&key).unwrap();
    assert!(key.verifies(&[0x72], &signature, EcdsaForm::Fixed));
    assert!(!key.verifies(&[0x73], &signature, EcdsaForm::Fixed));
    assert!(PublicKey::ed25519(&[0; 32]).is_none(), "small order");
}

#[test]
fn an_ecdsa_signature_is_read_in_both_forms_and_in_no_other() {
    let signer = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
    let point = signer.verifying_key().to_encoded_point(false);
    let key = PublicKey::es256(point.x().unwrap(), point.y().unwrap()).unwrap();
    let signature: p256::ecdsa::Signature = signer.sign(b"portico");
    let (der, fixed) = (signature.to_der(), signature.to_bytes());
    assert!(key.verifies(b"portico", der.as_bytes(), EcdsaForm::Der));
    assert!(key.verifies(b"portico", &fixed, EcdsaForm::Fixed));
    assert!(!key.verifies(b"portico", der.as_bytes(), EcdsaForm::Fixed));
    assert!(!key.verifies(b"portico", &fixed, EcdsaForm::Der));
    assert!(!key.verifies(b"other", &fixed, EcdsaForm::Fixed));
    assert!(
        !key.verifies(b"portico", &[0; 64], EcdsaForm::Fixed),
        "r = s = 0"
    );
    assert!(
        PublicKey::es256(&[1; 32], &[1; 32]).is_none(),
        "not on the curve"
    );
}
