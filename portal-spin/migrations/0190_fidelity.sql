-- How far the sandbox mirrors production: the newest report of each version of a product.
CREATE TABLE fidelity_reports (
    product_id TEXT NOT NULL REFERENCES products (product_id),
    version BIGINT NOT NULL,
    body TEXT NOT NULL,
    reported_at_ms BIGINT NOT NULL,
    PRIMARY KEY (product_id, version)
);
