//! Compiles the paths of a document.

use super::{
    Api, Body, DeclaredHeader, DeclaredResponse, Location, MediaType, Operation, Parameter,
    SchemeKind, SecurityScheme, Status, Style,
};
use crate::document::{Finding, METHODS};
use crate::events::Event;
use crate::schema::{Compiler, Dialect, resolve_reference};
use crate::source::{NodeId, Tree};

/// Compiles every operation. What cannot be served becomes a finding and costs no other operation anything.
pub fn compile(tree: &Tree) -> Api {
    let dialect = crate::document::dialect(tree);
    let root = tree.root();
    let mut compile = Compile {
        tree,
        dialect,
        root,
        schemas: Compiler::new(tree, dialect),
        findings: Vec::new(),
    };
    let mut api = Api {
        title: tree
            .get(root, "info")
            .and_then(|info| tree.get_str(info, "title"))
            .unwrap_or("API")
            .to_owned(),
        base_paths: served_paths(tree, root),
        ..Api::default()
    };
    api.security_schemes = compile.security_schemes();
    if tree.get(root, "paths").is_none() && tree.get(root, "webhooks").is_none() {
        compile.note(
            root,
            "there are no paths: every request is answered by 404".to_owned(),
        );
    }
    for (path, item) in tree
        .get(root, "paths")
        .into_iter()
        .flat_map(|paths| tree.members(paths))
    {
        if path.starts_with("x-") {
            continue;
        }
        let item = match resolve_reference(tree, item) {
            Ok(item) if tree.is_object(item) => item,
            Ok(item) => {
                compile.note(
                    item,
                    format!("path {path} is not an object: it is not served"),
                );
                continue;
            }
            Err(reason) => {
                compile.note(item, format!("path {path}: {reason}: it is not served"));
                continue;
            }
        };
        api.base_paths.extend(served_paths(tree, item));
        for method in METHODS {
            let Some(node) = tree.get(item, method) else {
                continue;
            };
            if !tree.is_object(node) {
                compile.note(
                    node,
                    format!(
                        "{} {path} is not an object: it is not served",
                        method.to_uppercase()
                    ),
                );
                continue;
            }
            api.base_paths.extend(served_paths(tree, node));
            let mut operation = compile.operation(&api.security_schemes, method, path, item, node);
            operation.index = api.operations.len();
            compile.callbacks(node, operation.index, &mut api.events);
            api.operations.push(operation);
        }
    }
    let webhooks = tree.get(root, "webhooks");
    for (name, item) in webhooks
        .or_else(|| tree.get(root, "x-webhooks"))
        .into_iter()
        .flat_map(|webhooks| tree.members(webhooks))
    {
        compile.events(name, item, None, &mut api.events);
        api.webhooks += 1;
    }
    api.base_paths.retain(|path| !path.is_empty());
    // The longest first, and what is written out before what has variables.
    api.base_paths
        .sort_by_key(|path| (path.contains('{'), std::cmp::Reverse(path.len())));
    api.base_paths.dedup();
    let Compile {
        schemas,
        mut findings,
        ..
    } = compile;
    let (schemas, schema_findings) = schemas.finish();
    findings.extend(schema_findings);
    findings.sort_by_key(|finding| (finding.position.file.clone(), finding.position.line));
    api.schemas = schemas;
    api.findings = findings;
    api
}

/// The paths of the servers of a document, the first one first; empty where a server has none.
pub(crate) fn base_paths(tree: &Tree, root: NodeId) -> Vec<String> {
    if let Some(base) = tree.get_str(root, "basePath") {
        return vec![base.trim_end_matches('/').to_owned()];
    }
    tree.get(root, "servers")
        .map(|servers| server_paths(tree, servers))
        .unwrap_or_default()
}

/// The paths of the servers with the defaults of their variables.
fn server_paths(tree: &Tree, servers: NodeId) -> Vec<String> {
    let entries = tree.entries(servers).iter();
    entries
        .filter_map(|server| {
            let mut url = tree.get_str(*server, "url")?.to_owned();
            for (name, values) in server_variables(tree, *server) {
                let default = values.first().map_or("", String::as_str);
                url = url.replace(&format!("{{{name}}}"), default);
            }
            Some(path_of_url(&url))
        })
        .collect()
}

/// The paths that a request may carry: also those with the other values of a variable. One that is free in its
/// values stays as `{name}`.
fn served_paths(tree: &Tree, holder: NodeId) -> Vec<String> {
    const MOST: usize = 64;
    if tree.get_str(holder, "basePath").is_some() {
        return base_paths(tree, holder);
    }
    let servers = tree.get(holder, "servers");
    let mut paths = servers
        .map(|servers| server_paths(tree, servers))
        .unwrap_or_default();
    for server in servers
        .map(|servers| tree.entries(servers))
        .unwrap_or_default()
    {
        let mut urls = vec![
            tree.get_str(*server, "url")
                .map(path_of_url)
                .unwrap_or_default(),
        ];
        for (name, values) in server_variables(tree, *server) {
            let placeholder = format!("{{{name}}}");
            if values.len() > 1 && urls.len() * values.len() <= MOST {
                urls = urls
                    .iter()
                    .flat_map(|url| {
                        values
                            .iter()
                            .map(|value| url.replace(&placeholder, value))
                            .collect::<Vec<_>>()
                    })
                    .collect();
            }
        }
        for url in urls {
            if !paths.contains(&url) {
                paths.push(url);
            }
        }
    }
    paths
}

/// The variables of a server, each with its default and then its other values.
fn server_variables(tree: &Tree, server: NodeId) -> Vec<(&str, Vec<String>)> {
    let text = |node| {
        tree.value(node)
            .to_string()
            .trim_matches('"')
            .trim_matches('/')
            .to_owned()
    };
    tree.get(server, "variables")
        .into_iter()
        .flat_map(|node| tree.members(node))
        .map(|(name, variable)| {
            let mut values: Vec<String> = tree
                .get(variable, "default")
                .map(text)
                .into_iter()
                .collect();
            let others = tree.get(variable, "enum");
            for other in others.map(|node| tree.entries(node)).unwrap_or_default() {
                let other = text(*other);
                if !values.contains(&other) {
                    values.push(other);
                }
            }
            (name, values)
        })
        .collect()
}

/// The path of a URL, without a slash at its end.
fn path_of_url(url: &str) -> String {
    let after_host = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or(""),
        None => url,
    };
    let path = after_host.split(['?', '#']).next().unwrap_or("");
    let path = path.trim_end_matches('/');
    if path.is_empty() || path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    }
}

struct Compile<'t> {
    tree: &'t Tree,
    dialect: Dialect,
    root: NodeId,
    schemas: Compiler<'t>,
    findings: Vec<Finding>,
}

impl Compile<'_> {
    fn note(&mut self, node: NodeId, reason: String) {
        self.findings.push(Finding {
            position: self.tree.position(node),
            reason,
        });
    }

    /// The node behind a reference; a reference that leads nowhere is noted.
    fn resolved(&mut self, node: NodeId, what: &str) -> Option<NodeId> {
        match resolve_reference(self.tree, node) {
            Ok(node) => Some(node),
            Err(reason) => {
                self.note(node, format!("{reason}: {what} is left out"));
                None
            }
        }
    }

    fn security_schemes(&mut self) -> Vec<SecurityScheme> {
        let tree = self.tree;
        let declared = match self.dialect {
            Dialect::V2 => tree.get(self.root, "securityDefinitions"),
            _ => tree.pointer(self.root, "/components/securitySchemes"),
        };
        let mut schemes = Vec::new();
        for (name, node) in declared.into_iter().flat_map(|node| tree.members(node)) {
            let Some(node) = self.resolved(node, "the security scheme") else {
                continue;
            };
            let text = |key| tree.get_str(node, key).unwrap_or_default();
            let kind = match text("type") {
                "basic" => SchemeKind::Basic,
                "http" => match text("scheme").to_ascii_lowercase().as_str() {
                    "basic" => SchemeKind::Basic,
                    "bearer" | "" => SchemeKind::Bearer,
                    other => SchemeKind::Authorisation(other.to_owned()),
                },
                "oauth2" | "openIdConnect" => SchemeKind::Bearer,
                "apiKey" => {
                    let location = match text("in") {
                        "query" => Location::Query,
                        "cookie" => Location::Cookie,
                        _ => Location::Header,
                    };
                    SchemeKind::Key(location, text("name").to_owned())
                }
                _ => SchemeKind::Invisible,
            };
            schemes.push(SecurityScheme {
                name: name.to_owned(),
                kind,
            });
        }
        schemes
    }

    fn operation(
        &mut self,
        schemes: &[SecurityScheme],
        method: &str,
        path: &str,
        item: NodeId,
        node: NodeId,
    ) -> Operation {
        let tree = self.tree;
        let (template, fragment) = match path.split_once('#') {
            Some((template, fragment)) => (template, Some(fragment.to_owned())),
            None => (path, None),
        };
        let mut operation = Operation {
            method: method.to_ascii_uppercase(),
            path: if template.starts_with('/') {
                template.to_owned()
            } else {
                format!("/{template}")
            },
            fragment,
            id: crate::document::operation_id(tree, node, method, path),
            line: tree.line(node),
            ..Operation::default()
        };
        let mut form = Vec::new();
        for list in [tree.get(item, "parameters"), tree.get(node, "parameters")]
            .into_iter()
            .flatten()
        {
            for entry in tree.entries(list) {
                let Some(parameter) = self.resolved(*entry, "the parameter") else {
                    continue;
                };
                self.parameter(&mut operation, &mut form, parameter);
            }
        }
        if let Some(body) = tree
            .get(node, "requestBody")
            .and_then(|body| self.resolved(body, "the request body"))
        {
            operation.body = Some(Body {
                required: tree.get_true(body, "required"),
                content: self.content(body),
            });
        }
        let consumes = self.media_names(node, "consumes");
        if let Some(body) = &mut operation.body {
            // The media types of a 2.0 body stand elsewhere.
            if let [only] = body.content.as_mut_slice()
                && only.name.is_empty()
            {
                let schema = only.schema;
                body.content = names_or_json(&consumes)
                    .map(|name| MediaType {
                        name,
                        schema,
                        examples: Vec::new(),
                    })
                    .collect();
            }
        }
        if !form.is_empty() {
            operation.body = Some(self.form_body(&form, &consumes));
        }
        let produces = self.media_names(node, "produces");
        for (status, response) in tree
            .get(node, "responses")
            .into_iter()
            .flat_map(|node| tree.members(node))
        {
            let Some(status) = read_status(status) else {
                continue;
            };
            if let Some(response) = self.resolved(response, "the response") {
                let declared = self.response(status, response, &produces);
                operation.responses.push(declared);
            }
        }
        operation.security = self.security(schemes, node);
        operation
    }

    fn callbacks(&mut self, node: NodeId, operation: usize, events: &mut Vec<Event>) {
        let tree = self.tree;
        for (name, callback) in tree
            .get(node, "callbacks")
            .into_iter()
            .flat_map(|callbacks| tree.members(callbacks))
        {
            let Some(callback) = self.resolved(callback, "the callback") else {
                continue;
            };
            for (expression, item) in tree.members(callback) {
                if !expression.starts_with("x-") {
                    self.events(name, item, Some((operation, expression.to_owned())), events);
                }
            }
        }
    }

    /// What the path item of a webhook or callback sends.
    fn events(
        &mut self,
        name: &str,
        item: NodeId,
        callback: Option<(usize, String)>,
        events: &mut Vec<Event>,
    ) {
        let tree = self.tree;
        let Some(item) = self.resolved(item, "the event") else {
            return;
        };
        for method in METHODS {
            let Some(node) = tree.get(item, method) else {
                continue;
            };
            let body = tree
                .get(node, "requestBody")
                .and_then(|body| self.resolved(body, "the body of the event"));
            events.push(Event {
                name: name.to_owned(),
                method: method.to_ascii_uppercase(),
                content: body.map(|body| self.content(body)).unwrap_or_default(),
                callback: callback.clone(),
            });
        }
    }

    fn media_names(&self, operation: NodeId, key: &str) -> Vec<String> {
        let tree = self.tree;
        let declared = tree
            .get(operation, key)
            .or_else(|| tree.get(self.root, key));
        declared
            .map(|node| tree.entries(node))
            .unwrap_or_default()
            .iter()
            .filter_map(|entry| tree.str(*entry))
            .map(str::to_ascii_lowercase)
            .collect()
    }

    fn parameter(&mut self, operation: &mut Operation, form: &mut Vec<NodeId>, node: NodeId) {
        let tree = self.tree;
        let name = tree.get_str(node, "name").unwrap_or_default().to_owned();
        let location = match tree.get_str(node, "in") {
            Some("path") => Location::Path,
            Some("query") => Location::Query,
            Some("header") => Location::Header,
            Some("cookie") => Location::Cookie,
            Some("body") => {
                let schema = tree
                    .get(node, "schema")
                    .map(|schema| self.schemas.schema(schema));
                operation.body = Some(Body {
                    required: tree.get_true(node, "required"),
                    content: vec![MediaType {
                        name: String::new(),
                        schema,
                        examples: Vec::new(),
                    }],
                });
                return;
            }
            Some("formData") => {
                form.push(node);
                return;
            }
            other => {
                self.note(
                    node,
                    format!(
                        "parameter {name} is in {}: it is ignored",
                        other.unwrap_or("nothing")
                    ),
                );
                return;
            }
        };
        // These three are described elsewhere in the document and ignored here, as the specification says.
        let reserved = ["accept", "content-type", "authorization"];
        if location == Location::Header && reserved.contains(&name.to_ascii_lowercase().as_str()) {
            return;
        }
        let content = tree
            .get(node, "content")
            .and_then(|content| tree.members(content).next().map(|(_, media)| media));
        let schema = match (tree.get(node, "schema"), content) {
            (Some(schema), _) => Some(schema),
            (None, Some(media)) => tree.get(media, "schema"),
            (None, None) => (self.dialect == Dialect::V2).then_some(node),
        };
        let (style, explode) = match tree.get_str(node, "style") {
            _ if content.is_some() && tree.get(node, "schema").is_none() => (Style::Json, false),
            Some("simple") => (Style::Simple, false),
            Some("label") => (Style::Label, false),
            Some("matrix") => (Style::Matrix, false),
            Some("spaceDelimited") => (Style::Space, false),
            Some("pipeDelimited") => (Style::Pipe, false),
            Some("deepObject") => (Style::DeepObject, true),
            Some(_) => (Style::Form, true),
            None => match (location, tree.get_str(node, "collectionFormat")) {
                (_, Some("multi")) => (Style::Form, true),
                (_, Some("ssv")) => (Style::Space, false),
                (_, Some("pipes")) => (Style::Pipe, false),
                (Location::Query | Location::Cookie, None) if self.dialect != Dialect::V2 => {
                    (Style::Form, true)
                }
                (Location::Query | Location::Cookie, _) => (Style::Form, false),
                _ => (Style::Simple, false),
            },
        };
        let explode = tree
            .get(node, "explode")
            .and_then(|node| tree.bool(node))
            .unwrap_or(explode);
        let parameter = Parameter {
            required: tree.get_true(node, "required") || location == Location::Path,
            allow_empty: tree.get_true(node, "allowEmptyValue"),
            schema: schema.map(|schema| self.schemas.schema(schema)),
            name,
            location,
            style,
            explode,
        };
        // An operation's parameter replaces the path's one of the same name and place.
        operation
            .parameters
            .retain(|known| known.name != parameter.name || known.location != location);
        operation.parameters.push(parameter);
    }

    /// The form fields of a 2.0 operation as one body.
    fn form_body(&mut self, fields: &[NodeId], consumes: &[String]) -> Body {
        let schema = self.schemas.form(fields);
        let tree = self.tree;
        let has_file = fields
            .iter()
            .any(|field| tree.get_str(*field, "type") == Some("file"));
        let default = if has_file {
            "multipart/form-data"
        } else {
            "application/x-www-form-urlencoded"
        };
        let forms: Vec<String> = consumes
            .iter()
            .filter(|name| name.contains("form"))
            .cloned()
            .collect();
        let names = if forms.is_empty() {
            vec![default.to_owned()]
        } else {
            forms
        };
        Body {
            required: fields.iter().any(|field| tree.get_true(*field, "required")),
            content: names
                .into_iter()
                .map(|name| MediaType {
                    name,
                    schema: Some(schema),
                    examples: Vec::new(),
                })
                .collect(),
        }
    }

    fn content(&mut self, node: NodeId) -> Vec<MediaType> {
        let tree = self.tree;
        let mut content = Vec::new();
        for (name, media) in tree
            .get(node, "content")
            .into_iter()
            .flat_map(|node| tree.members(node))
        {
            let schema = tree
                .get(media, "schema")
                .map(|schema| self.schemas.schema(schema));
            content.push(MediaType {
                name: name.to_ascii_lowercase(),
                schema,
                examples: self.examples(media),
            });
        }
        content
    }

    fn examples(&mut self, media: NodeId) -> Vec<(String, Box<str>)> {
        let tree = self.tree;
        let mut examples = Vec::new();
        if let Some(example) = tree.get(media, "example") {
            examples.push((String::new(), tree.value(example).to_string().into()));
        }
        for (name, example) in tree
            .get(media, "examples")
            .into_iter()
            .flat_map(|node| tree.members(node))
        {
            let Some(example) = self.resolved(example, "the example") else {
                continue;
            };
            if let Some(value) = tree.get(example, "value") {
                examples.push((name.to_owned(), tree.value(value).to_string().into()));
            }
        }
        examples
    }

    fn response(&mut self, status: Status, node: NodeId, produces: &[String]) -> DeclaredResponse {
        let tree = self.tree;
        let mut content = self.content(node);
        if self.dialect == Dialect::V2
            && let Some(schema) = tree.get(node, "schema")
        {
            let schema = Some(self.schemas.schema(schema));
            let examples = tree.get(node, "examples");
            content = names_or_json(produces)
                .map(|name| {
                    let declared = examples.and_then(|examples| tree.get(examples, &name));
                    let examples = declared
                        .map(|example| (String::new(), tree.value(example).to_string().into()));
                    MediaType {
                        name,
                        schema,
                        examples: examples.into_iter().collect(),
                    }
                })
                .collect();
        }
        let mut headers = Vec::new();
        for (name, header) in tree
            .get(node, "headers")
            .into_iter()
            .flat_map(|node| tree.members(node))
        {
            let Some(header) = self.resolved(header, "the header") else {
                continue;
            };
            if name.eq_ignore_ascii_case("content-type") {
                continue;
            }
            let schema = match self.dialect {
                Dialect::V2 => Some(header),
                _ => tree.get(header, "schema"),
            };
            headers.push(DeclaredHeader {
                name: name.to_owned(),
                required: tree.get_true(header, "required"),
                schema: schema.map(|schema| self.schemas.schema(schema)),
                example: tree
                    .get(header, "example")
                    .map(|example| tree.value(example).to_string().into()),
            });
        }
        DeclaredResponse {
            status,
            headers,
            content,
        }
    }

    fn security(&mut self, schemes: &[SecurityScheme], node: NodeId) -> Vec<Vec<usize>> {
        let tree = self.tree;
        let Some(security) = tree
            .get(node, "security")
            .or_else(|| tree.get(self.root, "security"))
        else {
            return Vec::new();
        };
        let mut alternatives = Vec::new();
        for requirement in tree.entries(security) {
            let mut needed = Vec::new();
            let mut known = true;
            for (name, _) in tree.members(*requirement) {
                match schemes.iter().position(|scheme| scheme.name == name) {
                    Some(index) => needed.push(index),
                    None => {
                        known = false;
                        let finding = Finding {
                            position: tree.position(*requirement),
                            reason: format!(
                                "security scheme {name} is not declared: it is not asked for"
                            ),
                        };
                        if !self.findings.contains(&finding) {
                            self.findings.push(finding);
                        }
                    }
                }
            }
            if !known && needed.is_empty() {
                continue;
            }
            alternatives.push(needed);
        }
        alternatives
    }
}

fn names_or_json(names: &[String]) -> impl Iterator<Item = String> {
    let default = names.is_empty().then(|| "application/json".to_owned());
    names
        .iter()
        .cloned()
        .chain(default)
        .collect::<Vec<_>>()
        .into_iter()
}

fn read_status(text: &str) -> Option<Status> {
    if text == "default" {
        return Some(Status::Default);
    }
    if let Some(class) = text.strip_suffix("XX").or_else(|| text.strip_suffix("xx")) {
        return class
            .parse()
            .ok()
            .filter(|class| (1..=5).contains(class))
            .map(Status::Class);
    }
    text.parse()
        .ok()
        .filter(|code| (100..=599).contains(code))
        .map(Status::Code)
}
