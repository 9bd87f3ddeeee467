-- Which list of migrations was last applied in full, as one number: a new instance compares it in one read.
CREATE TABLE schema_fingerprints (
    name TEXT PRIMARY KEY,
    fingerprint BIGINT NOT NULL
);
