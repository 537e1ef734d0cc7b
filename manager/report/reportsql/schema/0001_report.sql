-- +goose Up
CREATE TABLE report_deployment (
  space_id       TEXT NOT NULL,
  kind           TEXT NOT NULL,
  id             TEXT NOT NULL, -- as the server has it, and "@" and the time of its making where another has it now
  task_id        TEXT NOT NULL,
  project_id     TEXT NOT NULL,
  environment_id TEXT NOT NULL,
  tenant_id      TEXT NOT NULL,
  channel_id     TEXT NOT NULL,
  runbook_id     TEXT NOT NULL,
  release_id     TEXT NOT NULL,
  version        TEXT NOT NULL,
  made_by        TEXT NOT NULL,
  outcome        TEXT NOT NULL,
  created        BIGINT NOT NULL,
  started        BIGINT NOT NULL,
  ended          BIGINT NOT NULL,
  released       BIGINT NOT NULL,
  whole          BOOLEAN NOT NULL,
  at             BIGINT NOT NULL, -- when it counts
  took           BIGINT NOT NULL,
  checked        BIGINT NOT NULL,
  PRIMARY KEY (space_id, kind, id)
);
CREATE INDEX report_deployment_at ON report_deployment (at, kind, outcome, space_id, project_id, environment_id, tenant_id, took); -- all that is counted by
CREATE INDEX report_deployment_space ON report_deployment (space_id, at);
CREATE INDEX report_deployment_release ON report_deployment (space_id, release_id);
CREATE INDEX report_deployment_open ON report_deployment (space_id, checked) WHERE outcome IN ('queued', 'running');

CREATE TABLE report_sum (
  space_id       TEXT NOT NULL,
  kind           TEXT NOT NULL,
  project_id     TEXT NOT NULL,
  environment_id TEXT NOT NULL,
  tenant_id      TEXT NOT NULL,
  outcome        TEXT NOT NULL,
  at             BIGINT NOT NULL, -- the beginning of a quarter of an hour
  n              BIGINT NOT NULL,
  took           BIGINT NOT NULL,
  PRIMARY KEY (space_id, at, kind, project_id, environment_id, tenant_id, outcome)
);
CREATE INDEX report_sum_at ON report_sum (at);

-- Everything of report_deployment and report_sum once more, for long times: all Spaces together, and each by the month.
CREATE TABLE report_total (
  kind    TEXT NOT NULL,
  at      BIGINT NOT NULL, -- the beginning of a quarter of an hour
  outcome TEXT NOT NULL,
  n       BIGINT NOT NULL,
  took    BIGINT NOT NULL,
  PRIMARY KEY (kind, at, outcome)
);

CREATE TABLE report_month (
  dimension TEXT NOT NULL, -- "space", "project", "environment", "tenant"
  kind      TEXT NOT NULL,
  at        BIGINT NOT NULL, -- the beginning of a month, UTC
  space_id  TEXT NOT NULL,
  id        TEXT NOT NULL, -- of the project and so on; empty for the Space
  outcome   TEXT NOT NULL,
  n         BIGINT NOT NULL,
  took      BIGINT NOT NULL,
  PRIMARY KEY (dimension, kind, at, space_id, id, outcome)
);

CREATE TABLE report_name (
  space_id TEXT NOT NULL,
  id       TEXT NOT NULL,
  kind     TEXT NOT NULL,
  name     TEXT NOT NULL,
  PRIMARY KEY (space_id, id)
);
CREATE INDEX report_name_name ON report_name (kind, name);

CREATE TABLE report_sample (
  space_id TEXT NOT NULL,
  day      BIGINT NOT NULL, -- midnight UTC
  metric   TEXT NOT NULL,
  n        BIGINT NOT NULL,
  PRIMARY KEY (space_id, day, metric)
);
CREATE INDEX report_sample_day ON report_sample (day);

CREATE TABLE report_collection (
  space_id TEXT PRIMARY KEY,
  revision BIGINT NOT NULL,
  name     TEXT NOT NULL,
  state    TEXT NOT NULL, -- JSON
  horizon  BIGINT NOT NULL, -- what ended before is summed up
  requests BIGINT NOT NULL,
  error    TEXT NOT NULL
);

CREATE TABLE report_gap (
  space_id  TEXT NOT NULL,
  gap_from  BIGINT NOT NULL,
  gap_until BIGINT NOT NULL,
  reason    TEXT NOT NULL,
  PRIMARY KEY (space_id, gap_from, gap_until)
);

CREATE TABLE report_signin (
  at      BIGINT NOT NULL, -- the beginning of a quarter of an hour
  user_id TEXT NOT NULL,
  name    TEXT NOT NULL,
  n       BIGINT NOT NULL,
  PRIMARY KEY (at, user_id)
);

CREATE TABLE report_mark (
  name  TEXT PRIMARY KEY,
  value BIGINT NOT NULL
);

CREATE TABLE report_usage (
  server     TEXT NOT NULL,
  at         BIGINT NOT NULL, -- the beginning of an hour
  people     BIGINT NOT NULL,
  background BIGINT NOT NULL,
  pings      BIGINT NOT NULL,
  retries    BIGINT NOT NULL,
  limited    BIGINT NOT NULL,
  PRIMARY KEY (server, at)
);

-- +goose Down
DROP TABLE report_usage;
DROP TABLE report_mark;
DROP TABLE report_signin;
DROP TABLE report_gap;
DROP TABLE report_collection;
DROP TABLE report_sample;
DROP TABLE report_name;
DROP TABLE report_month;
DROP TABLE report_total;
DROP TABLE report_sum;
DROP TABLE report_deployment;
