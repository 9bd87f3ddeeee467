use super::migrations::{MIGRATIONS, Migration, migrate, migrate_with, statements};
use super::{Connection, DatabaseError, next_number, placeholders, sqlite_placeholders};
use crate::params;
use crate::testing::on_every_database;

#[test]
fn placeholders_are_numbered_through() {
    assert_eq!(placeholders(2, 2), "($1, $2), ($3, $4)");
}

#[test]
fn placeholders_are_rewritten_outside_quotes_only() {
    assert_eq!(
        sqlite_placeholders("SELECT '$1', \"$2\", $2 FROM t WHERE a = $1"),
        "SELECT '$1', \"$2\", ?2 FROM t WHERE a = ?1"
    );
    // In order, each once: no names that have to be looked for.
    assert_eq!(
        sqlite_placeholders("VALUES ($1, '$9', $2), ($3, $4)"),
        "VALUES (?, '$9', ?), (?, ?)"
    );
    assert_eq!(
        sqlite_placeholders("a = $1 OR b = $1 OR c = $2"),
        "a = ?1 OR b = ?1 OR c = ?2"
    );
}

#[test]
fn a_file_is_split_into_statements_without_comments() {
    assert_eq!(
        statements(
            "-- first; not a statement\nCREATE TABLE a (b TEXT DEFAULT ';'); \n\n SELECT 1;"
        ),
        ["CREATE TABLE a (b TEXT DEFAULT ';')", "SELECT 1"]
    );
}

#[test]
fn migrations_use_only_types_that_both_engines_and_drivers_agree_on() {
    for migration in MIGRATIONS {
        let words: Vec<String> = statements(migration.sql)
            .join(" ")
            .split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
            .map(str::to_owned)
            .collect();
        for word in words {
            assert!(
                ![
                    "INTEGER",
                    "INT",
                    "BOOLEAN",
                    "REAL",
                    "SERIAL",
                    "TIMESTAMP",
                    "BLOB",
                    "VARCHAR",
                    "JSONB",
                    "AUTOINCREMENT",
                    "NUMERIC"
                ]
                .contains(&word.to_ascii_uppercase().as_str()),
                "{}: write BIGINT, TEXT or BYTEA instead of {word}",
                migration.name
            );
        }
    }
}

#[test]
fn migrations_are_numbered_upwards_and_named_by_their_number() {
    for pair in MIGRATIONS.windows(2) {
        assert!(
            pair[0].number < pair[1].number,
            "{} comes too late",
            pair[1].name
        );
    }
    for migration in MIGRATIONS {
        assert!(
            migration
                .name
                .starts_with(&format!("{:04}_", migration.number))
        );
    }
}

on_every_database! {
    async fn migrating_twice_changes_nothing(portal: TestPortal) {
        let connection = portal.app.connect().await.unwrap();
        migrate(&connection).await.unwrap();
        let count: i64 = connection.query_one("SELECT COUNT(*) FROM migrations", vec![]).await.unwrap().get(0).unwrap();
        assert_eq!(count, MIGRATIONS.len() as i64);
    }

    async fn a_fingerprint_of_another_list_is_not_believed(portal: TestPortal) {
        let connection = portal.app.connect().await.unwrap();
        let read = async || -> i64 {
            let sql = "SELECT fingerprint FROM schema_fingerprints";
            connection.query_one(sql, vec![]).await.unwrap().get(0).unwrap()
        };
        let right = read().await;
        // What only the whole way finds: a migration that this list has and the database has not.
        connection.execute("DROP TABLE schema_fingerprints", vec![]).await.unwrap();
        connection.execute("DELETE FROM migrations WHERE migration_id = 124", vec![]).await.unwrap();
        migrate(&connection).await.unwrap();
        assert_eq!(read().await, right);
        connection.execute("UPDATE schema_fingerprints SET fingerprint = 1", vec![]).await.unwrap();
        migrate(&connection).await.unwrap();
        assert_eq!(read().await, right);
    }

    async fn a_database_of_a_newer_portal_is_refused(portal: TestPortal) {
        let connection = portal.app.connect().await.unwrap();
        let older = &MIGRATIONS[..MIGRATIONS.len() - 1];
        let error = migrate_with(&connection, older).await.unwrap_err();
        assert!(error.to_string().contains("newer version"), "{error}");
    }

    async fn a_changed_migration_is_refused(portal: TestPortal) {
        let connection = portal.app.connect().await.unwrap();
        let mut changed: Vec<Migration> = MIGRATIONS.to_vec();
        changed[0].sql = "SELECT 1";
        let error = migrate_with(&connection, &changed).await.unwrap_err();
        assert!(error.to_string().contains("was changed"), "{error}");
    }

    async fn a_failed_transaction_leaves_nothing(portal: TestPortal) {
        let connection = portal.app.connect().await.unwrap();
        let outcome: Result<(), DatabaseError> = connection.transaction(async || {
            next_number(&connection, "kept").await?;
            Err(DatabaseError::Failed("on purpose".to_owned()))
        }).await;
        assert!(outcome.is_err());
        assert!(!connection.in_transaction());
        assert_eq!(connection.transaction(async || next_number(&connection, "kept").await).await, Ok(1));
    }

    async fn a_transaction_inside_a_transaction_is_refused(portal: TestPortal) {
        let connection = portal.app.connect().await.unwrap();
        let inner = connection.transaction(async || {
            connection.transaction(async || Ok::<_, DatabaseError>(())).await
        }).await;
        assert!(inner.unwrap_err().to_string().contains("nest"));
    }

    async fn numbers_have_no_gaps_when_two_write_at_once(portal: TestPortal) {
        let one = portal.app.connect().await.unwrap();
        let two = Connection::open(portal.app.database.as_ref()).await.unwrap();
        let draw = async |connection: &Connection| {
            let mut drawn = Vec::new();
            for _ in 0..20 {
                drawn.push(connection.transaction(async || next_number(connection, "n").await).await.unwrap());
            }
            drawn
        };
        let (mut all, more) = tokio::join!(draw(&one), draw(&two));
        all.extend(more);
        all.sort_unstable();
        assert_eq!(all, (1..=40).collect::<Vec<i64>>());
    }

    async fn every_kind_of_value_comes_back_as_it_went_in(portal: TestPortal) {
        let connection = portal.app.connect().await.unwrap();
        connection.execute(
            "INSERT INTO idempotency_keys (place, request_digest, created_at, status, response)
             VALUES ($1, $2, $3, $4, $5)",
            params![vec![0_u8, 255], &[1_u8][..], i64::MAX, None::<i64>, None::<Vec<u8>>],
        ).await.unwrap();
        let row = connection.query_one(
            "SELECT place, created_at, status, response, 'ö' FROM idempotency_keys", vec![],
        ).await.unwrap();
        assert_eq!(row.get::<Vec<u8>>(0), Ok(vec![0, 255]));
        assert_eq!(row.get::<i64>(1), Ok(i64::MAX));
        assert_eq!(row.get::<Option<i64>>(2), Ok(None));
        assert_eq!(row.get::<Option<Vec<u8>>>(3), Ok(None));
        assert_eq!(row.get::<String>(4), Ok("ö".to_owned()));
        assert!(row.get::<i64>(4).is_err());
    }

    async fn a_taken_key_is_a_conflict(portal: TestPortal) {
        let connection = portal.app.connect().await.unwrap();
        let insert = "INSERT INTO sequences (name, value) VALUES ($1, 1)";
        connection.execute(insert, params!["taken"]).await.unwrap();
        let error = connection.execute(insert, params!["taken"]).await.unwrap_err();
        assert!(matches!(error, DatabaseError::Conflict(_)), "{error:?}");
    }

    async fn a_transaction_waits_for_its_turn_and_a_dropped_one_passes_it_on(portal: TestPortal) {
        let (one, two) = (portal.app.connect().await.unwrap(), portal.app.connect().await.unwrap());
        let held = one.take_turn().await.unwrap();
        let waiting = two.transaction(async || next_number(&two, "turn").await);
        let late = tokio::time::timeout(std::time::Duration::from_millis(20), waiting).await;
        assert!(late.is_err(), "the turn was not waited for");
        drop(held);
        assert_eq!(one.transaction(async || next_number(&one, "turn").await).await, Ok(1));
    }
}
