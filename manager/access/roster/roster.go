// Package roster keeps whose the accounts on Octopus servers are, and what was written there: accounts, teams, and what has
// arrived of what each person should have.
package roster

import (
	"time"

	"odcm"
	"odcm/manager/access"
)

// Options are what a [Roster] needs. People, Places, Store, Servers and Gate are required.
type Options struct {
	People    access.People
	Everybody Everybody // nobody is matched by a rule if nil
	Newcomers Newcomers // accounts cannot be invited or made people of if nil
	Places    access.Places
	Store     Store
	Servers   Servers
	Gate      Gate       // decides about the pages and operations of accounts
	Signals   access.Bus // told of "account/SPACE" and "decision/SPACE"; nobody if nil
	Now       func() time.Time
}

// Roster knows whose the accounts of servers are, and how it stands with what was brought there.
type Roster struct{ o Options }

// New makes the service.
func New(o Options) *Roster {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Roster{o}
}

// Topic is the hint that something of a Space's accounts or teams changed.
func Topic(id odcm.SpaceID) string { return "account/" + string(id) }

// Topics are the nouns of the hints that ask for a push to a Space. What a push tells itself is not among them: it would wake
// itself again and again.
func Topics() []string { return []string{"decision"} }

// Decided hints to all replicas that it was decided what a Space's accounts shall be.
func (r *Roster) Decided(id odcm.SpaceID) {
	if r.o.Signals != nil {
		r.o.Signals.Publish("decision/"+string(id), Topic(id))
	}
}

// Tell hints to all replicas that something of a Space's accounts or teams is another.
func (r *Roster) Tell(id odcm.SpaceID) {
	if r.o.Signals != nil {
		r.o.Signals.Publish(Topic(id))
	}
}
