-- Texts of e-mails that the operator words anew; the others stand in the code.
CREATE TABLE email_texts (
    name TEXT PRIMARY KEY,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    updated_at_ms BIGINT NOT NULL
);
