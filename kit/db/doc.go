// Package db opens the one database of a house, SQLite or PostgreSQL, so that stores are written once.
//
// The portable SQL is: $n parameters, TEXT ids made in Go, BIGINT milliseconds for times ([Millis]), BOOLEAN, base64 TEXT
// for bytes, ON CONFLICT, RETURNING, partial and expression indexes. Not portable: = ANY (use [In]), JSON operators,
// ILIKE (use lower(x) LIKE lower($1)), BLOB and BYTEA, FOR UPDATE (see [DB.Postgres]).
//
// A row that people change has a revision BIGINT: change it with UPDATE ... WHERE id = $1 AND revision = $2, and call it a
// conflict where no row was touched.
//
// What must happen once a change is visible, a hint to those who wait for it, goes through [DB.AfterCommit].
package db
