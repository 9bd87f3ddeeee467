//! What a product takes from an OpenAPI document, 2.0 to 3.1: operations, their paths and scopes.

use std::collections::BTreeMap;

use sandbox_mock::document::base_path;
use sandbox_mock::source::{NodeId, Tree};
use shared::plan::Operation;

const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];

/// So many things that are wrong with a document are told at once.
const MOST_PROBLEMS: usize = 20;

/// The operations of a document, in its order. The errors say what to do, each with its line.
pub fn read_operations(
    document: &str,
    weights: &BTreeMap<String, u32>,
) -> Result<Vec<Operation>, Vec<String>> {
    let tree = Tree::read(document.as_bytes()).map_err(|error| vec![error.to_string()])?;
    let root = tree.root();
    check_version(&tree)?;
    let base = base_path(&tree);
    if !base.is_empty() && !base.starts_with('/') {
        let line = tree.get(root, "basePath").map_or(1, |node| tree.line(node));
        return Err(vec![format!(
            "line {line}: the `basePath` {base} needs a / at its beginning."
        )]);
    }
    let Some(paths) = tree.get(root, "paths") else {
        return Err(vec![format!(
            "line {}: the document has no `paths`.",
            tree.line(root)
        )]);
    };
    let mut operations: Vec<Operation> = Vec::new();
    let mut problems = Vec::new();
    for (path, item) in tree.members(paths) {
        for (method, operation) in tree
            .members(item)
            .filter(|(method, _)| METHODS.contains(method))
        {
            let name = tree.get_str(operation, "operationId").unwrap_or_default();
            let line = tree.line(operation);
            let place = format!("line {line}: {} {path}", method.to_ascii_uppercase());
            if name.is_empty() {
                problems.push(format!(
                    "{place} has no `operationId`, which usage and invoices call it by."
                ));
            } else if operations.iter().any(|known| known.name == name) {
                problems.push(format!(
                    "{place} has the `operationId` {name} of another operation."
                ));
            }
            if !is_template(path) {
                problems.push(format!(
                    "{place}: a path segment holds at most one {{parameter}}."
                ));
            }
            let weight = weights.get(name).copied().unwrap_or(1);
            if weight == 0 {
                problems.push(format!("weights.{name}: a call weighs at least 1."));
            }
            operations.push(Operation {
                name: name.to_owned(),
                method: method.to_ascii_uppercase(),
                path: format!("{base}{path}"),
                scopes: scopes(&tree, root, operation),
                weight,
                deprecated: tree.get_true(operation, "deprecated"),
            });
        }
    }
    let unknown = weights
        .keys()
        .filter(|name| !operations.iter().any(|known| known.name == **name));
    problems.extend(
        unknown.map(|name| format!("weights.{name}: the document has no operation of that name.")),
    );
    if operations.is_empty() {
        problems.push(format!(
            "line {}: the document has no operations.",
            tree.line(paths)
        ));
    }
    if problems.is_empty() {
        return Ok(operations);
    }
    problems.truncate(MOST_PROBLEMS);
    Err(problems)
}

/// YAML may hold a version as a number.
fn check_version(tree: &Tree) -> Result<(), Vec<String>> {
    let root = tree.root();
    let node = tree
        .get(root, "openapi")
        .or_else(|| tree.get(root, "swagger"));
    let version = node.map(|node| tree.value(node).to_string());
    let version = version.as_deref().unwrap_or_default().trim_matches('"');
    let name = if tree.get(root, "openapi").is_some() {
        "openapi"
    } else {
        "swagger"
    };
    if (name == "openapi" && version.starts_with("3."))
        || (name == "swagger" && matches!(version, "2" | "2.0"))
    {
        return Ok(());
    }
    let line = node.map_or(1, |node| tree.line(node));
    Err(vec![format!(
        "line {line}: this is neither an OpenAPI 3 nor a Swagger 2.0 document: its first level needs \
         `openapi: 3.0.x` or `3.1.x`, or `swagger: \"2.0\"`."
    )])
}

/// Scopes of the first security requirement, of the operation or else of the document. Further
/// requirements are alternatives in OpenAPI; an edge takes keys, so the first is the rule.
fn scopes(tree: &Tree, root: NodeId, operation: NodeId) -> Vec<String> {
    let security = tree
        .get(operation, "security")
        .or_else(|| tree.get(root, "security"));
    let Some(first) = security.and_then(|security| tree.entries(security).first().copied()) else {
        return Vec::new();
    };
    let mut scopes: Vec<String> = tree
        .members(first)
        .flat_map(|(_, names)| tree.entries(names).iter().copied())
        .filter_map(|name| tree.str(name).map(str::to_owned))
        .collect();
    scopes.sort();
    scopes.dedup();
    scopes
}

fn is_template(path: &str) -> bool {
    path.starts_with('/')
        && path.split('/').all(|segment| {
            let (open, close) = (segment.matches('{').count(), segment.matches('}').count());
            open <= 1 && open == close
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEMO: &str = include_str!("../../../examples/demo-api/openapi.yaml");

    #[test]
    fn the_demo_api_has_its_operations_with_scopes() {
        let operations = read_operations(DEMO, &BTreeMap::new()).unwrap();
        assert!(operations.len() >= 20);
        let list = operations
            .iter()
            .find(|operation| operation.name == "listOrders")
            .unwrap();
        assert_eq!(
            (list.method.as_str(), list.path.as_str()),
            ("GET", "/v1/orders")
        );
        assert_eq!(list.scopes, ["orders:read"]);
        let whoami = operations
            .iter()
            .find(|operation| operation.name == "getWhoami")
            .unwrap();
        assert!(whoami.scopes.is_empty());
    }

    #[test]
    fn deprecated_operations_are_marked() {
        let text = "openapi: 3.1.0\npaths:\n  /a:\n    get: { operationId: a, deprecated: true }\n    \
            put: { operationId: b, deprecated: false }\n";
        let operations = read_operations(text, &BTreeMap::new()).unwrap();
        assert!(operations[0].deprecated && !operations[1].deprecated);
    }

    #[test]
    fn a_document_of_2_0_has_its_base_path_and_scopes() {
        for version in ["'2.0'", "2.0"] {
            let text = format!(
                "swagger: {version}\nbasePath: /v2/\nsecurity: [{{oauth: [pets:read]}}]\npaths:\n  /pets:\n    \
                 parameters: [{{name: x, in: query, type: string}}]\n    get: {{ operationId: listPets }}\n    \
                 post: {{ operationId: addPet, security: [{{oauth: [pets:write]}}] }}\n"
            );
            let operations = read_operations(&text, &BTreeMap::new()).unwrap();
            let all: Vec<(&str, &str, &str)> = operations
                .iter()
                .map(|one| {
                    (
                        one.method.as_str(),
                        one.path.as_str(),
                        one.scopes[0].as_str(),
                    )
                })
                .collect();
            assert_eq!(
                all,
                [
                    ("GET", "/v2/pets", "pets:read"),
                    ("POST", "/v2/pets", "pets:write")
                ]
            );
        }
    }

    #[test]
    fn the_path_of_the_first_server_belongs_to_every_path() {
        let text = "openapi: 3.0.3\nservers: [{url: 'https://api.example.com/v1'}]\npaths:\n  /a:\n    get: { operationId: a }\n";
        assert_eq!(
            read_operations(text, &BTreeMap::new()).unwrap()[0].path,
            "/v1/a"
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let read = |text: &str| {
            read_operations(text, &BTreeMap::new())
                .unwrap_err()
                .join("\n")
        };
        assert!(read("swagger: '1.2'").contains("Swagger 2.0"));
        let slashless = read("info: {}\nswagger: '2.0'\nbasePath: v2\npaths: {}\n");
        assert!(
            slashless.starts_with("line 3: the `basePath` v2"),
            "{slashless}"
        );
        let nameless = read("openapi: 3.1.0\npaths:\n  /a:\n    get:\n      summary: x\n");
        assert!(
            nameless.contains("line 4") || nameless.contains("line 5"),
            "{nameless}"
        );
        assert!(
            nameless.contains("GET /a has no `operationId`"),
            "{nameless}"
        );
        assert!(read("openapi: 3.1.0\npaths: {}").contains("no operations"));
        assert!(read("info: {}\nopenapi: 2.0.0\n").starts_with("line 2:"));
        assert!(read("openapi: 3.1.0\npaths: [\n").starts_with("line "));
        let several = read(
            "openapi: 3.1.0\npaths:\n  /a:\n    get: { operationId: a }\n    put: { operationId: a }\n  /{b}{c}:\n    get: {}\n",
        );
        let lines: Vec<&str> = several.lines().map(|line| &line[..7]).collect();
        assert_eq!(lines, ["line 5:", "line 7:", "line 7:"], "{several}");
    }

    #[test]
    fn weights_must_name_operations() {
        let text = "openapi: 3.1.0\npaths:\n  /a:\n    get: { operationId: a }\n";
        let weights = BTreeMap::from([("a".to_owned(), 10)]);
        assert_eq!(read_operations(text, &weights).unwrap()[0].weight, 10);
        let wrong = BTreeMap::from([("b".to_owned(), 10)]);
        assert!(
            read_operations(text, &wrong)
                .unwrap_err()
                .join("\n")
                .contains("weights.b")
        );
    }
}
