-- +goose Up
-- When an API key was last shown, to a few minutes.
ALTER TABLE spaceserver_credential ADD COLUMN used BIGINT NOT NULL DEFAULT 0;

-- Sign-ins that went to an external provider and have not come back. Each is taken once, on whichever node it comes back to.
CREATE TABLE spaceserver_signin (
    id       TEXT   NOT NULL PRIMARY KEY, -- SHA-256 of the request's id
    provider TEXT   NOT NULL,
    sealed   TEXT   NOT NULL,             -- the PKCE verifier and where to come back to, sealed
    expires  BIGINT NOT NULL
);
CREATE INDEX spaceserver_signin_expires ON spaceserver_signin (expires);

-- The groups that a provider named when the user signed in last through it.
CREATE TABLE spaceserver_external_group (
    user_id  TEXT NOT NULL,
    provider TEXT NOT NULL,
    group_id TEXT NOT NULL,
    PRIMARY KEY (user_id, provider, group_id)
);

-- +goose Down
DROP TABLE spaceserver_external_group;
DROP TABLE spaceserver_signin;
ALTER TABLE spaceserver_credential DROP COLUMN used;
