-- What a partner said when it cancelled.
ALTER TABLE subscriptions ADD COLUMN cancellation_reason TEXT;
