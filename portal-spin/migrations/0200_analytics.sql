-- Days whose usage was rolled up, or made again, since analytics last read them.
CREATE TABLE usage_changed_days (
    day BIGINT PRIMARY KEY
);
INSERT INTO usage_changed_days (day) SELECT DISTINCT hour / 24 FROM usage_hours;

-- Calls of a partner by product and day: summed from the cells, made again whenever a day changes.
-- product_id is empty for calls of no subscription.
CREATE TABLE partner_days (
    organisation_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    product_id TEXT NOT NULL,
    day BIGINT NOT NULL,
    calls BIGINT NOT NULL,
    successes BIGINT NOT NULL,
    client_errors BIGINT NOT NULL,
    server_errors BIGINT NOT NULL,
    rate_limited BIGINT NOT NULL,
    quota_exceeded BIGINT NOT NULL,
    refused BIGINT NOT NULL,
    PRIMARY KEY (organisation_id, environment, product_id, day)
);
CREATE INDEX partner_days_by_day ON partner_days (day);

-- The same by week (from Monday; week 0 has 1970-01-01) and by month (since year 0), from partner_days.
CREATE TABLE partner_weeks (
    organisation_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    product_id TEXT NOT NULL,
    week BIGINT NOT NULL,
    calls BIGINT NOT NULL,
    successes BIGINT NOT NULL,
    client_errors BIGINT NOT NULL,
    server_errors BIGINT NOT NULL,
    rate_limited BIGINT NOT NULL,
    quota_exceeded BIGINT NOT NULL,
    refused BIGINT NOT NULL,
    PRIMARY KEY (organisation_id, environment, product_id, week)
);
CREATE INDEX partner_weeks_by_week ON partner_weeks (week);
CREATE TABLE partner_months (
    organisation_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    product_id TEXT NOT NULL,
    month BIGINT NOT NULL,
    calls BIGINT NOT NULL,
    successes BIGINT NOT NULL,
    client_errors BIGINT NOT NULL,
    server_errors BIGINT NOT NULL,
    rate_limited BIGINT NOT NULL,
    quota_exceeded BIGINT NOT NULL,
    refused BIGINT NOT NULL,
    PRIMARY KEY (organisation_id, environment, product_id, month)
);
CREATE INDEX partner_months_by_month ON partner_months (month);

-- Programme events that no other table holds: a partner's first successes at the gateway.
CREATE TABLE partner_milestones (
    organisation_id TEXT NOT NULL,
    milestone TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (organisation_id, milestone)
);

-- Views of the sign-up page by people who are not signed in. Counts only: nothing about a person.
CREATE TABLE visits (
    day BIGINT NOT NULL,
    source TEXT NOT NULL,
    views BIGINT NOT NULL,
    PRIMARY KEY (day, source)
);

CREATE INDEX registrations_by_organisation ON registrations (organisation_id);
CREATE INDEX audit_records_by_actor ON audit_records (actor, position);
