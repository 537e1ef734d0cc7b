package licence

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"odcm"
)

// Server is an Octopus server and what it said of its licence.
type Server struct {
	Instance odcm.InstanceID
	Spaces   []Space // that it holds
	Checked  time.Time
	Reading  *Reading // nil where the API key may not read the licence, or the server was never reached
}

// Space is a Space on a server.
type Space struct {
	ID         odcm.SpaceID
	Slug, Name string
}

// Reading is what a server says of its licence.
type Reading struct {
	Kind      string // "Trial", "CommunityEdition", "CommercialLicense", "Unlicensed"; "" on old servers
	Compliant bool
	DaysLeft  *int // to the expiry, negative afterwards; nil where it does not expire
	Limits    []Limit
}

// Limit is one thing that a licence counts.
type Limit struct {
	Name      string
	Used      int
	Allowed   int // meaningless where Unlimited
	Unlimited bool
}

// State says in a word how a server stands.
type State string

// The states, the worst first.
const (
	Exceeded State = "exceeded" // more is used than was bought
	Expired  State = "expired"
	Expiring State = "expiring" // within [Soon]
	Near     State = "near"     // nine tenths of a limit are used
	Unknown  State = "unknown"
	Fine     State = "fine"
)

// States lists them, the worst first.
func States() []State { return []State{Exceeded, Expired, Expiring, Near, Unknown, Fine} }

// Soon is how many days before its end something expires soon.
const Soon = 30

// near is which share of a limit is nearly all of it.
const near = 0.9

// State judges what the server said.
func (s Server) State() State {
	switch r := s.Reading; {
	case r == nil:
		return Unknown
	case r.DaysLeft != nil && *r.DaysLeft < 0:
		return Expired
	case !r.Compliant || r.Share() > 1:
		return Exceeded
	case r.DaysLeft != nil && *r.DaysLeft <= Soon:
		return Expiring
	case r.Share() >= near:
		return Near
	}
	return Fine
}

// most is the largest share that is told apart: of a limit of zero that is used.
const most = 1e6

// Share is how much of its most used limit is used: 1 is all of it.
func (r *Reading) Share() (share float64) {
	for _, l := range r.Limits {
		share = max(share, l.Share())
	}
	return share
}

// Share is how much of the limit is used: 1 is all of it; 0 where there is no bound.
func (l Limit) Share() float64 {
	switch {
	case l.Unlimited || l.Used <= 0:
		return 0
	case l.Allowed <= 0:
		return most
	}
	return min(float64(l.Used)/float64(l.Allowed), most)
}

// Name is what people call the server: its Spaces.
func (s Server) Name() string {
	names := make([]string, len(s.Spaces))
	for i, sp := range s.Spaces {
		names[i] = sp.Name
	}
	return strings.Join(names, ", ")
}

// Position is a place in the list of servers, which is sorted by it.
type Position struct {
	Rank     int             `json:"r"`
	Share    float64         `json:"s"`
	Days     int             `json:"d"`
	Name     string          `json:"n"`
	Instance odcm.InstanceID `json:"i"`
}

func (s Server) position() Position {
	p := Position{Rank: slices.Index(States(), s.State()), Days: never, Name: strings.ToLower(s.Name()), Instance: s.Instance}
	if s.Reading != nil {
		p.Share = s.Reading.Share()
		if s.Reading.DaysLeft != nil {
			p.Days = *s.Reading.DaysLeft
		}
	}
	return p
}

// never is later than any expiry: .NET's int.MaxValue, of which servers make as much.
const never = 1<<31 - 1

func (p Position) compare(q Position) int {
	return cmp.Or(cmp.Compare(p.Rank, q.Rank), cmp.Compare(q.Share, p.Share), cmp.Compare(p.Days, q.Days), cmp.Compare(p.Name, q.Name),
		cmp.Compare(p.Instance, q.Instance))
}

// Total sums one limit over the servers that have it. A machine that several servers know is counted by each, and a licence that
// several share is too.
type Total struct {
	Name      string
	Servers   int // that count it
	Used      int // by all of them
	Bounded   int // used where there is a bound
	Allowed   int // where there is a bound
	Unlimited int // servers without a bound
}

// Share is how much of what is bounded is used.
func (t Total) Share() float64 { return Limit{Used: t.Bounded, Allowed: t.Allowed}.Share() }

// totals are sorted by share, the fullest first.
func totals(servers []Server) []Total {
	byName := map[string]*Total{}
	for _, s := range servers {
		if s.Reading == nil {
			continue
		}
		for _, l := range s.Reading.Limits {
			t := byName[l.Name]
			if t == nil {
				t = &Total{Name: l.Name}
				byName[l.Name] = t
			}
			t.Servers++
			t.Used += l.Used
			if l.Unlimited {
				t.Unlimited++
			} else {
				t.Bounded += l.Used
				t.Allowed += l.Allowed
			}
		}
	}
	all := make([]Total, 0, len(byName))
	for _, t := range byName {
		all = append(all, *t)
	}
	slices.SortFunc(all, func(a, b Total) int { return cmp.Or(cmp.Compare(b.Share(), a.Share()), cmp.Compare(a.Name, b.Name)) })
	return all
}

// largest is the largest number of a thing that is believed: sums of such numbers do not overflow.
const largest = 1_000_000_000_000

// sane bounds what comes from a server.
func (s Server) sane() Server {
	if s.Reading == nil {
		return s
	}
	r := *s.Reading
	r.Limits = slices.Clone(r.Limits)
	for i := range r.Limits {
		l := &r.Limits[i]
		l.Used, l.Allowed = min(max(l.Used, 0), largest), min(max(l.Allowed, 0), largest)
	}
	s.Reading = &r
	return s
}
