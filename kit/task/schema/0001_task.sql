-- +goose Up
CREATE TABLE task (
    id        TEXT   PRIMARY KEY,
    kind      TEXT   NOT NULL,
    title     TEXT   NOT NULL,
    subject   TEXT   NOT NULL,
    state     TEXT   NOT NULL,
    percent   BIGINT NOT NULL DEFAULT 0,
    doing     TEXT   NOT NULL DEFAULT '',
    input     TEXT   NOT NULL,            -- JSON, without secrets
    owner     TEXT   NOT NULL,            -- the user of the submitter
    submitter TEXT   NOT NULL,            -- JSON of the principal
    canceler  TEXT   NOT NULL DEFAULT '', -- JSON of the principal who asked to cancel
    error     TEXT   NOT NULL DEFAULT '', -- JSON of the public error
    replica   TEXT   NOT NULL DEFAULT '',
    attempts  BIGINT NOT NULL DEFAULT 0,  -- also the fence: only the run that counted last may write
    submitted BIGINT NOT NULL,
    started   BIGINT NOT NULL DEFAULT 0,
    ended     BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX task_submitted ON task (submitted, id);
CREATE INDEX task_state ON task (state, submitted, id);
CREATE INDEX task_subject ON task (subject, submitted, id);
CREATE INDEX task_owner ON task (owner, submitted, id);
CREATE INDEX task_kind ON task (kind, submitted, id);
CREATE INDEX task_ended ON task (ended) WHERE ended > 0;

CREATE TABLE task_step (
    task     TEXT    NOT NULL REFERENCES task (id) ON DELETE CASCADE,
    number   BIGINT  NOT NULL,
    name     TEXT    NOT NULL,
    is_undo  BOOLEAN NOT NULL,
    state    TEXT    NOT NULL,
    attempts BIGINT  NOT NULL,
    error    TEXT    NOT NULL,
    started  BIGINT  NOT NULL,
    ended    BIGINT  NOT NULL,
    PRIMARY KEY (task, number)
);

CREATE TABLE task_log (
    task   TEXT   NOT NULL REFERENCES task (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    time   BIGINT NOT NULL,
    step   TEXT   NOT NULL,
    text   TEXT   NOT NULL,
    PRIMARY KEY (task, number)
);

-- Who is alive, on PostgreSQL. An executor is one start of one replica.
CREATE TABLE task_replica (
    executor TEXT   PRIMARY KEY,
    replica  TEXT   NOT NULL,
    seen     BIGINT NOT NULL
);

-- +goose Down
DROP TABLE task_replica;
DROP TABLE task_log;
DROP TABLE task_step;
DROP TABLE task;
