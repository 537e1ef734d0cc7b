package group

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"odcm"
	"odcm/manager/identity/person"
)

// Choice is what a picker offers: a user, a group, or a group of a directory that is not known here yet.
type Choice struct {
	Ref    string // for [Service.Resolve]
	Name   string
	Detail string // of whom there are two of a name: "bob", "Contoso"
	User   bool
}

const (
	pickLimit  = 8               // of each sort
	pickWithin = 3 * time.Second // a directory that does not answer in this time has nothing to offer
)

// Pick finds what a person may mean who types the text into a picker. Directories are asked at the same time; those that
// do not answer are named in silent, and the others count.
func (s *Service) Pick(ctx context.Context, p odcm.Principal, text string) (_ []Choice, silent []string, err error) {
	defer odcm.Wrap(&err, "pick")
	if err := s.may(ctx, p, ActionRead, ""); err != nil {
		return nil, nil, err
	}
	if text == "" {
		return nil, nil, nil
	}
	sources, err := s.Sources(ctx)
	if err != nil {
		return nil, nil, err
	}
	names := map[odcm.ProviderID]string{}
	for _, src := range sources {
		names[src.ID] = src.Name
	}
	users, err := s.o.Store.FindUsers(ctx, Fold(text), pickLimit)
	if err != nil {
		return nil, nil, err
	}
	groups, err := s.o.Store.List(ctx, Query{Text: Fold(text), Limit: pickLimit})
	if err != nil {
		return nil, nil, err
	}
	var all []Choice
	for _, u := range users {
		all = append(all, Choice{Ref: string(u.ID), Name: u.DisplayName, Detail: u.Username, User: true})
	}
	shown := map[External]bool{}
	for _, g := range groups {
		shown[g.External] = g.IsExternal()
		all = append(all, Choice{Ref: string(g.ID), Name: g.Name, Detail: names[g.External.Provider]})
	}
	found, silent := s.ask(ctx, sources, text)
	for i, src := range sources {
		for _, g := range found[i] {
			if x := (External{src.ID, g.ID}); !shown[x] {
				all = append(all, Choice{Ref: refOf(x, g.Name), Name: foreignName(g.Name, g.ID), Detail: src.Name})
			}
		}
	}
	return all, silent, nil
}

// ask asks all directories at the same time.
func (s *Service) ask(ctx context.Context, sources []Source, text string) (found [][]person.ExternalGroup, silent []string) {
	ctx, cancel := context.WithTimeout(ctx, pickWithin)
	defer cancel()
	found, failed := make([][]person.ExternalGroup, len(sources)), make([]error, len(sources))
	var wg sync.WaitGroup
	for i, src := range sources {
		if src.Picks {
			wg.Go(func() { found[i], failed[i] = s.o.Pickers.FindGroups(ctx, src.ID, text, pickLimit) })
		}
	}
	wg.Wait()
	for i, err := range failed {
		if err != nil {
			s.o.Logger.Warn("a directory did not find groups", "provider", sources[i].ID, "error", err)
			silent = append(silent, sources[i].Name)
		}
	}
	return found, silent
}

// A group of a directory that is not known here yet is referred to by "external:PROVIDER:ID:NAME", the last two escaped as
// in a query. The name is what the directory called it a moment ago; it says it anew with everyone who signs in.
const externalRef = "external:"

func refOf(x External, name string) string {
	return externalRef + string(x.Provider) + ":" + url.QueryEscape(x.ID) + ":" + url.QueryEscape(name)
}

func readRef(ref string) (x External, name string, ok bool) {
	rest, ok := strings.CutPrefix(ref, externalRef)
	parts := strings.Split(rest, ":")
	if !ok || len(parts) != 3 {
		return External{}, "", false
	}
	id, err1 := url.QueryUnescape(parts[1])
	name, err2 := url.QueryUnescape(parts[2])
	return External{odcm.ProviderID(parts[0]), id}, name, err1 == nil && err2 == nil
}

// picked finds or makes the group of a directory that was picked.
func (s *Service) picked(ctx context.Context, x External, name string) (Group, error) {
	sources, err := s.Sources(ctx)
	if err != nil {
		return Group{}, err
	}
	if !slices.ContainsFunc(sources, func(src Source) bool { return src.ID == x.Provider }) {
		return Group{}, odcm.E(odcm.NotFound, "group.provider-unknown", "There is no such provider any more: look for the group again.").OnField("members")
	}
	known, err := s.o.Store.External(ctx, x.Provider, []string{x.ID})
	if err != nil {
		return Group{}, err
	}
	if g, ok := known[x.ID]; ok {
		return g, nil
	}
	made, err := s.Remember(ctx, x.Provider, []person.ExternalGroup{{ID: x.ID, Name: name}})
	if err != nil {
		return Group{}, err
	}
	return made[0], nil
}

// Sources lists the providers that have groups, with how it stands with reading them. One that is no more but whose groups
// are still here goes by its identifier.
func (s *Service) Sources(ctx context.Context) (_ []Source, err error) {
	defer odcm.Wrap(&err, "list providers of groups")
	var all []Source
	if s.o.Pickers != nil {
		if all, err = s.o.Pickers.Sources(ctx); err != nil {
			return nil, err
		}
	}
	counts, err := s.o.Store.Sources(ctx)
	if err != nil {
		return nil, err
	}
	for _, src := range all {
		delete(counts, src.ID)
	}
	for id := range counts {
		all = append(all, Source{ID: id, Name: string(id)})
	}
	slices.SortFunc(all, func(a, b Source) int {
		if a.Name < b.Name || a.Name == b.Name && a.ID < b.ID {
			return -1
		}
		return 1
	})
	return all, nil
}
