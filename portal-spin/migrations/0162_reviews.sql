-- What each of the four tracks says of a submission.
CREATE TABLE reviews (
    review_id TEXT PRIMARY KEY,
    submission_id TEXT NOT NULL REFERENCES submissions (submission_id),
    track TEXT NOT NULL,
    reviewer TEXT NOT NULL,
    verdict TEXT NOT NULL,
    -- Items ticked, rules cited: JSON arrays.
    ticked TEXT NOT NULL,
    rules TEXT NOT NULL,
    evidence TEXT NOT NULL,
    comment TEXT NOT NULL,
    decided_at_ms BIGINT NOT NULL,
    UNIQUE (submission_id, track)
);

-- The thread between partner and reviewers.
CREATE TABLE review_messages (
    message_id TEXT PRIMARY KEY,
    submission_id TEXT NOT NULL REFERENCES submissions (submission_id),
    author TEXT NOT NULL,
    is_from_operator BIGINT NOT NULL,
    body TEXT NOT NULL,
    sent_at_ms BIGINT NOT NULL
);
CREATE INDEX review_messages_by_submission ON review_messages (submission_id, message_id);

-- Reasons that reviewers write often.
CREATE TABLE review_templates (
    name TEXT PRIMARY KEY,
    rules TEXT NOT NULL,
    body TEXT NOT NULL,
    changed_at_ms BIGINT NOT NULL
);
