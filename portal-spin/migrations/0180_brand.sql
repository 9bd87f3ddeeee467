-- What the operator says about the programme's look: one row, a JSON object.
CREATE TABLE brands (
    brand_id BIGINT PRIMARY KEY,
    body TEXT NOT NULL,
    updated_at_ms BIGINT NOT NULL
);
