-- Where events are sent. Without an organisation, the endpoint is the operator's.
CREATE TABLE webhook_endpoints (
    webhook_endpoint_id TEXT PRIMARY KEY,
    organisation_id TEXT REFERENCES organisations (organisation_id),
    url TEXT NOT NULL,
    description TEXT NOT NULL,
    -- Names separated by spaces; empty for every event.
    event_types TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    -- Since when no delivery has succeeded, if the last one failed.
    failing_since_ms BIGINT,
    disabled_at_ms BIGINT,
    disabled_reason TEXT NOT NULL,
    deleted_at_ms BIGINT
);
CREATE INDEX webhook_endpoints_by_organisation ON webhook_endpoints (organisation_id, webhook_endpoint_id);

-- Sealed: a database copy does not let anyone sign. Two stand while a rotation overlaps.
CREATE TABLE webhook_secrets (
    webhook_endpoint_id TEXT NOT NULL REFERENCES webhook_endpoints (webhook_endpoint_id),
    number BIGINT NOT NULL,
    sealed BYTEA NOT NULL,
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT,
    PRIMARY KEY (webhook_endpoint_id, number)
);

-- The outbox: written in the transaction of what happened.
CREATE TABLE webhook_events (
    event_id TEXT PRIMARY KEY,
    organisation_id TEXT,
    event_type TEXT NOT NULL,
    -- The exact bytes that are signed and sent, on every try.
    payload TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL
);
CREATE INDEX webhook_events_by_age ON webhook_events (created_at_ms);

CREATE TABLE webhook_deliveries (
    event_id TEXT NOT NULL,
    webhook_endpoint_id TEXT NOT NULL REFERENCES webhook_endpoints (webhook_endpoint_id),
    state TEXT NOT NULL,
    -- Tries since it was queued or sent again by hand.
    tries BIGINT NOT NULL,
    next_try_at_ms BIGINT NOT NULL,
    delivered_at_ms BIGINT,
    PRIMARY KEY (webhook_endpoint_id, event_id)
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_try_at_ms) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_by_event ON webhook_deliveries (event_id);

CREATE TABLE webhook_attempts (
    webhook_endpoint_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    number BIGINT NOT NULL,
    attempted_at_ms BIGINT NOT NULL,
    took_ms BIGINT NOT NULL,
    status BIGINT,
    outcome TEXT NOT NULL,
    PRIMARY KEY (webhook_endpoint_id, event_id, number)
);
