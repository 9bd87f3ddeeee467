-- Shares of rate limits that all edges enforce together. The account's row is the lock.
CREATE TABLE limit_accounts (
    subscription_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    PRIMARY KEY (subscription_id, environment)
);
-- Millionths; `demand` in thousandths of a unit per second. `sequence` is the report that told it.
CREATE TABLE limit_shares (
    subscription_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    edge_boot_id TEXT NOT NULL,
    granted BIGINT NOT NULL,
    held BIGINT NOT NULL,
    demand BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    PRIMARY KEY (subscription_id, environment, edge_boot_id)
);
CREATE INDEX limit_shares_by_boot ON limit_shares (edge_boot_id);
