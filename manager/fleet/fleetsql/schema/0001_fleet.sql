-- +goose Up
CREATE TABLE fleet_authority (
	one         BIGINT PRIMARY KEY CHECK (one = 1),
	certificate TEXT   NOT NULL, -- X.509 in DER, base64
	sealed_key  TEXT   NOT NULL,
	created_at  BIGINT NOT NULL
);

CREATE TABLE fleet_token (
	hash       TEXT   PRIMARY KEY, -- SHA-256 of the secret, hexadecimal
	note       TEXT   NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	used_at    BIGINT NOT NULL DEFAULT 0,
	key        TEXT   NOT NULL DEFAULT '', -- of the machine that used it
	server_id  TEXT   NOT NULL DEFAULT ''
);

CREATE TABLE fleet_server (
	id               TEXT   PRIMARY KEY,
	name             TEXT   NOT NULL,
	key              TEXT   NOT NULL, -- SHA-256 of the enrolled public key, hexadecimal
	agent_version    TEXT   NOT NULL,
	enrolled_at      BIGINT NOT NULL,
	seen_at          BIGINT NOT NULL DEFAULT 0,
	cpus             BIGINT NOT NULL DEFAULT 0,
	memory           BIGINT NOT NULL DEFAULT 0, -- sizes in bytes
	memory_free      BIGINT NOT NULL DEFAULT 0,
	disk             BIGINT NOT NULL DEFAULT 0,
	disk_free        BIGINT NOT NULL DEFAULT 0,
	instances_memory BIGINT NOT NULL DEFAULT 0,
	versions         TEXT   NOT NULL DEFAULT '[]', -- JSON array, the newest first
	boot             TEXT   NOT NULL DEFAULT '',
	sequence         BIGINT NOT NULL DEFAULT 0,
	desired_revision BIGINT NOT NULL,
	revision         BIGINT NOT NULL
);

CREATE TABLE fleet_instance (
	id                   TEXT    PRIMARY KEY,
	server_id            TEXT    NOT NULL REFERENCES fleet_server (id),
	name                 TEXT    NOT NULL,
	version              TEXT    NOT NULL,
	desired              TEXT    NOT NULL,
	desired_port         BIGINT  NOT NULL,
	keep_data            BOOLEAN NOT NULL,
	sealed_administrator TEXT    NOT NULL,
	created_at           BIGINT  NOT NULL,
	revision             BIGINT  NOT NULL,
	state                TEXT    NOT NULL,
	pid                  BIGINT  NOT NULL DEFAULT 0,
	port                 BIGINT  NOT NULL DEFAULT 0,
	url                  TEXT    NOT NULL DEFAULT '',
	own_version          TEXT    NOT NULL DEFAULT '',
	installation_id      TEXT    NOT NULL DEFAULT '',
	restarts             BIGINT  NOT NULL DEFAULT 0,
	reason               TEXT    NOT NULL DEFAULT '',
	since                BIGINT  NOT NULL,
	instance_memory      BIGINT  NOT NULL DEFAULT 0
);
CREATE INDEX fleet_instance_server ON fleet_instance (server_id, id);

-- +goose Down
DROP TABLE fleet_instance;
DROP TABLE fleet_server;
DROP TABLE fleet_token;
DROP TABLE fleet_authority;
