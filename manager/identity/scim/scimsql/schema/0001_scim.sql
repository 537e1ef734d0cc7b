-- +goose Up
CREATE TABLE identity_scim_directory (
  provider    TEXT PRIMARY KEY,
  name        TEXT NOT NULL,
  prefix      TEXT NOT NULL,
  trust_email BOOLEAN NOT NULL,
  created     BIGINT NOT NULL,
  revision    BIGINT NOT NULL
);

CREATE TABLE identity_scim_token (
  id       TEXT PRIMARY KEY,
  token    TEXT NOT NULL UNIQUE, -- SHA-256 of the secret, base64url
  provider TEXT NOT NULL REFERENCES identity_scim_directory (provider) ON DELETE CASCADE,
  purpose  TEXT NOT NULL,
  hint     TEXT NOT NULL,
  created  BIGINT NOT NULL,
  expires  BIGINT NOT NULL, -- 0: never
  used     BIGINT NOT NULL  -- 0: never
);
CREATE INDEX identity_scim_token_of ON identity_scim_token (provider);

CREATE TABLE identity_scim_resource (
  id          TEXT PRIMARY KEY,
  provider    TEXT NOT NULL REFERENCES identity_scim_directory (provider) ON DELETE CASCADE,
  kind        TEXT NOT NULL, -- "User", "Group"
  external_id TEXT NOT NULL,
  name        TEXT NOT NULL,
  name_key    TEXT NOT NULL, -- folded
  subject     TEXT NOT NULL,
  person      TEXT NOT NULL, -- the user; '' of a group
  document    TEXT NOT NULL, -- JSON as it was pushed, members apart
  created     BIGINT NOT NULL,
  modified    BIGINT NOT NULL,
  revision    BIGINT NOT NULL
);
CREATE UNIQUE INDEX identity_scim_resource_subject ON identity_scim_resource (provider, kind, subject);
CREATE UNIQUE INDEX identity_scim_resource_user ON identity_scim_resource (provider, name_key) WHERE kind = 'User';
CREATE INDEX identity_scim_resource_person ON identity_scim_resource (person);
CREATE INDEX identity_scim_resource_page ON identity_scim_resource (provider, kind, id);
CREATE INDEX identity_scim_resource_name ON identity_scim_resource (provider, kind, name_key);
CREATE INDEX identity_scim_resource_external ON identity_scim_resource (provider, kind, external_id);

CREATE TABLE identity_scim_member (
  group_id TEXT NOT NULL REFERENCES identity_scim_resource (id) ON DELETE CASCADE,
  user_id  TEXT NOT NULL REFERENCES identity_scim_resource (id) ON DELETE CASCADE,
  PRIMARY KEY (group_id, user_id)
);
CREATE INDEX identity_scim_member_of ON identity_scim_member (user_id);

-- +goose Down
DROP TABLE identity_scim_member;
DROP TABLE identity_scim_resource;
DROP TABLE identity_scim_token;
DROP TABLE identity_scim_directory;
