// Package host is what the kinds need of the server that they run in: who it is, what this node is called and whether it
// takes new work, and a folder for content that is too large for rows.
package host

import (
	"context"
	"strconv"

	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/identity"
)

// Host is what kinds and the server's own routes need to know of the running server.
type Host struct {
	Identity       *identity.Service
	Version        string
	InstallationID string
	URL            func() string
	Node           string // name of this node
	Data           string // folder for uploaded content
	MaxPackage     int64  // bytes of one package at most
}

// draining, with the name of a node, is the setting that says whether it is.
const draining = "draining/"

// NodeID is the id of this node.
func (h *Host) NodeID() string { return "OctopusServerNodes-" + h.Node }

// Draining tells whether this node takes no new work.
func (h *Host) Draining(ctx context.Context, service *collection.Service) (bool, error) {
	value, err := service.Store.Setting(ctx, service.Store.DB.Read(), draining+h.Node)
	return value == "true", err
}

// SetDraining keeps whether this node takes no new work, in the transaction of a change.
func (h *Host) SetDraining(change *collection.Change, on bool) error {
	return change.Service.Store.Set(change.Context, change.Tx, draining+h.Node, strconv.FormatBool(on))
}
