//! One request, with everything a handler may use.

use std::rc::Rc;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use shared::ids::{OrganisationId, PersonId, SessionId};

use crate::app::App;
use crate::configuration::Configuration;
use crate::database::Connection;
use crate::organisations::{MemberRole, OperatorRole};
use crate::ports::random_bytes;
use crate::routes::Route;
use crate::web::forms::Form;
use crate::web::languages::Language;
use crate::web::{Failure, body, multipart};

/// Who speaks, as the access check found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Nobody that is known.
    Nobody,
    /// A person with a session.
    Person(SignedIn),
    /// An edge that signed its request, by the value of its boot-id header.
    Edge(String),
    /// Whoever holds the scheduler's secret.
    Scheduler,
}

/// A person with a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// The person.
    pub person_id: PersonId,
    /// Their session.
    pub session_id: SessionId,
    /// Their verified e-mail address.
    pub email: String,
    /// The name they gave, or the address.
    pub name: String,
    /// Roles on the operator's side; empty for partners.
    pub operator_roles: Vec<OperatorRole>,
    /// The organisation of the route and the person's role there, on [`crate::access::Access::Member`] routes.
    pub membership: Option<(OrganisationId, MemberRole)>,
    /// Proves that a form was shown to this session.
    pub csrf_token: String,
    /// Whether two factors were shown in this session.
    pub has_second_factor: bool,
    /// The language they chose, if they did.
    pub language: Option<Language>,
}

/// Everything a handler may use. One per request; background steps build one too.
pub struct Context {
    /// The instance.
    pub app: Rc<App>,
    /// This request's connection.
    pub connection: Connection,
    /// The time at which the request began, Unix milliseconds.
    pub now_ms: i64,
    /// Names the request in logs and error bodies.
    pub request_id: String,
    /// The request; its body is read.
    pub request: http::Request<Bytes>,
    /// The route that matched.
    pub route: &'static Route,
    /// Values of the template's parameters, decoded.
    pub path: Vec<(&'static str, String)>,
    /// Who speaks.
    pub caller: Caller,
    /// The visitor's language.
    pub language: Language,
}

impl Context {
    /// The operator's settings.
    pub fn configuration(&self) -> &Configuration {
        &self.app.configuration
    }

    /// `N` random bytes.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        random_bytes(self.app.randomness.as_ref())
    }

    /// A new id: `context.new_id(AppId::new)`.
    pub fn new_id<T>(&self, make: fn(u64, &[u8; 10]) -> T) -> T {
        make(self.now_ms.unsigned_abs(), &self.random())
    }

    /// A path parameter as text; empty if the template has no such parameter.
    pub fn path_text(&self, name: &str) -> &str {
        self.path
            .iter()
            .find(|(known, _)| *known == name)
            .map_or("", |(_, value)| value.as_str())
    }

    /// A path parameter as an id. Text that is no such id names nothing: 404.
    pub fn path_id<T: std::str::FromStr>(&self, name: &str) -> Result<T, Failure> {
        self.path_text(name)
            .parse()
            .map_err(|_| Failure::not_found())
    }

    /// The person who speaks. Routes with access `Session`, `Member` or `Operator` always have one.
    pub fn person(&self) -> Result<&SignedIn, Failure> {
        match &self.caller {
            Caller::Person(person) => Ok(person),
            _ => Err(Failure::signed_out()),
        }
    }

    /// The person, on pages that look different when signed in.
    pub fn person_optional(&self) -> Option<&SignedIn> {
        match &self.caller {
            Caller::Person(person) => Some(person),
            _ => None,
        }
    }

    /// The organisation of a `Member` route: the caller is a member, and every object named in the
    /// path belongs to it.
    pub fn organisation_id(&self) -> Result<OrganisationId, Failure> {
        self.person()?
            .membership
            .map(|(organisation_id, _)| organisation_id)
            .ok_or_else(Failure::not_found)
    }

    /// The caller's role in [`Context::organisation_id`].
    pub fn member_role(&self) -> Result<MemberRole, Failure> {
        self.person()?
            .membership
            .map(|(_, role)| role)
            .ok_or_else(Failure::not_found)
    }

    /// The body as JSON. An empty body counts as `{}`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        body::read_json(self.request.body(), self.header("content-type"))
    }

    /// The body as an HTML form.
    pub fn form(&self) -> Form {
        match self.header("content-type").and_then(multipart::boundary_of) {
            Some(boundary) => Form::parse_multipart(self.request.body(), boundary),
            None => Form::parse(self.request.body()),
        }
    }

    /// A file of a posted form; empty if none was chosen.
    pub fn file(&self, name: &str) -> &[u8] {
        let Some(boundary) = self.header("content-type").and_then(multipart::boundary_of) else {
            return &[];
        };
        multipart::parts(self.request.body(), boundary)
            .into_iter()
            .find(|part| part.is_file && part.name == name)
            .map_or(&[], |part| part.bytes)
    }

    /// The first query parameter of this name, if not empty.
    pub fn query(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.request.uri().query().unwrap_or_default().as_bytes())
            .find(|(known, value)| known == name && !value.is_empty())
            .map(|(_, value)| value.into_owned())
    }

    /// A request header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.request.headers().get(name)?.to_str().ok()
    }

    /// The name and port that the client asked for. Some hosts give it as a header, some in the URI.
    pub fn authority(&self) -> Option<&str> {
        self.header("host").or_else(|| {
            let authority = self.request.uri().authority();
            authority.map(http::uri::Authority::as_str)
        })
    }

    /// The last header of this name. Whoever stands in front appends its own behind what the client
    /// sent, so only the last one is to be believed.
    fn last_header(&self, name: &str) -> Option<&str> {
        let values = self.request.headers().get_all(name);
        values.iter().next_back()?.to_str().ok()
    }

    /// The client's network address, for throttling and evidence.
    pub fn address(&self) -> String {
        let configuration = self.configuration();
        if configuration.trusts_forwarded_for
            && let Some(last) = self
                .last_header("x-forwarded-for")
                .and_then(|list| list.rsplit(',').next())
        {
            return last.trim().chars().take(64).collect();
        }
        let peer = self.last_header("spin-client-addr").unwrap_or_default();
        let peer = peer.rsplit(',').next().unwrap_or_default().trim();
        // `ip:port`, or `[v6]:port`
        let host = peer.rsplit_once(':').map_or(peer, |(host, _)| host);
        host.trim_matches(['[', ']']).chars().take(64).collect()
    }

    /// The client's user agent, shortened.
    pub fn user_agent(&self) -> String {
        self.header("user-agent")
            .unwrap_or_default()
            .chars()
            .take(300)
            .collect()
    }

    /// Whether an answer should be JSON (the API) or a page.
    pub fn is_api(&self) -> bool {
        self.route.is_api()
    }
}
