-- An organisation's own identity provider (OpenID Connect). The secret is encrypted.
CREATE TABLE identity_providers (
    organisation_id TEXT PRIMARY KEY REFERENCES organisations (organisation_id),
    issuer TEXT NOT NULL,
    client_id TEXT NOT NULL,
    client_secret BYTEA NOT NULL,
    -- Whose addresses it speaks for, once that is proved.
    domain TEXT NOT NULL,
    domain_token TEXT NOT NULL,
    domain_verified_at_ms BIGINT,
    -- Members with such an address log in no other way; owners may.
    is_enforced BIGINT NOT NULL,
    role TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL
);
CREATE UNIQUE INDEX identity_providers_by_domain ON identity_providers (domain)
    WHERE domain_verified_at_ms IS NOT NULL;

-- Log-ins on their way to a provider and back. Where the answer is fetched is fixed at the start.
CREATE TABLE sign_on_attempts (
    state_hash BYTEA PRIMARY KEY,
    -- Only the browser that began knows what this is the digest of.
    binding_hash BYTEA NOT NULL,
    organisation_id TEXT,
    issuer TEXT NOT NULL,
    token_endpoint TEXT NOT NULL,
    jwks_uri TEXT NOT NULL,
    names_issuer BIGINT NOT NULL,
    posts_secret BIGINT NOT NULL,
    nonce TEXT NOT NULL,
    code_verifier TEXT NOT NULL,
    next TEXT NOT NULL,
    expires_at_ms BIGINT NOT NULL
);
CREATE INDEX sign_on_attempts_by_expiry ON sign_on_attempts (expires_at_ms);

-- People as providers name them (ASVS 5.0, 6.8.1): never by e-mail alone.
CREATE TABLE person_identities (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    person_id TEXT NOT NULL REFERENCES people (person_id),
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
);
