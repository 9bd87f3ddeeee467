//! Products, their versions and meters in the database.

use shared::feed::Change;
use shared::ids::{MeterId, ProductId};
use shared::plan::Operation;

use super::meters::{Meter, MeterSource, quota_meter};
use super::model::{Product, wire_product};
use crate::database::{Connection, DatabaseError, Row};
use crate::edges::feed;
use crate::params;

const COLUMNS: &str = "product_id, slug, name, summary, description, is_public, is_self_service,
    sandbox_url, published_at_ms, withdrawn_at_ms";

fn read(row: &Row) -> Result<Product, DatabaseError> {
    Ok(Product {
        id: row.parse(0)?,
        slug: row.get(1)?,
        name: row.get(2)?,
        summary: row.get(3)?,
        description: row.get(4)?,
        is_public: row.get(5)?,
        is_self_service: row.get(6)?,
        sandbox_url: row.get(7)?,
        published_at_ms: row.get(8)?,
        withdrawn_at_ms: row.get(9)?,
    })
}

/// Stores a new product with its meters.
pub async fn insert(
    connection: &Connection,
    product: &Product,
    meters: &[Meter],
    now_ms: i64,
) -> Result<(), DatabaseError> {
    connection
        .execute(
            "INSERT INTO products (product_id, slug, name, summary, description, is_public,
                is_self_service, sandbox_url, created_at_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            params![
                product.id.to_string(),
                &product.slug,
                &product.name,
                &product.summary,
                &product.description,
                i64::from(product.is_public),
                i64::from(product.is_self_service),
                &product.sandbox_url,
                now_ms,
            ],
        )
        .await?;
    for (position, meter) in (0_i64..).zip(meters) {
        let source = to_json(&meter.source)?;
        connection
            .execute(
                "INSERT INTO meters (meter_id, product_id, position, name, source)
                 VALUES ($1, $2, $3, $4, $5)",
                params![
                    meter.id.to_string(),
                    product.id.to_string(),
                    position,
                    &meter.name,
                    source
                ],
            )
            .await?;
    }
    Ok(())
}

/// Changes what describes a product. Its contents change by versions.
pub async fn update(connection: &Connection, product: &Product) -> Result<(), DatabaseError> {
    connection
        .execute(
            "UPDATE products SET name = $2, summary = $3, description = $4, is_public = $5,
                is_self_service = $6, sandbox_url = $7, withdrawn_at_ms = $8 WHERE product_id = $1",
            params![
                product.id.to_string(),
                &product.name,
                &product.summary,
                &product.description,
                i64::from(product.is_public),
                i64::from(product.is_self_service),
                &product.sandbox_url,
                product.withdrawn_at_ms,
            ],
        )
        .await?;
    Ok(())
}

/// A product by id.
pub async fn find_product(
    connection: &Connection,
    product_id: ProductId,
) -> Result<Option<Product>, DatabaseError> {
    let sql = format!("SELECT {COLUMNS} FROM products WHERE product_id = $1");
    let row = connection
        .query_optional(&sql, params![product_id.to_string()])
        .await?;
    row.as_ref().map(read).transpose()
}

/// A product by its name in URLs.
pub async fn find_by_slug(
    connection: &Connection,
    slug: &str,
) -> Result<Option<Product>, DatabaseError> {
    let sql = format!("SELECT {COLUMNS} FROM products WHERE slug = $1");
    let row = connection.query_optional(&sql, params![slug]).await?;
    row.as_ref().map(read).transpose()
}

/// Products in the catalogue, by name; with `all`, drafts and withdrawn ones too.
pub async fn list(connection: &Connection, all: bool) -> Result<Vec<Product>, DatabaseError> {
    let condition = if all {
        ""
    } else {
        "WHERE published_at_ms IS NOT NULL AND withdrawn_at_ms IS NULL"
    };
    let sql =
        format!("SELECT {COLUMNS} FROM products {condition} ORDER BY name, product_id LIMIT 500");
    connection
        .query(&sql, vec![])
        .await?
        .iter()
        .map(read)
        .collect()
}

/// Meters of a product, in order.
pub async fn list_meters(
    connection: &Connection,
    product_id: ProductId,
) -> Result<Vec<Meter>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT meter_id, name, source FROM meters WHERE product_id = $1 ORDER BY position",
            params![product_id.to_string()],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let source: MeterSource = from_json(&row.get::<String>(2)?)?;
            Ok(Meter {
                id: row.parse::<MeterId>(0)?,
                name: row.get(1)?,
                source,
            })
        })
        .collect()
}

/// The meter whose units the quota of the product's plans counts.
pub async fn find_quota_meter(
    connection: &Connection,
    product_id: ProductId,
) -> Result<Option<MeterId>, DatabaseError> {
    Ok(quota_meter(&list_meters(connection, product_id).await?))
}

/// A version of a product.
pub struct Version {
    /// From 1.
    pub number: i64,
    /// What it describes.
    pub operations: Vec<Operation>,
}

/// Stores a draft version and answers its number. An unpublished draft is replaced.
pub async fn put_draft(
    connection: &Connection,
    product_id: ProductId,
    document: &str,
    operations: &[Operation],
    now_ms: i64,
) -> Result<i64, DatabaseError> {
    let id = product_id.to_string();
    connection
        .execute(
            "DELETE FROM product_versions WHERE product_id = $1 AND published_at_ms IS NULL",
            params![&id],
        )
        .await?;
    let number: i64 = connection
        .query_one(
            "SELECT COALESCE(MAX(number), 0) + 1 FROM product_versions WHERE product_id = $1",
            params![&id],
        )
        .await?
        .get(0)?;
    connection
        .execute(
            "INSERT INTO product_versions (product_id, number, document, operations, created_at_ms)
             VALUES ($1, $2, $3, $4, $5)",
            params![&id, number, document, to_json(&operations)?, now_ms],
        )
        .await?;
    Ok(number)
}

/// The newest version, or the newest published one.
pub async fn find_version(
    connection: &Connection,
    product_id: ProductId,
    only_published: bool,
) -> Result<Option<Version>, DatabaseError> {
    let condition = if only_published {
        "AND published_at_ms IS NOT NULL"
    } else {
        ""
    };
    let sql = format!(
        "SELECT number, operations FROM product_versions
         WHERE product_id = $1 {condition} ORDER BY number DESC LIMIT 1"
    );
    let row = connection
        .query_optional(&sql, params![product_id.to_string()])
        .await?;
    row.map(|row| {
        Ok(Version {
            number: row.get(0)?,
            operations: from_json(&row.get::<String>(1)?)?,
        })
    })
    .transpose()
}

/// The published version's document as it was uploaded, and the operations the product has of it.
pub async fn published_document(
    connection: &Connection,
    product_id: ProductId,
) -> Result<Option<(String, Vec<Operation>)>, DatabaseError> {
    let row = connection
        .query_optional(
            "SELECT document, operations FROM product_versions
             WHERE product_id = $1 AND published_at_ms IS NOT NULL ORDER BY number DESC LIMIT 1",
            params![product_id.to_string()],
        )
        .await?;
    row.map(|row| Ok((row.get(0)?, from_json(&row.get::<String>(1)?)?)))
        .transpose()
}

/// Operations of the published version; none before it.
pub async fn published_operations(
    connection: &Connection,
    product_id: ProductId,
) -> Result<Vec<Operation>, DatabaseError> {
    Ok(find_version(connection, product_id, true)
        .await?
        .map_or(Vec::new(), |version| version.operations))
}

/// Publishes the newest version and tells the edges. Call it inside a transaction.
pub async fn publish(
    connection: &Connection,
    product_id: ProductId,
    version: &Version,
    now_ms: i64,
) -> Result<(), DatabaseError> {
    let id = product_id.to_string();
    connection
        .execute(
            "UPDATE product_versions SET published_at_ms = COALESCE(published_at_ms, $3)
             WHERE product_id = $1 AND number = $2",
            params![&id, version.number, now_ms],
        )
        .await?;
    connection
        .execute(
            "UPDATE products SET published_at_ms = COALESCE(published_at_ms, $2), withdrawn_at_ms = NULL
             WHERE product_id = $1",
            params![&id, now_ms],
        )
        .await?;
    let meters = list_meters(connection, product_id).await?;
    let wire = wire_product(product_id, version.operations.clone(), &meters);
    feed::publish(connection, now_ms, &Change::Product(wire)).await?;
    Ok(())
}

pub(super) fn to_json(value: &impl serde::Serialize) -> Result<String, DatabaseError> {
    serde_json::to_string(value).map_err(|error| DatabaseError::Shape(error.to_string()))
}

pub(super) fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, DatabaseError> {
    serde_json::from_str(text).map_err(|error| DatabaseError::Shape(error.to_string()))
}
