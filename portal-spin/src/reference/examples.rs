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
    if let Some(body) = call.body {
        lines.push("  -H 'Content-Type: application/json'".to_owned());
        lines.push(format!("  -d {}", shell(&pretty(body))));
    }
    lines.join(" \\\n")
}

fn javascript(call: &Call) -> String {
    let (header, body) = match call.body {
        Some(body) => (
            ", \"Content-Type\": \"application/json\"",
            format!(
                "\n  body: JSON.stringify({}),",
                pretty(body).replace('\n', "\n  ")
            ),
        ),
        None => ("", String::new()),
    };
    format!(
        "const answer = await fetch({}, {{\n  method: \"{}\",\n  headers: {{ Authorization: \"Bearer {KEY}\"{header} }},{body}\n}});\nconsole.log(answer.status, await answer.text());",
        quoted(call.url),
        call.method
    )
}

fn python(call: &Call) -> String {
    let (encode, data, header) = match call.body {
        Some(body) => (
            format!(
                "body = json.dumps(json.loads({}))\n",
                quoted(&body.to_string())
            ),
            ", data=body.encode()",
            ", \"Content-Type\": \"application/json\"",
        ),
        None => (String::new(), "", ""),
    };
    let import = if call.body.is_some() {
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
    let body = call.body.map_or(String::new(), |body| {
        format!(
            "\n    .header(\"content-type\", \"application/json\")\n    .body({})",
            quoted(&body.to_string())
        )
    });
    format!(
        "// Cargo.toml: reqwest = {{ version = \"0.12\", features = [\"blocking\"] }}\nlet answer = reqwest::blocking::Client::new()\n    .request(reqwest::Method::{}, {})\n    .bearer_auth(\"{KEY}\"){body}\n    .send()?;\nprintln!(\"{{}} {{}}\", answer.status(), answer.text()?);",
        call.method,
        quoted(call.url)
    )
}

fn java(call: &Call) -> String {
    let (publisher, header) = match call.body {
        Some(body) => (
            format!("BodyPublishers.ofString({})", quoted(&body.to_string())),
            "\n    .header(\"Content-Type\", \"application/json\")",
        ),
        None => ("BodyPublishers.noBody()".to_owned(), ""),
    };
    format!(
        "// import java.net.URI; import java.net.http.*; import java.net.http.HttpRequest.BodyPublishers;\nvar request = HttpRequest.newBuilder(URI.create({}))\n    .method(\"{}\", {publisher})\n    .header(\"Authorization\", \"Bearer {KEY}\"){header}\n    .build();\nvar answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());\nSystem.out.println(answer.statusCode() + \" \" + answer.body());",
        quoted(call.url),
        call.method
    )
}

fn go(call: &Call) -> String {
    let (body, header) = match call.body {
        Some(body) => (
            format!("strings.NewReader({})", quoted(&body.to_string())),
            "\nrequest.Header.Set(\"Content-Type\", \"application/json\")",
        ),
        None => ("nil".to_owned(), ""),
    };
    format!(
        "// import: fmt, io, net/http{}\nrequest, err := http.NewRequest(\"{}\", {}, {body})\nif err != nil {{ panic(err) }}\nrequest.Header.Set(\"Authorization\", \"Bearer {KEY}\"){header}\nanswer, err := http.DefaultClient.Do(request)\nif err != nil {{ panic(err) }}\ndefer answer.Body.Close()\ntext, _ := io.ReadAll(answer.Body)\nfmt.Println(answer.StatusCode, string(text))",
        if call.body.is_some() { ", strings" } else { "" },
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
