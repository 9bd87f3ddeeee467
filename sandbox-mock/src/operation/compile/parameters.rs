//! Parameters, and the form fields of 2.0, which are parameters there and a body here.

use super::Compile;
use crate::operation::{Body, Location, MediaType, Operation, Parameter, Style};
use crate::schema::Dialect;
use crate::source::NodeId;

impl Compile<'_> {
    pub(super) fn parameter(
        &mut self,
        operation: &mut Operation,
        form: &mut Vec<NodeId>,
        node: NodeId,
    ) {
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
    pub(super) fn form_body(&mut self, fields: &[NodeId], consumes: &[String]) -> Body {
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
}
