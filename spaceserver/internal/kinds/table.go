// Package kinds is the table of the resources that the Space server keeps: for each kind what is special about it, after
// the Swagger document of a real server and OC/Model/<Name>Resource.cs in OctopusClients. What all kinds have in common
// is in package collection, whose documentation says how to add one.
package kinds

import (
	"slices"

	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/identity"
)

// Server is what kinds and the server's own routes need to know of the running server.
type Server struct {
	Identity       *identity.Service
	Version        string
	InstallationID string
	URL            func() string
	Node           string // name of this node
	Data           string // folder for uploaded content
	MaxPackage     int64  // bytes of one package at most
}

// Table lists every kind.
func Table(s *Server) []*collection.Kind {
	return slices.Concat(spaces(s), people(s), projects(), runbooks(), infrastructure(), []*collection.Kind{retentionPolicies()}, library(s), releases(), tasks(s), audit(),
		packages(s), builds(), certificates(), tenantVariables(), communityTemplates(), freezes(), ephemeral(), defects())
}
