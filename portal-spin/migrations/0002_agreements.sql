CREATE TABLE agreements (
    agreement_id TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    kind TEXT NOT NULL,
    -- NULL: every product needs it. Else a JSON array of product ids.
    products TEXT,
    created_at BIGINT NOT NULL
);

-- Published versions only; a row never changes.
CREATE TABLE agreement_versions (
    agreement_version_id TEXT PRIMARY KEY,
    agreement_id TEXT NOT NULL REFERENCES agreements (agreement_id),
    version BIGINT NOT NULL,
    label TEXT NOT NULL,
    locale TEXT NOT NULL,
    markdown TEXT NOT NULL,
    html TEXT NOT NULL,
    html_sha256 TEXT NOT NULL,
    sentence TEXT NOT NULL,
    is_material BIGINT NOT NULL,
    published_at BIGINT NOT NULL,
    published_by TEXT NOT NULL,
    effective_at BIGINT NOT NULL,
    required_from BIGINT NOT NULL,
    UNIQUE (agreement_id, version)
);

-- Append-only. `record` is the exact text that is hashed and signed.
CREATE TABLE acceptances (
    position BIGINT PRIMARY KEY,
    acceptance_id TEXT NOT NULL UNIQUE,
    organisation_id TEXT NOT NULL REFERENCES organisations (organisation_id),
    agreement_id TEXT NOT NULL REFERENCES agreements (agreement_id),
    agreement_version_id TEXT NOT NULL REFERENCES agreement_versions (agreement_version_id),
    version BIGINT NOT NULL,
    person_id TEXT NOT NULL REFERENCES people (person_id),
    accepted_at BIGINT NOT NULL,
    record TEXT NOT NULL,
    hash BYTEA NOT NULL,
    signature BYTEA NOT NULL,
    UNIQUE (organisation_id, agreement_version_id)
);

CREATE TABLE agreement_reminders (
    organisation_id TEXT NOT NULL REFERENCES organisations (organisation_id),
    agreement_version_id TEXT NOT NULL REFERENCES agreement_versions (agreement_version_id),
    days_left BIGINT NOT NULL,
    sent_at BIGINT NOT NULL,
    PRIMARY KEY (organisation_id, agreement_version_id, days_left)
);
