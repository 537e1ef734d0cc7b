package workspace

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"odcm"
	"odcm/manager/identity/oidc/wire"
	"odcm/manager/identity/person"
	"odcm/manager/identity/provider"
)

// user is an account of the Workspace.
type user struct {
	ID        string `json:"id"`
	Email     string `json:"primaryEmail"`
	Name      struct{ FullName string }
	Suspended bool
	Archived  bool
}

// Directory reads the people and groups of a Workspace. It implements [provider.Directory].
type Directory struct {
	Workspace *Workspace
	Provider  odcm.ProviderID
	Owns      func(address string) bool // tells whether the address is of the Workspace
}

// Requests that are under way at once, and people that are read before the first of them is told.
const (
	atOnce    = 8
	chunkSize = 50
)

// People implements [provider.Directory].
func (d *Directory) People(ctx context.Context, subjects []string) iter.Seq2[provider.Person, error] {
	return func(yield func(provider.Person, error) bool) {
		memo := &memo{groups: map[string][]member{}}
		for some := range slices.Chunk(subjects, chunkSize) {
			people := make([]provider.Person, len(some))
			var all errgroup.Group
			all.SetLimit(atOnce)
			for i, id := range some {
				all.Go(func() (err error) {
					people[i], err = d.read(ctx, id, memo)
					return err
				})
			}
			if err := all.Wait(); err != nil {
				yield(provider.Person{}, wire.Unavailable("The Directory API", err))
				return
			}
			for _, p := range people {
				if !yield(p, nil) {
					return
				}
			}
		}
	}
}

// read asks about one account: only "not found" means that it is gone.
func (d *Directory) read(ctx context.Context, id string, memo *memo) (provider.Person, error) {
	var u user
	err := d.Workspace.get(ctx, "users/"+url.PathEscape(id), url.Values{"projection": {"basic"}}, &u)
	if s := (*wire.Status)(nil); errors.As(err, &s) && s.Code == http.StatusNotFound {
		return provider.Person{Assertion: person.Assertion{Provider: d.Provider, Subject: id}, Gone: true}, nil
	}
	if err != nil {
		return provider.Person{}, err
	}
	p := provider.Person{Assertion: d.account(u), Disabled: u.Suspended || u.Archived}
	p.Subject = id
	groups, err := d.Workspace.groupsOf(ctx, id, memo)
	p.Groups, p.GroupsKnown = groups, err == nil
	return p, nil
}

// users lists accounts until each returns false.
func (d *Directory) users(ctx context.Context, query url.Values, each func(user) bool) error {
	for {
		var p struct {
			Users []user
			Next  string `json:"nextPageToken"`
		}
		if err := d.Workspace.get(ctx, "users", query, &p); err != nil {
			return err
		}
		for _, u := range p.Users {
			if !each(u) {
				return nil
			}
		}
		if p.Next == "" {
			return nil
		}
		if p.Next == query.Get("pageToken") {
			return errors.New("a list without end")
		}
		query.Set("pageToken", p.Next)
	}
}

func (d *Directory) account(u user) person.Assertion {
	return person.Assertion{Provider: d.Provider, Subject: u.ID, Method: "oidc", Username: wire.Clean(u.Email, 200),
		DisplayName: wire.Clean(u.Name.FullName, 200), Email: wire.Clean(u.Email, 254), EmailVerified: u.Email != "", TrustEmail: d.Owns(u.Email), Marks: map[string]string{}}
}

// FindGroups implements [provider.Directory]. The API finds names by how they begin.
func (d *Directory) FindGroups(ctx context.Context, text string, limit int) ([]person.ExternalGroup, error) {
	query := url.Values{"customer": {"my_customer"}, "maxResults": {strconv.Itoa(min(max(limit, 1), 200))}}
	if text = quoted(text); text != "" {
		query.Set("query", "name:"+text+"*")
	}
	var p struct{ Groups []member }
	if err := d.Workspace.get(ctx, "groups", query, &p); err != nil {
		return nil, wire.Unavailable("The Directory API", err)
	}
	groups := make([]person.ExternalGroup, 0, len(p.Groups))
	for _, g := range p.Groups[:min(len(p.Groups), limit)] {
		if wire.Fits(g.ID) {
			groups = append(groups, g.group())
		}
	}
	return groups, nil
}

// FindPeople implements [provider.Directory].
func (d *Directory) FindPeople(ctx context.Context, text string, limit int) ([]person.Assertion, error) {
	query := url.Values{"customer": {"my_customer"}, "maxResults": {strconv.Itoa(min(max(limit, 1), 500))}}
	if text = quoted(text); text != "" {
		query.Set("query", text) // without a field: given name, family name or address
	}
	var people []person.Assertion
	err := d.users(ctx, query, func(u user) bool {
		if len(people) < limit {
			people = append(people, d.account(u))
		}
		return len(people) < limit
	})
	if err != nil {
		return nil, wire.Unavailable("The Directory API", err)
	}
	return people, nil
}

// quoted makes text one value of a search clause.
func quoted(text string) string {
	if text = wire.Clean(text, 100); text == "" {
		return ""
	}
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}
