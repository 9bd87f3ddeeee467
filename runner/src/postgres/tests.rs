//! Against a real PostgreSQL, started for the test from the installed programs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Connection, Pools};
use crate::spin_host::bindings::spin::postgres::postgres::{
    DbValue, Error, Interval, ParameterValue, QueryError, RangeBoundKind,
};

/// A server of the test's own, stopped and removed when the test ends.
struct Server {
    folder: tempfile::TempDir,
    programs: PathBuf,
    port: u16,
}

impl Server {
    fn start() -> Self {
        let programs = find_programs().expect(
            "these tests need PostgreSQL's server programs: install postgresql (apt-get install \
             postgresql)",
        );
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let server = Self {
            folder,
            programs,
            port,
        };
        if is_root() {
            // The server refuses to run as root.
            let status = Command::new("chown")
                .arg("postgres")
                .arg(server.folder.path())
                .status();
            assert!(status.unwrap().success());
        }
        let data = server.folder.path().join("data");
        server.run(
            "initdb",
            &[
                "-D",
                path(&data),
                "-U",
                "portico",
                "-A",
                "trust",
                "--no-sync",
            ],
        );
        let options = format!(
            "-p {port} -c listen_addresses=127.0.0.1 -c fsync=off -c unix_socket_directories={}",
            path(server.folder.path())
        );
        let log = server.folder.path().join("log");
        server.run(
            "pg_ctl",
            &[
                "-D",
                path(&data),
                "-l",
                path(&log),
                "-w",
                "-o",
                &options,
                "start",
            ],
        );
        server
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let program = self.programs.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
                .arg(program);
            command
        } else {
            Command::new(program)
        };
        let status = command
            .args(arguments)
            .current_dir("/")
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "{arguments:?}");
    }

    fn address(&self) -> String {
        format!("postgres://portico@127.0.0.1:{}/postgres", self.port)
    }

    async fn open(&self, pools: &Pools) -> Connection {
        pools
            .open(&self.address(), None, |_, _| true)
            .await
            .unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let data = self.folder.path().join("data");
        self.run("pg_ctl", &["-D", path(&data), "-m", "immediate", "stop"]);
    }
}

fn find_programs() -> Option<PathBuf> {
    let mut versions: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").is_file())
        .collect();
    versions.sort();
    versions.pop()
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

async fn execute(connection: &Connection, sql: &str) -> Result<u64, Error> {
    connection.execute(sql.to_owned(), vec![]).await
}

async fn one_value(connection: &Connection, sql: &str) -> Result<DbValue, Error> {
    one_value_of(connection, sql, vec![]).await
}

async fn one_value_of(
    connection: &Connection,
    sql: &str,
    parameters: Vec<ParameterValue>,
) -> Result<DbValue, Error> {
    let mut result = connection.query(sql.to_owned(), parameters).await?;
    Ok(result.rows.remove(0).remove(0))
}

/// One server for all cases: starting one takes a second.
#[tokio::test]
async fn postgres_behaves_as_in_spin() {
    let server = Server::start();
    let pools = Pools::default();
    values_go_in_and_come_out(&server.open(&pools).await).await;
    parameters_must_have_the_type_the_server_expects(&server.open(&pools).await).await;
    errors_carry_what_the_server_said(&server.open(&pools).await).await;
    a_transaction_is_rolled_back_when_the_connection_goes(&server, &pools).await;
}

async fn values_go_in_and_come_out(connection: &Connection) {
    let both = (
        Some((1, RangeBoundKind::Inclusive)),
        Some((5, RangeBoundKind::Exclusive)),
    );
    let cases = [
        ("bool", ParameterValue::Boolean(true)),
        ("\"char\"", ParameterValue::Int8(65)),
        ("int2", ParameterValue::Int16(-2)),
        ("int4", ParameterValue::Int32(i32::MIN)),
        ("int8", ParameterValue::Int64(i64::MAX)),
        ("float4", ParameterValue::Floating32(0.5)),
        ("float8", ParameterValue::Floating64(-0.25)),
        ("text", ParameterValue::Str("naïve".to_owned())),
        ("varchar", ParameterValue::Str("v".to_owned())),
        ("bytea", ParameterValue::Binary(vec![0, 255])),
        ("date", ParameterValue::Date((2024, 2, 29))),
        ("time", ParameterValue::Time((23, 59, 59, 1_000))),
        (
            "timestamp",
            ParameterValue::Datetime((2024, 2, 29, 1, 2, 3, 4_000)),
        ),
        (
            "uuid",
            ParameterValue::Uuid("67e55044-10b1-426f-9247-bb680e5fe0c8".to_owned()),
        ),
        ("jsonb", ParameterValue::Jsonb(b"{\"a\":[1]}".to_vec())),
        ("numeric", ParameterValue::Decimal("-12.50".to_owned())),
        ("int4range", ParameterValue::RangeInt32(both)),
        ("int4[]", ParameterValue::ArrayInt32(vec![Some(1), None])),
        ("int8[]", ParameterValue::ArrayInt64(vec![None, Some(2)])),
        (
            "numeric[]",
            ParameterValue::ArrayDecimal(vec![Some("1.5".to_owned())]),
        ),
        (
            "text[]",
            ParameterValue::ArrayStr(vec![Some("a".to_owned()), None]),
        ),
        (
            "interval",
            ParameterValue::Interval(Interval {
                micros: 1,
                days: 2,
                months: 3,
            }),
        ),
        ("int8", ParameterValue::DbNull),
    ];
    for (sql_type, value) in cases {
        let given = format!("{value:?}");
        let found = one_value_of(connection, &format!("SELECT $1::{sql_type}"), vec![value])
            .await
            .unwrap_or_else(|error| panic!("{sql_type}: {error:?}"));
        let found = format!("{found:?}");
        if sql_type == "\"char\"" {
            // As in Spin, which does not read this type.
            assert_eq!(found, "DbValue::Unsupported([65])");
            continue;
        }
        let payload = |text: &str| text.split_once("::").map(|(_, rest)| rest.to_owned());
        assert_eq!(payload(&found), payload(&given), "{sql_type}");
    }
    let unread = one_value(connection, "SELECT now()").await;
    assert!(unread.is_err(), "Spin does not read timestamptz");
    let none = connection
        .query("SELECT 1 AS one WHERE false".to_owned(), vec![])
        .await
        .unwrap();
    assert!(none.columns.is_empty() && none.rows.is_empty());
}

async fn parameters_must_have_the_type_the_server_expects(connection: &Connection) {
    for (sql, value) in [
        ("SELECT $1::int8", ParameterValue::Int32(1)),
        (
            "SELECT $1::uuid",
            ParameterValue::Str("67e55044".to_owned()),
        ),
        ("SELECT $1::text", ParameterValue::Int64(1)),
        ("SELECT 1", ParameterValue::Int64(1)),
    ] {
        let refused = one_value_of(connection, sql, vec![value]).await;
        assert!(
            matches!(refused, Err(Error::QueryFailed(QueryError::Text(_)))),
            "{sql}"
        );
    }
    let malformed = one_value_of(
        connection,
        "SELECT $1::numeric",
        vec![ParameterValue::Decimal("a lot".to_owned())],
    );
    assert!(matches!(malformed.await, Err(Error::BadParameter(_))));
}

async fn errors_carry_what_the_server_said(connection: &Connection) {
    execute(
        connection,
        "CREATE TABLE unique_things (id int8 CONSTRAINT only_one UNIQUE)",
    )
    .await
    .unwrap();
    let insert = "INSERT INTO unique_things VALUES (1)";
    assert_eq!(execute(connection, insert).await.unwrap(), 1);
    let Err(Error::QueryFailed(QueryError::DbError(error))) = execute(connection, insert).await
    else {
        panic!("a second row must be refused with a database error");
    };
    assert_eq!(error.code, "23505");
    assert_eq!(error.severity, "ERROR");
    assert!(
        error
            .extras
            .contains(&("constraint".to_owned(), "only_one".to_owned()))
    );
    // Wrong at once, and wrong while running.
    assert!(
        connection
            .start("SELEC 1".to_owned(), vec![])
            .await
            .is_err()
    );
    let running = connection
        .start("SELECT 1 / (id - 1) FROM unique_things".to_owned(), vec![])
        .await
        .unwrap();
    assert!(running.outcome.await.unwrap().is_err());
}

async fn a_transaction_is_rolled_back_when_the_connection_goes(server: &Server, pools: &Pools) {
    let first = server.open(pools).await;
    for sql in [
        "CREATE TABLE kept (id int8)",
        "BEGIN",
        "INSERT INTO kept VALUES (1)",
        "COMMIT",
        "BEGIN",
        "INSERT INTO kept VALUES (2)",
        "LOCK TABLE kept IN ACCESS EXCLUSIVE MODE",
        "SELECT pg_advisory_lock(7)",
    ] {
        execute(&first, sql).await.unwrap();
    }
    drop(first);
    let second = server.open(pools).await;
    // Both wait for the dropped connection's locks to be given back.
    execute(&second, "SELECT pg_advisory_lock(7)")
        .await
        .unwrap();
    let count = one_value(&second, "SELECT count(*) FROM kept")
        .await
        .unwrap();
    assert!(matches!(count, DbValue::Int64(1)), "{count:?}");
    // And the connection that comes back from the pool is in no transaction.
    drop(second);
    let third = server.open(pools).await;
    execute(&third, "INSERT INTO kept VALUES (3)")
        .await
        .unwrap();
    drop(third);
    let fourth = server.open(pools).await;
    let count = one_value(&fourth, "SELECT count(*) FROM kept")
        .await
        .unwrap();
    assert!(matches!(count, DbValue::Int64(2)), "{count:?}");
}
