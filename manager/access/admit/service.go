// Package admit lists and changes who may enter which Space, and which groups are mapped to which of its teams.
package admit

import "odcm/manager/access"

// Options are what a [Service] needs. All but the last three are required.
type Options struct {
	Access *access.Service
	Store  access.Store
	People access.People

	Register access.Register         // for pickers and search; nil finds nobody
	Teams    access.Teams            // nil: teams are named by their identifier
	Arrived  access.Acknowledgements // nil: nothing is told of what has arrived
}

// Service gives and takes away.
type Service struct {
	o      Options
	access *access.Service
}

// New makes the service.
func New(o Options) *Service { return &Service{o, o.Access} }
