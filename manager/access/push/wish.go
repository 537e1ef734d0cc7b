package push

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"odcm"
	"odcm/manager/access"
	"odcm/manager/access/roster"
	"odcm/octopus"
)

// run is one look at one Space.
type run struct {
	*Push
	place    access.Place
	server   roster.Server
	state    roster.PushState
	saw      bool // whether the state is to be saved
	again    bool // whether the look that waited for the difference is still to be had
	entrants []odcm.UserID
	teams    []access.DesiredTeam
	wanted   map[odcm.UserID]bool // who may enter any Space of the instance
	people   map[odcm.UserID]access.Person
	slot     Slot
	accounts map[string]roster.Account // rows, by the account's id
	owned    map[odcm.UserID]string    // account of a person
	written  map[string]roster.TeamState
	waiting  map[odcm.UserID]roster.Acknowledgement // what is not acknowledged yet

	me      string
	full    bool // whether users and teams were all read
	users   map[string]octopus.Object
	free    roster.Finder[string] // users that are nobody's, by what they are recognised by; made when first asked
	named   map[string]string     // all users by their folded names
	failed  map[odcm.UserID]string
	drifted map[odcm.UserID]string
}

// begin reads what is wished and what is recorded, and records a new wish before any server is asked.
func (p *Push) begin(ctx context.Context, place access.Place) (r *run, err error) {
	r = &run{Push: p, place: place, wanted: map[odcm.UserID]bool{}, accounts: map[string]roster.Account{}, owned: map[odcm.UserID]string{},
		written: map[string]roster.TeamState{}, waiting: map[odcm.UserID]roster.Acknowledgement{}, users: map[string]octopus.Object{},
		failed: map[odcm.UserID]string{}, drifted: map[odcm.UserID]string{}}
	if r.state, err = p.o.Store.PushOf(ctx, place.Space); err != nil {
		return nil, err
	}
	r.state.Instance = place.Instance
	if err := r.wish(ctx); err != nil {
		return nil, err
	}
	if err := r.recall(ctx); err != nil {
		return nil, err
	}
	return r, r.note(ctx)
}

func (r *run) wish(ctx context.Context) (err error) {
	on, err := r.o.Places.On(ctx, r.place.Instance)
	if err != nil {
		return err
	}
	for _, place := range on {
		if !place.Active && place.Space != r.place.Space {
			continue
		}
		entrants, err := r.o.Desires.Entrants(ctx, place.Space)
		if err != nil {
			return err
		}
		for _, id := range entrants {
			r.wanted[id] = true
		}
		if place.Space == r.place.Space {
			r.entrants = entrants
		}
	}
	if r.teams, err = r.o.Desires.Teams(ctx, r.place.Space); err != nil {
		return err
	}
	if r.o.Slots != nil {
		r.slot, _, err = r.o.Slots.Slot(ctx, r.place.Instance)
	}
	return err
}

// recall reads the records, and what is known of everybody who is wished for or has an account.
func (r *run) recall(ctx context.Context) error {
	rows, err := r.o.Store.Accounts(ctx, r.place.Instance)
	if err != nil {
		return err
	}
	ids := make(map[odcm.UserID]bool, len(r.wanted))
	for id := range r.wanted {
		ids[id] = true
	}
	for _, a := range rows {
		r.keep(a)
		if a.Person != "" {
			ids[a.Person] = true
		}
	}
	if r.people, err = r.o.People.People(ctx, sortedKeys(ids)); err != nil {
		return err
	}
	for id := range r.wanted {
		if person, known := r.people[id]; !known || person.Disabled {
			delete(r.wanted, id) // gone since the wish was made up
		}
	}
	r.entrants = slices.DeleteFunc(slices.Clone(r.entrants), func(id odcm.UserID) bool { return !r.wanted[id] })
	teams, err := r.o.Store.TeamStates(ctx, r.place.Space)
	for _, t := range teams {
		r.written[t.Team] = t
	}
	return err
}

func (r *run) keep(a roster.Account) {
	r.accounts[a.ID] = a
	if a.Person != "" {
		r.owned[a.Person] = a.ID
	}
}

// note records what is wished anew. People whose wish is as it was are left alone.
func (r *run) note(ctx context.Context) error {
	memberOf := map[odcm.UserID][]string{}
	var all strings.Builder
	for _, t := range r.teams {
		for _, id := range t.Members {
			memberOf[id] = append(memberOf[id], t.Team)
		}
		all.WriteString(t.Team + ":")
		for _, g := range t.Groups {
			all.WriteString(string(g) + ",")
		}
		for _, id := range t.Members {
			all.WriteString(string(id) + ",")
		}
	}
	for _, id := range r.entrants {
		all.WriteString("\n" + string(id))
	}
	since := r.since(r.place.Space)
	if wanted := digest(all.String()); wanted != r.state.Wanted {
		r.state.Wanted = wanted
		r.state.Revision++
		if err := r.wishAnew(ctx, memberOf, since); err != nil {
			return err
		}
		// The acknowledgements first: where a crash comes between the two, they are found as they should be.
		if err := r.o.Store.SavePush(ctx, r.state); err != nil {
			return err
		}
	}
	open, err := r.o.Store.Unarrived(ctx, r.place.Space)
	for _, a := range open {
		r.waiting[a.Person] = a
	}
	return err
}

// wishAnew writes the wishes that are other than before.
func (r *run) wishAnew(ctx context.Context, memberOf map[odcm.UserID][]string, since time.Time) error {
	rows, err := r.o.Store.Acknowledgements(ctx, r.place.Space, nil)
	if err != nil {
		return err
	}
	known := make(map[odcm.UserID]roster.Acknowledgement, len(rows))
	for _, a := range rows {
		known[a.Person] = a
	}
	var fresh []roster.Acknowledgement
	wish := func(id odcm.UserID, enter bool) {
		a := roster.Acknowledgement{Space: r.place.Space, Person: id, Enter: enter, State: access.Pending, Since: since, Revision: r.state.Revision}
		if enter {
			slices.Sort(memberOf[id])
			a.Wish = digest(strings.Join(memberOf[id], ","))
		}
		if old, ok := known[id]; !ok || old.Enter != enter || old.Wish != a.Wish {
			fresh = append(fresh, a)
		}
		delete(known, id)
	}
	for _, id := range r.entrants {
		wish(id, true)
	}
	for _, id := range sortedKeys(known) {
		wish(id, false)
	}
	return r.o.Store.SaveAcknowledgements(ctx, fresh)
}

// digest is a short fingerprint of text.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:12])
}

func sortedKeys[K ~string, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// publicMessage is what may be shown of an error.
func publicMessage(err error) string {
	var e *odcm.Error
	if errors.As(err, &e) && e.Kind != odcm.Internal && e.Message != "" {
		return e.Message
	}
	return "An error inside ODCM (" + odcm.CodeOf(err) + "); its log says more."
}
