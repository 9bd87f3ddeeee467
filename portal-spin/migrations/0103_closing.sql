-- When its owner closed an organisation, or a person their account: what had to be kept, is.
ALTER TABLE organisations ADD COLUMN closed_at BIGINT;
