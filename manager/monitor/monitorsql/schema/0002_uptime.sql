-- +goose Up
-- Sums of days: times in each status (milliseconds) from transitions, once the day is over; and how pings were answered.
CREATE TABLE monitor_uptime (
  day         BIGINT NOT NULL, -- since 1970, UTC
  space_id    TEXT NOT NULL,
  last        TEXT, -- the status at its end; NULL while it is not rolled up
  online      BIGINT NOT NULL DEFAULT 0,
  draining    BIGINT NOT NULL DEFAULT 0,
  degraded    BIGINT NOT NULL DEFAULT 0,
  offline     BIGINT NOT NULL DEFAULT 0,
  maintenance BIGINT NOT NULL DEFAULT 0,
  pings       BIGINT NOT NULL DEFAULT 0,
  slow        BIGINT NOT NULL DEFAULT 0,
  took        BIGINT NOT NULL DEFAULT 0, -- microseconds, all together
  longest     BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (day, space_id) -- this order: what is written today lies together
);
CREATE INDEX monitor_uptime_space ON monitor_uptime (space_id, day);

CREATE TABLE monitor_roll (
  one    INTEGER PRIMARY KEY CHECK (one = 1),
  next   BIGINT NOT NULL, -- the first day that is not rolled up
  pruned BIGINT NOT NULL  -- transitions before that are deleted
);
INSERT INTO monitor_roll (one, next, pruned) VALUES (1, 0, 0);

-- +goose Down
DROP TABLE monitor_roll;
DROP TABLE monitor_uptime;
