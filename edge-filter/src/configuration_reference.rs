//! Every field of the plugin's configuration in words: what `docs/filter-configuration.md` is made of.
//!
//! Owns the table and its rendering. Does not own reading a configuration; a test holds that table and
//! reader name the same fields.

/// One field.
pub struct Field {
    /// As in the JSON object.
    pub name: &'static str,
    /// What it takes.
    pub kind: &'static str,
    /// What holds without it; empty if it must be given.
    pub default: &'static str,
    /// What it does.
    pub meaning: &'static str,
}

/// All fields, in the order of the document.
pub const FIELDS: &[Field] = &[
    Field {
        name: "portal_cluster",
        kind: "text",
        default: "",
        meaning: "Envoy's cluster of the portal. The filter reads its feed there and sends its reports.",
    },
    Field {
        name: "portal_authority",
        kind: "text",
        default: "",
        meaning: "The portal's host name, with the port where it is not the usual one: the `:authority` of those requests.",
    },
    Field {
        name: "edge_secret",
        kind: "text of at least 32 characters",
        default: "the environment variable `PORTICO_EDGE_SECRET`",
        meaning: "Signs what goes to the portal and proves what comes from it. Leave it out: in the environment no configuration dump shows it.",
    },
    Field {
        name: "key_pepper",
        kind: "text of at least 32 characters",
        default: "the environment variable `PORTICO_KEY_PEPPER`",
        meaning: "Keys the digests of API keys; the same as the portal's. Leave it out, as above.",
    },
    Field {
        name: "environments",
        kind: "list of `test`, `live`",
        default: "`[\"test\", \"live\"]`",
        meaning: "Whose credentials this gateway takes. Others are refused with `wrong_environment`.",
    },
    Field {
        name: "public_paths",
        kind: "list of texts",
        default: "`[]`",
        meaning: "Paths that pass without a credential: exact, or a prefix that ends in one `*`. They are counted apart, under no credential.",
    },
    Field {
        name: "public_environment",
        kind: "`test` or `live`",
        default: "`live`",
        meaning: "Which route public paths take.",
    },
    Field {
        name: "realm",
        kind: "printable ASCII without `\"` and `\\`",
        default: "`api`",
        meaning: "The realm in `WWW-Authenticate` of a 401.",
    },
    Field {
        name: "sample_every",
        kind: "whole number from 1",
        default: "`100`",
        meaning: "One accepted call in so many goes into the request log. Refused and failed calls all do.",
    },
    Field {
        name: "routes_by_identity",
        kind: "true or false",
        default: "`true`",
        meaning: "Whether Envoy chooses the route again once the identity headers are set, for routes that look at `x-portico-environment`. `false` saves the second choice where none does.",
    },
    Field {
        name: "identity_headers",
        kind: "list of `environment`, `organisation`, `app`, `plan`, `credential`, `scopes`, `installation`",
        default: "all of them",
        meaning: "Which `x-portico-…` headers the upstream is told. Each that it does not need saves a crossing per call. Headers of these names that a client sends are removed in any case.",
    },
    Field {
        name: "describe_accepted",
        kind: "true or false",
        default: "`true`",
        meaning: "Whether the filter state `wasm.portico` is set for calls that pass. `false` sets it for refusals and shadow refusals alone: access logs can still print the identity headers of what passed, as `%REQ(X-PORTICO-CREDENTIAL)%`.",
    },
    Field {
        name: "usage_events_cluster",
        kind: "text",
        default: "nobody beside the portal is told",
        meaning: "Envoy's cluster of a sink of CloudEvents. Every cell of a finished minute is posted there, in batches of structured events (`application/cloudevents-batch+json`) until the sink answers 2xx: at least once, under an id that stays the same.",
    },
    Field {
        name: "usage_events_authority",
        kind: "text",
        default: "refused where there is a `usage_events_cluster`",
        meaning: "The sink's host name, with the port where it is not the usual one.",
    },
    Field {
        name: "usage_events_path",
        kind: "text that begins with `/`",
        default: "`/`",
        meaning: "Where the batches are posted.",
    },
    Field {
        name: "usage_events_key",
        kind: "ASCII without spaces",
        default: "the environment variable `PORTICO_USAGE_EVENTS_KEY`; none if that is not set either",
        meaning: "Sent as `authorization: Bearer …`. Leave it out, as above.",
    },
];

/// The document.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(
        "# Configuration of the filter\n\n\
         The `configuration` of the Wasm filter is a JSON object. A wrong or unknown field stops the \
         filter with a line in Envoy's log that begins with `portico: configuration refused` and names \
         it; limits, keys and plans never stand here, they come from the portal.\n\n\
         | field | takes | without it | does |\n|---|---|---|---|\n",
    );
    for field in FIELDS {
        let default = match field.default {
            "" => "refused: it must be given",
            default => default,
        };
        text.push_str(&format!(
            "| `{}` | {} | {default} | {} |\n",
            field.name, field.kind, field.meaning
        ));
    }
    text.push_str(
        "\n```json\n{\"portal_cluster\": \"portico_portal\", \"portal_authority\": \"partners.example.com\", \"public_paths\": [\"/healthz\"]}\n```\n\n\
         Name the two variables in `vm_config.environment_variables.host_env_keys`, so that Envoy hands \
         them to the filter. Made from `edge-filter/src/configuration_reference.rs`; a test holds it current.\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::Configuration;

    #[test]
    fn the_document_is_current() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../docs/filter-configuration.md"
        );
        if std::env::var_os("PORTICO_UPDATE_DOCUMENTS").is_some() {
            std::fs::write(path, markdown()).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(path).unwrap(),
            markdown(),
            "run this test again with PORTICO_UPDATE_DOCUMENTS=1"
        );
    }

    #[test]
    fn the_reader_knows_every_field_of_the_table() {
        for field in FIELDS {
            let json = format!(
                r#"{{"portal_cluster":"p","portal_authority":"a","{}":{{}}}}"#,
                field.name
            );
            let secret = "0123456789abcdef0123456789abcdef".to_owned();
            let error = Configuration::parse(json.as_bytes(), |_| Some(secret.clone()))
                .err()
                .unwrap_or_else(|| panic!("{} takes an object", field.name))
                .to_string();
            assert!(error.contains(&format!("`{}`", field.name)), "{error}");
            assert!(!error.contains("is not a field"), "{error}");
        }
    }

    #[test]
    fn the_table_has_every_field_of_the_reader() {
        let source = include_str!("configuration.rs");
        let source = source.split("#[cfg(test)]").next().unwrap();
        let mut names: Vec<&str> = Vec::new();
        for start in [
            "take_text(\"",
            "take_flag(\"",
            "take_required(\"",
            "take_required(\n            \"",
            "take_secret(\n            \"",
            "let field = \"",
        ] {
            names.extend(
                source
                    .split(start)
                    .skip(1)
                    .filter_map(|rest| rest.split('"').next()),
            );
        }
        assert!(names.len() >= 7, "{names:?}");
        for name in names {
            assert!(
                FIELDS.iter().any(|field| field.name == name),
                "{name} is not in the table"
            );
        }
    }
}
