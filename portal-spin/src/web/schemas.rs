//! JSON types that are described by hand, because they come from `shared`.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

/// Describes `shared::problem::Problem`.
pub struct ProblemSchema;

impl JsonSchema for ProblemSchema {
    fn schema_name() -> Cow<'static, str> {
        "Problem".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "RFC 9457 problem details.",
            "type": "object",
            "required": ["type", "title", "status", "detail", "code", "request_id", "help"],
            "properties": {
                "type": { "type": "string", "format": "uri-reference" },
                "title": { "type": "string" },
                "status": { "type": "integer" },
                "detail": { "type": "string" },
                "code": { "type": "string", "pattern": "^[a-z0-9_]+$" },
                "request_id": { "type": "string" },
                "help": { "type": "string", "format": "uri-reference" },
                "violated-policies": { "type": "array", "items": { "type": "string" } },
                "errors": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["field", "code", "detail"],
                        "properties": {
                            "field": { "type": "string" },
                            "code": { "type": "string" },
                            "detail": { "type": "string" }
                        }
                    }
                }
            }
        })
    }
}
