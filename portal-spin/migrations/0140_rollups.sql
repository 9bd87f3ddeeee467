-- Hours and days are derived from the minutes of usage_cells and can be rebuilt at any time.
CREATE TABLE usage_hours (
    series BYTEA NOT NULL,
    hour BIGINT NOT NULL,
    count BIGINT NOT NULL,
    units BIGINT NOT NULL,
    bytes_in BIGINT NOT NULL,
    bytes_out BIGINT NOT NULL,
    PRIMARY KEY (series, hour)
);
CREATE TABLE usage_days (
    series BYTEA NOT NULL,
    day BIGINT NOT NULL,
    count BIGINT NOT NULL,
    units BIGINT NOT NULL,
    bytes_in BIGINT NOT NULL,
    bytes_out BIGINT NOT NULL,
    PRIMARY KEY (series, day)
);

-- How far the cells of an edge boot are rolled up. Its row is the lock between reports and roll-up.
CREATE TABLE usage_rollups (
    edge_boot_id TEXT PRIMARY KEY,
    -- Hours before this one are rolled up, except stale ones; days of which every hour is, too.
    hours_until BIGINT NOT NULL,
    last_minute BIGINT NOT NULL,
    checked_at_ms BIGINT NOT NULL
);
-- Hours that got cells after they were rolled up: read from the minutes until they are done again.
CREATE TABLE usage_stale_hours (
    edge_boot_id TEXT NOT NULL,
    hour BIGINT NOT NULL,
    PRIMARY KEY (edge_boot_id, hour)
);
INSERT INTO usage_rollups (edge_boot_id, hours_until, last_minute, checked_at_ms)
    SELECT s.edge_boot_id, 0, MAX(c.minute), 0
    FROM usage_series s JOIN usage_cells c ON c.series = s.series GROUP BY s.edge_boot_id;

-- Nothing reads cells by minute alone, and every report paid for keeping it.
DROP INDEX usage_cells_by_minute;
