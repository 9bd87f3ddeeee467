-- What the operator sorts partners by, and what each type may see and get.
CREATE TABLE partner_types (
    partner_type TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    -- New organisations get it unless an invitation says otherwise; exactly one row has it.
    is_default BIGINT NOT NULL,
    -- What holds where the matrix says nothing.
    is_open_by_default BIGINT NOT NULL,
    created_at_ms BIGINT NOT NULL
);
INSERT INTO partner_types (partner_type, name, description, is_default, is_open_by_default, created_at_ms)
VALUES ('standard', 'Standard', '', 1, 1, 0);

CREATE TABLE tiers (
    tier TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    position BIGINT NOT NULL,
    is_default BIGINT NOT NULL,
    created_at_ms BIGINT NOT NULL
);
INSERT INTO tiers (tier, name, description, position, is_default, created_at_ms)
VALUES ('standard', 'Standard', '', 0, 1, 0);

-- A cell of the matrix. plan_slug is empty for the product as a whole.
CREATE TABLE access_cells (
    partner_type TEXT NOT NULL REFERENCES partner_types (partner_type),
    product_id TEXT NOT NULL REFERENCES products (product_id),
    plan_slug TEXT NOT NULL,
    is_open BIGINT NOT NULL,
    PRIMARY KEY (partner_type, product_id, plan_slug)
);

CREATE INDEX organisations_by_partner_type ON organisations (partner_type);

-- Pilot cohorts and whatever else the operator marks organisations with.
CREATE TABLE organisation_tags (
    organisation_id TEXT NOT NULL REFERENCES organisations (organisation_id),
    tag TEXT NOT NULL,
    PRIMARY KEY (organisation_id, tag)
);
CREATE INDEX organisation_tags_by_tag ON organisation_tags (tag, organisation_id);

-- The plan a new app of this organisation begins on, in place of the product's default.
CREATE TABLE preset_plans (
    organisation_id TEXT NOT NULL REFERENCES organisations (organisation_id),
    plan_id TEXT NOT NULL REFERENCES plans (plan_id),
    PRIMARY KEY (organisation_id, plan_id)
);

-- The operator's invitations to join the programme with an organisation of one's own.
CREATE TABLE programme_invitations (
    programme_invitation_id TEXT PRIMARY KEY,
    email TEXT NOT NULL,
    organisation_name TEXT NOT NULL,
    partner_type TEXT NOT NULL,
    tier TEXT NOT NULL,
    tags TEXT NOT NULL,
    plan_id TEXT,
    token_hash BYTEA NOT NULL UNIQUE,
    invited_by TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    accepted_at_ms BIGINT,
    revoked_at_ms BIGINT,
    organisation_id TEXT
);
CREATE INDEX programme_invitations_by_email ON programme_invitations (email, programme_invitation_id);

-- Since when the partner's type may no longer use the subscription's product or plan.
ALTER TABLE subscriptions ADD COLUMN barred_at_ms BIGINT;
