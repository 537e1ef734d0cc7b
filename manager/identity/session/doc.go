// Package session knows by which secret a request speaks for a user: his sessions in browsers and his API keys. Both are 256
// random bits of which only the SHA-256 is stored: nothing that leaks from the database lets anyone in.
//
// [Service.Authenticate] answers from a small cache, so that a page full of requests costs one query every few seconds and one
// write a minute; a revocation empties the cache of every replica through the bus, and the few seconds are the bound where a
// hint is lost.
package session
