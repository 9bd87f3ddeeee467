-- Forms and API requests that were refused, by the step of a partner's way that they belong to. Counts only:
-- nothing about a person.
CREATE TABLE step_errors (
    day BIGINT NOT NULL,
    step TEXT NOT NULL,
    -- What was asked for, and how it was answered.
    operation TEXT NOT NULL,
    status BIGINT NOT NULL,
    errors BIGINT NOT NULL,
    PRIMARY KEY (day, step, operation, status)
);
