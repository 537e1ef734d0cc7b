// Package merge finds users who look like one person, proposes to make them one, and remembers what was decided. It never
// merges by itself: what looks alike is a hint, and who may decide is an administrator.
package merge

import (
	"context"
	"time"

	"odcm"
	"odcm/manager/identity"
	"odcm/manager/identity/person"
)

// Reason is one thing that two users have in common.
type Reason struct {
	Sign  Sign
	Value string // the address, the mark, the subject
}

// Sign is a sort of reason, from the surest to the weakest.
type Sign string

// The signs.
const (
	SameAccount   Sign = "account"        // a mark of a directory account: SID, UPN, DOMAIN\name
	SameSubject   Sign = "subject"        // the same subject at two providers
	VerifiedEmail Sign = "verified-email" // an address that both have verified
	Email         Sign = "email"          // an address that one of them at least has not
)

// Pair is two users, the smaller identifier first.
type Pair struct{ One, Other odcm.UserID }

// PairOf puts two in order.
func PairOf(a, b odcm.UserID) Pair { return Pair{min(a, b), max(a, b)} }

// Proposal is a pair that looks like one person.
type Proposal struct {
	One, Other person.Person
	Reasons    []Reason
}

// Alike is one reason for one pair.
type Alike struct {
	Pair
	Reason
}

// Store finds and merges. A method that takes an event commits it in the transaction of its change.
type Store interface {
	// Alike lists what users have in common who are not deleted, pairs that were decided to be distinct left out; of at most
	// limit rows those of one pair stand together.
	Alike(ctx context.Context, limit int) ([]Alike, error)
	// Distinguish remembers that two are not one.
	Distinguish(ctx context.Context, p Pair, now time.Time, by string, e odcm.Event) error
	// Merge gives keep what gone has: identities, addresses, API keys, and the password where keep has none; and deletes gone
	// with a pointer to keep. odcm.Conflict where either changed or the last administrator would go.
	Merge(ctx context.Context, keep, gone person.User, now time.Time, e odcm.Event) error
}

// Mover moves what another room keeps of a user: memberships, grants. It may be called again for what it has moved already.
type Mover interface {
	Move(ctx context.Context, from, to odcm.UserID) error
}

// Bus hints to all replicas that something changed.
type Bus interface{ Publish(topics ...string) }

// Options are what a [Service] needs. All but Movers and Now are required.
type Options struct {
	People     *identity.Service
	Store      Store
	Authorizer odcm.Authorizer
	Bus        Bus
	Movers     []Mover
	Now        func() time.Time
}

// Service proposes and decides.
type Service struct{ o Options }

// New makes the service.
func New(o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Service{o}
}

// most is how many reasons are read at once; as proposals are decided, others come up.
const most = 500

// Proposals lists pairs that look like one person, the surest first among those that were found. It needs "user.list".
func (s *Service) Proposals(ctx context.Context, p odcm.Principal) (_ []Proposal, err error) {
	defer odcm.Wrap(&err, "list proposals to merge")
	if err := s.o.Authorizer.Authorize(ctx, p, "user.list", ""); err != nil {
		return nil, err
	}
	alike, err := s.o.Store.Alike(ctx, most)
	if err != nil {
		return nil, err
	}
	var pairs []Pair
	reasons := map[Pair][]Reason{}
	ids := map[odcm.UserID]bool{}
	for _, a := range alike {
		if reasons[a.Pair] == nil {
			pairs = append(pairs, a.Pair)
		}
		reasons[a.Pair] = append(reasons[a.Pair], a.Reason)
		ids[a.One], ids[a.Other] = true, true
	}
	list := make([]odcm.UserID, 0, len(ids))
	for id := range ids {
		list = append(list, id)
	}
	people, err := s.o.People.People(ctx, list)
	if err != nil {
		return nil, err
	}
	var found []Proposal
	for _, pair := range pairs {
		one, ok1 := people[pair.One]
		other, ok2 := people[pair.Other]
		if ok1 && ok2 {
			found = append(found, Proposal{one, other, reasons[pair]})
		}
	}
	return found, nil
}

// Dismiss remembers that two users are two people: they are not proposed again. It needs the action "user.merge".
func (s *Service) Dismiss(ctx context.Context, p odcm.Principal, a, b odcm.UserID) (err error) {
	defer odcm.Wrap(&err, "tell %s and %s apart", a, b)
	one, other, err := s.two(ctx, p, a, b)
	if err != nil {
		return err
	}
	e := odcm.NewEvent(p, "identity.merge-dismissed", string(one.ID), one.Username, nil, map[string]any{"other": other.ID, "otherName": other.Username})
	return s.o.Store.Distinguish(ctx, PairOf(a, b), s.now(), p.Name, e)
}

// Merge makes one user of two: keep stays and gets what gone has; gone is deleted, with a pointer. What gone was to ODCM
// itself, its roles, is not passed on. It needs the action "user.merge".
func (s *Service) Merge(ctx context.Context, p odcm.Principal, keep, gone odcm.UserID) (err error) {
	defer odcm.Wrap(&err, "merge %s into %s", gone, keep)
	to, from, err := s.two(ctx, p, keep, gone)
	if err != nil {
		return err
	}
	// What other rooms keep goes first: if it stops halfway, both users are still there, and it can be done again.
	for _, m := range s.o.Movers {
		if err := m.Move(ctx, gone, keep); err != nil {
			return err
		}
	}
	e := odcm.NewEvent(p, "identity.users-merged", string(keep), to.Username, map[string]any{"gone": from.ID, "goneName": from.Username}, nil)
	if err := s.o.Store.Merge(ctx, to, from, s.now(), e); err != nil {
		return err
	}
	s.o.Bus.Publish("user/"+string(keep), "user/"+string(gone))
	return nil
}

func (s *Service) now() time.Time { return s.o.Now().UTC().Truncate(time.Millisecond) }

func (s *Service) two(ctx context.Context, p odcm.Principal, a, b odcm.UserID) (one, other person.User, err error) {
	if err := s.o.Authorizer.Authorize(ctx, p, "user.merge", string(a)); err != nil {
		return one, other, err
	}
	if a == b || a == person.Guest || b == person.Guest {
		return one, other, odcm.E(odcm.Invalid, "merge.not-two", "Choose two different people; the guest is nobody.")
	}
	if one, err = s.alive(ctx, p, a); err == nil {
		other, err = s.alive(ctx, p, b)
	}
	return one, other, err
}

func (s *Service) alive(ctx context.Context, p odcm.Principal, id odcm.UserID) (person.User, error) {
	u, err := s.o.People.Get(ctx, p, id)
	if err == nil && !u.Deleted.IsZero() {
		err = odcm.E(odcm.Conflict, "identity.user-deleted", "%s is deleted.", u.Username)
	}
	return u, err
}
