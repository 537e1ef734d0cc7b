package summary

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"odcm"
	"odcm/manager/report"
)

// What reading reports needs. People is what the report on sign-ins needs besides.
const (
	ActionRead   odcm.Action = "report.read"
	ActionPeople odcm.Action = "report-people.read"
)

// Access knows which Spaces a principal may see: their figures are told to nobody else.
type Access interface {
	// Find returns the Space that ref names, by identifier or slug; NotFound where there is none that the principal may see.
	Find(ctx context.Context, p odcm.Principal, ref string) (odcm.SpaceID, error)
	// Reach tells whether the principal may see all Spaces, and which where not.
	Reach(ctx context.Context, p odcm.Principal) (all bool, these []odcm.SpaceID, err error)
}

// Described is what a Space is called, and where it is.
type Described struct {
	Name, Slug string
	Server     string // address, in the form in which [Meter] has it
}

// Directory tells what the Spaces are called that ODCM knows now.
type Directory interface {
	Describe(ctx context.Context) (map[odcm.SpaceID]Described, error)
}

// Server is what a Space's server says of itself.
type Server struct {
	Version string
	Licence *Licence // nil where the key may not read it
}

// Licence is what a server says of its licence.
type Licence struct {
	Kind     string
	DaysLeft *int // nil where it does not expire
	Limits   []Limit
}

// Limit is one bound of a licence, and how much of it is used.
type Limit struct {
	Name          string
	Used, Allowed int
	Unlimited     bool
}

// Fleet tells how the servers of Spaces are now.
type Fleet interface {
	Servers(ctx context.Context, spaces []odcm.SpaceID) (map[odcm.SpaceID]Server, error)
}

// Options are what a [Service] needs. Store, Access, Directory, Fleet and Authorizer are required.
type Options struct {
	Store      report.Store
	Access     Access
	Directory  Directory
	Fleet      Fleet
	Authorizer odcm.Authorizer
	Logger     *slog.Logger
	Now        func() time.Time
	Keep       time.Duration // how long single deployments are kept; 400 days if zero
	PerSecond  float64       // requests that the budget allows each server; 50 if zero
}

// Service is the room's door.
type Service struct{ o Options }

// New makes the service.
func New(o Options) *Service {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Keep == 0 {
		o.Keep = 400 * 24 * time.Hour
	}
	if o.PerSecond == 0 {
		o.PerSecond = 50
	}
	return &Service{o}
}

// Now is the time by which requests are read.
func (s *Service) Now() time.Time { return s.o.Now().UTC() }

// Sort is a report that there is.
type Sort struct {
	Name, Title, Intro string
	People             bool // needs [ActionPeople]
	make               func(ctx context.Context, v *view) error
}

// Sorts lists the reports that there are.
func (s *Service) Sorts() []Sort {
	return []Sort{
		{Name: "deployments", Title: "Deployments", Intro: "How many succeeded and failed, where and when.", make: s.deployments},
		{Name: "delivery", Title: "Delivery", Intro: "How often, how fast and how safely changes reach production.", make: s.delivery},
		{Name: "inventory", Title: "Projects and targets", Intro: "What each Space holds, over time.", make: s.inventory},
		{Name: "versions", Title: "Versions", Intro: "Which version of Octopus how many Spaces run.", make: s.versions},
		{Name: "people", Title: "Sign-ins", Intro: "Who signed in to ODCM, and how often.", People: true, make: s.people},
		{Name: "requests", Title: "API requests", Intro: "What ODCM asks of each server, and how much of the budget that is.", make: s.requests},
		{Name: "licences", Title: "Licences", Intro: "What is used of what was bought, server by server.", make: s.licences},
	}
}

// Allowed lists the reports that the principal may read.
func (s *Service) Allowed(ctx context.Context, p odcm.Principal) []Sort {
	return slices.DeleteFunc(s.Sorts(), func(k Sort) bool { return s.authorize(ctx, p, k) != nil })
}

func (s *Service) authorize(ctx context.Context, p odcm.Principal, k Sort) error {
	if err := s.o.Authorizer.Authorize(ctx, p, ActionRead, ""); err != nil {
		return err
	}
	if k.People {
		return s.o.Authorizer.Authorize(ctx, p, ActionPeople, "")
	}
	return nil
}

// view is a report that is being made.
type view struct {
	*Report
	principal odcm.Principal
	spaces    []odcm.SpaceID // that it is about; nil for all
	described map[odcm.SpaceID]Described
	standings map[odcm.SpaceID]report.Standing
}

// Report makes the report of that name as the principal may see it.
func (s *Service) Report(ctx context.Context, p odcm.Principal, name string, r Request) (_ *Report, err error) {
	defer odcm.Wrap(&err, "report %s", name)
	all := s.Sorts()
	i := slices.IndexFunc(all, func(k Sort) bool { return k.Name == name })
	if i < 0 {
		return nil, odcm.E(odcm.NotFound, "report.not-found", "There is no such report.")
	}
	if err := s.authorize(ctx, p, all[i]); err != nil {
		return nil, err
	}
	v := &view{Report: &Report{Name: name, Title: all[i].Title, Intro: all[i].Intro, Request: r, Rows: []Row{}}, principal: p}
	if v.spaces, err = s.reach(ctx, p, r.Space); err != nil {
		return nil, err
	}
	if v.described, err = s.o.Directory.Describe(ctx); err != nil {
		return nil, err
	}
	standings, err := s.o.Store.Standings(ctx, v.spaces)
	if err != nil {
		return nil, err
	}
	v.standings = make(map[odcm.SpaceID]report.Standing, len(standings))
	for _, st := range standings {
		v.standings[st.Space] = st
	}
	return v.Report, all[i].make(ctx, v)
}

// reach lists the Spaces that a report is about: the one that is named, or those that the principal may see; nil for all.
func (s *Service) reach(ctx context.Context, p odcm.Principal, ref string) ([]odcm.SpaceID, error) {
	if ref != "" {
		id, err := s.o.Access.Find(ctx, p, ref)
		return []odcm.SpaceID{id}, err
	}
	all, these, err := s.o.Access.Reach(ctx, p)
	if err != nil || all {
		return nil, err
	}
	return append([]odcm.SpaceID{}, these...), nil
}

// Single lists single deployments, newest first, after the position.
func (s *Service) Single(ctx context.Context, p odcm.Principal, r Request, after report.Position, limit int) (_ []report.Listed, err error) {
	defer odcm.Wrap(&err, "list deployments")
	if err := s.o.Authorizer.Authorize(ctx, p, ActionRead, ""); err != nil {
		return nil, err
	}
	spaces, err := s.reach(ctx, p, r.Space)
	if err != nil {
		return nil, err
	}
	return s.o.Store.List(ctx, r.scope(spaces), after, max(1, min(limit, maxRows)))
}

// Choices lists what can be chosen among the principal's Spaces: names of projects, environments or tenants.
func (s *Service) Choices(ctx context.Context, p odcm.Principal, of report.Dimension, r Request) ([]string, error) {
	const most = 500
	if err := s.o.Authorizer.Authorize(ctx, p, ActionRead, ""); err != nil {
		return nil, err
	}
	spaces, err := s.reach(ctx, p, r.Space)
	if err != nil {
		return nil, err
	}
	return s.o.Store.Names(ctx, spaces, string(of), most)
}

// SpaceChoices lists the principal's Spaces by slug, with their names.
func (s *Service) SpaceChoices(ctx context.Context, p odcm.Principal) ([]Described, error) {
	if err := s.o.Authorizer.Authorize(ctx, p, ActionRead, ""); err != nil {
		return nil, err
	}
	spaces, err := s.reach(ctx, p, "")
	if err != nil {
		return nil, err
	}
	described, err := s.o.Directory.Describe(ctx)
	if err != nil {
		return nil, err
	}
	var all []Described
	for id, d := range described {
		if spaces == nil || slices.Contains(spaces, id) {
			all = append(all, d)
		}
	}
	slices.SortFunc(all, func(a, b Described) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Slug, b.Slug)) })
	return all, nil
}

// shown are the Spaces of the view that ODCM knows now, in the order of their names.
func (v *view) shown() []odcm.SpaceID {
	var all []odcm.SpaceID
	for id := range v.described {
		if v.includes(id) {
			all = append(all, id)
		}
	}
	slices.SortFunc(all, func(a, b odcm.SpaceID) int {
		return cmp.Or(cmp.Compare(v.described[a].Name, v.described[b].Name), cmp.Compare(a, b))
	})
	return all
}

func (v *view) includes(id odcm.SpaceID) bool {
	return v.spaces == nil || slices.Contains(v.spaces, id)
}

// called is a Space's name; one that ODCM does not manage any more has the name that it had.
func (v *view) called(id odcm.SpaceID) string {
	if d, ok := v.described[id]; ok {
		return d.Name
	}
	if st, ok := v.standings[id]; ok && st.Name != "" {
		return st.Name + " (delisted)"
	}
	return string(id)
}

func (v *view) link(id odcm.SpaceID) string {
	if d, ok := v.described[id]; ok {
		return "/spaces/" + d.Slug
	}
	return ""
}

func (v *view) note(format string, args ...any) {
	v.Notes = append(v.Notes, fmt.Sprintf(format, args...))
}

func (v *view) figure(label, value, detail string) {
	v.Figures = append(v.Figures, Figure{label, value, detail})
}

// complete says what the figures lack.
func (s *Service) complete(ctx context.Context, v *view) error {
	if v.Request.Zone != time.UTC && v.Request.Zone.String() != "UTC" {
		v.note("Days are those of %s.", v.Request.Zone)
	} else {
		v.note("Days are those of UTC.")
	}
	filling, behind, missing := 0, 0, 0
	for id := range v.described {
		if !v.includes(id) {
			continue
		}
		st, ok := v.standings[id]
		switch {
		case !ok || st.Since.IsZero():
			missing++
		case st.Filling:
			filling++
		case st.Error != "":
			behind++
		}
	}
	if missing > 0 {
		v.note("%s not been read yet.", plural(missing, "Space has", "Spaces have"))
	}
	if filling > 0 {
		v.note("What %s before ODCM knew %s is still being read.", plural(filling, "Space did", "Spaces did"), them(filling))
	}
	if behind > 0 {
		v.note("%s cannot be read at the moment: what happened there since comes later.", plural(behind, "Space", "Spaces"))
	}
	gaps, err := s.o.Store.Gaps(ctx, v.spaces, v.Request.From, v.Request.To)
	const most = 5
	for i, g := range gaps {
		if i == most {
			v.note("And %d more such times.", len(gaps)-most)
			break
		}
		v.note("%s, %s to %s: %s", v.called(g.Space), g.From.In(v.Request.Zone).Format("2 Jan 2006 15:04"), g.To.In(v.Request.Zone).Format("2 Jan 2006 15:04"), g.Reason)
	}
	return err
}

func them(n int) string {
	if n == 1 {
		return "it"
	}
	return "them"
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Thousands(float64(n)) + " " + many
}
