-- +goose Up
CREATE TABLE monitor_status (
  space_id TEXT PRIMARY KEY,
  status   TEXT NOT NULL,
  reason   TEXT NOT NULL,
  since    BIGINT NOT NULL,
  checked  BIGINT NOT NULL,
  detail   TEXT NOT NULL -- JSON: version, maintenance, nodes, licence
);
CREATE INDEX monitor_status_status ON monitor_status (status);

CREATE TABLE monitor_change (
  space_id TEXT NOT NULL,
  at       BIGINT NOT NULL,
  status   TEXT NOT NULL,
  reason   TEXT NOT NULL,
  PRIMARY KEY (space_id, at)
);
CREATE INDEX monitor_change_at ON monitor_change (at);

-- +goose Down
DROP TABLE monitor_change;
DROP TABLE monitor_status;
