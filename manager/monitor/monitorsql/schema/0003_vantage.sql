-- +goose Up
CREATE TABLE monitor_vantage (
  replica TEXT PRIMARY KEY,
  beat    BIGINT NOT NULL
);

CREATE TABLE monitor_question (
  id          TEXT PRIMARY KEY,
  asker       TEXT NOT NULL,
  instance_id TEXT NOT NULL,
  asked       BIGINT NOT NULL
);

CREATE TABLE monitor_answer (
  question TEXT NOT NULL,
  replica  TEXT NOT NULL,
  up       INTEGER NOT NULL,
  PRIMARY KEY (question, replica)
);

-- +goose Down
DROP TABLE monitor_answer;
DROP TABLE monitor_question;
DROP TABLE monitor_vantage;
