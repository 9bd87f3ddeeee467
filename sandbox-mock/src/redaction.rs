//! What must not be kept of a request or a response: secrets and personal data.
//!
//! Owns the rules, which go by the names of headers, parameters and members and by the look of texts. A value is
//! replaced by one of the same kind, so that types, formats and lengths can still be compared. README.md lists the
//! rules; the tests hold them.

use crate::json::Value;
use crate::text::{plain_name, words};

/// What stands in the place of a secret.
pub const REDACTED: &str = "[redacted]";

const SECRET_WORDS: [&str; 17] = [
    "authorization",
    "authorisation",
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "credential",
    "credentials",
    "cookie",
    "signature",
    "otp",
    "pin",
    "cvc",
    "cvv",
    "iban",
    "ssn",
];
const SECRET_NAMES: [&str; 14] = [
    "apikey",
    "xapikey",
    "accesskey",
    "privatekey",
    "secretkey",
    "clientkey",
    "sessionid",
    "session",
    "cardnumber",
    "accountnumber",
    "routingnumber",
    "taxid",
    "vatnumber",
    "setcookie",
];
const PERSONAL_WORDS: [&str; 18] = [
    "email",
    "mail",
    "phone",
    "mobile",
    "fax",
    "street",
    "address",
    "city",
    "postcode",
    "zip",
    "birthday",
    "birthdate",
    "dob",
    "latitude",
    "longitude",
    "ip",
    "firstname",
    "lastname",
];
const PERSONAL_NAMES: [&str; 14] = [
    "firstname",
    "lastname",
    "fullname",
    "givenname",
    "familyname",
    "middlename",
    "surname",
    "username",
    "displayname",
    "postalcode",
    "dateofbirth",
    "ipaddress",
    "useragent",
    "xforwardedfor",
];
/// Things that a name beside them may belong to a person of.
const PERSONS: [&str; 12] = [
    "customer",
    "user",
    "person",
    "contact",
    "owner",
    "recipient",
    "sender",
    "member",
    "patient",
    "employee",
    "payer",
    "buyer",
];

/// Whether a header, parameter or member of this name holds a secret.
pub fn is_secret_name(name: &str) -> bool {
    SECRET_NAMES.contains(&plain_name(name).as_str()) || words(name).has_one_of(&SECRET_WORDS)
}

/// Whether a member of this name, in an object that is called `parent`, holds personal data.
pub fn is_personal_name(name: &str, parent: &str) -> bool {
    let plain = plain_name(name);
    PERSONAL_NAMES.contains(&plain.as_str())
        || words(name).has_one_of(&PERSONAL_WORDS)
        || plain == "name" && PERSONS.contains(&crate::text::singular(parent).as_str())
}

/// Whether a text is a secret or personal by its look alone.
fn is_telling(text: &str) -> bool {
    let is_key = |prefix: &str| text.starts_with(prefix) && text.len() >= 20;
    is_email(text)
        || [
            "sk_", "pk_", "rk_", "whsec_", "ghp_", "xoxb-", "Bearer ", "Basic ", "AKIA",
        ]
        .into_iter()
        .any(is_key)
        || (text.starts_with("eyJ") && text.matches('.').count() == 2)
        || is_card_number(text)
        || text.starts_with("-----BEGIN ")
}

fn is_email(text: &str) -> bool {
    text.len() <= 254
        && text.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && domain.contains('.') && !domain.contains([' ', '/', '@'])
        })
        && !text.contains(' ')
}

/// 13 to 19 digits whose Luhn sum holds.
fn is_card_number(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    if !(13..=19).contains(&digits.len())
        || !text
            .chars()
            .all(|c| c.is_ascii_digit() || c == ' ' || c == '-')
    {
        return false;
    }
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit * 2) {
            (0, _) => *digit,
            (_, doubled) if doubled > 9 => doubled - 9,
            (_, doubled) => doubled,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// A text of the same length and shape that says nothing: letters become `x`, digits `0`.
fn masked(text: &str) -> String {
    if is_email(text) {
        return "person@example.com".to_owned();
    }
    text.chars()
        .map(|c| match c {
            c if c.is_ascii_digit() => '0',
            c if c.is_ascii_uppercase() => 'X',
            c if c.is_alphabetic() => 'x',
            c => c,
        })
        .collect()
}

/// Redacts a body in place.
pub fn redact_body(value: &mut Value) {
    redact(value, "", "");
}

fn redact(value: &mut Value, name: &str, parent: &str) {
    match value {
        Value::Object(members) => {
            for (member, value) in members {
                redact(value, member, name);
            }
        }
        Value::Array(entries) => {
            for entry in entries {
                redact(entry, name, parent);
            }
        }
        Value::String(text) => {
            if is_secret_name(name) {
                REDACTED.clone_into(text);
            } else if is_personal_name(name, parent) || is_telling(text) {
                *text = masked(text);
            }
        }
        Value::Int(number) => {
            if is_secret_name(name) || is_personal_name(name, parent) {
                *number = 0;
            }
        }
        Value::Float(number) => {
            if is_secret_name(name) || is_personal_name(name, parent) {
                *number = 0.5;
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

/// The value of a header or parameter as it may be kept.
pub fn redact_text(name: &str, text: &str) -> String {
    if is_secret_name(name) {
        REDACTED.to_owned()
    } else if is_personal_name(name, "") || is_telling(text) {
        masked(text)
    } else {
        text.to_owned()
    }
}

/// The path and query without the values of parameters that are secret or personal.
pub fn redact_target(path: &str, query: &str) -> String {
    let path: Vec<String> = path
        .split('/')
        .map(|part| {
            let plain = crate::text::percent_decode(part);
            if is_telling(&plain) {
                crate::text::percent_encode(&masked(&plain))
            } else {
                part.to_owned()
            }
        })
        .collect();
    let path = path.join("/");
    if query.is_empty() {
        return path;
    }
    let pairs: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) => {
                let plain = crate::text::percent_decode(value);
                let kept = redact_text(&crate::text::percent_decode(name), &plain);
                if kept == plain {
                    pair.to_owned()
                } else {
                    format!("{name}={}", crate::text::percent_encode(&kept))
                }
            }
            None => pair.to_owned(),
        })
        .collect();
    format!("{path}?{}", pairs.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::read;

    fn redacted(text: &str) -> String {
        let mut value = read(text.as_bytes()).unwrap();
        redact_body(&mut value);
        value.to_string()
    }

    #[test]
    fn secrets_go_by_name_and_by_look() {
        for (body, kept) in [
            (r#"{"password":"hunter2"}"#, r#"{"password":"[redacted]"}"#),
            (
                r#"{"accessToken":"abc"}"#,
                r#"{"accessToken":"[redacted]"}"#,
            ),
            (r#"{"client_secret":5}"#, r#"{"client_secret":0}"#),
            (r#"{"api_key":"x1"}"#, r#"{"api_key":"[redacted]"}"#),
            (
                r#"{"note":"sk_live_abcdefghijklmnopqrst"}"#,
                r#"{"note":"xx_xxxx_xxxxxxxxxxxxxxxxxxxx"}"#,
            ),
            (
                r#"{"x":"4242 4242 4242 4242"}"#,
                r#"{"x":"0000 0000 0000 0000"}"#,
            ),
        ] {
            assert_eq!(redacted(body), kept);
        }
    }

    #[test]
    fn personal_data_keeps_its_type_and_length_and_nothing_else() {
        for (body, kept) in [
            (
                r#"{"email":"ines@shop.example"}"#,
                r#"{"email":"person@example.com"}"#,
            ),
            (r#"{"phone":"+33 6 12"}"#, r#"{"phone":"+00 0 00"}"#),
            (
                r#"{"customer":{"name":"Ines M"},"product":{"name":"Tea"}}"#,
                r#"{"customer":{"name":"Xxxx X"},"product":{"name":"Tea"}}"#,
            ),
            (
                r#"{"customers":[{"lastName":"Costa","id":"cus_1"}]}"#,
                r#"{"customers":[{"lastName":"Xxxxx","id":"cus_1"}]}"#,
            ),
        ] {
            assert_eq!(redacted(body), kept);
        }
    }

    #[test]
    fn targets_and_headers_are_redacted_too() {
        assert_eq!(
            redact_target("/v1/users/ines%40shop.example", "api_key=abc&limit=3"),
            "/v1/users/person%40example.com?api_key=%5Bredacted%5D&limit=3"
        );
        assert_eq!(redact_text("Authorization", "Bearer abc"), REDACTED);
        assert_eq!(redact_text("X-API-Key", "abc"), REDACTED);
        assert_eq!(redact_text("accept", "text/plain"), "text/plain");
    }
}
