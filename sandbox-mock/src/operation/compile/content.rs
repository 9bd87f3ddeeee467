//! Responses, and what stands in bodies: media types, their schemas and examples.

use super::Compile;
use crate::operation::{DeclaredHeader, DeclaredResponse, MediaType, Status};
use crate::schema::Dialect;
use crate::source::NodeId;

impl Compile<'_> {
    pub(super) fn media_names(&self, operation: NodeId, key: &str) -> Vec<String> {
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

    pub(super) fn content(&mut self, node: NodeId) -> Vec<MediaType> {
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

    pub(super) fn response(
        &mut self,
        status: Status,
        node: NodeId,
        produces: &[String],
    ) -> DeclaredResponse {
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
}

pub(super) fn names_or_json(names: &[String]) -> impl Iterator<Item = String> {
    let default = names.is_empty().then(|| "application/json".to_owned());
    names
        .iter()
        .cloned()
        .chain(default)
        .collect::<Vec<_>>()
        .into_iter()
}
