-- +goose Up
-- One row, taken by every change: changes commit in the order of their revisions, so that who has seen one has seen all before.
CREATE TABLE access_revision (
  one      BIGINT PRIMARY KEY CHECK (one = 1),
  revision BIGINT NOT NULL
);
INSERT INTO access_revision (one, revision) VALUES (1, 0);

-- The newest change of each Space. A row stays when nothing else is left of the Space: other replicas must hear of that too.
CREATE TABLE access_space (
  space_id TEXT PRIMARY KEY,
  revision BIGINT NOT NULL
);
CREATE INDEX access_space_revision ON access_space (revision);

CREATE TABLE access_grant (
  id         TEXT PRIMARY KEY,
  space_id   TEXT NOT NULL,
  group_id   TEXT NOT NULL, -- '' where a user holds it
  user_id    TEXT NOT NULL, -- '' where a group holds it
  steward    BOOLEAN NOT NULL,
  expires    BIGINT NOT NULL, -- 0: never
  ended      BOOLEAN NOT NULL,
  note       TEXT NOT NULL,
  granted_by TEXT NOT NULL,
  created    BIGINT NOT NULL,
  UNIQUE (space_id, group_id, user_id)
);
CREATE INDEX access_grant_expires ON access_grant (expires) WHERE expires > 0 AND NOT ended;

CREATE TABLE access_team (
  space_id TEXT NOT NULL,
  team_id  TEXT NOT NULL, -- on the server: "Teams-21"
  name     TEXT NOT NULL,
  PRIMARY KEY (space_id, team_id)
);

CREATE TABLE access_team_group (
  space_id TEXT NOT NULL,
  team_id  TEXT NOT NULL,
  group_id TEXT NOT NULL,
  PRIMARY KEY (space_id, team_id, group_id),
  FOREIGN KEY (space_id, team_id) REFERENCES access_team (space_id, team_id) ON DELETE CASCADE
);

-- +goose Down
DROP TABLE access_team_group;
DROP TABLE access_team;
DROP TABLE access_grant;
DROP TABLE access_space;
DROP TABLE access_revision;
