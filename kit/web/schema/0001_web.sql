-- +goose Up
-- Answers to requests with an Idempotency-Key. Neither key nor answer can be read here: id is a hash of principal and
-- key, answer is sealed under a key that is derived from the Idempotency-Key itself.
CREATE TABLE web_idempotency (
	id         TEXT PRIMARY KEY,
	request    TEXT NOT NULL,   -- hash of method, address and body
	claim      TEXT NOT NULL,   -- who works on it now; '' once it is answered
	answer     TEXT NOT NULL,   -- base64; '' until it is answered
	expires_at BIGINT NOT NULL  -- of the answer, or of the claim
);
CREATE INDEX web_idempotency_expires ON web_idempotency (expires_at);
