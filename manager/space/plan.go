package space

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"odcm"
)

// Plan is what enlisting would find and do, shown before anything is written anywhere.
type Plan struct {
	Server   ServerFacts
	Spaces   []PlannedSpace
	People   PeoplePlan
	SignIn   SignInPlan
	Warnings []Note
}

// ServerFacts is what the server said about itself.
type ServerFacts struct {
	URL            string
	Version        string
	InstallationID string
	User           string // whose API key it is
	Administrator  bool
	Known          bool // some of its Spaces are enlisted already; its connection stays as it is
}

// PlannedSpace is an octopus.Space that can be enlisted.
type PlannedSpace struct {
	Octopus     string
	Name        string // on the server
	Description string
	Default     bool
	Suggested   string // a name that is free in ODCM
	Enlisted    bool   // is a Space of ODCM's already
	Conflicts   []Note
	Changes     []Note // what will be different on the server
}

// Note is something to know, with a stable code.
type Note struct{ Code, Message string }

// Plan proves the server and the key, and says what enlisting would do. It writes nothing.
func (s *Service) Plan(ctx context.Context, p odcm.Principal, c Connection) (_ Plan, err error) {
	defer odcm.Wrap(&err, "plan to enlist")
	if err := s.o.Authorizer.Authorize(ctx, p, ActionEnlist, ""); err != nil {
		return Plan{}, err
	}
	survey, err := s.survey(ctx, c)
	if err != nil {
		return Plan{}, err
	}
	return s.plan(ctx, survey)
}

// survey is a proven server and what of it ODCM has already.
type survey struct {
	connection Connection
	proof      Proof
	known      *Instance
	enlisted   map[string]Space // by octopus.Space id
}

func (s *Service) survey(ctx context.Context, c Connection) (v survey, err error) {
	if strings.TrimSpace(string(c.APIKey)) == "" {
		return v, odcm.E(odcm.Invalid, "space.key-missing", "Give an API key of an Octopus administrator on that server.").OnField("apiKey")
	}
	c.APIKey = Secret(strings.TrimSpace(string(c.APIKey)))
	if v.proof, err = s.prove(ctx, c); err != nil {
		return v, err
	}
	c.URL = v.proof.URL
	v.connection, v.enlisted = c, map[string]Space{}
	if err = v.proof.check(); err != nil {
		return v, err
	}
	known, err := s.o.Store.InstanceOf(ctx, v.proof.InstallationID)
	if odcm.KindOf(err) == odcm.NotFound {
		return v, nil
	}
	if err != nil {
		return v, err
	}
	v.known = &known
	there, err := s.o.Store.On(ctx, known.ID)
	for _, sp := range there {
		v.enlisted[sp.Octopus] = sp
	}
	return v, err
}

// target is the server for other rooms.
func (v survey) target() Target {
	t := Target{Name: hostOf(v.connection.URL), Connection: v.connection}
	if v.known != nil {
		t.Instance, t.Connection = v.known.ID, v.known.Connection()
	}
	return t
}

// prove proves a server while somebody waits.
func (s *Service) prove(ctx context.Context, c Connection) (Proof, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.ProveWithin)
	defer cancel()
	return s.o.Octopus.Prove(ctx, c)
}

func (s *Service) plan(ctx context.Context, v survey) (Plan, error) {
	plan := Plan{Server: ServerFacts{URL: v.connection.URL, Version: v.proof.Version, InstallationID: v.proof.InstallationID,
		User: v.proof.User, Administrator: v.proof.Administrator, Known: v.known != nil}}
	host := hostOf(v.connection.URL)
	var names []string
	for _, o := range v.proof.Spaces {
		names = append(names, candidates(o.Name, host)...)
	}
	taken, err := s.o.Store.Taken(ctx, names)
	if err != nil {
		return Plan{}, err
	}
	for _, o := range v.proof.Spaces {
		planned := PlannedSpace{Octopus: o.ID, Name: o.Name, Description: o.Description, Default: o.Default, Suggested: o.Name}
		if _, is := v.enlisted[o.ID]; is {
			planned.Enlisted = true
			planned.Conflicts = []Note{{"space.already-enlisted", "It is a Space of this ODCM already."}}
			plan.Spaces = append(plan.Spaces, planned)
			continue
		}
		if taken[Fold(o.Name)] {
			planned.Conflicts = []Note{{"space.name-taken", fmt.Sprintf("Another Space is called %s: choose another name for this one.", o.Name)}}
		}
		for _, name := range candidates(o.Name, host) {
			if !taken[Fold(name)] {
				planned.Suggested = name
				taken[Fold(name)] = true // two octopus.Spaces of one plan want different names too
				break
			}
		}
		planned.Changes = s.webhookPlan(o)
		plan.Spaces = append(plan.Spaces, planned)
	}
	plan.Warnings = warnings(v)
	return plan, s.planPeople(ctx, v.target(), &plan)
}

// webhookPlan says what enlisting does to the octopus.Space.
func (s *Service) webhookPlan(o OctopusSpace) []Note {
	switch {
	case s.o.PublicURL() == "":
		return []Note{{"webhook.skipped", "No webhook is made, because ODCM has no public URL that servers can reach."}}
	case len(o.Lacks) > 0:
		return []Note{{"webhook.skipped", "No webhook is made, because the API key lacks " + strings.Join(o.Lacks, ", ") + "."}}
	}
	return []Note{{"webhook.added", "An event subscription named " + hookName + " is added, which tells ODCM when something changes. " +
		"A subscription that has this name already is replaced, and put back on delisting."}}
}

func warnings(v survey) []Note {
	var notes []Note
	if strings.HasPrefix(v.connection.URL, "http://") && !loopback(v.connection.URL) {
		notes = append(notes, Note{"space.plain-http", "The URL is plain HTTP: the API key can be read on the way. Use HTTPS if the server has it."})
	}
	if v.known != nil {
		notes = append(notes, Note{"space.server-known", "ODCM reaches this server at " + v.known.URL + " already, and goes on doing so with the key that it has."})
	}
	if !v.proof.Administrator {
		notes = append(notes, Note{"space.key-not-administrator", "The key of " + v.proof.User + " is not an Octopus administrator's: " +
			"ODCM cannot read nodes and licence, nor manage sign-in, with it."})
	}
	return notes
}

// candidates are the names that are tried for an octopus.Space, the best first.
func candidates(name, host string) []string {
	all := []string{name, fmt.Sprintf("%s (%s)", name, host)}
	for i := 2; i < 10; i++ {
		all = append(all, fmt.Sprintf("%s (%s %d)", name, host, i))
	}
	return all
}

func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	return u.Host
}

func loopback(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && (u.Hostname() == "localhost" || strings.HasPrefix(u.Hostname(), "127.") || u.Hostname() == "::1")
}
