-- The language a person chose; empty: what their browser asks for.
ALTER TABLE people ADD COLUMN language TEXT NOT NULL DEFAULT '';
