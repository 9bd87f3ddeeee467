-- Digest, prefix and last four characters: never the key itself.
CREATE TABLE credentials (
    credential_id TEXT PRIMARY KEY,
    app_id TEXT NOT NULL REFERENCES apps (app_id),
    environment TEXT NOT NULL,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    last_four TEXT NOT NULL,
    hash BYTEA NOT NULL UNIQUE,
    scopes TEXT,
    addresses TEXT NOT NULL,
    expires_at_ms BIGINT,
    created_at_ms BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    -- The feed position that carries it, and when the last live edge had applied it.
    issued_position BIGINT NOT NULL,
    activated_at_ms BIGINT,
    revoked_at_ms BIGINT,
    revoked_position BIGINT,
    refused_at_ms BIGINT,
    rotated_from TEXT,
    forgotten_at_ms BIGINT
);
CREATE INDEX credentials_by_app ON credentials (app_id, credential_id);
CREATE INDEX credentials_to_activate ON credentials (issued_position) WHERE activated_at_ms IS NULL;
CREATE INDEX credentials_to_refuse ON credentials (revoked_position)
    WHERE revoked_position IS NOT NULL AND refused_at_ms IS NULL;
