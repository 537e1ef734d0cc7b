// Package identity knows who people are: users, their local passwords, their sessions in a browser and their API keys.
// It also decides what a role may do in ODCM itself ([Authorizer]); what people may do inside a Space is Octopus's to say.
//
// A request proves who sent it by a session's token or an API key, both 256 random bits of which only the SHA-256 is
// stored: nothing that leaks from the database lets anyone in. [Service.Authenticate] answers from a small cache, so that
// a page full of requests costs one query every few seconds and one write a minute; a revocation empties the cache of
// every replica through the bus, and the few seconds are the bound where a hint is lost.
//
// A password is stored as Argon2id with its parameters, and checked by a bounded number of workers, so that a storm of
// sign-ins cannot take the cores from people who are already in. Wrong ones are slowed down by user and by address, in
// the database, so that replicas and restarts do not multiply the guesses. A user that does not exist costs the same
// work and gives the same answer as a wrong password.
//
// A user is apart from the ways to sign in: a password is a row of its own, and so is each [Identity], an account at a
// provider. What a provider says of a person comes as an [Assertion]; it finds the user by the account's subject, never by
// what may change, and by an e-mail address only where provider, settings and user all vouch for it. Two users who look
// alike stay two until an administrator merges them (package merge). A user who is disabled here or in the directory has no
// session from that moment on; who is deleted leaves a row, for the events that name him.
package identity
