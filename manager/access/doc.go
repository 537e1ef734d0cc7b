// Package access decides who enters which Space.
//
// A [Grant] lets a group or a user into a Space; a [Mapping] puts the groups of those who are in into Octopus teams of the
// Space. Nesting of groups is not this package's: it takes a flattened [Graph]. What follows from graph, grants and mappings
// is kept in an immutable [Index] of bit sets, rebuilt for what changed and for nothing else, so that [Service.May] costs two
// look-ups and an AND, and so that a change names exactly the Spaces that it touches ([Service.Changed]).
//
// An ODCM administrator grants and revokes, and names administrators of single Spaces (grants with Steward). Those map
// groups of their Spaces and see nothing of others. Everyone sees why he himself may enter.
//
// The packages below stand on this one: admit changes who may enter, explain answers why and what if, roster knows whose the
// accounts on servers are, and push brings people, their state and their teams there.
package access
