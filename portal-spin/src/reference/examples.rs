//! The same call in six languages. Values are quoted for each, so that an example can be pasted.

use serde_json::Value;

/// A call to show.
pub struct Call<'a> {
    /// `GET`.
    pub method: &'a str,
    /// The whole address.
    pub url: &'a str,
    /// The JSON body, if it has one.
    pub body: Option<&'a Value>,
    /// The fields of a form, encoded, where the body is one.
    pub form: Option<&'a str>,
}

impl Call<'_> {
    /// The body as it goes over the wire, and its media type.
    fn payload(&self) -> Option<(&'static str, String)> {
        match (self.form, self.body) {
            (Some(form), _) => Some(("application/x-www-form-urlencoded", form.to_owned())),
            (None, Some(body)) => Some(("application/json", body.to_string())),
            (None, None) => None,
        }
    }
}

/// Where the reader's key goes.
const KEY: &str = "YOUR_TEST_KEY";

/// Language and text, in the order of the page.
pub fn examples(call: &Call) -> Vec<(&'static str, String)> {
    vec![
        ("curl", curl(call)),
        ("JavaScript", javascript(call)),
        ("Python", python(call)),
        ("Rust", rust(call)),
        ("Java", java(call)),
        ("Go", go(call)),
    ]
}

fn pretty(body: &Value) -> String {
    serde_json::to_string_pretty(body).unwrap_or_default()
}

/// A double-quoted literal as JSON, JavaScript, Java, Go, Python and Rust read it alike.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn curl(call: &Call) -> String {
    let shell = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
    let mut lines = vec![format!("curl -X {} {}", call.method, shell(call.url))];
    lines.push(format!("  -H 'Authorization: Bearer {KEY}'"));
    if let Some((media_type, text)) = call.payload() {
        let text = call
            .body
            .filter(|_| call.form.is_none())
            .map_or(text, pretty);
        lines.push(format!("  -H 'Content-Type: {media_type}'"));
        lines.push(format!("  -d {}", shell(&text)));
    }
    lines.join(" \\\n")
}

fn javascript(call: &Call) -> String {
    let (header, body) = match call.payload() {
        Some((media_type, text)) => {
            let value = match call.body.filter(|_| call.form.is_none()) {
                Some(body) => format!("JSON.stringify({})", pretty(body).replace('\n', "\n  ")),
                None => quoted(&text),
            };
            (
                format!(", \"Content-Type\": \"{media_type}\""),
                format!("\n  body: {value},"),
            )
        }
        None => (String::new(), String::new()),
    };
    format!(
        "const answer = await fetch({}, {{\n  method: \"{}\",\n  headers: {{ Authorization: \"Bearer {KEY}\"{header} }},{body}\n}});\nconsole.log(answer.status, await answer.text());",
        quoted(call.url),
        call.method
    )
}

fn python(call: &Call) -> String {
    let is_json = call.form.is_none();
    let (encode, data, header) = match call.payload() {
        Some((media_type, text)) => {
            let value = if is_json {
                format!("json.dumps(json.loads({}))", quoted(&text))
            } else {
                quoted(&text)
            };
            (
                format!("body = {value}\n"),
                ", data=body.encode()",
                format!(", \"Content-Type\": \"{media_type}\""),
            )
        }
        None => (String::new(), "", String::new()),
    };
    let import = if call.body.is_some() && is_json {
        "import json\n"
    } else {
        ""
    };
    format!(
        "{import}import urllib.request\n\n{encode}request = urllib.request.Request(\n    {}, method=\"{}\"{data},\n    headers={{\"Authorization\": \"Bearer {KEY}\"{header}}},\n)\nwith urllib.request.urlopen(request) as answer:\n    print(answer.status, answer.read().decode())",
        quoted(call.url),
        call.method
    )
}

fn rust(call: &Call) -> String {
    let body = call.payload().map_or(String::new(), |(media_type, text)| {
        format!(
            "\n    .header(\"content-type\", \"{media_type}\")\n    .body({})",
            quoted(&text)
        )
    });
    format!(
        "// Cargo.toml: reqwest = {{ version = \"0.12\", features = [\"blocking\"] }}\nlet answer = reqwest::blocking::Client::new()\n    .request(reqwest::Method::{}, {})\n    .bearer_auth(\"{KEY}\"){body}\n    .send()?;\nprintln!(\"{{}} {{}}\", answer.status(), answer.text()?);",
        call.method,
        quoted(call.url)
    )
}

fn java(call: &Call) -> String {
    let (publisher, header) = match call.payload() {
        Some((media_type, text)) => (
            format!("BodyPublishers.ofString({})", quoted(&text)),
            format!("\n    .header(\"Content-Type\", \"{media_type}\")"),
        ),
        None => ("BodyPublishers.noBody()".to_owned(), String::new()),
    };
    format!(
        "// import java.net.URI; import java.net.http.*; import java.net.http.HttpRequest.BodyPublishers;\nvar request = HttpRequest.newBuilder(URI.create({}))\n    .method(\"{}\", {publisher})\n    .header(\"Authorization\", \"Bearer {KEY}\"){header}\n    .build();\nvar answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());\nSystem.out.println(answer.statusCode() + \" \" + answer.body());",
        quoted(call.url),
        call.method
    )
}

fn go(call: &Call) -> String {
    let (body, header) = match call.payload() {
        Some((media_type, text)) => (
            format!("strings.NewReader({})", quoted(&text)),
            format!("\nrequest.Header.Set(\"Content-Type\", \"{media_type}\")"),
        ),
        None => ("nil".to_owned(), String::new()),
    };
    format!(
        "// import: fmt, io, net/http{}\nrequest, err := http.NewRequest(\"{}\", {}, {body})\nif err != nil {{ panic(err) }}\nrequest.Header.Set(\"Authorization\", \"Bearer {KEY}\"){header}\nanswer, err := http.DefaultClient.Do(request)\nif err != nil {{ panic(err) }}\ndefer answer.Body.Close()\ntext, _ := io.ReadAll(answer.Body)\nfmt.Println(answer.StatusCode, string(text))",
        if call.payload().is_some() {
            ", strings"
        } else {
            ""
        },
        call.method,
        quoted(call.url)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn quotes_in_values_do_not_end_a_literal() {
        let body = json!({ "name": "O'Hara \"x\"" });
        let call = Call {
            method: "POST",
            url: "https://api.example.com/v1/x",
            body: Some(&body),
            form: None,
        };
        let all = examples(&call);
        assert_eq!(all.len(), 6);
        assert!(all[0].1.contains("O'\\''Hara"), "{}", all[0].1);
        for (language, text) in &all[2..] {
            assert!(
                text.contains("\\\"O'Hara \\\\\\\"x\\\\\\\"\\\""),
                "{language}: {text}"
            );
        }
    }
}
