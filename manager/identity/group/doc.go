// Package group knows who belongs together: groups of users, of other groups, and of groups of a provider (a directory, an
// OpenID provider). Cycles are refused where they would be made; nesting is flattened in a [Graph] in memory, so that no
// question about membership costs a query.
//
// The log of events is what the graph follows. Each change of a group, of a membership or of a user commits an event that
// names them by their identifiers, so a graph that stands at one event comes to a later one by reading again only what the
// events between them name: see package graph.
package group
