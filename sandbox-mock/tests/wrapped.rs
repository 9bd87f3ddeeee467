//! Items whose answers and bodies are wrapped, whose id is the end of the parameter's name, and that name others.

mod calls;

use sandbox_mock::Mock;
use sandbox_mock::json::{Value, read};
use sandbox_mock::state::MemoryStore;

const DOCUMENT: &[u8] = br"
openapi: 3.0.3
info: {title: wrapped, version: '1'}
paths:
  /tasks:
    post:
      requestBody: {required: true, content: {application/json: {schema: {type: object, required: [data], properties: {data: {$ref: '#/components/schemas/TaskChange'}}}}}}
      responses: {'201': {description: ok, content: {application/json: {schema: {$ref: '#/components/schemas/OneTask'}}}}}
    get:
      parameters: [{name: assignee, in: query, schema: {type: string}}]
      responses: {'200': {description: ok, content: {application/json: {schema: {type: object, properties: {data: {type: array, items: {$ref: '#/components/schemas/Task'}}}}}}}}
  /tasks/{task_gid}:
    parameters: [{name: task_gid, in: path, required: true, schema: {type: string}}]
    get:
      responses: {'200': {description: ok, content: {application/json: {schema: {$ref: '#/components/schemas/OneTask'}}}}}
    put:
      requestBody: {required: true, content: {application/json: {schema: {type: object, properties: {data: {$ref: '#/components/schemas/TaskChange'}}}}}}
      responses: {'200': {description: ok, content: {application/json: {schema: {$ref: '#/components/schemas/OneTask'}}}}}
  /Invoices:
    post:
      requestBody: {required: true, content: {application/json: {schema: {type: object, properties: {Invoices: {type: array, items: {$ref: '#/components/schemas/Invoice'}}}}}}}
      responses: {'200': {description: ok, content: {application/json: {schema: {$ref: '#/components/schemas/Invoices'}}}}}
    get:
      responses: {'200': {description: ok, content: {application/json: {schema: {$ref: '#/components/schemas/Invoices'}}}}}
  /Invoices/{InvoiceID}:
    parameters: [{name: InvoiceID, in: path, required: true, schema: {type: string, format: uuid}}]
    get:
      responses: {'200': {description: ok, content: {application/json: {schema: {$ref: '#/components/schemas/Invoices'}}}}}
    post:
      requestBody: {required: true, content: {application/json: {schema: {$ref: '#/components/schemas/Invoices'}}}}
      responses: {'200': {description: ok, content: {application/json: {schema: {$ref: '#/components/schemas/Invoices'}}}}}
  /indexes:
    post:
      requestBody: {required: true, content: {application/json: {schema: {type: object, required: [uid], properties: {uid: {type: string}}}}}}
      responses: {'202': {description: queued, content: {application/json: {schema: {type: object, required: [taskNumber, indexUid], properties: {taskNumber: {type: integer}, indexUid: {type: string}}}}}}}
    get:
      responses: {'200': {description: ok, content: {application/json: {schema: {type: object, properties: {results: {type: array, items: {$ref: '#/components/schemas/Index'}}}}}}}}
  /indexes/{indexUid}:
    parameters: [{name: indexUid, in: path, required: true, schema: {type: string}}]
    get:
      responses: {'200': {description: ok, content: {application/json: {schema: {$ref: '#/components/schemas/Index'}}}}}
components:
  schemas:
    Index: {type: object, required: [uid], properties: {uid: {type: string}, primaryKey: {type: string}}}
    Person: {type: object, required: [gid, name], properties: {gid: {type: string}, name: {type: string}}}
    TaskChange: {type: object, properties: {name: {type: string}, assignee: {type: string}}}
    Task: {type: object, required: [gid, name, assignee], properties: {gid: {type: string, example: '12345'}, name: {type: string}, assignee: {$ref: '#/components/schemas/Person'}}}
    OneTask: {type: object, required: [data], properties: {data: {$ref: '#/components/schemas/Task'}}}
    Invoice: {type: object, properties: {InvoiceID: {type: string, format: uuid}, Reference: {type: string}}}
    Invoices: {type: object, required: [Invoices], properties: {Warnings: {type: array, items: {type: object, properties: {Message: {type: string}}}}, Invoices: {type: array, items: {$ref: '#/components/schemas/Invoice'}}}}
";

struct Sandbox {
    mock: Mock,
    store: MemoryStore,
}

impl Sandbox {
    fn new() -> Self {
        let (mock, summary) = Mock::from_source(DOCUMENT).unwrap();
        assert_eq!(summary.collections, 3);
        Self {
            mock,
            store: MemoryStore::default(),
        }
    }

    fn send(&mut self, method: &str, target: &str, body: &str) -> Value {
        let response = calls::send(&self.mock, &mut self.store, method, target, body);
        assert!(
            response.status < 300,
            "{method} {target}: {} {}",
            response.status,
            String::from_utf8_lossy(&response.body)
        );
        read(&response.body).unwrap()
    }
}

fn text<'v>(value: &'v Value, path: &[&str]) -> &'v str {
    let found = path.iter().try_fold(value, |value, name| {
        let first = value.as_array().and_then(<[Value]>::first);
        first.unwrap_or(value).get(name)
    });
    found.and_then(Value::as_str).unwrap_or("nothing")
}

#[test]
fn a_wrapped_item_is_created_changed_and_shown_under_the_id_that_its_path_names() {
    let mut sandbox = Sandbox::new();
    let created = sandbox.send("POST", "/tasks", r#"{"data":{"name":"first"}}"#);
    let gid = text(&created, &["data", "gid"]).to_owned();
    let path = format!("/tasks/{gid}");
    let shown = sandbox.send("GET", &path, "");
    assert!(shown.same(&created), "{shown}");
    sandbox.send("PUT", &path, r#"{"data":{"name":"second"}}"#);
    let shown = sandbox.send("GET", &path, "");
    assert_eq!(text(&shown, &["data", "name"]), "second");
    assert_eq!(text(&shown, &["data", "gid"]), gid);
    assert_eq!(text(&shown, &["data", "data", "name"]), "nothing");
}

#[test]
fn an_id_that_was_sent_is_shown_as_the_object_it_names_and_lists_are_filtered_by_it() {
    let mut sandbox = Sandbox::new();
    for (name, assignee) in [("first", "41"), ("second", "42")] {
        let body = format!(r#"{{"data":{{"name":"{name}","assignee":"{assignee}"}}}}"#);
        let created = sandbox.send("POST", "/tasks", &body);
        assert_eq!(text(&created, &["data", "assignee", "gid"]), assignee);
    }
    let listed = sandbox.send("GET", "/tasks?assignee=41", "");
    let entries = listed.get("data").and_then(Value::as_array).unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(text(&listed, &["data", "name"]), "first");
}

#[test]
fn an_item_that_comes_as_a_list_of_one_is_remembered() {
    let mut sandbox = Sandbox::new();
    let created = sandbox.send("POST", "/Invoices", r#"{"Invoices":[{"Reference":"a"}]}"#);
    let path = format!("/Invoices/{}", text(&created, &["Invoices", "InvoiceID"]));
    let shown = sandbox.send("GET", &path, "");
    assert_eq!(text(&shown, &["Invoices", "Reference"]), "a");
    sandbox.send("POST", &path, r#"{"Invoices":[{"Reference":"b"}]}"#);
    sandbox.send("POST", "/Invoices", r#"{"Invoices":[{"Reference":"c"}]}"#);
    let shown = sandbox.send("GET", &path, "");
    assert_eq!(text(&shown, &["Invoices", "Reference"]), "b");
    let listed = sandbox.send("GET", "/Invoices", "");
    let entries = listed.get("Invoices").and_then(Value::as_array).unwrap();
    assert_eq!(entries.len(), 2);
}

#[test]
fn the_id_that_a_client_chose_is_the_items_also_where_the_answer_calls_it_otherwise() {
    let mut sandbox = Sandbox::new();
    let created = sandbox.send("POST", "/indexes", r#"{"uid":"movies"}"#);
    assert_eq!(text(&created, &["indexUid"]), "movies");
    let shown = sandbox.send("GET", "/indexes/movies", "");
    assert_eq!(text(&shown, &["uid"]), "movies");
    let listed = sandbox.send("GET", "/indexes", "");
    assert_eq!(text(&listed, &["results", "uid"]), "movies");
}
