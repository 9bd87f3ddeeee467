-- A report of some days reads all partners' rows of these days: in order, and without a look at the table.
DROP INDEX partner_days_by_day;
CREATE INDEX partner_days_by_day ON partner_days (day, environment, organisation_id, product_id, calls,
    successes, client_errors, server_errors, rate_limited, quota_exceeded, refused);
DROP INDEX partner_weeks_by_week;
CREATE INDEX partner_weeks_by_week ON partner_weeks (week, environment, organisation_id, successes);
