-- +goose Up
-- The tasks that have not ended: what has ended is only a document, so the queue costs the same however many there were.
CREATE TABLE spaceserver_queue (
    task       TEXT    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL, -- Deploy, Health
    space      TEXT    NOT NULL,
    asked_by   TEXT    NOT NULL, -- user id
    state      TEXT    NOT NULL, -- queued, running, parked, held
    serial     TEXT    NOT NULL, -- of those with the same text one runs at a time; '' for any
    priority   BIGINT  NOT NULL, -- lower goes first
    due        BIGINT  NOT NULL,
    position   BIGINT  NOT NULL, -- order of creation
    expires    BIGINT  NOT NULL, -- when it is given up if it was not started; 0 for never
    node       TEXT    NOT NULL, -- name of the node that runs it, or ran it last
    generation BIGINT  NOT NULL, -- of that node, when it took it
    fence      BIGINT  NOT NULL, -- grows whenever it is taken: what an earlier taker writes is refused
    started    BOOLEAN NOT NULL,
    cancel     BOOLEAN NOT NULL, -- somebody asked it to end
    forced     TEXT    NOT NULL, -- the state that somebody set while it ran, and the reason: '["Failed","..."]'; '' for none
    waits      BIGINT  NOT NULL, -- interruptions that nobody has answered
    woken      BOOLEAN NOT NULL, -- an interruption was answered since it was taken
    checkpoint TEXT    NOT NULL  -- sealed; '' for none
);
CREATE INDEX spaceserver_queue_next ON spaceserver_queue (priority, due, position) WHERE state = 'queued';
-- So that a look at a queue of thousands reads what is due, and not all of it.
CREATE INDEX spaceserver_queue_expires ON spaceserver_queue (expires) WHERE state = 'queued' AND expires > 0;
CREATE INDEX spaceserver_queue_line ON spaceserver_queue (serial, state) WHERE serial <> '';
CREATE INDEX spaceserver_queue_node ON spaceserver_queue (node) WHERE state = 'running';
-- The rule itself, whoever asks first.
CREATE UNIQUE INDEX spaceserver_queue_serial ON spaceserver_queue (serial) WHERE serial <> '' AND state = 'running';

CREATE TABLE spaceserver_node (
    name       TEXT    NOT NULL PRIMARY KEY,
    joined     BIGINT  NOT NULL, -- the living node that joined first leads
    generation BIGINT  NOT NULL, -- grows with every start: a process whose node was started again elsewhere stops
    seen       BIGINT  NOT NULL,
    cap        BIGINT  NOT NULL, -- tasks at a time, 0 for what its process was told
    draining   BOOLEAN NOT NULL,
    stopped    BOOLEAN NOT NULL
);

-- Work that comes again and again, once for all nodes.
CREATE TABLE spaceserver_recurrence (
    name TEXT   NOT NULL PRIMARY KEY,
    last BIGINT NOT NULL,
    next BIGINT NOT NULL -- 0 for not again
);

-- What tasks tell while they run, as chunks of records in their order.
CREATE TABLE spaceserver_log (
    task     TEXT   NOT NULL,
    sequence BIGINT NOT NULL,
    body     TEXT   NOT NULL, -- JSON objects, one a line
    PRIMARY KEY (task, sequence)
);

-- What lists of a kind are narrowed by most: the state of a task, in lower case; '' for kinds without.
ALTER TABLE spaceserver_document ADD COLUMN state TEXT NOT NULL DEFAULT '';
CREATE INDEX spaceserver_document_state ON spaceserver_document (kind, state, name, sequence) WHERE state <> '';

-- +goose Down
DROP INDEX spaceserver_document_state;
ALTER TABLE spaceserver_document DROP COLUMN state;
DROP TABLE spaceserver_log;
DROP TABLE spaceserver_recurrence;
DROP TABLE spaceserver_node;
DROP TABLE spaceserver_queue;
