-- What an app says of itself. The draft is edited; a submission freezes a copy of it.
CREATE TABLE listings (
    listing_id TEXT PRIMARY KEY,
    app_id TEXT NOT NULL UNIQUE REFERENCES apps (app_id),
    slug TEXT NOT NULL UNIQUE,
    visibility TEXT NOT NULL,
    -- JSON array of e-mail addresses: who may install it while it is private.
    customers TEXT NOT NULL,
    draft TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    changed_at_ms BIGINT NOT NULL,
    -- The submission that customers see; its state says whether they do.
    live_submission_id TEXT,
    published_at_ms BIGINT
);

CREATE TABLE submissions (
    submission_id TEXT PRIMARY KEY,
    listing_id TEXT NOT NULL REFERENCES listings (listing_id),
    version BIGINT NOT NULL,
    content TEXT NOT NULL,
    state TEXT NOT NULL,
    submitted_at_ms BIGINT NOT NULL,
    submitted_by TEXT NOT NULL,
    -- Its place in the queue; kept over a resubmission.
    queued_at_ms BIGINT NOT NULL,
    due_at_ms BIGINT NOT NULL,
    decided_at_ms BIGINT,
    decided_by TEXT,
    -- Rules cited, evidence and comment of the last negative decision, as JSON.
    decision TEXT NOT NULL,
    -- Of a provisional approval or a suspension.
    deadline_ms BIGINT,
    -- Who rejected it, while an appeal to someone else runs or after it.
    appealed_from TEXT,
    assigned_to TEXT,
    findings TEXT NOT NULL,
    UNIQUE (listing_id, version)
);
CREATE INDEX submissions_by_state ON submissions (state, queued_at_ms);

-- Re-encoded pictures, named by their content. Never the bytes that were uploaded.
CREATE TABLE listing_images (
    image_id TEXT PRIMARY KEY,
    listing_id TEXT NOT NULL REFERENCES listings (listing_id),
    media_type TEXT NOT NULL,
    width BIGINT NOT NULL,
    height BIGINT NOT NULL,
    -- Lightest against darkest visible pixel, times 100 (WCAG contrast).
    contrast BIGINT NOT NULL,
    bytes BYTEA NOT NULL,
    created_at_ms BIGINT NOT NULL
);
CREATE INDEX listing_images_by_listing ON listing_images (listing_id);

-- How often a listing was seen, an installation begun, completed or removed, by UTC day.
CREATE TABLE listing_counts (
    listing_id TEXT NOT NULL REFERENCES listings (listing_id),
    day BIGINT NOT NULL,
    step TEXT NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (listing_id, day, step)
);
