// Package reading judges whether what a directory said of everybody can be believed: a directory that returns next to nothing
// is rather one that was searched in the wrong place, or may no longer be read, than one that everybody has left.
package reading

import (
	"fmt"

	"odcm/manager/identity/person"
)

// Reading is one reading of everybody who is linked to a directory.
type Reading struct {
	Seen        []person.Observation
	Linked      int // who was asked about
	Gone        int
	Memberships int

	groups  map[string]bool
	unknown int // whose groups could not be read
}

// Add takes what was said of a batch of people.
func (r *Reading) Add(seen []person.Observation) {
	if r.groups == nil {
		r.groups = map[string]bool{}
	}
	for _, o := range seen {
		switch {
		case o.Gone:
			r.Gone++
		case !o.GroupsKnown:
			r.unknown++
		}
		r.Memberships += len(o.Groups)
		for _, g := range o.Groups {
			r.groups[g.ID] = true
		}
	}
	r.Seen = append(r.Seen, seen...)
}

// People are those who were found.
func (r *Reading) People() int { return r.Linked - r.Gone }

// Groups are how many different groups anybody is in.
func (r *Reading) Groups() int { return len(r.groups) }

// At once, this many people may vanish, or a tenth of those who are linked; and this many memberships, or a third of all.
const (
	fewGone  = 3
	fewLeave = 20
)

// Doubt says why the reading should not be believed, after one that counted and found so many people and memberships; ""
// where it may be.
func (r *Reading) Doubt(people, memberships int) string {
	switch {
	case r.Gone > max(fewGone, r.Linked/10) || r.Gone > 1 && r.Gone == r.Linked:
		return fmt.Sprintf("%d of %d people who sign in by it are no longer found.", r.Gone, r.Linked)
	case r.unknown > 0 || r.People() < people*9/10: // what is missing is not known, or has left with its people
		return ""
	case r.Memberships == 0 && memberships > 1 && r.People() > 0:
		return fmt.Sprintf("None of %d people is in any group; there were %d memberships before.", r.People(), memberships)
	case memberships-r.Memberships > max(fewLeave, memberships/3):
		return fmt.Sprintf("There are %d memberships in groups; there were %d before.", r.Memberships, memberships)
	}
	return ""
}
