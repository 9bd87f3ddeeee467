//! What a caller asks the mock for besides the request itself.
//!
//! Owns reading `Prefer` (RFC 7240, with the preferences that other mocks know) and `x-portico-scenario`, which a
//! gateway can bind to a key so that it works through official SDKs too.

use crate::request::Request;

/// The caller's wishes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Scenario {
    /// `code=404`: answer with this status.
    pub code: Option<u16>,
    /// `example=name`: answer with this example.
    pub example: Option<String>,
    /// `dynamic=true`: generate, whatever examples there are.
    pub dynamic: bool,
    /// `seed=7`: other values.
    pub seed: Option<String>,
    /// Lists are empty.
    pub empty: bool,
    /// `latency=200`: answer after so many milliseconds.
    pub latency_ms: Option<u64>,
}

/// The names a scenario can have, besides the names of examples.
pub(crate) const NAMES: [(&str, u16); 10] = [
    ("invalid", 422),
    ("unauthorised", 401),
    ("forbidden", 403),
    ("not_found", 404),
    ("conflict", 409),
    ("gone", 410),
    ("rate_limited", 429),
    ("server_error", 500),
    ("unavailable", 503),
    ("timeout", 504),
];

impl Scenario {
    /// Reads the headers of a request.
    pub fn read(request: &Request<'_>) -> Scenario {
        let mut scenario = Scenario::default();
        let prefer = request
            .headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("prefer"));
        for preference in prefer.flat_map(|(_, value)| value.split([',', ';'])) {
            scenario.apply(preference.trim());
        }
        if let Some(value) = request.header("x-portico-scenario") {
            scenario.apply_names(value);
        }
        scenario
    }

    /// Reads what `x-portico-scenario` may hold.
    pub fn named(text: &str) -> Scenario {
        let mut scenario = Scenario::default();
        scenario.apply_names(text);
        scenario
    }

    fn apply_names(&mut self, text: &str) {
        for part in text.split([',', ';']).map(str::trim) {
            match NAMES.iter().find(|(name, _)| *name == part) {
                Some((_, code)) => self.code = Some(*code),
                None if part == "empty" => self.empty = true,
                None if part.contains('=') => self.apply(part),
                None if !part.is_empty() => self.example = Some(part.to_owned()),
                None => {}
            }
        }
    }

    fn apply(&mut self, preference: &str) {
        let Some((name, value)) = preference.split_once('=') else {
            return;
        };
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "code" => self.code = value.parse().ok().filter(|code| (100..=599).contains(code)),
            "example" => self.example = Some(value.to_owned()),
            "dynamic" => self.dynamic = value == "true",
            "seed" => self.seed = Some(value.to_owned()),
            "latency" => self.latency_ms = value.parse().ok(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences_and_named_scenarios_are_read() {
        let headers = [
            (
                "Prefer".to_owned(),
                "code=404, example=\"not there\"; dynamic=true".to_owned(),
            ),
            (
                "prefer".to_owned(),
                "seed=7,respond-async,code=9999".to_owned(),
            ),
        ];
        let request = Request {
            method: "GET",
            path: "/",
            query: "",
            headers: &headers,
            body: b"",
        };
        let scenario = Scenario::read(&request);
        assert_eq!(
            scenario,
            Scenario {
                code: None,
                example: Some("not there".to_owned()),
                dynamic: true,
                seed: Some("7".to_owned()),
                empty: false,
                latency_ms: None
            }
        );
        let headers = [(
            "x-portico-scenario".to_owned(),
            "rate_limited, empty".to_owned(),
        )];
        let scenario = Scenario::read(&Request {
            headers: &headers,
            ..request
        });
        assert_eq!((scenario.code, scenario.empty), (Some(429), true));
    }
}
