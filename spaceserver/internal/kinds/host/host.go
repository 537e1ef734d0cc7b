// Package host is what the kinds need of the server that they run in: who it is, what this node is called and whether it
// takes new work, and a folder for content that is too large for rows.
package host

import (
	"net/http"
	"time"

	"odcm/spaceserver/internal/identity"
	"odcm/spaceserver/internal/queue"
	"odcm/spaceserver/internal/signin"
)

// Host is what kinds and the server's own routes need to know of the running server.
type Host struct {
	Identity *identity.Service
	SignIn   *signin.Service // set before the first request
	// Recent are the last warnings and errors that were logged; Started is when this process was.
	Recent  *Recent
	Started time.Time
	// Cookies are the headers that give a browser a session. Set before the first request.
	Cookies        func(session identity.Session, secure bool) http.Header
	Queue          *queue.Queue // set before the first request
	Version        string
	InstallationID string
	URL            func() string
	Node           string // name of this node
	Data           string // folder for uploaded content
	MaxPackage     int64  // bytes of one package at most
}

// NodeID is the id of this node.
func (h *Host) NodeID() string { return "OctopusServerNodes-" + h.Node }
