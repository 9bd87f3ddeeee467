-- Calls answered 4xx or refused up to the day of a partner's first 2xx in an environment: what the friction
-- log counts. A partner has few such days, and many of the others.
CREATE TABLE early_errors (
    organisation_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    day BIGINT NOT NULL,
    errors BIGINT NOT NULL,
    PRIMARY KEY (organisation_id, environment, day)
);
CREATE INDEX early_errors_by_day ON early_errors (day);
INSERT INTO early_errors (organisation_id, environment, day, errors)
    SELECT d.organisation_id, d.environment, d.day, CAST(SUM(d.client_errors + d.refused) AS BIGINT)
    FROM partner_days d
    LEFT JOIN partner_milestones m ON m.organisation_id = d.organisation_id AND m.milestone =
        CASE d.environment WHEN 'live' THEN 'first_live_call' ELSE 'first_sandbox_call' END
    WHERE d.client_errors + d.refused > 0 AND (m.at_ms IS NULL OR d.day * 86400000 <= m.at_ms)
    GROUP BY d.organisation_id, d.environment, d.day;
