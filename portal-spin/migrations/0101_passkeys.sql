-- WebAuthn credentials of people. The public key is COSE, as the authenticator gave it.
CREATE TABLE passkeys (
    passkey_id TEXT PRIMARY KEY,
    person_id TEXT NOT NULL REFERENCES people (person_id),
    credential_id BYTEA NOT NULL UNIQUE,
    public_key BYTEA NOT NULL,
    sign_count BIGINT NOT NULL,
    is_synced BIGINT NOT NULL,
    name TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    last_used_at_ms BIGINT
);
CREATE INDEX passkeys_by_person ON passkeys (person_id, passkey_id);

-- Challenges that were given out; used once. person_id is set where a passkey is being added.
CREATE TABLE passkey_challenges (
    challenge_hash BYTEA PRIMARY KEY,
    person_id TEXT,
    expires_at_ms BIGINT NOT NULL
);
CREATE INDEX passkey_challenges_by_expiry ON passkey_challenges (expires_at_ms);
