-- What reports over long spans read instead of every month in between: a span is the total at its end
-- less the total before its start.

-- Live calls of each partner and product from the beginning up to the end of a month. A row for every
-- partner and product that has called before, in every month since the first call of anyone.
CREATE TABLE live_totals (
    month BIGINT NOT NULL,
    organisation_id TEXT NOT NULL,
    product_id TEXT NOT NULL,
    calls BIGINT NOT NULL,
    successes BIGINT NOT NULL,
    client_errors BIGINT NOT NULL,
    server_errors BIGINT NOT NULL,
    rate_limited BIGINT NOT NULL,
    quota_exceeded BIGINT NOT NULL,
    refused BIGINT NOT NULL,
    PRIMARY KEY (month, organisation_id, product_id)
);

-- The same of revenue. recurring_minor is the part of total_minor that is fees.
CREATE TABLE revenue_totals (
    currency TEXT NOT NULL,
    month BIGINT NOT NULL,
    organisation_id TEXT NOT NULL,
    product_id TEXT NOT NULL,
    total_minor BIGINT NOT NULL,
    recurring_minor BIGINT NOT NULL,
    PRIMARY KEY (currency, month, organisation_id, product_id)
);
-- Revenue of one month alone, of all partners.
CREATE TABLE revenue_months (
    currency TEXT NOT NULL,
    month BIGINT NOT NULL,
    product_id TEXT NOT NULL,
    total_minor BIGINT NOT NULL,
    recurring_minor BIGINT NOT NULL,
    PRIMARY KEY (currency, month, product_id)
);
-- How many invoices there were, and how many of them void, when all had been read.
CREATE TABLE revenue_reading (
    revenue_reading_id BIGINT PRIMARY KEY,
    invoices BIGINT NOT NULL,
    voided BIGINT NOT NULL
);
CREATE INDEX invoices_voided ON invoices (voided_at_ms) WHERE voided_at_ms IS NOT NULL;

-- Partners active in a month by the month of their first live 2xx: how many, how many of them also in the
-- month after, and their successful live calls.
CREATE TABLE active_months (
    month BIGINT NOT NULL,
    first_month BIGINT NOT NULL,
    partners BIGINT NOT NULL,
    stayed BIGINT NOT NULL,
    successes BIGINT NOT NULL,
    PRIMARY KEY (month, first_month)
);

-- Made again from the invoices and the days.
DELETE FROM revenue_lines;
INSERT INTO usage_changed_days (day)
    SELECT DISTINCT day FROM partner_days d
    WHERE NOT EXISTS (SELECT 1 FROM usage_changed_days c WHERE c.day = d.day);
