-- +goose Up
-- One row: the keyset that seals every secret of this database, wrapped under a key that is not in it.
CREATE TABLE seal_keyset (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    keyset   TEXT   NOT NULL, -- base64 of Tink's encrypted keyset
    wrapper  TEXT   NOT NULL, -- check value of the key-encryption key
    revision BIGINT NOT NULL
);

-- +goose Down
DROP TABLE seal_keyset;
