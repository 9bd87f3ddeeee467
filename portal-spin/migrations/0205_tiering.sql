-- What it takes to be in a tier, as JSON; empty: nobody is moved there by rules.
ALTER TABLE tiers ADD COLUMN rules TEXT NOT NULL DEFAULT '';
-- What it grants: the plan whose limits new apps begin with, a place ahead in the review queue, and who of
-- the staff looks after its partners.
ALTER TABLE tiers ADD COLUMN plan_id TEXT;
ALTER TABLE tiers ADD COLUMN review_priority BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tiers ADD COLUMN owner TEXT;

-- One row: how tiers are given by rules.
CREATE TABLE tiering (
    tiering_id BIGINT PRIMARY KEY,
    is_automatic BIGINT NOT NULL,
    window_days BIGINT NOT NULL,
    next_run_at_ms BIGINT NOT NULL,
    last_run_at_ms BIGINT
);
INSERT INTO tiering (tiering_id, is_automatic, window_days, next_run_at_ms) VALUES (1, 0, 90, 0);

-- Every move of a partner from one tier to another; append-only.
CREATE TABLE tier_changes (
    tier_change_id TEXT PRIMARY KEY,
    organisation_id TEXT NOT NULL REFERENCES organisations (organisation_id),
    from_tier TEXT NOT NULL,
    to_tier TEXT NOT NULL,
    is_by_rules BIGINT NOT NULL,
    why TEXT NOT NULL,
    changed_at_ms BIGINT NOT NULL
);
CREATE INDEX tier_changes_by_organisation ON tier_changes (organisation_id, tier_change_id);

-- Partners whose tier was set by hand: rules leave them alone until they are released.
CREATE TABLE tier_holds (
    organisation_id TEXT PRIMARY KEY REFERENCES organisations (organisation_id),
    held_at_ms BIGINT NOT NULL
);
