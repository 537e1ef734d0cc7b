-- +goose Up
CREATE TABLE spaceserver_document (
    kind      TEXT   NOT NULL, -- 'Environments': the prefix of ids
    id        TEXT   NOT NULL,
    space     TEXT   NOT NULL, -- '' for what belongs to the whole server
    owner     TEXT   NOT NULL, -- id of what it goes with: a channel's project, a key's user; '' for none
    project   TEXT   NOT NULL, -- id of the project that decides who may see it; '' for none
    name      TEXT   NOT NULL, -- for search and order: lower case
    slug      TEXT   NOT NULL,
    distinct_name TEXT,        -- the name where it must be unique among the owner's, NULL where it need not
    position  BIGINT NOT NULL, -- SortOrder, where people order by hand
    sequence  BIGINT NOT NULL, -- order of creation within the kind
    revision  BIGINT NOT NULL,
    body      TEXT   NOT NULL, -- JSON as it is answered, without links and without any secret
    sealed    TEXT   NOT NULL, -- JSON: path in the body -> sealed secret; '' for none
    PRIMARY KEY (kind, id, space)
);
CREATE UNIQUE INDEX spaceserver_document_name ON spaceserver_document (kind, space, owner, distinct_name) WHERE distinct_name IS NOT NULL;
CREATE UNIQUE INDEX spaceserver_document_slug ON spaceserver_document (kind, space, owner, slug) WHERE slug <> '';
-- Look-ups by slug or name.
CREATE INDEX spaceserver_document_by_slug ON spaceserver_document (kind, slug);
CREATE INDEX spaceserver_document_by_name ON spaceserver_document (kind, name);
CREATE INDEX spaceserver_document_list ON spaceserver_document (kind, space, position, name, sequence);
CREATE INDEX spaceserver_document_owner ON spaceserver_document (owner) WHERE owner <> '';
CREATE INDEX spaceserver_document_project ON spaceserver_document (project, kind) WHERE project <> '';

-- Numbers of ids, of events ('events'), and the generation of who may do what ('security').
CREATE TABLE spaceserver_counter (
    name  TEXT   NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);

-- Events are numbered by one counter inside the transaction of the change, so numbers are committed in their order and a
-- reader that remembers the last number misses none.
CREATE TABLE spaceserver_event (
    auto_id       BIGINT NOT NULL PRIMARY KEY,
    space         TEXT   NOT NULL,
    category      TEXT   NOT NULL,
    document_type TEXT   NOT NULL,
    user_id       TEXT   NOT NULL,
    occurred      BIGINT NOT NULL,
    related       TEXT   NOT NULL, -- ids between spaces: ' Projects-1 Environments-2 '
    body          TEXT   NOT NULL
);
CREATE INDEX spaceserver_event_space ON spaceserver_event (space, auto_id);

-- Passwords (Argon2id) and API keys (SHA-256: they are long and random) by hash; never the thing itself.
CREATE TABLE spaceserver_credential (
    id      TEXT   NOT NULL PRIMARY KEY, -- 'password/Users-1' or an API key's id
    user_id TEXT   NOT NULL,
    hash    TEXT   NOT NULL UNIQUE,
    expires BIGINT NOT NULL              -- 0 for never
);
CREATE INDEX spaceserver_credential_user ON spaceserver_credential (user_id);

CREATE TABLE spaceserver_session (
    hash     TEXT    NOT NULL PRIMARY KEY, -- SHA-256 of the cookie's value
    user_id  TEXT    NOT NULL,
    csrf     TEXT    NOT NULL,
    seen     BIGINT  NOT NULL,
    expires  BIGINT  NOT NULL,
    remember BOOLEAN NOT NULL
);
CREATE INDEX spaceserver_session_user ON spaceserver_session (user_id);

-- Settings of the whole server: installation id, maintenance mode, configuration sections.
CREATE TABLE spaceserver_setting (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

-- +goose Down
DROP TABLE spaceserver_setting;
DROP TABLE spaceserver_session;
DROP TABLE spaceserver_credential;
DROP TABLE spaceserver_event;
DROP TABLE spaceserver_counter;
DROP TABLE spaceserver_document;
