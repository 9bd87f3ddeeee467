-- What the programme costs: so much a month, from a month on and up to another. Months since year 0.
CREATE TABLE programme_costs (
    programme_cost_id TEXT PRIMARY KEY,
    label TEXT NOT NULL,
    currency TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    first_month BIGINT NOT NULL,
    -- The last month that has it; null: it goes on.
    last_month BIGINT,
    created_at_ms BIGINT NOT NULL
);
