// Package identity knows who people are: users, the ways by which they sign in, and what directories say of them. Its nouns
// stand in package person, passwords in package password, sessions and API keys in package session; what a role may do in
// ODCM itself is for package role to say.
//
// A user is apart from the ways to sign in: a password is a row of its own, and so is each [person.Identity], an account at a
// provider. What a provider says of a person comes as a [person.Assertion]; it finds the user by the account's subject, never by
// what may change, and by an e-mail address only where provider, settings and user all vouch for it. Two users who look
// alike stay two until an administrator merges them (package merge). A user who is disabled here or in the directory has no
// session from that moment on; who is deleted leaves a row, for the events that name him.
package identity
