//! The plugin's configuration, as Envoy hands it over in JSON.
//!
//! Owns: reading and checking it. Every error names the field and says what to
//! do. Does not own: anything the feed carries; limits and keys never stand here.

use crate::matcher::climbs;
use serde_json::{Map, Value};
use shared::credential::{Environment, Pepper};
use shared::signing::EdgeSecret;

/// Fewest characters of a secret.
const SECRET_LENGTH: usize = 32;
/// Environment variable with the edge secret.
pub const EDGE_SECRET_VARIABLE: &str = "PORTICO_EDGE_SECRET";
/// Environment variable with the pepper of key digests.
pub const KEY_PEPPER_VARIABLE: &str = "PORTICO_KEY_PEPPER";
/// Environment variable with the key of the sink of events.
pub const EVENTS_KEY_VARIABLE: &str = "PORTICO_USAGE_EVENTS_KEY";

/// A checked configuration.
#[derive(Clone)]
pub struct Configuration {
    /// Signs what goes to the portal and proves what comes from it.
    pub edge_secret: EdgeSecret,
    /// Keys the digests of API keys.
    pub pepper: Pepper,
    /// Envoy's cluster for the portal.
    pub portal_cluster: String,
    /// The portal's `:authority`.
    pub portal_authority: String,
    /// Environments whose credentials this gateway accepts.
    pub environments: Vec<Environment>,
    /// Paths that pass untouched.
    pub public_paths: Vec<PublicPath>,
    /// Where public paths are routed.
    pub public_environment: Environment,
    /// The realm in `WWW-Authenticate`.
    pub realm: String,
    /// One accepted call in this many goes into the request log.
    pub sample_every: u32,
    /// Whether Envoy chooses the route again once the identity headers are set.
    /// A gateway whose routes do not look at them saves the second choice.
    pub routes_by_identity: bool,
    /// The headers that tell the upstream who calls, without what they begin with.
    pub identity_headers: Vec<&'static str>,
    /// Whether access logs are told of calls that pass, and not only of refusals.
    pub describes_accepted: bool,
    /// Who is told beside the portal what was counted.
    pub sink: Option<Sink>,
}

/// A receiver of CloudEvents.
#[derive(Clone)]
pub struct Sink {
    /// Envoy's cluster for it.
    pub cluster: String,
    /// Its `:authority`.
    pub authority: String,
    /// The path of its door.
    pub path: String,
    /// What it knows this edge by.
    pub key: Option<String>,
}

/// What the upstream can be told, without what every header's name begins with.
pub const IDENTITY: [&str; 7] = [
    "environment",
    "organisation",
    "app",
    "plan",
    "credential",
    "scopes",
    "installation",
];

/// A path that passes without a credential: exact, or a prefix that ends in `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicPath {
    text: String,
    is_prefix: bool,
}

impl PublicPath {
    fn parse(text: &str) -> Option<Self> {
        let (text, is_prefix) = match text.strip_suffix('*') {
            Some(prefix) => (prefix, true),
            None => (text, false),
        };
        (text.starts_with('/') && !text.contains('*')).then(|| Self {
            text: text.to_owned(),
            is_prefix,
        })
    }

    /// Whether `path` (without its query) is meant. A path that climbs out of a
    /// prefix is not, even where the proxy does not normalise paths.
    #[must_use]
    pub fn covers(&self, path: &str) -> bool {
        if self.is_prefix {
            path.starts_with(&self.text) && !climbs(path)
        } else {
            path == self.text
        }
    }
}

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("portico: configuration refused: `{field}` {problem}")]
pub struct ConfigurationError {
    field: String,
    problem: String,
}

fn refuse<T>(field: &str, problem: impl Into<String>) -> Result<T, ConfigurationError> {
    Err(ConfigurationError {
        field: field.to_owned(),
        problem: problem.into(),
    })
}

struct Fields(Map<String, Value>);

impl Fields {
    fn take_text(&mut self, field: &str) -> Result<Option<String>, ConfigurationError> {
        match self.0.remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if !text.trim().is_empty() => Ok(Some(text)),
            Some(_) => refuse(field, "must be a text that is not empty"),
        }
    }

    fn take_texts(&mut self, field: &str) -> Result<Option<Vec<String>>, ConfigurationError> {
        let problem = "must be a list of texts";
        match self.0.remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(items)) => items
                .into_iter()
                .map(|item| match item {
                    Value::String(text) => Ok(text),
                    _ => refuse(field, problem),
                })
                .collect::<Result<_, _>>()
                .map(Some),
            Some(_) => refuse(field, problem),
        }
    }

    fn take_flag(&mut self, field: &str) -> Result<Option<bool>, ConfigurationError> {
        match self.0.remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => refuse(field, "must be true or false"),
        }
    }

    fn take_required(&mut self, field: &str, meaning: &str) -> Result<String, ConfigurationError> {
        match self.take_text(field)? {
            Some(text) => Ok(text),
            None => refuse(field, format!("is missing: {meaning}")),
        }
    }

    fn take_secret(
        &mut self,
        field: &str,
        variable: &str,
        from_environment: Option<String>,
    ) -> Result<String, ConfigurationError> {
        let secret = match self.take_text(field)? {
            Some(secret) => Some(secret),
            None => from_environment.filter(|secret| !secret.is_empty()),
        };
        match secret {
            Some(secret) if secret.chars().count() >= SECRET_LENGTH => Ok(secret),
            Some(_) => refuse(
                field,
                format!(
                    "is too short: use the portal's text of at least {SECRET_LENGTH} characters"
                ),
            ),
            None => refuse(
                field,
                format!(
                    "is missing: set the environment variable {variable} of the Envoy process and name it in vm_config.environment_variables.host_env_keys"
                ),
            ),
        }
    }
}

impl Configuration {
    /// Reads a configuration. `variable` looks up environment variables.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn parse(
        json: &[u8],
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigurationError> {
        let value = serde_json::from_slice(json)
            .or_else(|error| refuse("configuration", format!("is not JSON: {error}")))?;
        let Value::Object(map) = value else {
            return refuse("configuration", "must be a JSON object");
        };
        let mut fields = Fields(map);
        let edge_secret = fields.take_secret(
            "edge_secret",
            EDGE_SECRET_VARIABLE,
            variable(EDGE_SECRET_VARIABLE),
        )?;
        let pepper = fields.take_secret(
            "key_pepper",
            KEY_PEPPER_VARIABLE,
            variable(KEY_PEPPER_VARIABLE),
        )?;
        let routes_by_identity = fields.take_flag("routes_by_identity")?.unwrap_or(true);
        let configuration = Self {
            edge_secret: EdgeSecret::new(edge_secret.as_bytes()),
            pepper: Pepper::new(pepper.as_bytes()),
            portal_cluster: fields
                .take_required("portal_cluster", "name the Envoy cluster of the portal")?,
            portal_authority: fields
                .take_required("portal_authority", "the portal's host name and port")?,
            environments: environments(&mut fields)?,
            public_paths: public_paths(&mut fields)?,
            public_environment: match fields.take_text("public_environment")? {
                None => Environment::Live,
                Some(name) => environment("public_environment", &name)?,
            },
            realm: realm(&mut fields)?,
            sample_every: sample_every(&mut fields)?,
            routes_by_identity,
            identity_headers: identity_headers(&mut fields, routes_by_identity)?,
            describes_accepted: fields.take_flag("describe_accepted")?.unwrap_or(true),
            sink: sink(&mut fields, variable(EVENTS_KEY_VARIABLE))?,
        };
        match fields.0.keys().next() {
            Some(unknown) => refuse(unknown, "is not a field of this filter: check its spelling"),
            None => Ok(configuration),
        }
    }
}

fn environment(field: &str, name: &str) -> Result<Environment, ConfigurationError> {
    match Environment::from_name(name) {
        Some(environment) => Ok(environment),
        None => refuse(field, format!("must be `test` or `live`, not `{name}`")),
    }
}

fn environments(fields: &mut Fields) -> Result<Vec<Environment>, ConfigurationError> {
    let field = "environments";
    let Some(names) = fields.take_texts(field)? else {
        return Ok(vec![Environment::Test, Environment::Live]);
    };
    if names.is_empty() {
        return refuse(field, "must name `test`, `live` or both");
    }
    names.iter().map(|name| environment(field, name)).collect()
}

fn public_paths(fields: &mut Fields) -> Result<Vec<PublicPath>, ConfigurationError> {
    let field = "public_paths";
    let paths = fields.take_texts(field)?.unwrap_or_default();
    paths
        .iter()
        .map(|path| match PublicPath::parse(path) {
            Some(path) => Ok(path),
            None => refuse(
                field,
                format!("has `{path}`: a path begins with `/` and may end in one `*`"),
            ),
        })
        .collect()
}

fn sink(
    fields: &mut Fields,
    key_from_environment: Option<String>,
) -> Result<Option<Sink>, ConfigurationError> {
    let cluster = fields.take_text("usage_events_cluster")?;
    let authority = fields.take_text("usage_events_authority")?;
    let path = fields.take_text("usage_events_path")?;
    let key = fields.take_text("usage_events_key")?;
    let Some(cluster) = cluster else {
        let others = [
            ("usage_events_authority", authority),
            ("usage_events_path", path),
            ("usage_events_key", key),
        ];
        return match others.iter().find(|(_, text)| text.is_some()) {
            Some((field, _)) => refuse(
                field,
                "means nothing without `usage_events_cluster`: name the Envoy cluster of the sink there",
            ),
            None => Ok(None),
        };
    };
    let Some(authority) = authority else {
        return refuse(
            "usage_events_authority",
            "is missing: the sink's host name and port, beside `usage_events_cluster`",
        );
    };
    let path = path.unwrap_or_else(|| "/".to_owned());
    if !path.starts_with('/') || !path.bytes().all(|b| b.is_ascii_graphic()) {
        return refuse(
            "usage_events_path",
            "must begin with `/` and have neither spaces nor characters outside ASCII",
        );
    }
    let key = key.or_else(|| key_from_environment.filter(|key| !key.is_empty()));
    if key
        .as_ref()
        .is_some_and(|key| !key.bytes().all(|b| b.is_ascii_graphic()))
    {
        return refuse(
            "usage_events_key",
            "must be ASCII without spaces: it is sent as a bearer token",
        );
    }
    Ok(Some(Sink {
        cluster,
        authority,
        path,
        key,
    }))
}

fn identity_headers(
    fields: &mut Fields,
    routes_by_identity: bool,
) -> Result<Vec<&'static str>, ConfigurationError> {
    let field = "identity_headers";
    let Some(names) = fields.take_texts(field)? else {
        return Ok(IDENTITY.to_vec());
    };
    if routes_by_identity && !names.iter().any(|name| name == "environment") {
        return refuse(
            field,
            "must have `environment`, which routes look at: name it, or set `routes_by_identity` to false",
        );
    }
    names
        .iter()
        .map(|name| match IDENTITY.iter().find(|own| *own == name) {
            Some(own) => Ok(*own),
            None => refuse(
                field,
                format!("has `{name}`: it takes {}", IDENTITY.join(", ")),
            ),
        })
        .collect()
}

fn realm(fields: &mut Fields) -> Result<String, ConfigurationError> {
    let realm = fields
        .take_text("realm")?
        .unwrap_or_else(|| "api".to_owned());
    if realm
        .bytes()
        .all(|b| (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\')
    {
        Ok(realm)
    } else {
        refuse("realm", "must be printable ASCII without `\"` and `\\`")
    }
}

fn sample_every(fields: &mut Fields) -> Result<u32, ConfigurationError> {
    let field = "sample_every";
    match fields.0.remove(field) {
        None | Some(Value::Null) => Ok(100),
        Some(value) => match value.as_u64().and_then(|number| u32::try_from(number).ok()) {
            Some(number) if number > 0 => Ok(number),
            _ => refuse(field, "must be a whole number from 1"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn parse(json: &str) -> Result<Configuration, String> {
        Configuration::parse(json.as_bytes(), |name| {
            (name == EDGE_SECRET_VARIABLE || name == KEY_PEPPER_VARIABLE).then(|| SECRET.to_owned())
        })
        .map_err(|error| error.to_string())
    }

    #[test]
    fn secrets_come_from_the_environment_unless_they_are_given() {
        let configuration =
            parse(r#"{"portal_cluster":"p","portal_authority":"portal:80"}"#).unwrap();
        let digest = |secret: &str| Pepper::new(secret.as_bytes()).digest("k");
        assert_eq!(configuration.pepper.digest("k"), digest(SECRET));
        let other = "another-text-of-thirty-two-chars";
        let json =
            format!(r#"{{"portal_cluster":"p","portal_authority":"a","key_pepper":"{other}"}}"#);
        assert_eq!(parse(&json).unwrap().pepper.digest("k"), digest(other));
    }

    #[test]
    fn every_bad_configuration_is_refused_by_the_name_of_its_field() {
        let base = r#""portal_cluster":"p","portal_authority":"a""#;
        for (extra, field) in [
            (r#","edge_secret":"short""#, "edge_secret"),
            (r#","environments":["prod"]"#, "environments"),
            (r#","environments":[]"#, "environments"),
            (r#","public_paths":["x"]"#, "public_paths"),
            (r#","public_paths":"/x""#, "public_paths"),
            (r#","realm":"a\"b""#, "realm"),
            (r#","sample_every":0"#, "sample_every"),
            (r#","routes_by_identity":"no""#, "routes_by_identity"),
            (r#","describe_accepted":1"#, "describe_accepted"),
            (r#","usage_events_path":"/""#, "usage_events_path"),
            (r#","usage_events_cluster":"c""#, "usage_events_authority"),
            (
                r#","usage_events_cluster":"c","usage_events_authority":"a","usage_events_path":"x""#,
                "usage_events_path",
            ),
            (
                r#","usage_events_cluster":"c","usage_events_authority":"a","usage_events_key":"a b""#,
                "usage_events_key",
            ),
            (r#","identity_headers":["plan"]"#, "identity_headers"),
            (
                r#","routes_by_identity":false,"identity_headers":["x-portico-plan"]"#,
                "identity_headers",
            ),
            (r#","portal_clutser":"p""#, "portal_clutser"),
        ] {
            let error = parse(&format!("{{{base}{extra}}}")).err().unwrap();
            assert!(error.contains(&format!("`{field}`")), "{error}");
        }
        assert!(parse("{}").err().unwrap().contains("`portal_cluster`"));
        assert!(parse("[]").err().unwrap().contains("`configuration`"));
        let unset = Configuration::parse(b"{}", |_| None).err().unwrap();
        assert!(unset.to_string().contains("`edge_secret`"));
    }

    #[test]
    fn a_public_path_is_exact_or_a_prefix() {
        let json =
            r#"{"portal_cluster":"p","portal_authority":"a","public_paths":["/health","/docs/*"]}"#;
        let paths = parse(json).unwrap().public_paths;
        let covered = |path: &str| paths.iter().any(|public| public.covers(path));
        assert!(covered("/health") && covered("/docs/") && covered("/docs/a/b"));
        assert!(!covered("/healthy") && !covered("/docs"));
        assert!(!covered("/docs/../admin") && !covered("/docs/%2e%2e%2fadmin"));
    }
}
