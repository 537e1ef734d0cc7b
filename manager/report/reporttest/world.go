package reporttest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/report"
	"odcm/manager/report/collect"
	"odcm/manager/report/reportsql"
	"odcm/manager/report/summary"
)

// The people of the world: Barry may see all, Lisa administers Payments, Bob may enter Web Shop.
var (
	Barry = odcm.Principal{User: "user-barry", Name: "Barry", Roles: []odcm.Role{odcm.Administrator}}
	Lisa  = odcm.Principal{User: "user-lisa", Name: "Lisa", Roles: []odcm.Role{odcm.SpaceAdministrator}}
	Bob   = odcm.Principal{User: "user-bob", Name: "Bob", Roles: []odcm.Role{odcm.Member}}
)

// The Spaces of the world.
const (
	Payments = odcm.SpaceID("space-payments")
	WebShop  = odcm.SpaceID("space-web-shop")
)

// Now is the time in the world.
var Now = time.Date(2026, 3, 18, 15, 0, 0, 0, time.UTC)

// World is a company of two Spaces with what it knows of them.
type World struct {
	T       testing.TB
	Store   *reportsql.Store
	Reports *summary.Service
	Reaches map[odcm.UserID][]odcm.SpaceID // nil for all
}

// NewWorld has no facts yet.
func NewWorld(t testing.TB, d *db.DB) *World {
	t.Helper()
	store, err := reportsql.New(context.Background(), d)
	if err != nil {
		t.Fatal(err)
	}
	w := &World{T: t, Store: store, Reaches: map[odcm.UserID][]odcm.SpaceID{Lisa.User: {Payments}, Bob.User: {WebShop}}}
	w.Reports = summary.New(summary.Options{Store: store, Access: w, Directory: w, Fleet: w, Authorizer: w, Now: func() time.Time { return Now }})
	return w
}

var described = map[odcm.SpaceID]summary.Described{
	Payments: {Name: "Payments", Slug: "payments", Server: "https://payments.example"},
	WebShop:  {Name: "Web Shop", Slug: "web-shop", Server: "https://shop.example"},
}

// Describe implements [summary.Directory].
func (w *World) Describe(context.Context) (map[odcm.SpaceID]summary.Described, error) {
	return described, nil
}

// Find implements [summary.Access].
func (w *World) Find(_ context.Context, p odcm.Principal, ref string) (odcm.SpaceID, error) {
	for id, d := range described {
		if (ref == string(id) || ref == d.Slug) && (p.Has(odcm.Administrator) || slices.Contains(w.Reaches[p.User], id)) {
			return id, nil
		}
	}
	return "", odcm.E(odcm.NotFound, "space.not-found", "There is no such Space.")
}

// Reach implements [summary.Access].
func (w *World) Reach(_ context.Context, p odcm.Principal) (bool, []odcm.SpaceID, error) {
	return p.Has(odcm.Administrator), w.Reaches[p.User], nil
}

// Servers implements [summary.Fleet].
func (w *World) Servers(context.Context, []odcm.SpaceID) (map[odcm.SpaceID]summary.Server, error) {
	days := 30
	return map[odcm.SpaceID]summary.Server{
		Payments: {Version: "2025.4.1", Licence: &summary.Licence{Kind: "CommercialLicense", DaysLeft: &days, Limits: []summary.Limit{{Name: "Projects", Used: 9, Allowed: 10}, {Name: "Users", Used: 4, Unlimited: true}}}},
		WebShop:  {Version: "2026.1.2"},
	}, nil
}

// Authorize implements [odcm.Authorizer].
func (w *World) Authorize(_ context.Context, p odcm.Principal, a odcm.Action, _ string) error {
	verb := string(a)[strings.LastIndex(string(a), ".")+1:]
	switch {
	case p.Has(odcm.Administrator), a == summary.ActionRead, verb == "manage" && p.Has(odcm.SpaceAdministrator):
		return nil
	}
	return odcm.E(odcm.Denied, "identity.role-missing", "%s may not do %s.", p.Name, a)
}

// Principal is somebody as he would be signed in.
func (w *World) Principal(_ context.Context, id odcm.UserID) (odcm.Principal, error) {
	for _, p := range []odcm.Principal{Barry, Lisa, Bob} {
		if p.User == id {
			return p, nil
		}
	}
	return odcm.Principal{}, odcm.E(odcm.NotFound, "identity.user-not-found", "There is no such person.")
}

// Commit keeps a batch on top of what is there.
func (w *World) Commit(b collect.Batch) {
	w.T.Helper()
	state, err := w.Store.State(context.Background(), b.Space.ID)
	if err != nil {
		w.T.Fatal(err)
	}
	state.Since, state.Checked = Now.AddDate(-1, 0, 0), Now
	b.Next, b.Now = state, Now
	if b.Space.Name == "" {
		b.Space.Name = described[b.Space.ID].Name
	}
	if _, err := w.Store.Commit(context.Background(), b); err != nil {
		w.T.Fatal(err)
	}
}

// Names are those of two projects and two environments.
func Names() []report.Name {
	return []report.Name{{ID: "Projects-1", Kind: "project", Name: "Web"}, {ID: "Projects-2", Kind: "project", Name: "=cmd|' /C calc'!A0"}, {ID: "Environments-1", Kind: "environment", Name: "Test"},
		{ID: "Environments-2", Kind: "environment", Name: "Production"}, {ID: "Tenants-1", Kind: "tenant", Name: "Acme"}}
}

// Run is the n-th run of a Space, which ended at a time.
func Run(space odcm.SpaceID, n int, project, environment int, outcome report.Outcome, ended time.Time) report.Deployment {
	d := report.Deployment{Space: space, Kind: report.Deployments, ID: fmt.Sprintf("Deployments-%d", n), Task: fmt.Sprintf("ServerTasks-%d", n), Project: fmt.Sprintf("Projects-%d", project),
		Environment: fmt.Sprintf("Environments-%d", environment), Release: fmt.Sprintf("Releases-%d", n), Version: fmt.Sprintf("1.0.%d", n), By: "bob", Outcome: outcome,
		Created: ended.Add(-2 * time.Minute), Started: ended.Add(-time.Minute), Ended: ended, Released: ended.Add(-24 * time.Hour), Whole: true}
	if !outcome.Ended() {
		d.Ended = time.Time{}
	}
	return d
}

// Busy fills the world with a month: each day, in each Space, some deployments of which one in five fails.
func (w *World) Busy() {
	for i, space := range []odcm.SpaceID{Payments, WebShop} {
		b := collect.Batch{Space: collect.Space{ID: space}, Names: Names(), Requests: 12}
		n := 0
		for day := range 30 {
			at := Now.AddDate(0, 0, -day).Truncate(24 * time.Hour)
			for run := range 2 + day%3 + i {
				n++
				outcome := report.Succeeded
				if n%5 == 0 {
					outcome = report.Failed
				}
				b.Facts = append(b.Facts, Run(space, n, 1+run%2, 1+n%2, outcome, at.Add(time.Duration(run+1)*time.Hour)))
			}
			for metric, count := range map[string]int64{report.Projects: 10 - int64(day)/10, report.Targets: 20, report.TargetsIn("Healthy"): 18, report.Users: 4} {
				b.Samples = append(b.Samples, report.Sample{Space: space, Day: at, Metric: metric, N: count})
			}
		}
		w.Commit(b)
	}
	if err := w.Store.Read(context.Background(), Now.Add(-time.Hour), map[string]report.Usage{"https://payments.example": {People: 7, Background: 90, Pings: 8000, Limited: 1}, "https://shop.example": {Background: 60}}); err != nil {
		w.T.Fatal(err)
	}
	if err := w.Store.CountSignIns(context.Background(), 0, 9, []report.SignIn{{At: Now.Add(-30 * time.Hour), User: "user-bob", Name: "Bob", N: 2}, {At: Now.Add(-time.Hour), User: "user-lisa", Name: "Lisa", N: 1}}); err != nil {
		w.T.Fatal(err)
	}
}
