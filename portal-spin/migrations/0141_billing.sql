-- Who pays, and by what rules. The row is also the lock of an organisation's billing.
CREATE TABLE billing_accounts (
    organisation_id TEXT PRIMARY KEY REFERENCES organisations (organisation_id),
    legal_name TEXT NOT NULL,
    address TEXT NOT NULL,
    country TEXT NOT NULL,
    region TEXT NOT NULL,
    tax_id TEXT NOT NULL,
    email TEXT NOT NULL,
    budget_minor BIGINT,
    budget_currency TEXT NOT NULL,
    -- Live calls are stopped because an invoice is overdue.
    suspended_at_ms BIGINT,
    provider_customer TEXT
);

-- How far a subscription is billed: the next boundary to bill, and when nothing more is to come.
CREATE TABLE billing_cursors (
    subscription_id TEXT PRIMARY KEY REFERENCES subscriptions (subscription_id),
    next_bill_at_ms BIGINT NOT NULL,
    finished_at_ms BIGINT
);
CREATE INDEX subscriptions_live ON subscriptions (live_from_ms) WHERE live_from_ms IS NOT NULL;

CREATE TABLE invoices (
    invoice_id TEXT PRIMARY KEY,
    organisation_id TEXT NOT NULL REFERENCES organisations (organisation_id),
    -- `invoice` or `credit_note`; numbered without holes, each kind by itself.
    kind TEXT NOT NULL,
    number TEXT NOT NULL UNIQUE,
    currency TEXT NOT NULL,
    -- The boundary that was billed; null for what the operator wrote by hand.
    bill_at_ms BIGINT,
    period_start_ms BIGINT NOT NULL,
    period_end_ms BIGINT NOT NULL,
    issued_at_ms BIGINT NOT NULL,
    due_at_ms BIGINT NOT NULL,
    total_minor BIGINT NOT NULL,
    wallet_minor BIGINT NOT NULL,
    credited_minor BIGINT NOT NULL,
    amount_due_minor BIGINT NOT NULL,
    paid_at_ms BIGINT,
    voided_at_ms BIGINT,
    uncollectible_at_ms BIGINT,
    -- All that the document is computed from, and the document.
    inputs TEXT NOT NULL,
    document TEXT NOT NULL,
    credits_invoice_id TEXT REFERENCES invoices (invoice_id),
    -- The payment provider's side: its invoice, where to pay, whether it knows how ours ended, next try.
    provider_invoice TEXT,
    payment_url TEXT,
    provider_told_at_ms BIGINT,
    provider_next_try_ms BIGINT,
    provider_error TEXT,
    UNIQUE (organisation_id, currency, bill_at_ms)
);
CREATE INDEX invoices_by_organisation ON invoices (organisation_id, invoice_id);
CREATE INDEX invoices_open ON invoices (due_at_ms)
    WHERE paid_at_ms IS NULL AND voided_at_ms IS NULL AND uncollectible_at_ms IS NULL;

-- What was billed for each part of a period, in all invoices together.
CREATE TABLE billed_items (
    subscription_id TEXT NOT NULL,
    plan_id TEXT NOT NULL,
    charge TEXT NOT NULL,
    start_ms BIGINT NOT NULL,
    amount_minor BIGINT NOT NULL,
    quantity TEXT NOT NULL,
    invoice TEXT NOT NULL,
    PRIMARY KEY (subscription_id, plan_id, charge, start_ms)
);

-- Credit paid in or given; drawn before anything else is asked for. The balance is the sum.
CREATE TABLE wallet_entries (
    entry_id TEXT PRIMARY KEY,
    organisation_id TEXT NOT NULL REFERENCES organisations (organisation_id),
    currency TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    kind TEXT NOT NULL,
    invoice_id TEXT,
    note TEXT NOT NULL,
    at_ms BIGINT NOT NULL
);
CREATE INDEX wallet_entries_by_organisation ON wallet_entries (organisation_id, currency, entry_id);

CREATE TABLE tax_rates (
    tax_rate_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    country TEXT NOT NULL,
    region TEXT NOT NULL,
    percent TEXT NOT NULL,
    -- A buyer with a tax number accounts for it: the line stays, with no amount.
    reverse_charge BIGINT NOT NULL,
    from_ms BIGINT NOT NULL,
    until_ms BIGINT
);

CREATE TABLE coupons (
    coupon_id TEXT PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    percent TEXT,
    amount_minor BIGINT,
    currency TEXT NOT NULL,
    periods BIGINT,
    most_redemptions BIGINT,
    expires_at_ms BIGINT,
    created_at_ms BIGINT NOT NULL,
    withdrawn_at_ms BIGINT
);
CREATE TABLE coupon_redemptions (
    redemption_id TEXT PRIMARY KEY,
    coupon_id TEXT NOT NULL REFERENCES coupons (coupon_id),
    organisation_id TEXT NOT NULL REFERENCES organisations (organisation_id),
    redeemed_at_ms BIGINT NOT NULL,
    UNIQUE (coupon_id, organisation_id)
);
CREATE TABLE coupon_uses (
    redemption_id TEXT NOT NULL REFERENCES coupon_redemptions (redemption_id),
    invoice_id TEXT NOT NULL REFERENCES invoices (invoice_id),
    PRIMARY KEY (redemption_id, invoice_id)
);

-- Each payment once, by the reference its adapter gives.
CREATE TABLE payments (
    payment_id TEXT PRIMARY KEY,
    invoice_id TEXT NOT NULL REFERENCES invoices (invoice_id),
    adapter TEXT NOT NULL,
    reference TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    UNIQUE (adapter, reference)
);
CREATE TABLE payment_events (
    event_id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    received_at_ms BIGINT NOT NULL,
    outcome TEXT NOT NULL
);

-- Sent once: reminders of an invoice, alerts of usage and spending.
CREATE TABLE billing_notices (
    subject TEXT NOT NULL,
    period_start_ms BIGINT NOT NULL,
    notice TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (subject, period_start_ms, notice)
);

-- What of each hour a CloudEvents sink was told.
CREATE TABLE usage_exported (
    series BYTEA NOT NULL,
    hour BIGINT NOT NULL,
    units BIGINT NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (series, hour)
);
CREATE INDEX invoices_by_provider ON invoices (provider_invoice) WHERE provider_invoice IS NOT NULL;

-- What a run did, and what it could not do.
CREATE TABLE billing_runs (
    run_id TEXT PRIMARY KEY,
    started_at_ms BIGINT NOT NULL,
    organisations BIGINT NOT NULL,
    invoices BIGINT NOT NULL
);
CREATE TABLE billing_failures (
    organisation_id TEXT PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    detail TEXT NOT NULL
);
