-- +goose Up
-- Where releases and runbook snapshots went, and what came of it: beside the documents, so that neither the dashboard nor
-- the rules of a lifecycle read a history that grows.
CREATE TABLE spaceserver_deployment (
    id          TEXT    NOT NULL PRIMARY KEY, -- Deployments-1, RunbookRuns-1
    kind        TEXT    NOT NULL,             -- 'Deployments', 'RunbookRuns'
    space       TEXT    NOT NULL,
    project     TEXT    NOT NULL,
    line        TEXT    NOT NULL, -- what follows one another: the project, the runbook
    source      TEXT    NOT NULL, -- the release, the runbook's snapshot
    channel     TEXT    NOT NULL, -- '' for runbook runs
    environment TEXT    NOT NULL,
    tenant      TEXT    NOT NULL, -- '' for none
    task        TEXT    NOT NULL,
    state       TEXT    NOT NULL, -- of the task
    number      BIGINT  NOT NULL, -- order of creation
    created     BIGINT  NOT NULL,
    completed   BIGINT  NOT NULL, -- 0 until it has ended
    newest      BOOLEAN NOT NULL, -- of its line, channel, environment and tenant
    good        BOOLEAN NOT NULL  -- the newest of these that succeeded: what is there now
);
CREATE INDEX spaceserver_deployment_shown ON spaceserver_deployment (space, kind, project) WHERE newest OR good;
CREATE INDEX spaceserver_deployment_source ON spaceserver_deployment (source, tenant, environment, state);
CREATE INDEX spaceserver_deployment_task ON spaceserver_deployment (task);
-- The last at a place, and those that are marked there, without reading what was before.
CREATE INDEX spaceserver_deployment_line ON spaceserver_deployment (line, environment, tenant, number);
CREATE INDEX spaceserver_deployment_marked ON spaceserver_deployment (line, environment, tenant, channel) WHERE newest OR good;
CREATE INDEX spaceserver_deployment_open ON spaceserver_deployment (space, kind) WHERE completed = 0;
CREATE INDEX spaceserver_deployment_created ON spaceserver_deployment (space, kind, created);
-- The newest of an owner's: a project's releases, without reading all of them.
CREATE INDEX spaceserver_document_newest ON spaceserver_document (kind, owner, sequence);

-- When each trigger is due next: whoever moves the time on, fires.
CREATE TABLE spaceserver_trigger (
    id    TEXT   NOT NULL PRIMARY KEY, -- ProjectTriggers-1
    space TEXT   NOT NULL,
    due   BIGINT NOT NULL
);
CREATE INDEX spaceserver_trigger_due ON spaceserver_trigger (due);

-- What triggers have not acted on yet: deployment targets that something happened to, packages that were pushed. Whoever takes
-- the row of the trigger takes these.
CREATE TABLE spaceserver_occasion (
    id      TEXT NOT NULL, -- ProjectTriggers-1; Projects-1 where the project itself makes releases of packages
    subject TEXT NOT NULL, -- Machines-1, packages-Acme.Web.1.0.0
    space   TEXT NOT NULL,
    PRIMARY KEY (id, subject)
);

-- +goose Down
DROP TABLE spaceserver_occasion;
DROP TABLE spaceserver_trigger;
DROP INDEX spaceserver_document_newest;
DROP TABLE spaceserver_deployment;
