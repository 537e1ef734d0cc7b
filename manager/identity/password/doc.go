// Package password keeps and checks passwords. One is stored as Argon2id with its parameters, and checked by a bounded number
// of workers, so that a storm of sign-ins cannot take the cores from people who are already in. Wrong ones are slowed down by
// user and by address, in the database, so that replicas and restarts do not multiply the guesses. A user that does not exist
// costs the same work and gives the same answer as a wrong password.
package password
