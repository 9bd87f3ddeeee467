use super::IdleConnections;
use super::connection::Connection;
use crate::spin_host::bindings::spin::sqlite::sqlite::{Error, QueryResult, Value};

async fn open(folder: &tempfile::TempDir) -> Connection {
    open_with(folder, &IdleConnections::default()).await
}

async fn open_with(folder: &tempfile::TempDir, idle: &IdleConnections) -> Connection {
    Connection::open(&folder.path().join("sqlite_db.db"), idle)
        .await
        .unwrap()
}

async fn run(connection: &Connection, sql: &str, values: Vec<Value>) -> Result<QueryResult, Error> {
    connection.execute(sql.to_owned(), values).await
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

fn show(result: &QueryResult) -> String {
    format!("{:?}", result.rows)
}

#[tokio::test]
async fn every_storage_class_goes_in_and_comes_out() {
    let folder = tempfile::tempdir().unwrap();
    let connection = open(&folder).await;
    run(
        &connection,
        "CREATE TABLE t (i BOOLEAN, r REAL, t TEXT, b BLOB, n DATETIME)",
        vec![],
    )
    .await
    .unwrap();
    run(
        &connection,
        "INSERT INTO t VALUES (?, ?, ?, ?, ?)",
        vec![
            Value::Integer(i64::MIN),
            Value::Real(0.5),
            text("naïve\0 text"),
            Value::Blob(vec![0, 255]),
            Value::Null,
        ],
    )
    .await
    .unwrap();
    let result = run(&connection, "SELECT i, r AS ratio, t, b, n FROM t", vec![])
        .await
        .unwrap();
    assert_eq!(result.columns, ["i", "ratio", "t", "b", "n"]);
    assert!(
        matches!(
            result.rows[0].values.as_slice(),
            [Value::Integer(i64::MIN), Value::Real(0.5), Value::Text(text), Value::Blob(blob), Value::Null]
                if text == "naïve\0 text" && blob == &[0, 255]
        ),
        "{}",
        show(&result)
    );
    assert_eq!(connection.changes().await.unwrap(), 1);
    assert_eq!(connection.last_insert_rowid().await.unwrap(), 1);
}

#[tokio::test]
async fn columns_are_known_without_rows() {
    let folder = tempfile::tempdir().unwrap();
    let result = run(&open(&folder).await, "SELECT 1 AS one WHERE 0", vec![])
        .await
        .unwrap();
    assert_eq!(result.columns, ["one"]);
    assert!(result.rows.is_empty());
}

#[tokio::test]
async fn parameters_are_bound_by_position_whatever_their_number() {
    let folder = tempfile::tempdir().unwrap();
    let connection = open(&folder).await;
    // SQLite numbers `$n` in order of appearance: `$2` is the first here.
    for (sql, expected) in [
        ("SELECT ?, ?", "a b"),
        ("SELECT ?1, ?2, ?1", "a b a"),
        ("SELECT ?2, ?1", "b a"),
        ("SELECT $1, $2, $1", "a b a"),
        ("SELECT $2, $1", "a b"),
    ] {
        let result = run(&connection, sql, vec![text("a"), text("b")])
            .await
            .unwrap();
        let found: Vec<_> = result.rows[0]
            .values
            .iter()
            .map(|value| match value {
                Value::Text(text) => text.as_str(),
                _ => "?",
            })
            .collect();
        assert_eq!(found.join(" "), expected, "{sql}");
    }
}

#[tokio::test]
async fn a_wrong_number_of_parameters_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = run(&open(&folder).await, "SELECT ?, ?", vec![text("a")])
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Io(message) if message.contains("Got 1, needed 2")));
}

#[tokio::test]
async fn only_the_first_statement_of_a_string_runs() {
    let folder = tempfile::tempdir().unwrap();
    let connection = open(&folder).await;
    run(
        &connection,
        "CREATE TABLE a (x); CREATE TABLE b (x)",
        vec![],
    )
    .await
    .unwrap();
    run(&connection, "SELECT * FROM a", vec![]).await.unwrap();
    assert!(run(&connection, "SELECT * FROM b", vec![]).await.is_err());
    run(
        &connection,
        "CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM a; SELECT ';'; END",
        vec![],
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn an_error_comes_with_the_outcome_and_not_with_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let connection = open(&folder).await;
    for (sql, expected) in [
        ("SELECT * FROM nowhere", "no such table: nowhere"),
        (
            "SELEC 1",
            "near \"SELEC\": syntax error in SELEC 1 at offset 0",
        ),
    ] {
        let mut running = connection.start(sql.to_owned(), vec![]).await.unwrap();
        assert!(running.columns.is_empty());
        assert!(running.rows.recv().await.is_none());
        let error = running.outcome.await.unwrap().unwrap_err();
        assert!(
            matches!(&error, Error::Io(message) if message == expected),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_broken_constraint_is_told_in_sqlites_words() {
    let folder = tempfile::tempdir().unwrap();
    let connection = open(&folder).await;
    run(
        &connection,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, o REFERENCES t(id))",
        vec![],
    )
    .await
    .unwrap();
    run(&connection, "INSERT INTO t VALUES (1, NULL)", vec![])
        .await
        .unwrap();
    for (sql, expected) in [
        (
            "INSERT INTO t VALUES (1, NULL)",
            "UNIQUE constraint failed: t.id",
        ),
        (
            "INSERT INTO t VALUES (2, 9)",
            "FOREIGN KEY constraint failed",
        ),
    ] {
        let error = run(&connection, sql, vec![]).await.unwrap_err();
        assert!(
            matches!(&error, Error::Io(message) if message == expected),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_transaction_spans_calls_and_is_rolled_back_when_the_connection_goes() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(&folder).await;
    for sql in [
        "PRAGMA journal_mode=WAL",
        "CREATE TABLE t (x)",
        "BEGIN IMMEDIATE",
        "INSERT INTO t VALUES (1)",
        "COMMIT",
        "BEGIN IMMEDIATE",
        "INSERT INTO t VALUES (2)",
    ] {
        run(&first, sql, vec![]).await.unwrap();
    }
    drop(first);
    let second = open(&folder).await;
    // Waits for the lock of the dropped connection, if it still holds it.
    run(&second, "INSERT INTO t VALUES (3)", vec![])
        .await
        .unwrap();
    let result = run(&second, "SELECT x FROM t ORDER BY x", vec![])
        .await
        .unwrap();
    assert!(
        matches!(
            result.rows.as_slice(),
            [one, three] if matches!(one.values[0], Value::Integer(1))
                && matches!(three.values[0], Value::Integer(3))
        ),
        "{}",
        show(&result)
    );
}

#[tokio::test]
async fn an_unread_result_holds_the_connection_until_it_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let connection = open(&folder).await;
    let many = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 1000) SELECT x FROM n";
    let mut unread = connection.start(many.to_owned(), vec![]).await.unwrap();
    assert!(unread.rows.recv().await.is_some());
    let waiting = tokio::time::timeout(
        std::time::Duration::from_millis(200),
        run(&connection, "SELECT 1", vec![]),
    );
    assert!(waiting.await.is_err(), "the second statement must wait");
    drop(unread);
    run(&connection, "SELECT 1", vec![]).await.unwrap();
}

#[tokio::test]
async fn another_file_cannot_be_attached() {
    let folder = tempfile::tempdir().unwrap();
    let connection = open(&folder).await;
    let other = folder.path().join("other.db");
    let error = run(
        &connection,
        "ATTACH ? AS other",
        vec![text(&other.display().to_string())],
    )
    .await
    .unwrap_err();
    assert!(
        matches!(&error, Error::Io(message) if message.contains("not authorized")),
        "{error:?}"
    );
    assert!(!other.exists());
    run(&connection, "ATTACH ':memory:' AS scratch", vec![])
        .await
        .unwrap();
    run(&connection, "VACUUM", vec![]).await.unwrap();
}

/// What a setting of the connection is, so that one can tell a used connection from a new one.
async fn counted_changes(connection: &Connection) -> u64 {
    connection.changes().await.unwrap()
}

#[tokio::test]
async fn a_connection_is_used_again_without_its_transaction_and_its_settings() {
    let folder = tempfile::tempdir().unwrap();
    let idle = IdleConnections::default();
    let wait_until_idle = async |expected: bool| {
        for _ in 0..200 {
            if (idle.count() > 0) == expected {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("idle is not {expected}");
    };
    let first = open_with(&folder, &idle).await;
    run(&first, "CREATE TABLE t (i)", vec![]).await.unwrap();
    drop(first);
    // It changed the schema: not known to leave nothing behind.
    wait_until_idle(false).await;

    let plain = open_with(&folder, &idle).await;
    run(&plain, "INSERT INTO t VALUES (1), (2), (3)", vec![])
        .await
        .unwrap();
    drop(plain);
    wait_until_idle(true).await;
    let again = open_with(&folder, &idle).await;
    assert_eq!(counted_changes(&again).await, 3, "the same connection");

    run(&again, "BEGIN IMMEDIATE", vec![]).await.unwrap();
    run(&again, "DELETE FROM t", vec![]).await.unwrap();
    drop(again);
    wait_until_idle(false).await;
    let fresh = open_with(&folder, &idle).await;
    let left = run(&fresh, "SELECT count(*) FROM t", vec![]).await.unwrap();
    assert!(show(&left).contains("Integer(3)"), "{}", show(&left));

    run(&fresh, "PRAGMA foreign_keys = off", vec![])
        .await
        .unwrap();
    drop(fresh);
    wait_until_idle(false).await;
}
