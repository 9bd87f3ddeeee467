-- What every domain shares.

CREATE TABLE sequences (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);

CREATE TABLE attempts (
    name TEXT NOT NULL,
    subject TEXT NOT NULL,
    window_start BIGINT NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (name, subject)
);

CREATE TABLE idempotency_keys (
    place BYTEA PRIMARY KEY,
    request_digest BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    status BIGINT,
    response BYTEA
);

CREATE TABLE emails (
    email_id TEXT PRIMARY KEY,
    recipient TEXT NOT NULL,
    subject TEXT NOT NULL,
    text_body TEXT NOT NULL,
    html_body TEXT NOT NULL,
    code TEXT,
    created_at BIGINT NOT NULL,
    sent_at BIGINT,
    attempts BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    last_error TEXT
);
CREATE INDEX emails_by_recipient ON emails (recipient, email_id);
CREATE INDEX emails_to_send ON emails (next_attempt_at) WHERE sent_at IS NULL;

CREATE TABLE audit_records (
    position BIGINT PRIMARY KEY,
    audit_record_id TEXT NOT NULL UNIQUE,
    recorded_at BIGINT NOT NULL,
    organisation_id TEXT,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    detail TEXT NOT NULL,
    request_id TEXT NOT NULL,
    previous_hash BYTEA NOT NULL,
    hash BYTEA NOT NULL
);
CREATE INDEX audit_records_by_organisation ON audit_records (organisation_id, position);

-- People, organisations, sessions.

CREATE TABLE people (
    person_id TEXT PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    disabled_at BIGINT,
    totp_secret BYTEA,
    totp_enabled_at BIGINT,
    totp_last_step BIGINT
);

CREATE TABLE recovery_codes (
    person_id TEXT NOT NULL REFERENCES people (person_id),
    code_hash BYTEA NOT NULL,
    used_at BIGINT,
    PRIMARY KEY (person_id, code_hash)
);

CREATE TABLE sessions (
    session_id TEXT PRIMARY KEY,
    token_hash BYTEA NOT NULL UNIQUE,
    person_id TEXT NOT NULL REFERENCES people (person_id),
    created_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    address TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    second_factor_at BIGINT
);
CREATE INDEX sessions_by_person ON sessions (person_id);

CREATE TABLE registrations (
    registration_id TEXT PRIMARY KEY,
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    organisation_name TEXT NOT NULL,
    source TEXT NOT NULL,
    token_hash BYTEA NOT NULL UNIQUE,
    code_hash BYTEA NOT NULL,
    code_expires_at BIGINT NOT NULL,
    code_attempts BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    completed_at BIGINT,
    person_id TEXT,
    organisation_id TEXT
);
CREATE INDEX registrations_by_email ON registrations (email, registration_id);

CREATE TABLE email_proofs (
    token_hash BYTEA PRIMARY KEY,
    purpose TEXT NOT NULL,
    person_id TEXT NOT NULL REFERENCES people (person_id),
    email TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);

CREATE TABLE organisations (
    organisation_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    partner_type TEXT NOT NULL,
    tier TEXT NOT NULL,
    source TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    suspended_at BIGINT,
    suspension_reason TEXT
);

CREATE TABLE members (
    member_id TEXT PRIMARY KEY,
    organisation_id TEXT NOT NULL REFERENCES organisations (organisation_id),
    person_id TEXT NOT NULL REFERENCES people (person_id),
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (organisation_id, person_id)
);
CREATE INDEX members_by_person ON members (person_id);

CREATE TABLE invitations (
    invitation_id TEXT PRIMARY KEY,
    organisation_id TEXT NOT NULL REFERENCES organisations (organisation_id),
    email TEXT NOT NULL,
    role TEXT NOT NULL,
    token_hash BYTEA NOT NULL UNIQUE,
    invited_by TEXT NOT NULL REFERENCES people (person_id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    accepted_at BIGINT,
    revoked_at BIGINT
);
CREATE INDEX invitations_by_organisation ON invitations (organisation_id, invitation_id);

CREATE TABLE operator_members (
    person_id TEXT NOT NULL REFERENCES people (person_id),
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (person_id, role)
);
