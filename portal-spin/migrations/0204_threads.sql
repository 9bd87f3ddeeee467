-- Threads between a partner and the operator's people: on the partner, on one of its apps, or on a
-- submission. Those of submissions were kept by themselves before.
CREATE TABLE threads (
    thread_id TEXT PRIMARY KEY,
    organisation_id TEXT NOT NULL REFERENCES organisations (organisation_id),
    app_id TEXT REFERENCES apps (app_id),
    submission_id TEXT UNIQUE REFERENCES submissions (submission_id),
    subject TEXT NOT NULL,
    opened_at_ms BIGINT NOT NULL,
    last_message_at_ms BIGINT NOT NULL,
    -- Since when the partner waits for an answer.
    waits_since_ms BIGINT,
    closed_at_ms BIGINT
);
CREATE INDEX threads_by_organisation ON threads (organisation_id, thread_id);
CREATE INDEX threads_waiting ON threads (waits_since_ms) WHERE waits_since_ms IS NOT NULL;

CREATE TABLE thread_messages (
    message_id TEXT PRIMARY KEY,
    thread_id TEXT NOT NULL REFERENCES threads (thread_id),
    author TEXT NOT NULL,
    is_from_operator BIGINT NOT NULL,
    body TEXT NOT NULL,
    sent_at_ms BIGINT NOT NULL
);
CREATE INDEX thread_messages_by_thread ON thread_messages (thread_id, message_id);
CREATE INDEX thread_messages_by_time ON thread_messages (sent_at_ms);

CREATE TABLE thread_tags (
    thread_id TEXT NOT NULL REFERENCES threads (thread_id),
    tag TEXT NOT NULL,
    PRIMARY KEY (thread_id, tag)
);
CREATE INDEX thread_tags_by_tag ON thread_tags (tag, thread_id);

INSERT INTO threads (thread_id, organisation_id, app_id, submission_id, subject, opened_at_ms, last_message_at_ms)
    SELECT 'thr_' || SUBSTR(s.submission_id, 5), a.organisation_id, l.app_id, s.submission_id, 'Review',
        MIN(m.sent_at_ms), MAX(m.sent_at_ms)
    FROM review_messages m JOIN submissions s ON s.submission_id = m.submission_id
    JOIN listings l ON l.listing_id = s.listing_id JOIN apps a ON a.app_id = l.app_id
    GROUP BY s.submission_id, a.organisation_id, l.app_id;
INSERT INTO thread_messages (message_id, thread_id, author, is_from_operator, body, sent_at_ms)
    SELECT message_id, 'thr_' || SUBSTR(submission_id, 5), author, is_from_operator, body, sent_at_ms
    FROM review_messages;
DROP TABLE review_messages;
