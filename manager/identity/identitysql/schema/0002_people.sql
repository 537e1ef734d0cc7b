-- +goose Up
ALTER TABLE identity_user ADD COLUMN display_key TEXT NOT NULL DEFAULT '';   -- folded, to search in
ALTER TABLE identity_user ADD COLUMN disabled_by TEXT NOT NULL DEFAULT '';   -- the provider that did; '': an administrator
ALTER TABLE identity_user ADD COLUMN deleted BIGINT NOT NULL DEFAULT 0;      -- 0: not; the row stays for the events that name it
ALTER TABLE identity_user ADD COLUMN merged_into TEXT NOT NULL DEFAULT '';
ALTER TABLE identity_user ADD COLUMN picture TEXT NOT NULL DEFAULT '';       -- tag of the picture; '': none
ALTER TABLE identity_user ADD COLUMN updated BIGINT NOT NULL DEFAULT 0;
UPDATE identity_user SET display_key = lower(display_name), updated = created;

CREATE TABLE identity_email (
  user_id     TEXT NOT NULL REFERENCES identity_user (id) ON DELETE CASCADE,
  address     TEXT NOT NULL,
  address_key TEXT NOT NULL, -- folded; several users may have one address
  verified    BIGINT NOT NULL, -- 0: not
  main        BOOLEAN NOT NULL,
  source      TEXT NOT NULL, -- the linked identity that brought it, and takes it along; '': the user himself or an administrator
  PRIMARY KEY (user_id, address_key)
);
CREATE INDEX identity_email_key ON identity_email (address_key);

CREATE TABLE identity_linked (
  id             TEXT PRIMARY KEY,
  user_id        TEXT NOT NULL REFERENCES identity_user (id) ON DELETE CASCADE,
  provider       TEXT NOT NULL,
  subject        TEXT NOT NULL,
  username       TEXT NOT NULL,
  display_name   TEXT NOT NULL,
  email          TEXT NOT NULL,
  email_verified BOOLEAN NOT NULL,
  gone           BOOLEAN NOT NULL, -- the directory has it no more, or does not let it sign in
  linked         BIGINT NOT NULL,
  last_sign_in   BIGINT NOT NULL, -- 0: never
  UNIQUE (provider, subject)
);
CREATE INDEX identity_linked_user ON identity_linked (user_id);
CREATE INDEX identity_linked_subject ON identity_linked (subject);

CREATE TABLE identity_mark (
  linked_id  TEXT NOT NULL REFERENCES identity_linked (id) ON DELETE CASCADE,
  name       TEXT NOT NULL, -- "sid", "upn", "sam", "dn"
  mark       TEXT NOT NULL,
  mark_key   TEXT NOT NULL, -- folded
  PRIMARY KEY (linked_id, name)
);
CREATE INDEX identity_mark_key ON identity_mark (name, mark_key);

CREATE TABLE identity_picture (
  user_id TEXT PRIMARY KEY REFERENCES identity_user (id) ON DELETE CASCADE,
  jpeg    TEXT NOT NULL -- base64
);

CREATE TABLE identity_letter (
  token   TEXT PRIMARY KEY, -- SHA-256 of the link's secret, base64url
  id      TEXT NOT NULL UNIQUE,
  purpose TEXT NOT NULL, -- "invitation", "verification", "reset"
  user_id TEXT NOT NULL REFERENCES identity_user (id) ON DELETE CASCADE,
  address TEXT NOT NULL, -- that it was mailed to; '': it was handed over
  created BIGINT NOT NULL,
  expires BIGINT NOT NULL
);
CREATE INDEX identity_letter_user ON identity_letter (user_id, purpose, created);
CREATE INDEX identity_letter_expires ON identity_letter (expires);

CREATE TABLE identity_distinct (
  one     TEXT NOT NULL REFERENCES identity_user (id) ON DELETE CASCADE, -- the smaller identifier of the two
  other   TEXT NOT NULL REFERENCES identity_user (id) ON DELETE CASCADE,
  decided BIGINT NOT NULL,
  by_name TEXT NOT NULL,
  PRIMARY KEY (one, other)
);

-- +goose Down
DROP TABLE identity_distinct;
DROP TABLE identity_letter;
DROP TABLE identity_picture;
DROP TABLE identity_mark;
DROP TABLE identity_linked;
DROP TABLE identity_email;
ALTER TABLE identity_user DROP COLUMN updated;
ALTER TABLE identity_user DROP COLUMN picture;
ALTER TABLE identity_user DROP COLUMN merged_into;
ALTER TABLE identity_user DROP COLUMN deleted;
ALTER TABLE identity_user DROP COLUMN disabled_by;
ALTER TABLE identity_user DROP COLUMN display_key;
