//! A document as people read it: groups of operations with parameters, bodies, answers and examples.

use sandbox_mock::document::base_path;
use sandbox_mock::source::{NodeId, Tree};
use serde_json::Value;
use shared::plan::Operation;

use super::examples::{Call, examples};
use super::schema::{kind_of, members_as_html, resolve, sample};

/// Operations under one tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The tag.
    pub name: String,
    /// Its name in URLs.
    pub slug: String,
    /// What the document says of it.
    pub description: String,
    /// Method, path and operation id of each, for lists.
    pub operations: Vec<OperationLink>,
}

/// An operation in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationLink {
    /// The operation id.
    pub id: String,
    /// `GET`.
    pub method: String,
    /// The path.
    pub path: String,
    /// What it does.
    pub summary: String,
}

/// A parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterView {
    /// Its name.
    pub name: String,
    /// `path`, `query`, `header`, `cookie`, or `form` for a field of the body.
    pub place: String,
    /// Type and bounds.
    pub kind: String,
    /// What it is for.
    pub description: String,
    /// Whether it must be there.
    pub is_required: bool,
    /// A value to begin with.
    pub sample: String,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerView {
    /// `200`.
    pub status: String,
    /// What it means.
    pub description: String,
    /// Its members, as HTML.
    pub members: String,
}

/// All of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationPage {
    /// As in lists.
    pub link: OperationLink,
    /// The long description.
    pub description: String,
    /// The scopes a key needs.
    pub scopes: String,
    /// Its parameters.
    pub parameters: Vec<ParameterView>,
    /// The members of the body, as HTML; empty if it takes none.
    pub body_members: String,
    /// A body to begin with; empty if it takes none.
    pub body_sample: String,
    /// Its answers.
    pub answers: Vec<AnswerView>,
    /// Language and text.
    pub examples: Vec<(&'static str, String)>,
}

/// A document as people read it.
pub struct Reference {
    tree: Tree,
    /// What it is called.
    pub title: String,
    /// Its version.
    pub version: String,
    /// What it says of itself.
    pub description: String,
    /// Its operations by tag, in the document's order.
    pub groups: Vec<Group>,
    nodes: Vec<(String, NodeId, NodeId)>,
    scopes: Vec<(String, String)>,
}

/// A name for URLs: small letters, digits and hyphens.
fn slug_of(name: &str) -> String {
    let mut slug = String::new();
    for letter in name.chars() {
        if letter.is_ascii_alphanumeric() {
            slug.push(letter.to_ascii_lowercase());
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "operations" } else { slug }.to_owned()
}

/// Reads a document, with the operations that the product has of it.
pub fn read_reference(document: &str, operations: &[Operation]) -> Result<Reference, String> {
    let tree = Tree::read(document.as_bytes()).map_err(|error| error.to_string())?;
    let root = tree.root();
    let info = tree.get(root, "info").unwrap_or(root);
    let text = |name: &str| tree.get_str(info, name).unwrap_or_default().to_owned();
    let base = base_path(&tree);
    let (title, version, description) = (text("title"), text("version"), text("description"));
    let mut groups: Vec<Group> = Vec::new();
    let mut nodes = Vec::new();
    let mut scopes = Vec::new();
    for operation in operations {
        let method = operation.method.to_ascii_lowercase();
        let found = tree
            .get(root, "paths")
            .and_then(|paths| {
                let path = operation.path.as_str();
                tree.get(paths, path)
                    .or_else(|| tree.get(paths, path.strip_prefix(&base)?))
            })
            .and_then(|item| Some((resolve(&tree, item), tree.get(item, &method)?)));
        let Some((item, node)) = found else {
            continue;
        };
        let tag = tree
            .get(node, "tags")
            .and_then(|tags| tree.str(*tree.entries(tags).first()?))
            .unwrap_or("Operations")
            .to_owned();
        let slug = slug_of(&tag);
        let link = OperationLink {
            id: operation.name.clone(),
            method: operation.method.clone(),
            path: operation.path.clone(),
            summary: tree
                .get_str(node, "summary")
                .unwrap_or(&operation.name)
                .to_owned(),
        };
        match groups.iter_mut().find(|group| group.slug == slug) {
            Some(group) => group.operations.push(link),
            None => groups.push(Group {
                description: tag_description(&tree, &tag),
                name: tag,
                slug,
                operations: vec![link],
            }),
        }
        nodes.push((operation.name.clone(), item, node));
        scopes.push((operation.name.clone(), operation.scopes.join(" ")));
    }
    Ok(Reference {
        title,
        version,
        description,
        groups,
        nodes,
        scopes,
        tree,
    })
}

fn tag_description(tree: &Tree, tag: &str) -> String {
    tree.get(tree.root(), "tags")
        .map_or(&[][..], |tags| tree.entries(tags))
        .iter()
        .find(|known| tree.get_str(**known, "name") == Some(tag))
        .and_then(|known| tree.get_str(*known, "description"))
        .unwrap_or_default()
        .to_owned()
}

impl Reference {
    /// One operation in full; `gateway` is where calls go.
    pub fn operation(&self, link: &OperationLink, gateway: &str) -> Option<OperationPage> {
        let tree = &self.tree;
        let (_, item, node) = self.nodes.iter().find(|(id, ..)| *id == link.id)?;
        let parameters = self.parameters(*item, *node);
        let body = self.body(*node);
        let sample_body = body.map(|(schema, example)| {
            example.unwrap_or_else(|| schema.map_or(Value::Null, |schema| sample(tree, schema)))
        });
        let url = format!("{gateway}{}", filled_path(&link.path, &parameters));
        let form = sample_form(&parameters);
        let call = Call {
            method: &link.method,
            url: &url,
            body: sample_body.as_ref(),
            form: form.as_deref(),
        };
        let (_, scopes) = self.scopes.iter().find(|(id, _)| *id == link.id)?;
        Some(OperationPage {
            link: link.clone(),
            description: tree
                .get_str(*node, "description")
                .unwrap_or_default()
                .to_owned(),
            scopes: scopes.clone(),
            body_members: self
                .body(*node)
                .and_then(|(schema, _)| schema)
                .map(|schema| members_as_html(tree, schema))
                .unwrap_or_default(),
            body_sample: sample_body
                .as_ref()
                .map(|body| serde_json::to_string_pretty(body).unwrap_or_default())
                .unwrap_or_default(),
            answers: self.answers(*node),
            examples: examples(&call),
            parameters,
        })
    }

    fn parameters(&self, item: NodeId, node: NodeId) -> Vec<ParameterView> {
        let tree = &self.tree;
        let mut views: Vec<ParameterView> = Vec::new();
        for list in [tree.get(node, "parameters"), tree.get(item, "parameters")]
            .into_iter()
            .flatten()
        {
            for parameter in tree.entries(list) {
                let parameter = resolve(tree, *parameter);
                let text = |name: &str| tree.get_str(parameter, name).unwrap_or_default();
                let (name, place) = match (text("name"), text("in")) {
                    // 2.0 has the body among the parameters.
                    (_, "body") => continue,
                    (name, "formData") => (name, "form"),
                    other => other,
                };
                // The operation's own parameter stands for the path's of the same name.
                if views
                    .iter()
                    .any(|known| known.name == name && known.place == place)
                {
                    continue;
                }
                // A parameter of 2.0 is its own schema.
                let schema = tree
                    .get(parameter, "schema")
                    .or_else(|| tree.get(parameter, "type").map(|_| parameter));
                let example = tree
                    .get(parameter, "example")
                    .map(|example| super::schema::to_json(tree, example))
                    .or_else(|| schema.map(|schema| sample(tree, schema)));
                views.push(ParameterView {
                    name: name.to_owned(),
                    place: place.to_owned(),
                    kind: schema
                        .map(|schema| kind_of(tree, schema))
                        .unwrap_or_default(),
                    description: text("description").to_owned(),
                    is_required: place == "path" || tree.get_true(parameter, "required"),
                    sample: match example {
                        Some(Value::String(text)) => text,
                        Some(Value::Null) | None => String::new(),
                        Some(other) => other.to_string(),
                    },
                });
            }
        }
        views
    }

    /// The JSON body's schema, and its first example.
    fn body(&self, node: NodeId) -> Option<(Option<NodeId>, Option<Value>)> {
        let tree = &self.tree;
        let Some(body) = tree.get(node, "requestBody") else {
            let parameters = tree.get(node, "parameters")?;
            let body = tree
                .entries(parameters)
                .iter()
                .map(|parameter| resolve(tree, *parameter))
                .find(|parameter| tree.get_str(*parameter, "in") == Some("body"))?;
            return Some((tree.get(body, "schema"), None));
        };
        let body = resolve(tree, body);
        let media = self.json_media(body)?;
        let example = tree.get(media, "example").or_else(|| {
            let examples = tree.get(media, "examples")?;
            let (_, first) = tree.members(examples).next()?;
            tree.get(resolve(tree, first), "value")
        });
        Some((
            tree.get(media, "schema"),
            example.map(|example| super::schema::to_json(tree, example)),
        ))
    }

    fn json_media(&self, holder: NodeId) -> Option<NodeId> {
        let content = self.tree.get(holder, "content")?;
        self.tree
            .members(content)
            .find(|(name, _)| name.contains("json"))
            .map(|(_, media)| media)
    }

    fn answers(&self, node: NodeId) -> Vec<AnswerView> {
        let tree = &self.tree;
        let Some(answers) = tree.get(node, "responses") else {
            return Vec::new();
        };
        tree.members(answers)
            .map(|(status, answer)| {
                let answer = resolve(tree, answer);
                AnswerView {
                    status: status.to_owned(),
                    description: tree
                        .get_str(answer, "description")
                        .unwrap_or_default()
                        .to_owned(),
                    members: self
                        .json_media(answer)
                        .or(Some(answer))
                        .and_then(|holder| tree.get(holder, "schema"))
                        .map(|schema| members_as_html(tree, schema))
                        .unwrap_or_default(),
                }
            })
            .collect()
    }
}

/// The required fields of a form with their samples; nothing where the body is no form.
fn sample_form(parameters: &[ParameterView]) -> Option<String> {
    let mut fields = parameters
        .iter()
        .filter(|parameter| parameter.place == "form")
        .peekable();
    fields.peek()?;
    let mut form = form_urlencoded::Serializer::new(String::new());
    for field in fields.filter(|field| field.is_required) {
        form.append_pair(&field.name, &field.sample);
    }
    Some(form.finish())
}

/// The path with samples where it has parameters.
fn filled_path(path: &str, parameters: &[ParameterView]) -> String {
    let mut filled = path.to_owned();
    for parameter in parameters
        .iter()
        .filter(|parameter| parameter.place == "path")
    {
        let value = if parameter.sample.is_empty() {
            "1"
        } else {
            &parameter.sample
        };
        filled = filled.replace(&format!("{{{}}}", parameter.name), value);
    }
    filled
}
