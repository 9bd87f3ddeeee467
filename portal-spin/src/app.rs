//! The instance: takes a request, finds the route, checks access, runs the handler, finishes the answer.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bytes::Bytes;

use crate::access;
use crate::analytics;
use crate::brand::{self, Brand, BrandSettings};
use crate::configuration::Configuration;
use crate::context::{Caller, Context};
use crate::database::{Connection, DatabaseError, migrations};
use crate::ports::{Clock, Database, HttpClient, Randomness, Settings, random_bytes};
use crate::routes::{self, Found};
use crate::web::languages::{self, Language};
use crate::web::lists::Wish;
use crate::web::{Failure, Response, failure, headers, idempotency, preconditions};

/// What the host gives the portal.
pub struct Ports {
    /// Connections.
    pub database: Box<dyn Database>,
    /// Time.
    pub clock: Box<dyn Clock>,
    /// Randomness.
    pub randomness: Box<dyn Randomness>,
    /// Outbound HTTP.
    pub http: Box<dyn HttpClient>,
}

/// One instance of the portal. It serves many requests, some at the same time.
pub struct App {
    /// Connections.
    pub database: Box<dyn Database>,
    /// Time. Handlers use [`Context::now_ms`].
    pub clock: Box<dyn Clock>,
    /// Randomness. Handlers use [`Context::random`].
    pub randomness: Box<dyn Randomness>,
    /// Outbound HTTP.
    pub http: Box<dyn HttpClient>,
    /// The operator's settings.
    pub configuration: Configuration,
    migrated: Cell<bool>,
    brand: RefCell<Rc<Brand>>,
    brand_read_ms: Cell<i64>,
}

/// How long an instance shows a brand before it looks for another instance's change.
const BRAND_KEPT_MS: i64 = 3_000;

impl App {
    /// An instance with these ports and settings.
    pub async fn new(ports: Ports, settings: &dyn Settings) -> Rc<Self> {
        let configuration = Configuration::load(settings).await;
        let brand = Brand::new(&configuration, &BrandSettings::default());
        Rc::new(Self {
            database: ports.database,
            clock: ports.clock,
            randomness: ports.randomness,
            http: ports.http,
            configuration,
            migrated: Cell::new(false),
            brand: RefCell::new(Rc::new(brand)),
            brand_read_ms: Cell::new(0),
        })
    }

    /// The language of whoever asked for none of those there are.
    pub fn default_language(&self) -> Language {
        languages::find(&self.brand.borrow().language).unwrap_or(languages::english())
    }

    /// A connection to a database whose schema is current.
    pub async fn connect(&self) -> Result<Connection, DatabaseError> {
        let connection = Connection::open(self.database.as_ref()).await?;
        if !self.migrated.get() {
            migrations::migrate(&connection).await?;
            self.migrated.set(true);
        }
        Ok(connection)
    }

    /// The operator's brand, as last read.
    pub fn brand(&self) -> Rc<Brand> {
        Rc::clone(&self.brand.borrow())
    }

    /// Shows this brand from now on.
    pub fn set_brand(&self, settings: &BrandSettings, now_ms: i64) {
        *self.brand.borrow_mut() = Rc::new(Brand::new(&self.configuration, settings));
        self.brand_read_ms.set(now_ms);
    }

    /// Looks for a change of the brand, unless it did so just now.
    async fn refresh_brand(
        &self,
        connection: &Connection,
        now_ms: i64,
    ) -> Result<(), DatabaseError> {
        if now_ms - self.brand_read_ms.get() >= BRAND_KEPT_MS {
            let settings = brand::load_brand(connection).await?;
            self.set_brand(&settings, now_ms);
        }
        Ok(())
    }

    /// Answers a request. Never fails: every error is an answer.
    pub async fn handle(self: &Rc<Self>, request: http::Request<Bytes>) -> Response {
        let request_id = request_id(self, &request);
        let is_head = request.method() == http::Method::HEAD;
        let is_api = routes::is_api_path(request.uri().path());
        let wish = Wish::read(request.method(), request.uri(), request.headers());
        let asked = languages::asked(request.headers(), &self.configuration);
        let spoken = Cell::new(asked);
        let outcome = self.dispatch(request, &request_id, &spoken).await;
        let language = spoken.get().unwrap_or_else(|| self.default_language());
        let mut response = match outcome {
            Ok(response) => match wish {
                Some(wish) => wish.finish(response),
                None => response,
            },
            Err(failure) => failure::render(&failure, &request_id, is_api, self, language),
        };
        languages::finish(&mut response, language);
        headers::finish(&mut response, &request_id, &self.configuration);
        if is_head {
            *response.body_mut() = Bytes::new();
        }
        response
    }

    async fn dispatch(
        self: &Rc<Self>,
        request: http::Request<Bytes>,
        request_id: &str,
        spoken: &Cell<Option<Language>>,
    ) -> Result<Response, Failure> {
        let (route, path) = match routes::find(request.method(), request.uri().path()) {
            Found::Route(route, path) => (route, path),
            Found::OtherMethods(allowed) => return Err(Failure::method_not_allowed(&allowed)),
            Found::Nothing => return Err(Failure::not_found()),
        };
        let connection = self.connect().await?;
        let now_ms = self.clock.now_ms();
        if !route.template.starts_with("/edge/") {
            self.refresh_brand(&connection, now_ms).await?;
        }
        let mut context = Context {
            app: Rc::clone(self),
            connection,
            now_ms,
            request_id: request_id.to_owned(),
            request,
            route,
            path,
            caller: Caller::Nobody,
            language: spoken.get().unwrap_or_else(|| self.default_language()),
        };
        let checked = access::check(&mut context).await;
        if let Some(chosen) = context.person_optional().and_then(|person| person.language) {
            context.language = chosen;
            spoken.set(Some(chosen));
        }
        if let Some(answer) = checked? {
            return Ok(answer);
        }
        let outcome = match preconditions::check(&mut context).await {
            Ok(()) => idempotency::run(&context).await,
            Err(failure) => Err(failure),
        };
        let status = match &outcome {
            Ok(answer) => answer.status(),
            Err(failure) => failure.status,
        };
        match analytics::note_answer(&context, status.as_u16()).await {
            // An answer is not withheld because it could not be counted.
            Ok(()) | Err(_) => outcome,
        }
    }
}

/// The caller's request id if it is harmless in a log, or a new one.
fn request_id(app: &App, request: &http::Request<Bytes>) -> String {
    let given = request
        .headers()
        .get("x-request-id")
        .and_then(|value| value.to_str().ok())
        .filter(|value| {
            (8..=64).contains(&value.len())
                && value
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        });
    match given {
        Some(given) => given.to_owned(),
        None => crate::encoding::hex(&random_bytes::<16>(app.randomness.as_ref())),
    }
}
