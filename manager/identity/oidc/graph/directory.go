package graph

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"golang.org/x/oauth2"

	"odcm"
	"odcm/manager/identity/oidc/wire"
	"odcm/manager/identity/person"
	"odcm/manager/identity/provider"
)

// Directory reads the people and groups of tenants, as the application. It implements [provider.Directory].
type Directory struct {
	Graph       *Graph
	Provider    odcm.ProviderID
	Tenants     []string
	TrustEmails bool // addresses of the tenants prove who somebody is
	Groups      bool // groups count, and not the application's roles, which are not in the directory
}

// filterSize is how many members Graph takes in an "in" filter. A batch takes 20 requests, so that one does for them.
const filterSize = 15

// People implements [provider.Directory].
func (d *Directory) People(ctx context.Context, subjects []string) iter.Seq2[provider.Person, error] {
	return func(yield func(provider.Person, error) bool) {
		byTenant := map[string][]string{}
		for _, s := range subjects {
			tenant, object, _ := strings.Cut(s, "/")
			if !slices.Contains(d.Tenants, tenant) { // the settings do not let them in any more: nothing is known about them
				continue
			}
			byTenant[tenant] = append(byTenant[tenant], object)
		}
		for _, tenant := range d.Tenants {
			for some := range slices.Chunk(byTenant[tenant], filterSize) {
				people, err := d.read(ctx, tenant, some)
				if err != nil {
					yield(provider.Person{}, wire.Unavailable("Microsoft Graph", err))
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
}

// read asks for some accounts, and in a second request for the groups of all who are there.
func (d *Directory) read(ctx context.Context, tenant string, ids []string) ([]provider.Person, error) {
	ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return uuid.Validate(id) != nil }) // they go into a filter
	if len(ids) == 0 {
		return nil, nil
	}
	token, err := d.Graph.appToken(ctx, tenant)
	if err != nil {
		return nil, err
	}
	query := url.Values{"$filter": {"id in ('" + strings.Join(ids, "','") + "')"}, "$select": {userFields}}
	found := map[string]object{}
	err = pages(ctx, d.Graph, d.Graph.o.Base+"/users?"+query.Encode(), wire.Bearer(token), func(o object) error {
		found[strings.ToLower(o.ID)] = o
		return nil
	})
	if err != nil {
		return nil, err
	}
	groups, err := d.groupsOfAll(ctx, token, found)
	if err != nil {
		return nil, err
	}
	people := make([]provider.Person, 0, len(ids))
	for _, id := range ids {
		o, there := found[id]
		p := provider.Person{Assertion: person.Assertion{Subject: tenant + "/" + id}, Gone: !there}
		if there {
			p.Assertion = d.account(tenant, o)
			p.Disabled = o.Enabled != nil && !*o.Enabled
			p.Groups, p.GroupsKnown = groups[id], groups[id] != nil
		}
		p.Provider = d.Provider
		people = append(people, p)
	}
	return people, nil
}

const userFields = "id,displayName,userPrincipalName,mail,accountEnabled,onPremisesSecurityIdentifier"

func (d *Directory) account(tenant string, o object) person.Assertion {
	a := person.Assertion{
		Provider: d.Provider, Subject: tenant + "/" + strings.ToLower(o.ID), Method: "oidc", Username: wire.Clean(o.UserPrincipalName, 200),
		DisplayName: wire.Clean(o.DisplayName, 200), Email: wire.Clean(o.Mail, 254), EmailVerified: o.Mail != "" && d.TrustEmails, TrustEmail: d.TrustEmails,
		Marks: map[string]string{"upn": wire.Clean(o.UserPrincipalName, 254)},
	}
	if o.SID != "" {
		a.Marks["sid"] = wire.Clean(o.SID, 200)
	}
	return a
}

// groupsOfAll asks in one batch; who could not be read is not in the answer.
func (d *Directory) groupsOfAll(ctx context.Context, token *oauth2.Token, people map[string]object) (map[string][]person.ExternalGroup, error) {
	type request struct {
		ID      string            `json:"id"`
		Method  string            `json:"method"`
		URL     string            `json:"url"`
		Headers map[string]string `json:"headers"`
		Body    any               `json:"body"`
	}
	groups := make(map[string][]person.ExternalGroup, len(people))
	if !d.Groups || len(people) == 0 {
		return groups, nil
	}
	var batch struct {
		Requests []request `json:"requests"`
	}
	for id := range people { // at most filterSize
		batch.Requests = append(batch.Requests, request{id, http.MethodPost, "/users/" + id + "/getMemberObjects",
			map[string]string{"Content-Type": "application/json"}, allMemberships()})
	}
	var answers struct {
		Responses []struct {
			ID     string
			Status int
			Body   json.RawMessage
		}
	}
	if err := d.Graph.o.Wire.Do(ctx, wire.Call{Method: http.MethodPost, URL: d.Graph.o.Base + "/$batch", Header: wire.Bearer(token), Body: batch}, &answers); err != nil {
		return nil, err
	}
	for _, r := range answers.Responses {
		var p struct{ Value *[]string }
		if r.Status != http.StatusOK || json.Unmarshal(r.Body, &p) != nil || p.Value == nil {
			continue
		}
		if g, err := named(*p.Value); err == nil {
			groups[r.ID] = g
		}
	}
	return groups, nil
}

// FindGroups implements [provider.Directory].
func (d *Directory) FindGroups(ctx context.Context, text string, limit int) ([]person.ExternalGroup, error) {
	found, err := d.search(ctx, "groups", "id,displayName", limit, text, "displayName")
	groups := make([]person.ExternalGroup, 0, len(found))
	for _, f := range found {
		if wire.Fits(f.ID) {
			groups = append(groups, f.group())
		}
	}
	return groups, err
}

// FindPeople implements [provider.Directory].
func (d *Directory) FindPeople(ctx context.Context, text string, limit int) ([]person.Assertion, error) {
	found, err := d.search(ctx, "users", userFields, limit, text, "displayName", "userPrincipalName", "mail")
	people := make([]person.Assertion, len(found))
	for i, f := range found {
		people[i] = d.account(f.tenant, f.object)
	}
	return people, err
}

type found struct {
	object
	tenant string
}

// search asks every tenant for objects with the text in one of the properties.
func (d *Directory) search(ctx context.Context, kind, fields string, limit int, text string, properties ...string) (all []found, err error) {
	text = strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(wire.Clean(text, 100))
	for i, p := range properties {
		properties[i] = `"` + p + ":" + text + `"`
	}
	query := url.Values{"$select": {fields}, "$top": {strconv.Itoa(min(max(limit, 1), 100))}}
	if text != "" {
		query.Set("$search", strings.Join(properties, " OR "))
	}
	for _, tenant := range d.Tenants {
		if len(all) >= limit {
			break
		}
		token, err := d.Graph.appToken(ctx, tenant)
		if err != nil {
			return nil, err
		}
		header := wire.Bearer(token)
		header.Set("ConsistencyLevel", "eventual") // without it there is no $search
		var p page[object]
		if err := d.Graph.o.Wire.Do(ctx, wire.Call{Method: http.MethodGet, URL: d.Graph.o.Base + "/" + kind + "?" + query.Encode(), Header: header}, &p); err != nil {
			return nil, wire.Unavailable("Microsoft Graph", err)
		}
		for _, o := range p.Value[:min(len(p.Value), limit-len(all))] {
			all = append(all, found{o, tenant})
		}
	}
	return all, nil
}
