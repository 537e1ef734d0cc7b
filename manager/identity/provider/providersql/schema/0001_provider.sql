-- +goose Up
CREATE TABLE identity_provider (
  id             TEXT PRIMARY KEY,
  kind           TEXT NOT NULL,
  name           TEXT NOT NULL,
  name_key       TEXT NOT NULL UNIQUE, -- the name in lower case
  enabled        BOOLEAN NOT NULL,
  position       BIGINT NOT NULL,
  settings       TEXT NOT NULL, -- JSON: value by name
  secrets        TEXT NOT NULL, -- JSON: sealed value by name, in the place identity_provider/ID/NAME
  sync_every     BIGINT NOT NULL, -- ms
  created        BIGINT NOT NULL,
  revision       BIGINT NOT NULL,
  -- what is known of it changes by itself, without the revision
  sync_succeeded BIGINT NOT NULL,
  sync_tried     BIGINT NOT NULL,
  sync_error     TEXT NOT NULL,
  sync_held      TEXT NOT NULL,
  people         BIGINT NOT NULL,
  groups_found   BIGINT NOT NULL,
  memberships    BIGINT NOT NULL,
  sync_asked     BIGINT NOT NULL,
  sync_accepted  BOOLEAN NOT NULL,
  test_started   BIGINT NOT NULL,
  test_ended     BIGINT NOT NULL,
  findings       TEXT NOT NULL -- JSON
);

-- +goose Down
DROP TABLE identity_provider;
