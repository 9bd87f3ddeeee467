-- What a customer says of an app they installed. The operator chooses which of them the directory shows.
CREATE TABLE opinions (
    installation_id TEXT PRIMARY KEY REFERENCES installations (installation_id),
    app_id TEXT NOT NULL REFERENCES apps (app_id),
    rating BIGINT NOT NULL,
    body TEXT NOT NULL,
    -- How the customer wants to be named.
    signed_by TEXT NOT NULL,
    written_at_ms BIGINT NOT NULL,
    -- Since when the directory shows it.
    shown_at_ms BIGINT
);
CREATE INDEX opinions_by_app ON opinions (app_id, written_at_ms);
