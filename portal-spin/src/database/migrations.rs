//! The schema: numbered SQL files, applied in order, once, under a lock.
//!
//! A new file goes to `migrations/NNNN_name.sql` and into [`MIGRATIONS`]. Published files are never
//! edited: their checksum is recorded.

use sha2::{Digest, Sha256};

use super::{Connection, DatabaseError};
use crate::params;
use crate::ports::Engine;

/// One numbered file.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// `NNNN` of the file name.
    pub number: i64,
    /// The rest of the file name.
    pub name: &'static str,
    /// The file.
    pub sql: &'static str,
}

macro_rules! migrations {
    ($($number:literal $name:literal),* $(,)?) => {
        /// Every migration, in order. Ranges: 0001-0009 people, organisations, agreements and what
        /// all share; 0010-0019 catalogue to metering; 0020-0029 billing; then first come.
        pub const MIGRATIONS: &[Migration] = &[$(Migration {
            number: $number,
            name: $name,
            sql: include_str!(concat!("../../migrations/", $name, ".sql")),
        }),*];
    };
}

migrations! {
    1 "0001_foundation",
    2 "0002_agreements",
    10 "0010_catalogue",
    11 "0011_apps",
    12 "0012_credentials",
    13 "0013_edges",
    14 "0014_metering",
    15 "0015_subscriptions",
    16 "0016_seed",
    100 "0100_partners",
    101 "0101_passkeys",
    102 "0102_sign_on",
    103 "0103_closing",
    104 "0104_email_texts",
    120 "0120_webhooks",
    121 "0121_plan_migrations",
    122 "0122_cancellation_reason",
    123 "0123_limit_shares",
    124 "0124_schema_fingerprint",
    140 "0140_rollups",
    141 "0141_billing",
    142 "0142_period_rules",
    160 "0160_listings",
    161 "0161_oauth",
    162 "0162_reviews",
    163 "0163_customer_sign_on",
    164 "0164_opinions",
    165 "0165_review_assignments",
    180 "0180_brand",
    181 "0181_guides",
    182 "0182_visitors",
    190 "0190_fidelity",
    191 "0191_language",
    200 "0200_analytics",
    201 "0201_revenue",
    202 "0202_programme_costs",
    203 "0203_running_totals",
    204 "0204_threads",
    205 "0205_tiering",
    206 "0206_step_errors",
    207 "0207_early_errors",
    208 "0208_day_latencies",
    209 "0209_days_at_once",
}

/// FNV-1a over every number and file, worked out by the compiler. It only tells this list from another:
/// what holds a file to what was published is its SHA-256 beside its number.
const FINGERPRINT: i64 = {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut rest = MIGRATIONS;
    while let Some((migration, others)) = rest.split_first() {
        hash = (hash ^ migration.number.cast_unsigned()).wrapping_mul(0x0100_0000_01b3);
        let mut bytes = migration.sql.as_bytes();
        while let Some((byte, behind)) = bytes.split_first() {
            hash = (hash ^ *byte as u64).wrapping_mul(0x0100_0000_01b3);
            bytes = behind;
        }
        rest = others;
    }
    hash.cast_signed()
};

/// Brings the database to the newest schema of this code. Safe to run any number of times and by
/// several instances at once.
///
/// Every new instance asks on its first request, so where nothing is to be done one statement says so.
pub async fn migrate(connection: &Connection) -> Result<(), DatabaseError> {
    if is_current(connection).await {
        return Ok(());
    }
    migrate_all(connection).await?;
    connection
        .execute(
            "INSERT INTO schema_fingerprints (name, fingerprint) VALUES ('schema', $1)
             ON CONFLICT (name) DO UPDATE SET fingerprint = excluded.fingerprint",
            params![FINGERPRINT],
        )
        .await?;
    Ok(())
}

/// Whether the last list of migrations that was applied in full is this one. An error is a no: a new
/// database has no such table.
async fn is_current(connection: &Connection) -> bool {
    let sql = "SELECT fingerprint FROM schema_fingerprints WHERE name = 'schema'";
    match connection.query_optional(sql, vec![]).await {
        Ok(Some(row)) => row.get::<i64>(0) == Ok(FINGERPRINT),
        Ok(None) | Err(_) => false,
    }
}

async fn migrate_all(connection: &Connection) -> Result<(), DatabaseError> {
    if connection.engine() == Engine::Sqlite {
        // Readers go on while one writes. The setting stays in the file.
        connection.query("PRAGMA journal_mode=WAL", vec![]).await?;
    }
    migrate_with(connection, MIGRATIONS).await
}

/// As [`migrate`], with a given list.
pub async fn migrate_with(
    connection: &Connection,
    migrations: &[Migration],
) -> Result<(), DatabaseError> {
    connection
        .transaction(async || {
            if connection.engine() == Engine::Postgres {
                // SQLite's BEGIN IMMEDIATE already is the lock.
                connection
                    .query("SELECT 1 FROM pg_advisory_xact_lock(727369676)", vec![])
                    .await?;
            }
            connection
                .execute(
                    "CREATE TABLE IF NOT EXISTS migrations (
                        migration_id BIGINT PRIMARY KEY,
                        name TEXT NOT NULL,
                        checksum BYTEA NOT NULL
                    )",
                    vec![],
                )
                .await?;
            let applied = connection
                .query(
                    "SELECT migration_id, name, checksum FROM migrations ORDER BY migration_id",
                    vec![],
                )
                .await?;
            for row in &applied {
                let number: i64 = row.get(0)?;
                let name: String = row.get(1)?;
                match migrations.iter().find(|known| known.number == number) {
                    None => {
                        return Err(DatabaseError::Schema(format!(
                            "the database has migration {name}, which this version of the portal \
                             does not know: it was written by a newer version. Start that version, \
                             or restore the backup made before the upgrade."
                        )));
                    }
                    Some(known) if row.get::<Vec<u8>>(2)? != checksum(known.sql) => {
                        return Err(DatabaseError::Schema(format!(
                            "migration {name} was changed after it was applied to this database. \
                             Restore the file as it was and put the change into a new migration."
                        )));
                    }
                    Some(_) => {}
                }
            }
            for migration in migrations {
                let done = applied
                    .iter()
                    .any(|row| row.get::<i64>(0) == Ok(migration.number));
                if done {
                    continue;
                }
                for statement in statements(migration.sql) {
                    connection
                        .execute(&statement, vec![])
                        .await
                        .map_err(|error| {
                            DatabaseError::Schema(format!("migration {}: {error}", migration.name))
                        })?;
                }
                connection
                    .execute(
                        "INSERT INTO migrations (migration_id, name, checksum) VALUES ($1, $2, $3)",
                        params![migration.number, migration.name, checksum(migration.sql)],
                    )
                    .await?;
            }
            Ok(())
        })
        .await
}

fn checksum(sql: &str) -> Vec<u8> {
    Sha256::digest(sql.as_bytes()).to_vec()
}

/// Splits a file into statements: Spin's hosts run only the first statement of a string. Comments
/// (`-- …`) go; a semicolon inside quotes stays.
pub fn statements(sql: &str) -> Vec<String> {
    let without_comments: String = sql
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n");
    let mut quoted = false;
    without_comments
        .split(|character| {
            if character == '\'' {
                quoted = !quoted;
            }
            character == ';' && !quoted
        })
        .map(str::trim)
        .filter(|statement| !statement.is_empty())
        .map(str::to_owned)
        .collect()
}
