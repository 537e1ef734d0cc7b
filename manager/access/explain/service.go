// Package explain answers questions about access: why somebody may enter a Space, or why not, and who would gain and lose what
// by changes that nobody has made yet.
package explain

import (
	"odcm/manager/access"
	"odcm/manager/access/admit"
)

// Options are what a [Service] needs. All but the last are required.
type Options struct {
	Access *access.Service
	Grants *admit.Service
	People access.People
	Places access.Places

	Arrived access.Acknowledgements // nil: nothing is told of what has arrived
}

// Service answers.
type Service struct {
	o      Options
	access *access.Service
}

// New makes the service.
func New(o Options) *Service { return &Service{o, o.Access} }
