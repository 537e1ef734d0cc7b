// Package bundle is the file of an export of projects.
//
// A zip file with export.json (see Manifest) and one JSON file for each document, {Kind, Id, Body, Secrets}. Ids are those
// of the server that exported. Secrets are sealed one by one with XChaCha20-Poly1305 under a key that Argon2id makes of the
// password (RFC 9106, the second recommended parameters), bound to kind, id and path. Seal in export.json holds the SHA-256
// of all documents, sealed with the same key: a file that was cut or changed, or whose password is another, opens nowhere.
package bundle
