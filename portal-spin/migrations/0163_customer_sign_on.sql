-- Whom a log-in on its way is for: the same issuer may know staff and customers.
ALTER TABLE sign_on_attempts ADD COLUMN audience TEXT NOT NULL DEFAULT 'staff';
