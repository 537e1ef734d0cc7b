// Package person holds the words for people that the whole room shares: a [User], his addresses and identities, what a
// provider says of him (an [Assertion] at a sign-in, an [Observation] in a reading of a directory), and the rules on them
// that need no store and no clock.
package person
