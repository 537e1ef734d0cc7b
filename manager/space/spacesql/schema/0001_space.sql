-- +goose Up
CREATE TABLE space_instance (
    id              TEXT PRIMARY KEY,
    url             TEXT NOT NULL,
    api_key         TEXT NOT NULL, -- sealed, for space_instance/api_key/<id>
    ca              TEXT NOT NULL,
    thumbprint      TEXT NOT NULL,
    installation_id TEXT NOT NULL, -- empty until proved
    version         TEXT NOT NULL,
    origin          TEXT NOT NULL,
    server_id       TEXT NOT NULL,
    created         BIGINT NOT NULL,
    revision        BIGINT NOT NULL
);
CREATE UNIQUE INDEX space_instance_installation ON space_instance (installation_id) WHERE installation_id <> '';

CREATE TABLE space (
    id            TEXT PRIMARY KEY,
    instance_id   TEXT NOT NULL REFERENCES space_instance (id),
    octopus_space TEXT NOT NULL, -- empty until known
    slug          TEXT NOT NULL UNIQUE,
    name          TEXT NOT NULL,
    name_key      TEXT NOT NULL UNIQUE, -- the name folded: what is unique, searched and sorted by
    description   TEXT NOT NULL,
    state         TEXT NOT NULL,
    reason        TEXT NOT NULL,
    task_id       TEXT NOT NULL,
    created       BIGINT NOT NULL,
    revision      BIGINT NOT NULL
);
CREATE UNIQUE INDEX space_octopus ON space (instance_id, octopus_space) WHERE octopus_space <> '';
CREATE INDEX space_of_instance ON space (instance_id);

CREATE TABLE space_star (
    user_id  TEXT NOT NULL,
    space_id TEXT NOT NULL REFERENCES space (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, space_id)
);
CREATE INDEX space_star_space ON space_star (space_id);

CREATE TABLE space_visit (
    user_id  TEXT NOT NULL,
    space_id TEXT NOT NULL REFERENCES space (id) ON DELETE CASCADE,
    visited  BIGINT NOT NULL,
    PRIMARY KEY (user_id, space_id)
);
CREATE INDEX space_visit_space ON space_visit (space_id);

CREATE TABLE space_hook (
    space_id     TEXT PRIMARY KEY REFERENCES space (id) ON DELETE CASCADE,
    subscription TEXT NOT NULL,
    secret       TEXT NOT NULL, -- sealed, for space_hook/secret/<space id>
    previous     TEXT NOT NULL, -- sealed, for space_hook/previous/<space id>: it may hold somebody's own header value
    url          TEXT NOT NULL,
    state        TEXT NOT NULL,
    reason       TEXT NOT NULL,
    checked      BIGINT NOT NULL,
    applied      BIGINT NOT NULL,
    drift        TEXT NOT NULL,
    drifted      BIGINT NOT NULL,
    repairs      BIGINT NOT NULL
);

CREATE TABLE space_draft (
    id      TEXT PRIMARY KEY,
    owner   TEXT NOT NULL,
    sealed  TEXT NOT NULL, -- the connection, for space_draft/sealed/<id>
    expires BIGINT NOT NULL
);
CREATE INDEX space_draft_expires ON space_draft (expires);
