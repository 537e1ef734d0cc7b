package spacehttp_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db/dbtest"
	"odcm/kit/web"
	"odcm/manager/space"
	"odcm/manager/space/spacehttp"
	"odcm/manager/space/spacetest"
)

// rooms stand in for those of sso and access, and note what they are asked to do.
type rooms struct {
	options chan space.SignInOptions
	choices chan []space.AccountChoice
}

type signing struct{ rooms }

func (signing) Plan(context.Context, space.Target) (space.SignInPlan, error) {
	return space.SignInPlan{Provider: "Generic OIDC", Possible: true, Proposed: true, Passwords: true, Settings: []space.SettingChange{{Name: "Issuer", To: "https://odcm.example.com"},
		{Name: "ClientSecret", To: "••••••••"}}, Changes: []space.Note{{Code: "signin.pointed-at-odcm", Message: "Generic OIDC in the server's settings is free."}}}, nil
}

func (s signing) Apply(_ context.Context, _ space.Target, o space.SignInOptions) ([]string, error) {
	s.options <- o
	return nil, nil
}

func (signing) Undo(context.Context, space.Target) ([]string, error) { return nil, nil }
func (signing) Forget(context.Context, space.Target) error           { return nil }

type owning struct{ rooms }

func (owning) Plan(context.Context, space.Target) (space.PeoplePlan, error) {
	return space.PeoplePlan{Untouched: 2,
		Matched: []space.PlannedAccount{{ID: "Users-1", Username: "bob", DisplayName: "Bob Specialist", Email: "bob@example.com", Active: true, Person: "user-bob", PersonName: "Bob Specialist",
			Because: "The same account of a directory."}},
		Conflicts: []space.PlannedAccount{{ID: "Users-2", Username: "lisa.old", DisplayName: "Lisa Shipping", Email: "lisa@example.com", Active: true, Because: "Several accounts there have this e-mail address.",
			Between: []space.Candidate{{ID: "user-lisa", Name: "Lisa Shipping"}}}},
		Unmatched: []space.PlannedAccount{{ID: "Users-3", Username: "geoff", DisplayName: "Geoff Outsider", Email: "geoff@partner.example"}}}, nil
}

func (w owning) Apply(_ context.Context, _ space.Target, _ odcm.Principal, choices []space.AccountChoice) ([]string, error) {
	w.choices <- choices
	return nil, nil
}

func (owning) Undo(context.Context, space.Target, space.Space, bool) error   { return nil }
func (owning) Forget(context.Context, space.Target, space.Space, bool) error { return nil }

func TestThePlanAsksAboutPeopleAndSignIn(t *testing.T) {
	t.Parallel()
	o := spacetest.NewOutside()
	o.Add(theirURL, &spacetest.Server{InstallationID: "installation-theirs", Version: "2025.4.1", Key: "API-THEIRS", Spaces: []space.OctopusSpace{{ID: "Spaces-1", Name: "Default", Default: true}}})
	d := dbtest.Open(t, dbtest.SQLite(t))
	r := rooms{make(chan space.SignInOptions, 1), make(chan []space.AccountChoice, 1)}
	m := spacetest.Start(t, d, o, func(so *space.Options) { so.SignOn, so.Accounts = signing{r}, owning{r} })
	pages := web.New(web.Options{Authenticator: who{}, DB: d, Bus: m.Bus, Version: "test", Logger: slog.New(slog.DiscardHandler), Gallery: true})
	(&spacehttp.Handler{Spaces: m.Spaces, Tasks: m.Tasks, Site: pages}).Mount()
	if err := pages.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pages.Stop(context.Background()) })
	s := site{m, pages, nil}
	begun := s.ask(t, "POST", "/spaces/enlist", url.Values{"url": {theirURL}, "apiKey": {"API-THEIRS"}}.Encode())
	plan := begun.Header().Get("Location")
	html := s.ask(t, "GET", plan, "").Body.String()
	for _, want := range []string{"People sign in there through ODCM", "Lisa Shipping (lisa.old)", "Is Lisa Shipping", "Invite geoff@partner.example", "1 account is known to ODCM", "empty → https://odcm.example.com", "Close them after the test"} {
		if !strings.Contains(html, want) {
			t.Errorf("the plan does not say %q", want)
		}
	}
	draft, err := url.Parse(plan)
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{"draft": {draft.Query().Get("draft")}, "space": {"Spaces-1"}, "name-Spaces-1": {"Theirs"}, "signInAsked": {"on"}, "signIn": {"on"}, "closePasswords": {"on"},
		"account-Users-1": {""}, "account-Users-2": {"link/user-lisa"}, "account-Users-3": {"local"}}
	if got := s.ask(t, "POST", "/spaces/enlist/apply", form.Encode()); got.Code != http.StatusSeeOther {
		t.Fatalf("%d %s", got.Code, got.Body)
	}
	within, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	select {
	case choices := <-r.choices:
		slices.SortFunc(choices, func(a, b space.AccountChoice) int { return strings.Compare(a.Account, b.Account) })
		if want := []space.AccountChoice{{Account: "Users-2", Do: "link", Person: "user-lisa"}, {Account: "Users-3", Do: "local"}}; !slices.Equal(choices, want) {
			t.Errorf("chosen: %+v", choices)
		}
	case <-within.Done():
		t.Fatal("nobody was matched")
	}
	select {
	case options := <-r.options:
		if !options.ClosePasswords || options.Replace {
			t.Errorf("options: %+v", options)
		}
	case <-within.Done():
		t.Fatal("sign-in was not pointed")
	}
}
