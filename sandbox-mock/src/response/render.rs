//! Values as bytes of a media type.

use crate::json::Value;
use crate::operation::{Api, MediaType};
use crate::request::xml;
use crate::text::percent_encode;
use crate::validation::request::{essence, is_json, is_xml};

/// One transparent pixel.
const PNG: &[u8] = &[
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52,
    0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x06, 0x00, 0x00, 0x00, 0x1f, 0x15, 0xc4,
    0x89, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x44, 0x41, 0x54, 0x78, 0x9c, 0x63, 0x60, 0x00, 0x02, 0x00,
    0x00, 0x05, 0x00, 0x01, 0xe2, 0x26, 0x05, 0x9b, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44,
    0xae, 0x42, 0x60, 0x82,
];
const GIF: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x01D\x00;";
const SVG: &[u8] = b"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1\" height=\"1\"/>";
const PDF: &[u8] = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n";
const ZIP: &[u8] = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// The content type and the bytes of `value`.
pub(crate) fn render(api: &Api, media: &MediaType, value: &Value) -> (String, Vec<u8>) {
    let name = essence(&media.name);
    let content_type = match name {
        "*/*" | "" | "application/*" => "application/json",
        "image/*" => "image/png",
        "text/*" => "text/plain",
        _ => media.name.as_str(),
    };
    let text = || {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let bytes = match essence(content_type) {
        json if is_json(json) => value.to_string().into_bytes(),
        "image/svg+xml" => SVG.to_vec(),
        document if is_xml(document) => match value {
            Value::String(text) if text.trim_start().starts_with('<') => text.clone().into_bytes(),
            value => xml::write(&api.schemas, media.schema, value).into_bytes(),
        },
        "application/x-www-form-urlencoded" => form(value).into_bytes(),
        "text/event-stream" => format!(
            "data: {}\n\n",
            if value.as_str().is_some() {
                text()
            } else {
                value.to_string()
            }
        )
        .into_bytes(),
        "application/x-ndjson" | "application/jsonl" => format!("{value}\n").into_bytes(),
        "image/gif" => GIF.to_vec(),
        image if image.starts_with("image/") => PNG.to_vec(),
        "application/pdf" => PDF.to_vec(),
        "application/zip" => ZIP.to_vec(),
        _ => text().into_bytes(),
    };
    (content_type.to_owned(), bytes)
}

fn form(value: &Value) -> String {
    let pairs = value
        .as_object()
        .unwrap_or_default()
        .iter()
        .map(|(name, member)| {
            let text = member
                .as_str()
                .map_or_else(|| member.to_string(), str::to_owned);
            format!("{}={}", percent_encode(name), percent_encode(&text))
        });
    pairs.collect::<Vec<_>>().join("&")
}
