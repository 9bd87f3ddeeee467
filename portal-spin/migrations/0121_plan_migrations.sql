-- What becomes of subscribers of earlier versions when a version of a plan is published; carried out by
-- the tick, in portions.
CREATE TABLE plan_migrations (
    plan_id TEXT PRIMARY KEY REFERENCES plans (plan_id),
    -- `at_once`, `period_end` or `from`
    rule TEXT NOT NULL,
    from_ms BIGINT,
    created_at_ms BIGINT NOT NULL,
    finished_at_ms BIGINT,
    moved BIGINT NOT NULL
);

-- A private variant keeps what it changes of which plan.
ALTER TABLE plans ADD COLUMN variant_of TEXT;
ALTER TABLE plans ADD COLUMN overrides TEXT;
