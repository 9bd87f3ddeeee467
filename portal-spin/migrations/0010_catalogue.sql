-- Products bundle operations; plans price and limit them.
CREATE TABLE products (
    product_id TEXT PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    summary TEXT NOT NULL,
    description TEXT NOT NULL,
    is_public BIGINT NOT NULL,
    is_self_service BIGINT NOT NULL,
    sandbox_url TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    published_at_ms BIGINT,
    withdrawn_at_ms BIGINT
);

-- What a product contains, version by version. A published version is never edited.
CREATE TABLE product_versions (
    product_id TEXT NOT NULL REFERENCES products (product_id),
    number BIGINT NOT NULL,
    document TEXT NOT NULL,
    operations TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    published_at_ms BIGINT,
    PRIMARY KEY (product_id, number)
);

-- Meters keep their id over versions, because usage cells name them. Position 0 counts calls.
CREATE TABLE meters (
    meter_id TEXT PRIMARY KEY,
    product_id TEXT NOT NULL REFERENCES products (product_id),
    position BIGINT NOT NULL,
    name TEXT NOT NULL,
    source TEXT NOT NULL,
    UNIQUE (product_id, position)
);

-- One row per plan version. Versions of a plan share product_id and slug.
CREATE TABLE plans (
    plan_id TEXT PRIMARY KEY,
    product_id TEXT NOT NULL REFERENCES products (product_id),
    slug TEXT NOT NULL,
    version BIGINT NOT NULL,
    name TEXT NOT NULL,
    summary TEXT NOT NULL,
    position BIGINT NOT NULL,
    is_default BIGINT NOT NULL,
    private_organisation_id TEXT,
    terms TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    published_at_ms BIGINT,
    withdrawn_at_ms BIGINT,
    UNIQUE (product_id, slug, version)
);
CREATE INDEX plans_by_product ON plans (product_id, position);
