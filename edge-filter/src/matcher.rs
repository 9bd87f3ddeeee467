//! Which operation a method and path are.
//!
//! Owns: one matcher over the operations of all products. Of several templates
//! that fit, the most specific wins, segment by segment from the left: a literal
//! before a parameter with literal text around it (more text first) before a
//! bare parameter. Does not own: whether anybody may call the operation.

use crate::credential::percent_decoded;
use std::collections::BTreeMap;

/// Paths with more segments match nothing: a bound on the work per request.
const MAX_SEGMENTS: usize = 64;

/// A matcher from method and path to a value per template.
#[derive(Debug)]
pub struct Matcher<T> {
    nodes: Vec<Node<T>>,
}

#[derive(Debug)]
struct Node<T> {
    literals: BTreeMap<String, usize>,
    /// Most literal text first; equal amounts by text, so that order never
    /// depends on the order of insertion.
    patterns: Vec<(Pattern, usize)>,
    methods: Vec<(String, Vec<T>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    prefix: String,
    suffix: String,
}

impl Pattern {
    fn covers(&self, segment: &str) -> bool {
        segment.len() > self.prefix.len() + self.suffix.len()
            && segment.starts_with(&self.prefix)
            && segment.ends_with(&self.suffix)
    }

    fn rank(&self) -> (core::cmp::Reverse<usize>, &str, &str) {
        let text = self.prefix.len() + self.suffix.len();
        (core::cmp::Reverse(text), &self.prefix, &self.suffix)
    }
}

enum Segment {
    Literal(String),
    Parameter(Pattern),
}

fn template_segment(text: &str) -> Segment {
    match (text.split_once('{'), text.rsplit_once('}')) {
        (Some((prefix, _)), Some((_, suffix))) => Segment::Parameter(Pattern {
            prefix: prefix.to_owned(),
            suffix: suffix.to_owned(),
        }),
        _ => Segment::Literal(percent_decoded(text).into_owned()),
    }
}

impl<T> Default for Matcher<T> {
    fn default() -> Self {
        Self {
            nodes: vec![Node::new()],
        }
    }
}

impl<T> Node<T> {
    fn new() -> Self {
        Self {
            literals: BTreeMap::new(),
            patterns: Vec::new(),
            methods: Vec::new(),
        }
    }
}

impl<T> Matcher<T> {
    /// Adds an operation. Several may share a method and template.
    pub fn insert(&mut self, method: &str, template: &str, value: T) {
        let mut at = 0;
        for segment in segments(template) {
            at = self.child(at, template_segment(segment));
        }
        let Some(node) = self.nodes.get_mut(at) else {
            return;
        };
        match node.methods.iter_mut().find(|(name, _)| name == method) {
            Some((_, values)) => values.push(value),
            None => node.methods.push((method.to_owned(), vec![value])),
        }
    }

    fn child(&mut self, at: usize, segment: Segment) -> usize {
        let fresh = self.nodes.len();
        let Some(node) = self.nodes.get_mut(at) else {
            return at;
        };
        let child = match segment {
            Segment::Literal(text) => *node.literals.entry(text).or_insert(fresh),
            Segment::Parameter(pattern) => {
                let place = node
                    .patterns
                    .binary_search_by(|(other, _)| other.rank().cmp(&pattern.rank()));
                match place {
                    Ok(place) => node.patterns.get(place).map_or(at, |(_, child)| *child),
                    Err(place) => {
                        node.patterns.insert(place, (pattern, fresh));
                        fresh
                    }
                }
            }
        };
        if child == fresh {
            self.nodes.push(Node::new());
        }
        child
    }

    /// The values of the most specific template for `method` and `path` (no
    /// query). `HEAD` is answered by `GET` where it has no operation of its own.
    #[must_use]
    pub fn find(&self, method: &str, path: &str) -> Option<&[T]> {
        let decoded: Vec<_> = segments(path)
            .take(MAX_SEGMENTS + 1)
            .map(percent_decoded)
            .collect();
        if !path.starts_with('/') || decoded.len() > MAX_SEGMENTS || climbs(path) {
            return None;
        }
        let found = self.descend(0, method, &decoded);
        if found.is_none() && method == "HEAD" {
            return self.descend(0, "GET", &decoded);
        }
        found
    }

    fn descend<S: AsRef<str>>(&self, at: usize, method: &str, rest: &[S]) -> Option<&[T]> {
        let node = self.nodes.get(at)?;
        let Some((segment, rest)) = rest.split_first() else {
            return node
                .methods
                .iter()
                .find(|(name, _)| name == method)
                .map(|(_, values)| values.as_slice());
        };
        let segment = segment.as_ref();
        let literal = node.literals.get(segment);
        let literal = literal.and_then(|&child| self.descend(child, method, rest));
        literal.or_else(|| {
            node.patterns
                .iter()
                .filter(|(pattern, _)| pattern.covers(segment))
                .find_map(|(_, child)| self.descend(*child, method, rest))
        })
    }
}

/// Whether a path has `.` or `..` for a segment, however written. What such a path
/// names depends on who resolves it, so a gateway that does not normalise paths
/// must not take it for what it seems to be.
#[must_use]
pub fn climbs(path: &str) -> bool {
    // Nearly no path has any of these characters where it could matter.
    if !path.contains("/.") && !path.contains(['%', '\\']) {
        return false;
    }
    segments(path).map(percent_decoded).any(|segment| {
        // Some upstreams take an encoded slash or a backslash for a slash, and
        // leave out what stands behind a semicolon.
        let parts = segment.split(['/', '\\']);
        let mut names = parts.map(|part| part.split(';').next().unwrap_or_default());
        names.any(|name| matches!(name, "." | ".."))
    })
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.strip_prefix('/').unwrap_or(path).split('/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matcher(templates: &[(&'static str, &'static str)]) -> Matcher<&'static str> {
        let mut matcher = Matcher::default();
        for (method, template) in templates {
            matcher.insert(method, template, *template);
        }
        matcher
    }

    #[test]
    fn the_most_specific_template_wins() {
        let matcher = matcher(&[
            ("GET", "/v1/orders"),
            ("GET", "/v1/orders/{id}"),
            ("GET", "/v1/orders/export"),
            ("GET", "/v1/orders/{id}.json"),
            ("GET", "/v1/orders/{id}:cancel"),
            ("GET", "/v1/{any}/export"),
        ]);
        let find = |path| {
            matcher
                .find("GET", path)
                .and_then(|found| found.first().copied())
        };
        assert_eq!(find("/v1/orders"), Some("/v1/orders"));
        assert_eq!(find("/v1/orders/7"), Some("/v1/orders/{id}"));
        assert_eq!(find("/v1/orders/export"), Some("/v1/orders/export"));
        assert_eq!(find("/v1/orders/7.json"), Some("/v1/orders/{id}.json"));
        assert_eq!(find("/v1/orders/7:cancel"), Some("/v1/orders/{id}:cancel"));
        assert_eq!(find("/v1/refunds/export"), Some("/v1/{any}/export"));
        assert_eq!(find("/v1/orders/"), None, "a parameter is never empty");
        assert_eq!(find("/v1/orders/7/x"), None);
    }

    #[test]
    fn encoded_letters_do_not_dodge_a_literal() {
        let matcher = matcher(&[("GET", "/v1/orders/{id}"), ("GET", "/v1/orders/export")]);
        let found = matcher.find("GET", "/v1/orders/exp%6Frt");
        assert_eq!(found, Some(&["/v1/orders/export"][..]));
    }

    #[test]
    fn head_is_answered_by_get_and_other_methods_are_not() {
        let matcher = matcher(&[("GET", "/a")]);
        assert!(matcher.find("HEAD", "/a").is_some());
        assert!(matcher.find("POST", "/a").is_none());
    }

    #[test]
    fn operations_of_several_products_share_a_template() {
        let mut matcher = Matcher::default();
        matcher.insert("GET", "/a/{x}", 1);
        matcher.insert("GET", "/a/{y}", 2);
        assert_eq!(matcher.find("GET", "/a/b"), Some(&[1, 2][..]));
    }

    #[test]
    fn a_path_that_climbs_matches_nothing_however_it_is_written() {
        let matcher = matcher(&[("GET", "/v1/{any}"), ("GET", "/v1/{any}/{more}")]);
        for path in [
            "/v1/..",
            "/v1/.",
            "/v1/%2e%2E",
            "/v1/.%2e/admin",
            "/v1/..%2fadmin",
            "/v1/x%5c..%5cadmin",
            "/v1/..\\admin",
            "/v1/..;a=b/admin",
        ] {
            assert_eq!(matcher.find("GET", path), None, "{path}");
        }
        for path in [
            "/v1/...",
            "/v1/.well-known",
            "/v1/a..b",
            "/v1/a%2fb",
            "/v1/50%",
        ] {
            assert!(matcher.find("GET", path).is_some(), "{path}");
        }
    }

    #[test]
    fn a_very_deep_path_matches_nothing() {
        let matcher = matcher(&[("GET", "/a")]);
        assert!(matcher.find("GET", &"/a".repeat(10_000)).is_none());
    }

    /// The slow way: every template that fits, the best by its segments.
    fn reference(templates: &[String], path: &str) -> Option<String> {
        let key = |template: &str| -> Vec<(u8, usize, String)> {
            segments(template)
                .map(|text| match template_segment(text) {
                    Segment::Literal(text) => (0, 0, text),
                    Segment::Parameter(pattern) => {
                        let text = pattern.prefix.len() + pattern.suffix.len();
                        (
                            1,
                            usize::MAX - text,
                            format!("{}\0{}", pattern.prefix, pattern.suffix),
                        )
                    }
                })
                .collect()
        };
        let fits = |template: &str| {
            segments(template).count() == segments(path).count()
                && segments(template)
                    .zip(segments(path))
                    .all(|(template, segment)| match template_segment(template) {
                        Segment::Literal(text) => text == segment,
                        Segment::Parameter(pattern) => pattern.covers(segment),
                    })
        };
        let mut fitting: Vec<_> = templates.iter().filter(|template| fits(template)).collect();
        fitting.sort_by_key(|template| key(template));
        fitting.first().map(|template| (*template).clone())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn the_matcher_agrees_with_the_slow_way(
            templates in proptest::collection::vec(
                proptest::collection::vec("a|b|ab|\\{p\\}|a\\{p\\}|\\{p\\}b|a\\{p\\}b", 1..4)
                    .prop_map(|segments| format!("/{}", segments.join("/"))), 1..12),
            paths in proptest::collection::vec(
                proptest::collection::vec("[ab]{1,3}", 1..4)
                    .prop_map(|segments| format!("/{}", segments.join("/"))), 1..12),
        ) {
            let mut matcher = Matcher::default();
            for template in &templates {
                matcher.insert("GET", template, template.clone());
            }
            for path in &paths {
                let found = matcher.find("GET", path).and_then(|found| found.first().cloned());
                prop_assert_eq!(found, reference(&templates, path), "path {}", path);
            }
        }
    }
}
