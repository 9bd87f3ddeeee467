-- What the demonstration programme made, so that seeding twice changes nothing.
CREATE TABLE seeds (
    name TEXT PRIMARY KEY,
    made TEXT NOT NULL
);
