// Package identity knows who asks: API keys and passwords by their hashes, sessions with their cookies, and the
// permissions that a user holds through teams.
//
// Keys are long and random, so SHA-256 keeps them well and is quick to look up; passwords are hashed with Argon2id
// (RFC 9106), at most half the cores at a time, because eight at once would take the server away from everyone else.
package identity
