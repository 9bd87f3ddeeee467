-- Someone who made a call before signing up: an organisation nobody owns yet, with one app.
CREATE TABLE visitors (
    organisation_id TEXT PRIMARY KEY REFERENCES organisations (organisation_id),
    app_id TEXT NOT NULL,
    token_hash BYTEA NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    claimed_at BIGINT,
    swept_at BIGINT
);
CREATE INDEX visitors_to_sweep ON visitors (expires_at) WHERE claimed_at IS NULL AND swept_at IS NULL;

-- Which visitor's organisation a registration becomes the owner of.
ALTER TABLE registrations ADD COLUMN visitor_organisation_id TEXT;

-- Organisations that somebody registered: what lists and counts show.
CREATE VIEW registered_organisations AS
SELECT o.organisation_id, o.name, o.partner_type, o.tier, o.source, o.created_at, o.suspended_at
FROM organisations o
WHERE NOT EXISTS (
    SELECT 1 FROM visitors v WHERE v.organisation_id = o.organisation_id AND v.claimed_at IS NULL
);
