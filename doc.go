// Package odcm is the ground of Octopus Data Center Manager: the words that every room says.
//
// A Space is a container for Octopus concerns bounded by one Octopus database, as ODCM knows it. An Octopus server may
// hold several; the Octopus product's own Spaces are always octopus.Space. A person or a machine that asks for something
// is a [Principal]; what it may do is decided by an [Authorizer] from an [Action]. Whatever changes leaves an [Event],
// committed in the transaction of the change. Whatever fails is an [Error] of a closed [Kind].
//
// This package imports nothing of the module. Imports only go down: main, roof (manager), transports, rules, ground.
// floors_test.go holds the table.
package odcm
