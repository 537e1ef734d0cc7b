-- +goose Up
CREATE TABLE licence_entitlement (
	one          BIGINT PRIMARY KEY CHECK (one = 1),
	file         TEXT   NOT NULL, -- as it was sent, signed; base64
	installed_at BIGINT NOT NULL,
	installed_by TEXT   NOT NULL
);

-- +goose Down
DROP TABLE licence_entitlement;
