//! What every list and every object of the API has in common: an `ETag` with `304`, and lists as CSV
//! with `?format=csv`.

use http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value};

use super::response::{self, Response, etag_of, set_header};

/// What of a request decides how its answer is finished; kept, because the request is used up.
#[derive(Debug, Clone)]
pub struct Wish {
    if_none_match: Option<String>,
    file_name: Option<String>,
}

impl Wish {
    /// Reads a request; `None` where answers are left as they are.
    pub fn read(method: &http::Method, uri: &http::Uri, headers: &HeaderMap) -> Option<Self> {
        let is_read = matches!(*method, http::Method::GET | http::Method::HEAD);
        if !is_read || !uri.path().starts_with("/api/v1/") {
            return None;
        }
        let wants_csv = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
            .any(|(name, value)| name == "format" && value == "csv");
        let last = uri.path().rsplit('/').next().unwrap_or("list");
        Some(Self {
            if_none_match: headers
                .get(header::IF_NONE_MATCH)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
            file_name: wants_csv.then(|| format!("{last}.csv")),
        })
    }

    /// Finishes a JSON answer.
    pub fn finish(&self, response: Response) -> Response {
        let is_json = response
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind == "application/json");
        if response.status() != StatusCode::OK || !is_json {
            return response;
        }
        if let Some(file_name) = &self.file_name
            && let Some(csv) = csv_of(response.body())
        {
            return response::download("text/csv; charset=utf-8; header=present", file_name, csv);
        }
        if response.headers().contains_key(header::ETAG) {
            return response;
        }
        self.with_etag(response)
    }

    fn with_etag(&self, mut response: Response) -> Response {
        let etag = etag_of(response.body());
        let is_known = self.if_none_match.as_ref().is_some_and(|list| {
            list.split(',')
                .any(|known| known.trim().trim_start_matches("W/") == etag)
        });
        if is_known {
            response = Response::default();
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        set_header(&mut response, header::ETAG, &etag);
        set_header(&mut response, header::CACHE_CONTROL, "private, no-cache");
        response
    }
}

/// The `items` of a list as RFC 4180; `None` if the body is no list. Members of members become columns
/// such as `period.start`.
fn csv_of(body: &[u8]) -> Option<Vec<u8>> {
    let list: Value = serde_json::from_slice(body).ok()?;
    let items = list.get("items")?.as_array()?;
    let rows: Vec<Map<String, Value>> = items
        .iter()
        .map(|item| {
            let mut cells = Map::new();
            flatten("", item, &mut cells);
            cells
        })
        .collect();
    let mut columns: Vec<&String> = Vec::new();
    for row in &rows {
        for name in row.keys() {
            if !columns.contains(&name) {
                columns.push(name);
            }
        }
    }
    let mut text = line(columns.iter().map(|name| (*name).clone()));
    for row in &rows {
        text += &line(columns.iter().map(|name| cell(row.get(*name))));
    }
    Some(text.into_bytes())
}

fn flatten(name: &str, value: &Value, cells: &mut Map<String, Value>) {
    match value {
        Value::Object(members) => {
            for (member, value) in members {
                let full = if name.is_empty() {
                    member.clone()
                } else {
                    format!("{name}.{member}")
                };
                flatten(&full, value, cells);
            }
        }
        _ => {
            cells.insert(name.to_owned(), value.clone());
        }
    }
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => harmless(text),
        Some(Value::Array(values)) if values.iter().all(Value::is_string) => {
            let texts: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
            harmless(&texts.join(" "))
        }
        Some(other) => other.to_string(),
    }
}

/// A spreadsheet would run text that begins like a formula.
fn harmless(text: &str) -> String {
    let is_number = text.parse::<f64>().is_ok();
    if !is_number && text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

fn line(cells: impl Iterator<Item = String>) -> String {
    let quoted: Vec<String> = cells
        .map(|cell| {
            if cell.contains(['"', ',', '\n', '\r']) {
                format!("\"{}\"", cell.replace('"', "\"\""))
            } else {
                cell
            }
        })
        .collect();
    quoted.join(",") + "\r\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_becomes_a_table_that_a_spreadsheet_reads_and_never_runs() {
        let body = br#"{"items":[
            {"id":"a","name":"Acme, \"Inc\"","period":{"start":"2026"},"scopes":["x","y"],"n":-5},
            {"id":"b","name":"=HYPERLINK(1)","more":true,"none":null}
        ],"next_cursor":null}"#;
        let text = String::from_utf8(csv_of(body).unwrap()).unwrap();
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(lines[0], "id,n,name,period.start,scopes,more,none");
        assert_eq!(lines[1], "a,-5,\"Acme, \"\"Inc\"\"\",2026,x y,,");
        assert_eq!(lines[2], "b,,'=HYPERLINK(1),,,true,");
        assert!(csv_of(b"{\"id\":1}").is_none());
    }
}
