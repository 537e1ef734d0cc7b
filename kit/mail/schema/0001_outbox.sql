-- +goose Up
CREATE TABLE mail_message (
  id        TEXT PRIMARY KEY,
  recipient TEXT NOT NULL,
  subject   TEXT NOT NULL,
  body      TEXT NOT NULL, -- the message as JSON, sealed: it may hold a link that lets somebody in
  created   BIGINT NOT NULL,
  until     BIGINT NOT NULL, -- not sent any more then
  due       BIGINT NOT NULL, -- tried again then, or, where it failed, forgotten
  tries     BIGINT NOT NULL,
  error     TEXT NOT NULL,
  failed    BOOLEAN NOT NULL -- refused for good
);
CREATE INDEX mail_message_due ON mail_message (due);

-- +goose Down
DROP TABLE mail_message;
