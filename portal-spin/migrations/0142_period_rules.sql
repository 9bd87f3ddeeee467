-- Periods may be days now: when edges are told more boundaries depends on the plan.
ALTER TABLE subscriptions ADD COLUMN extend_periods_at_ms BIGINT;
-- 95 days before the last boundary, as it was for months.
UPDATE subscriptions SET extend_periods_at_ms = periods_until_ms - 8208000000;
DROP INDEX subscriptions_to_extend;
CREATE INDEX subscriptions_to_extend ON subscriptions (extend_periods_at_ms) WHERE cancelled_at_ms IS NULL;
