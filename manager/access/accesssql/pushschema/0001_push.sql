-- +goose Up
CREATE TABLE access_push (
    space_id    TEXT PRIMARY KEY,
    instance_id TEXT NOT NULL,
    policy      TEXT NOT NULL,
    wanted      TEXT NOT NULL, -- digest of what is wished
    revision    BIGINT NOT NULL,
    done        BIGINT NOT NULL,
    applied     BIGINT NOT NULL,
    looked      BIGINT NOT NULL,
    latest      TEXT NOT NULL, -- the server's newest event when everything was compared
    failure     TEXT NOT NULL,
    revoke_ms   BIGINT NOT NULL, -- how long the last revocation took
    making      TEXT NOT NULL  -- JSON: people whose accounts are being made
);

-- One row for a user of an Octopus server of whom ODCM has decided or written something.
CREATE TABLE access_account (
    instance_id TEXT NOT NULL,
    account     TEXT NOT NULL, -- the user's id on the server
    username    TEXT NOT NULL,
    person_id   TEXT NOT NULL, -- empty where it is nobody's
    decision    TEXT NOT NULL,
    origin      TEXT NOT NULL,
    managed     BIGINT NOT NULL,
    active      BIGINT NOT NULL,
    applied     TEXT NOT NULL, -- digest of what was written
    previous    TEXT NOT NULL, -- JSON of the user as it was found; empty where ODCM made it
    changed     BIGINT NOT NULL,
    PRIMARY KEY (instance_id, account)
);
CREATE UNIQUE INDEX access_account_person ON access_account (instance_id, person_id) WHERE person_id <> '';

CREATE TABLE access_push_team (
    space_id TEXT NOT NULL,
    team     TEXT NOT NULL, -- its id on the server
    name     TEXT NOT NULL,
    mapped   BIGINT NOT NULL,
    members  TEXT NOT NULL, -- JSON, as all lists here
    groups   TEXT NOT NULL,
    kept     TEXT NOT NULL,
    previous TEXT NOT NULL,
    drift    TEXT NOT NULL,
    drifted  BIGINT NOT NULL,
    repaired BIGINT NOT NULL,
    repairs  BIGINT NOT NULL,
    failure  TEXT NOT NULL,
    PRIMARY KEY (space_id, team)
);

CREATE TABLE access_arrival (
    space_id  TEXT NOT NULL,
    person_id TEXT NOT NULL,
    enter     BIGINT NOT NULL,
    wish      TEXT NOT NULL, -- digest
    state     TEXT NOT NULL,
    reason    TEXT NOT NULL,
    since     BIGINT NOT NULL,
    applied   BIGINT NOT NULL,
    revision  BIGINT NOT NULL,
    PRIMARY KEY (space_id, person_id)
);
CREATE INDEX access_arrival_open ON access_arrival (space_id) WHERE state <> 'applied';
