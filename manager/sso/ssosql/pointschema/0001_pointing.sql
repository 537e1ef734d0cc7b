-- +goose Up
CREATE TABLE sso_pointing (
    instance_id TEXT PRIMARY KEY,
    probe       TEXT NOT NULL, -- empty while no test runs
    said        TEXT NOT NULL, -- JSON of what is no secret
    secret      TEXT NOT NULL, -- sealed, for sso_pointing/<instance id>/secret
    previous    TEXT NOT NULL  -- sealed, for sso_pointing/<instance id>/previous: JSON of the settings as they were
);
CREATE INDEX sso_pointing_probe ON sso_pointing (probe) WHERE probe <> '';
