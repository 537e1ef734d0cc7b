// Package space is the inventory of Spaces: it creates, enlists, shows, renames and delists them.
//
// A [Space] is one octopus.Space on one [Instance], a running Octopus server reached at one URL. An enlisted server may
// hold several Spaces; the pair of its installation id and the octopus.Space's id occurs at most once.
//
// The rules live here and reach the world through interfaces that this package owns: [Store] keeps rows, [Octopus] talks
// to a server, [Host] starts and stops servers that ODCM itself runs, [Health] knows how each Space is, [Access] knows
// which Spaces a principal may see. Create, enlist and delist are durable tasks of named, repeatable steps; what ODCM
// keeps on an enlisted server is desired state, brought there by a reconcile aspect ([Webhook]) and by nothing else.
package space
