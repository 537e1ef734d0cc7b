-- +goose Up
CREATE TABLE lease (
    name       TEXT   PRIMARY KEY,
    owner      TEXT   NOT NULL, -- '' where it was released
    fence      BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- Replicas that take part in dividing shards. A row lives while its replica renews it.
CREATE TABLE lease_member (
    shards     TEXT   NOT NULL, -- name of the division
    member     TEXT   NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (shards, member)
);

-- +goose Down
DROP TABLE lease_member;
DROP TABLE lease;
