CREATE TABLE apps (
    app_id TEXT PRIMARY KEY,
    organisation_id TEXT NOT NULL REFERENCES organisations (organisation_id),
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    suspended_at_ms BIGINT,
    deleted_at_ms BIGINT
);
CREATE INDEX apps_by_organisation ON apps (organisation_id, app_id);
