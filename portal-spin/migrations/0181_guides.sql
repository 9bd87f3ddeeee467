-- Guides and news that the operator writes, in Markdown.
CREATE TABLE guides (
    slug TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    markdown TEXT NOT NULL,
    position BIGINT NOT NULL,
    published_at_ms BIGINT,
    updated_at_ms BIGINT NOT NULL
);
CREATE INDEX guides_by_place ON guides (kind, position, slug);
