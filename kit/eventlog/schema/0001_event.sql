-- +goose Up
CREATE TABLE event (
    id          BIGINT PRIMARY KEY,
    time        BIGINT NOT NULL,
    type        TEXT   NOT NULL,
    subject     TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    actor       TEXT   NOT NULL,
    actor_name  TEXT   NOT NULL,
    via         TEXT   NOT NULL,
    address     TEXT   NOT NULL,
    before_json TEXT   NOT NULL,
    after_json  TEXT   NOT NULL
);
CREATE INDEX event_time ON event (time, id);
CREATE INDEX event_type ON event (type, id);
CREATE INDEX event_subject ON event (subject, id);
CREATE INDEX event_actor ON event (actor, id);

-- One row: the newest event. It is also the lock under which events are appended.
CREATE TABLE event_last (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    id   BIGINT NOT NULL,
    time BIGINT NOT NULL
);
INSERT INTO event_last (one, id, time) VALUES (1, 0, 0);

-- +goose Down
DROP TABLE event_last;
DROP TABLE event;
