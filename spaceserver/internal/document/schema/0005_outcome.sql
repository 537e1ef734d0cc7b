-- +goose Up
-- What became of each release and runbook snapshot in each place, so that the rules of a lifecycle cost the same however
-- often it went there.
CREATE TABLE spaceserver_outcome (
    source      TEXT    NOT NULL, -- the release, the runbook's snapshot
    tenant      TEXT    NOT NULL, -- '' for none
    environment TEXT    NOT NULL,
    space       TEXT    NOT NULL,
    succeeded   BOOLEAN NOT NULL, -- once at least
    PRIMARY KEY (source, tenant, environment)
);
INSERT INTO spaceserver_outcome (source, tenant, environment, space, succeeded)
    SELECT source, tenant, environment, min(space), max(CASE WHEN state = 'Success' THEN 1 ELSE 0 END) = 1
    FROM spaceserver_deployment GROUP BY source, tenant, environment;
-- The state was in the index for what the table tells now: it was written again with each change of it.
DROP INDEX spaceserver_deployment_source;
CREATE INDEX spaceserver_deployment_source ON spaceserver_deployment (source, tenant, environment);

-- +goose Down
DROP INDEX spaceserver_deployment_source;
CREATE INDEX spaceserver_deployment_source ON spaceserver_deployment (source, tenant, environment, state);
DROP TABLE spaceserver_outcome;
