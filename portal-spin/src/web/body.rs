//! A request's body as JSON, and what is wrong with one that does not fit: always the member, and what to
//! give instead.

use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::Failure;

/// Reads a body. An empty one counts as `{}`.
pub fn read_json<T: DeserializeOwned>(
    body: &[u8],
    content_type: Option<&str>,
) -> Result<T, Failure> {
    let body: &[u8] = if body.is_empty() { b"{}" } else { body };
    let is_object = body.trim_ascii_start().first() == Some(&b'{');
    // Whoever sends JSON as something else is understood; whoever sends something else is told.
    let is_named_json = content_type.is_none_or(|name| name.contains("json"));
    if !is_object && !is_named_json {
        return Err(Failure::new(
            http::StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "Send a JSON object, with `Content-Type: application/json`.",
        ));
    }
    if !is_object {
        return Err(Failure::new(
            http::StatusCode::UNPROCESSABLE_ENTITY,
            "malformed_json",
            "Send a JSON object: the body begins with `{`.",
        ));
    }
    // The way to a member costs time to keep, so it is looked for only when something is wrong.
    serde_json::from_slice(body).or_else(|_| {
        let mut reader = serde_json::Deserializer::from_slice(body);
        serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let path = error.path().to_string();
            failure_of(&path, error.inner())
        })
    })
}

fn failure_of(path: &str, error: &serde_json::Error) -> Failure {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    if error.classify() != Category::Data {
        return Failure::malformed_json(error);
    }
    let parent = if path == "." { "" } else { path };
    let named = text.split('`').nth(1).unwrap_or_default();
    if text.starts_with("missing field") {
        return Failure::field(&within(parent, named), "required", "Give a value.");
    }
    if text.starts_with("unknown field") {
        let known = text.split_once(", ").map_or("", |(_, known)| known);
        let detail = format!("There is no such member here; {known}.");
        return Failure::field(&within(parent, named), "unknown_field", detail);
    }
    if parent.is_empty() {
        return Failure::malformed_json(error);
    }
    let code = if text.starts_with("unknown variant") {
        "unknown_value"
    } else {
        "wrong_type"
    };
    Failure::field(parent, code, plain(text))
}

/// A member of a member; the way may end in it already.
fn within(parent: &str, name: &str) -> String {
    if parent.is_empty() || parent == name {
        name.to_owned()
    } else if parent.ends_with(&format!(".{name}")) {
        parent.to_owned()
    } else {
        format!("{parent}.{name}")
    }
}

/// Serde's words without names of our types.
fn plain(text: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    let mut all = text.split(' ').peekable();
    while let Some(word) = all.next() {
        match word {
            "struct" | "enum" => {
                all.next();
                words.push(if word == "struct" {
                    "an object"
                } else {
                    "a word"
                });
            }
            "map" => words.push("object"),
            "sequence" => words.push("list"),
            word => words.push(word),
        }
    }
    let mut sentence = words.join(" ");
    if let Some(first) = sentence.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    format!("{sentence}.")
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // only read into
    struct Outer {
        name: String,
        #[serde(default)]
        rows: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "snake_case")]
    #[allow(dead_code)] // only read into
    struct Inner {
        kind: Kind,
        #[serde(default)]
        count: u32,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Small,
        Large,
    }

    #[test]
    fn every_misfit_names_its_member() {
        for (body, field, code) in [
            ("{}", "name", "required"),
            (r#"{"name":1}"#, "name", "wrong_type"),
            (r#"{"name":"a","zzz":1}"#, "zzz", "unknown_field"),
            (r#"{"name":"a","rows":[{}]}"#, "rows[0].kind", "required"),
            (
                r#"{"name":"a","rows":[{"kind":"huge"}]}"#,
                "rows[0].kind",
                "unknown_value",
            ),
            (
                r#"{"name":"a","rows":[{"kind":"small","count":-1}]}"#,
                "rows[0].count",
                "wrong_type",
            ),
            (
                r#"{"name":"a","rows":[{"kind":"large","zzz":0}]}"#,
                "rows[0].zzz",
                "unknown_field",
            ),
            (r#"{"name":"a","rows":[7]}"#, "rows[0]", "wrong_type"),
        ] {
            let failure = read_json::<Outer>(body.as_bytes(), None).unwrap_err();
            let error = failure
                .errors
                .first()
                .unwrap_or_else(|| panic!("{failure:?}"));
            assert_eq!(
                (error.field.as_str(), error.code.as_str()),
                (field, code),
                "{body}"
            );
            assert!(!error.detail.contains("struct"), "{}", error.detail);
        }
    }

    #[test]
    fn what_is_no_json_object_is_refused_in_words() {
        for body in ["[]", "null", "\"x\"", "{", "{\"name\":", "\u{fffd}"] {
            let failure = read_json::<Outer>(body.as_bytes(), Some("application/json"));
            assert_eq!(failure.unwrap_err().code, "malformed_json", "{body}");
        }
        let form = read_json::<Outer>(b"name=a", Some("application/x-www-form-urlencoded"));
        assert_eq!(form.unwrap_err().code, "unsupported_media_type");
        let mislabelled = read_json::<Outer>(b" {\"name\":\"a\"}", Some("text/plain"));
        assert_eq!(mislabelled.unwrap().name, "a");
    }
}
