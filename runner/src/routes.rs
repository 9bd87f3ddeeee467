//! Which component answers a path, by the rules of Spin's HTTP trigger.
//!
//! Owns matching: exact segments before named ones (`/:id`), both before a
//! trailing wildcard (`/...`), and the longest match wins.

use anyhow::{Result, bail};

/// A route of the manifest, parsed.
#[derive(Debug, Clone)]
pub struct Route {
    raw: String,
    segments: Vec<Segment>,
    wildcard: bool,
    component: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Exact(String),
    Named(String),
}

/// A path that matched.
#[derive(Debug, PartialEq, Eq)]
pub struct Match<'a> {
    pub component: &'a str,
    /// The route as the manifest spells it.
    pub raw_route: &'a str,
    /// What the trailing wildcard stands for: empty without one, and beginning
    /// with a slash otherwise.
    pub path_info: String,
    pub named: Vec<(String, String)>,
}

impl Match<'_> {
    /// The route without its trailing wildcard.
    pub fn route_prefix(&self) -> &str {
        self.raw_route
            .strip_suffix("/...")
            .unwrap_or(self.raw_route)
    }
}

/// All routes of an application.
#[derive(Debug, Clone, Default)]
pub struct Router {
    routes: Vec<Route>,
}

impl Router {
    pub fn new<'a>(routes: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let mut parsed: Vec<Route> = Vec::new();
        for (raw, component) in routes {
            let route = Route::parse(raw, component)?;
            if parsed.iter().any(|other| other.raw == route.raw) {
                bail!("the route {raw:?} is given twice");
            }
            parsed.push(route);
        }
        Ok(Self { routes: parsed })
    }

    /// The routes with their components, for the start-up message.
    pub fn routes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.routes
            .iter()
            .map(|route| (route.raw.as_str(), route.component.as_str()))
    }

    pub fn find_match(&self, path: &str) -> Option<Match<'_>> {
        self.routes
            .iter()
            .filter_map(|route| route.matches(path).map(|found| (route.rank(), found)))
            .max_by(|(left, _), (right, _)| left.cmp(right))
            .map(|(_, found)| found)
    }
}

impl Route {
    fn parse(raw: &str, component: &str) -> Result<Self> {
        if !raw.starts_with('/') {
            bail!("the route {raw:?} must begin with a slash");
        }
        let (path, wildcard) = match raw.strip_suffix("/...") {
            Some(path) => (path, true),
            None => (raw, false),
        };
        if path.contains("...") {
            bail!("the route {raw:?} may have \"...\" only as its last segment");
        }
        let segments = split(path)
            .map(|segment| match segment.strip_prefix(':') {
                Some(name) => Segment::Named(name.to_owned()),
                None => Segment::Exact(segment.to_owned()),
            })
            .collect();
        Ok(Self {
            raw: raw.to_owned(),
            segments,
            wildcard,
            component: component.to_owned(),
        })
    }

    /// What makes one match better than another.
    fn rank(&self) -> (usize, usize, bool) {
        let exact = self
            .segments
            .iter()
            .filter(|segment| matches!(segment, Segment::Exact(_)))
            .count();
        (exact, self.segments.len(), !self.wildcard)
    }

    fn matches(&self, path: &str) -> Option<Match<'_>> {
        let parts: Vec<&str> = split(path).collect();
        if parts.len() < self.segments.len()
            || (parts.len() > self.segments.len() && !self.wildcard)
        {
            return None;
        }
        let mut named = Vec::new();
        for (segment, part) in self.segments.iter().zip(&parts) {
            match segment {
                Segment::Exact(exact) if exact == part => {}
                Segment::Exact(_) => return None,
                Segment::Named(name) => named.push((name.clone(), (*part).to_owned())),
            }
        }
        let path_info = if self.wildcard {
            trailing_path(path, self.segments.len())
        } else {
            String::new()
        };
        Some(Match {
            component: &self.component,
            raw_route: &self.raw,
            path_info,
            named,
        })
    }
}

fn split(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

/// The rest of `path` after its first `segments` segments; keeps a final slash.
fn trailing_path(path: &str, segments: usize) -> String {
    let parts: Vec<&str> = split(path).skip(segments).collect();
    let slash = if path.ends_with('/') && !parts.is_empty() {
        "/"
    } else {
        ""
    };
    if parts.is_empty() && path.ends_with('/') {
        return "/".to_owned();
    }
    if parts.is_empty() {
        return String::new();
    }
    format!("/{}{slash}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router() -> Router {
        Router::new([
            ("/...", "portal"),
            ("/sandbox/...", "sandbox"),
            ("/users/:id/orders", "orders"),
            ("/users/me/orders", "mine"),
        ])
        .unwrap()
    }

    #[test]
    fn the_most_specific_route_wins() {
        let router = router();
        for (path, component) in [
            ("/", "portal"),
            ("/login", "portal"),
            ("/sandbox", "sandbox"),
            ("/sandbox/v1/orders", "sandbox"),
            ("/sandboxes", "portal"),
            ("/users/7/orders", "orders"),
            ("/users/me/orders", "mine"),
            ("/users/7/orders/1", "portal"),
        ] {
            assert_eq!(
                router.find_match(path).unwrap().component,
                component,
                "{path}"
            );
        }
    }

    #[test]
    fn path_info_is_what_the_wildcard_stands_for() {
        let router = router();
        for (path, path_info) in [
            ("/sandbox", ""),
            ("/sandbox/", "/"),
            ("/sandbox/v1/orders", "/v1/orders"),
            ("/sandbox/v1/", "/v1/"),
            ("/", "/"),
            ("/login", "/login"),
        ] {
            assert_eq!(
                router.find_match(path).unwrap().path_info,
                path_info,
                "{path}"
            );
        }
    }

    #[test]
    fn named_segments_are_reported() {
        let router = router();
        let found = router.find_match("/users/7/orders").unwrap();
        assert_eq!(found.named, [("id".to_owned(), "7".to_owned())]);
        assert_eq!(found.route_prefix(), "/users/:id/orders");
    }

    #[test]
    fn a_path_without_a_route_matches_nothing() {
        let router = Router::new([("/only", "portal")]).unwrap();
        assert_eq!(router.find_match("/only/this"), None);
        assert!(Router::new([("/a", "x"), ("/a", "y")]).is_err());
        assert!(Router::new([("/a/.../b", "x")]).is_err());
    }
}
