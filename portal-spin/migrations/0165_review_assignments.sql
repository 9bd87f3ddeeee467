-- Tracks handed to a reviewer of their own. The others are with whoever has taken the submission.
CREATE TABLE review_assignments (
    submission_id TEXT NOT NULL REFERENCES submissions (submission_id),
    track TEXT NOT NULL,
    reviewer TEXT NOT NULL,
    assigned_by TEXT NOT NULL,
    assigned_at_ms BIGINT NOT NULL,
    PRIMARY KEY (submission_id, track)
);
