-- An OAuth client is a credential whose tokens name it. Secrets as digests only.
CREATE TABLE oauth_clients (
    credential_id TEXT PRIMARY KEY REFERENCES credentials (credential_id),
    app_id TEXT NOT NULL REFERENCES apps (app_id),
    authentication TEXT NOT NULL,
    secret_hash BYTEA,
    -- Public keys of `private_key_jwt`, a JWK set.
    keys TEXT NOT NULL,
    -- While its listing is suspended or revoked.
    suspended_at_ms BIGINT
);
CREATE INDEX oauth_clients_by_app ON oauth_clients (app_id);

-- Which signing key is in use from when. The keys themselves are derived, not stored.
CREATE TABLE oauth_keys (
    number BIGINT PRIMARY KEY,
    from_ms BIGINT NOT NULL
);

-- A customer's grant to an app.
CREATE TABLE installations (
    installation_id TEXT PRIMARY KEY,
    app_id TEXT NOT NULL REFERENCES apps (app_id),
    credential_id TEXT NOT NULL REFERENCES credentials (credential_id),
    environment TEXT NOT NULL,
    person_id TEXT NOT NULL REFERENCES people (person_id),
    scopes TEXT NOT NULL,
    -- Answers of the configuration form; secrets sealed.
    configuration TEXT NOT NULL,
    installed_at_ms BIGINT NOT NULL,
    configured_at_ms BIGINT NOT NULL,
    -- Tokens issued up to this time are refused.
    tokens_revoked_at_ms BIGINT,
    removed_at_ms BIGINT,
    -- The feed position that carries it.
    position BIGINT NOT NULL
);
CREATE INDEX installations_by_app ON installations (app_id, installation_id);
CREATE INDEX installations_by_person ON installations (person_id, installation_id);
CREATE UNIQUE INDEX installations_standing ON installations (credential_id, person_id) WHERE removed_at_ms IS NULL;

-- Every refresh token that descends from one authorization code.
CREATE TABLE oauth_families (
    family_id TEXT PRIMARY KEY,
    credential_id TEXT NOT NULL REFERENCES credentials (credential_id),
    installation_id TEXT NOT NULL REFERENCES installations (installation_id),
    scopes TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    revoked_at_ms BIGINT
);
CREATE INDEX oauth_families_by_installation ON oauth_families (installation_id);

CREATE TABLE oauth_codes (
    code_hash BYTEA PRIMARY KEY,
    family_id TEXT NOT NULL REFERENCES oauth_families (family_id),
    redirect_uri TEXT NOT NULL,
    challenge TEXT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    used_at_ms BIGINT
);

CREATE TABLE oauth_refresh_tokens (
    token_hash BYTEA PRIMARY KEY,
    family_id TEXT NOT NULL REFERENCES oauth_families (family_id),
    issued_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    used_at_ms BIGINT
);

-- Client assertions that were used (RFC 7523, section 3, item 7).
CREATE TABLE oauth_assertions (
    assertion_hash BYTEA PRIMARY KEY,
    expires_at_ms BIGINT NOT NULL
);
