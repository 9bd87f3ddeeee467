use super::*;

fn key(environment: Environment) -> String {
    let mut next = 3_u8;
    let key = PlainKey::generate("pk", environment, |bytes| {
        for byte in bytes {
            next = next.wrapping_mul(167).wrapping_add(13);
            *byte = next;
        }
    });
    key.unwrap().expose().to_owned()
}

fn problem(file: &str) -> String {
    format!("{:#}", Programme::parse(file.as_bytes()).unwrap_err())
}

#[test]
fn every_mistake_in_a_file_is_told_by_its_field() {
    let key = key(Environment::Test);
    for (file, expected) in [
        (
            "credentials: []\nbrnad: pk".to_owned(),
            "unknown field `brnad`",
        ),
        ("plans: {}".to_owned(), "missing field `credentials`"),
        ("brand: P\ncredentials: []".to_owned(), "brand `P`"),
        (
            "credentials: [{key: pk_test_short}]".to_owned(),
            "credentials[0].key",
        ),
        (
            format!("credentials: [{{key: {key}, plan: gold}}]"),
            "credentials[0].plan",
        ),
        (
            format!("credentials: [{{key: {key}, expires_at: soon}}]"),
            "credentials[0].expires_at",
        ),
        (
            format!("credentials: [{{key: {key}, addresses: [home]}}]"),
            "credentials[0].addresses",
        ),
        (
            "credentials: []\nplans: {a: {rate_limits: [{name: burst, limit: 0, window_secs: 1}]}}"
                .to_owned(),
            "plans.a.rate_limits.burst",
        ),
    ] {
        let said = problem(&file);
        assert!(said.contains(expected), "{file}: {said}");
    }
}

#[test]
fn routes_come_from_the_document_unless_the_file_names_them() {
    let document = b"openapi: 3.0.3\ninfo: {title: t, version: '1'}\nservers: [{url: 'https://a.example/v2'}]\npaths:\n  /pets:\n    get: {operationId: listPets, responses: {'200': {description: ok}}}\n    post: {operationId: addPet, responses: {'201': {description: ok}}}\n";
    let outline = sandbox_mock::document::outline(document).unwrap();
    let own = |file: &str| {
        let operations = Programme::parse(file.as_bytes())
            .unwrap()
            .operations(&outline)
            .unwrap();
        let own = operations
            .into_iter()
            .filter(|operation| operation.name != "sandbox");
        own.map(|operation| {
            format!(
                "{} {} {}",
                operation.method, operation.path, operation.weight
            )
        })
        .collect::<Vec<_>>()
    };
    assert_eq!(
        own("credentials: []"),
        [
            "GET /v2/pets 1",
            "GET /pets 1",
            "POST /v2/pets 1",
            "POST /pets 1"
        ]
    );
    assert_eq!(
        own(
            "credentials: []\nroutes: [{operation: listPets, weight: 3}, {operation: x, method: put, path: '/x/{id}'}]"
        ),
        ["GET /v2/pets 3", "GET /pets 3", "PUT /x/{id} 1"]
    );
    let unknown = Programme::parse(b"credentials: []\nroutes: [{operation: nothing}]").unwrap();
    let said = format!("{:#}", unknown.operations(&outline).unwrap_err());
    assert!(said.contains("routes[0] `nothing`"), "{said}");
}
