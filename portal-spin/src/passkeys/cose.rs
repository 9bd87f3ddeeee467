//! Public keys as authenticators write them: COSE_Key (RFC 9052, section 7; RFC 9053) in CBOR.

use ciborium::Value;

use crate::signatures::PublicKey;

/// Algorithms asked for, in the order of preference: EdDSA, ES256, RS256.
pub const ALGORITHMS: [i64; 3] = [-8, -7, -257];

/// Reads a COSE key of one of [`ALGORITHMS`].
pub fn read_key(bytes: &[u8]) -> Option<PublicKey> {
    let mut rest = bytes;
    let value: Value = ciborium::from_reader(&mut rest).ok()?;
    let map = value.as_map()?;
    let number = |label: i64| Some(i128::from(find(map, label)?.as_integer()?));
    let bytes_of = |label: i64| find(map, label)?.as_bytes().map(Vec::as_slice);
    // Key type, algorithm and curve must agree.
    match (number(1)?, number(3)?) {
        (1, -8) if number(-1)? == 6 => PublicKey::ed25519(bytes_of(-2)?),
        (2, -7) if number(-1)? == 1 => PublicKey::es256(bytes_of(-2)?, bytes_of(-3)?),
        (3, -257) => PublicKey::rs256(bytes_of(-1)?, bytes_of(-2)?),
        _ => None,
    }
}

fn find(map: &[(Value, Value)], label: i64) -> Option<&Value> {
    let label = Value::Integer(label.into());
    map.iter()
        .find(|(known, _)| *known == label)
        .map(|(_, value)| value)
}
