-- An app on a plan. At most one subscription of an app to a product stands at a time.
CREATE TABLE subscriptions (
    subscription_id TEXT PRIMARY KEY,
    app_id TEXT NOT NULL REFERENCES apps (app_id),
    product_id TEXT NOT NULL REFERENCES products (product_id),
    plan_id TEXT NOT NULL REFERENCES plans (plan_id),
    created_at_ms BIGINT NOT NULL,
    live_from_ms BIGINT,
    -- Billing periods are counted from here.
    anchor_ms BIGINT NOT NULL,
    -- The last boundary that edges know.
    periods_until_ms BIGINT NOT NULL,
    -- A change that waits for the end of the period.
    next_plan_id TEXT REFERENCES plans (plan_id),
    next_plan_from_ms BIGINT,
    ends_at_ms BIGINT,
    cancelled_at_ms BIGINT
);
CREATE INDEX subscriptions_by_app ON subscriptions (app_id);
CREATE INDEX subscriptions_by_plan ON subscriptions (plan_id);
CREATE UNIQUE INDEX subscriptions_standing ON subscriptions (app_id, product_id) WHERE cancelled_at_ms IS NULL;
CREATE INDEX subscriptions_to_extend ON subscriptions (periods_until_ms) WHERE cancelled_at_ms IS NULL;

-- Which plan was in force from when. Rating and quota read this, not the present plan.
CREATE TABLE subscription_phases (
    subscription_id TEXT NOT NULL REFERENCES subscriptions (subscription_id),
    from_ms BIGINT NOT NULL,
    plan_id TEXT NOT NULL REFERENCES plans (plan_id),
    PRIMARY KEY (subscription_id, from_ms)
);

-- A wish that a policy or a person decides: going live, or another plan.
CREATE TABLE subscription_requests (
    request_id TEXT PRIMARY KEY,
    subscription_id TEXT NOT NULL REFERENCES subscriptions (subscription_id),
    organisation_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    plan_id TEXT NOT NULL REFERENCES plans (plan_id),
    note TEXT NOT NULL,
    requested_at_ms BIGINT NOT NULL,
    requested_by TEXT NOT NULL,
    due_at_ms BIGINT NOT NULL,
    -- What the policy saw and said, as JSON.
    findings TEXT NOT NULL,
    outcome TEXT,
    reason TEXT NOT NULL,
    decided_at_ms BIGINT,
    decided_by TEXT NOT NULL
);
CREATE INDEX subscription_requests_by_subscription ON subscription_requests (subscription_id, requested_at_ms);
CREATE INDEX subscription_requests_open ON subscription_requests (due_at_ms) WHERE outcome IS NULL;
CREATE UNIQUE INDEX subscription_requests_one_open ON subscription_requests (subscription_id) WHERE outcome IS NULL;
