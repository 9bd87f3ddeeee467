//! Compiles the paths of a document.

mod content;
mod parameters;
mod servers;

pub(crate) use servers::base_paths;

use content::names_or_json;
use servers::served_paths;

use super::{Api, Body, Location, MediaType, Operation, SchemeKind, SecurityScheme, Status};
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
            let Some(written) = tree.get(item, method) else {
                continue;
            };
            // Documents in several files often keep each operation in its own.
            let node = match resolve_reference(tree, written) {
                Ok(node) if tree.is_object(node) => node,
                found => {
                    let reason = found.err().unwrap_or_else(|| "is not an object".to_owned());
                    let method = method.to_uppercase();
                    compile.note(
                        written,
                        format!("{method} {path}: {reason}: it is not served"),
                    );
                    continue;
                }
            };
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
