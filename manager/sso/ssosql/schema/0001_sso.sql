-- +goose Up
CREATE TABLE sso_party (
  id               TEXT PRIMARY KEY,
  instance         TEXT UNIQUE, -- NULL but for the kind space
  name             TEXT NOT NULL,
  settings         TEXT NOT NULL, -- JSON: what is neither looked for nor secret
  secret           TEXT NOT NULL, -- SHA-256 of the secret, base64url
  old_secret       TEXT NOT NULL,
  secret_made      BIGINT NOT NULL,
  old_secret_until BIGINT NOT NULL,
  created          BIGINT NOT NULL,
  revision         BIGINT NOT NULL
);

CREATE TABLE sso_grant (
  id            TEXT PRIMARY KEY,
  party         TEXT NOT NULL,
  user_id       TEXT NOT NULL,
  session       TEXT NOT NULL,
  scopes        TEXT NOT NULL,
  authenticated BIGINT NOT NULL,
  method        TEXT NOT NULL,
  created       BIGINT NOT NULL,
  used          BIGINT NOT NULL,
  expires       BIGINT NOT NULL,
  offline       BOOLEAN NOT NULL,
  uses          BIGINT NOT NULL, -- of its code
  sequence      BIGINT NOT NULL, -- of its refresh tokens: the valid one carries this
  revoked       BIGINT NOT NULL
);
CREATE INDEX sso_grant_user ON sso_grant (user_id, created);
CREATE INDEX sso_grant_expires ON sso_grant (expires);

CREATE TABLE sso_mark (
  name    TEXT PRIMARY KEY,
  expires BIGINT NOT NULL
);
CREATE INDEX sso_mark_expires ON sso_mark (expires);

CREATE TABLE sso_consent (
  user_id TEXT NOT NULL,
  party   TEXT NOT NULL REFERENCES sso_party (id) ON DELETE CASCADE,
  scopes  TEXT NOT NULL,
  given   BIGINT NOT NULL,
  PRIMARY KEY (user_id, party)
);

CREATE TABLE sso_device (
  id            TEXT PRIMARY KEY,
  user_code     TEXT NOT NULL UNIQUE,
  party         TEXT NOT NULL REFERENCES sso_party (id) ON DELETE CASCADE,
  scopes        TEXT NOT NULL,
  created       BIGINT NOT NULL,
  expires       BIGINT NOT NULL,
  polled        BIGINT NOT NULL,
  interval_ms   BIGINT NOT NULL,
  state         TEXT NOT NULL,
  user_id       TEXT NOT NULL,
  authenticated BIGINT NOT NULL,
  method        TEXT NOT NULL,
  session       TEXT NOT NULL
);
CREATE INDEX sso_device_expires ON sso_device (expires);

CREATE TABLE sso_logout (
  id       TEXT PRIMARY KEY,
  party    TEXT NOT NULL,
  user_id  TEXT NOT NULL,
  session  TEXT NOT NULL,
  attempts BIGINT NOT NULL,
  due      BIGINT NOT NULL,
  expires  BIGINT NOT NULL
);
CREATE INDEX sso_logout_due ON sso_logout (due);

CREATE TABLE sso_key (
  id          TEXT PRIMARY KEY,
  algorithm   TEXT NOT NULL,
  generation  BIGINT NOT NULL,
  sealed      TEXT NOT NULL,
  certificate TEXT NOT NULL,
  created     BIGINT NOT NULL,
  starts      BIGINT NOT NULL,
  UNIQUE (algorithm, generation)
);

-- +goose Down
DROP TABLE sso_key;
DROP TABLE sso_logout;
DROP TABLE sso_device;
DROP TABLE sso_consent;
DROP TABLE sso_mark;
DROP TABLE sso_grant;
DROP TABLE sso_party;
