-- +goose Up
CREATE TABLE identity_user (
  id           TEXT PRIMARY KEY,
  username     TEXT NOT NULL,
  username_key TEXT NOT NULL UNIQUE,
  display_name TEXT NOT NULL,
  roles        TEXT NOT NULL, -- ",administrator,member,": with a comma at both ends, so that one role can be looked for
  disabled     BOOLEAN NOT NULL,
  created      BIGINT NOT NULL,
  revision     BIGINT NOT NULL
);

CREATE TABLE identity_password (
  user_id TEXT PRIMARY KEY REFERENCES identity_user (id) ON DELETE CASCADE,
  hash    TEXT NOT NULL,
  changed BIGINT NOT NULL
);

CREATE TABLE identity_session (
  id         TEXT PRIMARY KEY,
  token      TEXT NOT NULL UNIQUE, -- SHA-256 of the secret, base64url
  user_id    TEXT NOT NULL REFERENCES identity_user (id) ON DELETE CASCADE,
  method     TEXT NOT NULL,
  created    BIGINT NOT NULL,
  seen       BIGINT NOT NULL,
  expires    BIGINT NOT NULL,
  address    TEXT NOT NULL,
  user_agent TEXT NOT NULL
);
CREATE INDEX identity_session_user ON identity_session (user_id, id);
CREATE INDEX identity_session_expires ON identity_session (expires);

CREATE TABLE identity_key (
  id      TEXT PRIMARY KEY,
  token   TEXT NOT NULL UNIQUE, -- SHA-256 of the secret, base64url
  user_id TEXT NOT NULL REFERENCES identity_user (id) ON DELETE CASCADE,
  prefix  TEXT NOT NULL,
  purpose TEXT NOT NULL,
  created BIGINT NOT NULL,
  expires BIGINT NOT NULL, -- 0: never
  used    BIGINT NOT NULL  -- 0: never
);
CREATE INDEX identity_key_user ON identity_key (user_id, id);

CREATE TABLE identity_failure (
  name  TEXT PRIMARY KEY, -- "user bob", "address 192.0.2.7"
  count BIGINT NOT NULL,
  last  BIGINT NOT NULL
);
CREATE INDEX identity_failure_last ON identity_failure (last);

-- +goose Down
DROP TABLE identity_failure;
DROP TABLE identity_key;
DROP TABLE identity_session;
DROP TABLE identity_password;
DROP TABLE identity_user;
