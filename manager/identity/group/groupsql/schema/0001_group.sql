-- +goose Up
CREATE TABLE identity_group (
  id          TEXT PRIMARY KEY,
  name        TEXT NOT NULL,
  name_key    TEXT NOT NULL, -- folded: what is searched and sorted by, and unique among ODCM's own
  description TEXT NOT NULL,
  provider    TEXT NOT NULL, -- '' for ODCM's own
  external_id TEXT NOT NULL,
  created     BIGINT NOT NULL,
  revision    BIGINT NOT NULL
);
CREATE UNIQUE INDEX identity_group_own ON identity_group (name_key) WHERE provider = '';
CREATE UNIQUE INDEX identity_group_external ON identity_group (provider, external_id) WHERE provider <> '';
CREATE INDEX identity_group_name ON identity_group (name_key, id);

CREATE TABLE identity_group_user (
  group_id TEXT NOT NULL REFERENCES identity_group (id) ON DELETE CASCADE,
  user_id  TEXT NOT NULL REFERENCES identity_user (id) ON DELETE CASCADE,
  PRIMARY KEY (group_id, user_id)
);
CREATE INDEX identity_group_user_of ON identity_group_user (user_id);

CREATE TABLE identity_group_nested (
  parent_id TEXT NOT NULL REFERENCES identity_group (id) ON DELETE CASCADE,
  child_id  TEXT NOT NULL REFERENCES identity_group (id) ON DELETE CASCADE,
  PRIMARY KEY (parent_id, child_id)
);
CREATE INDEX identity_group_nested_in ON identity_group_nested (child_id);

-- One row: its lock is whose turn it is to change groups.
CREATE TABLE identity_group_turn (
  one  INTEGER PRIMARY KEY CHECK (one = 1),
  turn BIGINT NOT NULL
);
INSERT INTO identity_group_turn (one, turn) VALUES (1, 0);

-- +goose Down
DROP TABLE identity_group_turn;
DROP TABLE identity_group_nested;
DROP TABLE identity_group_user;
DROP TABLE identity_group;
