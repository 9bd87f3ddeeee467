-- What a cell is about; `series` is a digest of the other columns up to `outcome`.
CREATE TABLE usage_series (
    series BYTEA PRIMARY KEY,
    edge_boot_id TEXT NOT NULL,
    slot BIGINT NOT NULL,
    credential_id TEXT NOT NULL,
    subscription_id TEXT NOT NULL,
    installation_id TEXT NOT NULL,
    meter_id TEXT NOT NULL,
    operation TEXT NOT NULL,
    outcome TEXT NOT NULL,
    -- Looked up once when the series appears; empty for calls of nobody that is known.
    app_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    -- 1 where the meter counts calls (or there is none): such cells count each call once.
    is_call_count BIGINT NOT NULL
);
CREATE INDEX usage_series_by_app ON usage_series (app_id, environment);
CREATE INDEX usage_series_by_subscription ON usage_series (subscription_id, environment, meter_id);
CREATE INDEX usage_series_by_boot ON usage_series (edge_boot_id);
CREATE INDEX usage_series_by_credential ON usage_series (credential_id);

-- Counters only grow; a cell that comes again is merged by maximum.
CREATE TABLE usage_cells (
    series BYTEA NOT NULL,
    minute BIGINT NOT NULL,
    count BIGINT NOT NULL,
    units BIGINT NOT NULL,
    bytes_in BIGINT NOT NULL,
    bytes_out BIGINT NOT NULL,
    latency TEXT NOT NULL,
    PRIMARY KEY (series, minute)
);
CREATE INDEX usage_cells_by_minute ON usage_cells (minute);

-- The request log: bounded per app, never a body, a query string or a key.
CREATE TABLE request_samples (
    app_id TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    request_id TEXT NOT NULL,
    credential_id TEXT NOT NULL,
    installation_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    operation TEXT NOT NULL,
    method TEXT NOT NULL,
    status BIGINT NOT NULL,
    code TEXT NOT NULL,
    latency_us BIGINT NOT NULL,
    edge_name TEXT NOT NULL,
    PRIMARY KEY (app_id, at_ms, request_id)
);
CREATE INDEX request_samples_by_time ON request_samples (at_ms);
