-- +goose Up
-- What people set: rules, receivers, silences, windows.
CREATE TABLE alert_setting (
  kind     TEXT NOT NULL,
  id       TEXT NOT NULL,
  body     TEXT NOT NULL, -- JSON
  ends     BIGINT NOT NULL, -- 0: never
  revision BIGINT NOT NULL,
  PRIMARY KEY (kind, id)
);

-- Rules that came with ODCM and were put here once, so that a deleted one stays deleted.
CREATE TABLE alert_seed (id TEXT PRIMARY KEY);

-- What the evaluation remembers from one step to the next.
CREATE TABLE alert_state (
  part TEXT NOT NULL,
  key  TEXT NOT NULL,
  body TEXT NOT NULL, -- JSON
  PRIMARY KEY (part, key)
);

CREATE TABLE alert_incident (
  id       TEXT PRIMARY KEY,
  rule     TEXT NOT NULL,
  severity TEXT NOT NULL,
  subject  TEXT NOT NULL,
  name     TEXT NOT NULL,
  phase    TEXT NOT NULL,
  since    BIGINT NOT NULL,
  resolved BIGINT NOT NULL,
  body     TEXT NOT NULL, -- JSON
  acked_by TEXT NOT NULL,
  acked_at BIGINT NOT NULL,
  ack_note TEXT NOT NULL
);
CREATE INDEX alert_incident_since ON alert_incident (since, id);
CREATE INDEX alert_incident_subject ON alert_incident (subject, since);
CREATE INDEX alert_incident_open ON alert_incident (phase) WHERE phase <> 'resolved';

CREATE TABLE alert_note (
  id       TEXT PRIMARY KEY,
  incident TEXT NOT NULL,
  at       BIGINT NOT NULL,
  kind     TEXT NOT NULL,
  text     TEXT NOT NULL
);
CREATE INDEX alert_note_incident ON alert_note (incident, id);

-- What is to be told to whom. In seq is the order in which one receiver hears it.
CREATE TABLE alert_delivery (
  id       TEXT PRIMARY KEY,
  seq      BIGINT NOT NULL,
  receiver TEXT NOT NULL,
  kind     TEXT NOT NULL,
  title    TEXT NOT NULL,
  body     TEXT NOT NULL, -- JSON
  state    TEXT NOT NULL, -- queued, sent, handed-over, merged, parked, expired
  attempts BIGINT NOT NULL,
  due      BIGINT NOT NULL,
  held     BIGINT NOT NULL, -- until when a replica has it to itself; 0 once it noted how it went
  unsure   BOOLEAN NOT NULL, -- an attempt may have arrived though it was not noted
  error    TEXT NOT NULL,
  created  BIGINT NOT NULL,
  finished BIGINT NOT NULL
);
CREATE INDEX alert_delivery_queue ON alert_delivery (receiver, seq) WHERE state = 'queued';
CREATE INDEX alert_delivery_created ON alert_delivery (created, id);

CREATE TABLE alert_delivery_incident (
  incident TEXT NOT NULL,
  delivery TEXT NOT NULL,
  PRIMARY KEY (incident, delivery)
);

-- +goose Down
DROP TABLE alert_delivery_incident;
DROP TABLE alert_delivery;
DROP TABLE alert_note;
DROP TABLE alert_incident;
DROP TABLE alert_state;
DROP TABLE alert_seed;
DROP TABLE alert_setting;
