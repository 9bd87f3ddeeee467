-- The feed: an append-only log, positions from 1 without holes.
CREATE TABLE feed_entries (
    position BIGINT PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    subject TEXT NOT NULL,
    change TEXT NOT NULL
);

-- The newest entry of every object: what a snapshot is read from. `hash` holds the digest of
-- credentials that fit in a packed row.
CREATE TABLE feed_heads (
    subject TEXT PRIMARY KEY,
    position BIGINT NOT NULL,
    change TEXT NOT NULL,
    hash BYTEA
);
CREATE INDEX feed_heads_packed ON feed_heads (hash) WHERE hash IS NOT NULL;
CREATE INDEX feed_heads_plain ON feed_heads (subject) WHERE hash IS NULL;

-- One row per boot of an edge.
CREATE TABLE edges (
    edge_boot_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    started_at_ms BIGINT NOT NULL,
    first_seen_at_ms BIGINT NOT NULL,
    last_seen_at_ms BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    sent_at_ms BIGINT NOT NULL,
    applied_position BIGINT NOT NULL,
    decided BIGINT NOT NULL,
    -- The highest rate seen between two reports, in calls per 1 000 seconds.
    peak_rate BIGINT NOT NULL,
    ended_at_ms BIGINT,
    -- An end without a last report: calls of this span may be missing, at most this many.
    gap_from_ms BIGINT,
    gap_until_ms BIGINT,
    gap_calls BIGINT
);
CREATE INDEX edges_by_name ON edges (name, started_at_ms);
CREATE INDEX edges_open ON edges (last_seen_at_ms) WHERE ended_at_ms IS NULL AND gap_from_ms IS NULL;

-- The pool a lease is a share of; its row is the lock. `lent` is the sum over boots of granted − given back.
CREATE TABLE lease_pools (
    subscription_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    period_start_ms BIGINT NOT NULL,
    lent BIGINT NOT NULL,
    PRIMARY KEY (subscription_id, environment, period_start_ms)
);
CREATE TABLE leases (
    subscription_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    period_start_ms BIGINT NOT NULL,
    edge_boot_id TEXT NOT NULL,
    granted BIGINT NOT NULL,
    spent BIGINT NOT NULL,
    given_back BIGINT NOT NULL,
    wanted BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL,
    PRIMARY KEY (subscription_id, environment, period_start_ms, edge_boot_id)
);
