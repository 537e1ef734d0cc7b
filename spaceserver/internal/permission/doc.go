// Package permission decides who may do what in a Space server, as Octopus does: users are in teams, a team holds roles, a
// role grants permissions in one space or on the whole server, and a grant in a space may be restricted to projects,
// project groups, environments and tenants.
//
// Names are those of Permission.cs in OctopusClients; the built-in roles follow Octopus's page on default permissions.
package permission
