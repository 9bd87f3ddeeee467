-- Issued invoices by partner, product and day: derived from their documents, which never change.
-- Line 0 holds the discounts; taxes are not revenue.
CREATE TABLE revenue_lines (
    invoice_id TEXT NOT NULL,
    line BIGINT NOT NULL,
    organisation_id TEXT NOT NULL,
    product_id TEXT NOT NULL,
    currency TEXT NOT NULL,
    day BIGINT NOT NULL,
    -- 1 for fees, 0 for what has a quantity.
    is_recurring BIGINT NOT NULL,
    amount_minor BIGINT NOT NULL,
    PRIMARY KEY (invoice_id, line)
);
CREATE INDEX revenue_lines_by_day ON revenue_lines (currency, day);
