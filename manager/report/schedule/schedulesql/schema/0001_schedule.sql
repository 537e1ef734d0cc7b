-- +goose Up
CREATE TABLE report_schedule (
  id         TEXT PRIMARY KEY,
  owner      TEXT NOT NULL,
  owner_name TEXT NOT NULL,
  name       TEXT NOT NULL,
  plan       TEXT NOT NULL, -- JSON
  paused     BOOLEAN NOT NULL,
  reason     TEXT NOT NULL,
  due        BIGINT NOT NULL,
  created    BIGINT NOT NULL,
  revision   BIGINT NOT NULL
);
CREATE INDEX report_schedule_due ON report_schedule (due) WHERE NOT paused;
CREATE INDEX report_schedule_owner ON report_schedule (owner, name, id);
CREATE INDEX report_schedule_name ON report_schedule (name, id);

CREATE TABLE report_sending (
  schedule_id TEXT NOT NULL REFERENCES report_schedule (id) ON DELETE CASCADE,
  period      TEXT NOT NULL,
  at          BIGINT NOT NULL,
  recipients  BIGINT NOT NULL,
  error       TEXT NOT NULL,
  PRIMARY KEY (schedule_id, period)
);
CREATE INDEX report_sending_at ON report_sending (schedule_id, at);

-- +goose Down
DROP TABLE report_sending;
DROP TABLE report_schedule;
