// Package graph reads Entra ID through Microsoft Graph.
package graph

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"odcm"
	"odcm/manager/identity/oidc/wire"
	"odcm/manager/identity/person"
)

// Options say where Graph is and who asks.
type Options struct {
	Wire                   wire.Client
	Base                   string // "https://graph.microsoft.com/v1.0"
	Authority              string // where applications get their tokens: "https://login.microsoftonline.com"
	ClientID, ClientSecret string
	// AsUser asks with the token of the person who signs in, where it can; else with the application's (client credentials).
	AsUser bool
}

// Graph is Microsoft Graph, as one application sees it.
type Graph struct {
	o      Options
	mu     sync.Mutex
	tokens map[string]*oauth2.Token // of the application, by tenant
}

// New asks nothing yet.
func New(o Options) *Graph {
	o.Base = strings.TrimSuffix(o.Base, "/")
	return &Graph{o: o, tokens: map[string]*oauth2.Token{}}
}

// Origin is what a scope of Graph begins with.
func (g *Graph) Origin() string {
	u, err := url.Parse(g.o.Base)
	if err != nil {
		return g.o.Base
	}
	return u.Scheme + "://" + u.Host
}

// appToken is good for an hour; it is kept until shortly before its end.
func (g *Graph) appToken(ctx context.Context, tenant string) (*oauth2.Token, error) {
	g.mu.Lock()
	token := g.tokens[tenant]
	g.mu.Unlock()
	if token.Valid() {
		return token, nil
	}
	config := clientcredentials.Config{
		ClientID: g.o.ClientID, ClientSecret: g.o.ClientSecret, TokenURL: g.o.Authority + "/" + tenant + "/oauth2/v2.0/token",
		Scopes: []string{g.Origin() + "/.default"}, AuthStyle: oauth2.AuthStyleInParams,
	}
	token, err := config.Token(g.o.Wire.With(ctx))
	if err != nil {
		return nil, wire.NotExchanged(ctx, err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tokens[tenant] = token
	return token, nil
}

// object is a user or a group as Graph tells of it.
type object struct {
	ID                string `json:"id"`
	DisplayName       string `json:"displayName"`
	UserPrincipalName string `json:"userPrincipalName"`
	Mail              string `json:"mail"`
	SID               string `json:"onPremisesSecurityIdentifier"`
	Enabled           *bool  `json:"accountEnabled"`
}

// page is one page of a list (OData: @odata.nextLink leads on).
type page[T any] struct {
	Value []T    `json:"value"`
	Next  string `json:"@odata.nextLink"`
}

// GroupsOf returns all groups that the person is in, nested ones too.
func (g *Graph) GroupsOf(ctx context.Context, tenant, user string, users *oauth2.Token) ([]person.ExternalGroup, error) {
	if g.o.AsUser {
		return g.groupsOfMe(ctx, users)
	}
	token, err := g.appToken(ctx, tenant)
	if err != nil {
		return nil, err
	}
	var found page[string]
	err = g.o.Wire.Do(ctx, wire.Call{Method: http.MethodPost, URL: g.o.Base + "/users/" + url.PathEscape(user) + "/getMemberObjects", Header: wire.Bearer(token), Body: allMemberships()}, &found)
	if err != nil {
		return nil, err
	}
	return named(found.Value)
}

// allMemberships asks for groups for mail too, as "all groups" in a token's settings does.
func allMemberships() any { return map[string]bool{"securityEnabledOnly": false} }

func named(ids []string) ([]person.ExternalGroup, error) {
	if len(ids) > wire.MaxGroups {
		return nil, wire.TooManyGroups()
	}
	groups := make([]person.ExternalGroup, 0, len(ids))
	for _, id := range ids {
		if wire.Fits(id) {
			groups = append(groups, person.ExternalGroup{ID: id, Name: id})
		}
	}
	return groups, nil
}

func (g *Graph) groupsOfMe(ctx context.Context, token *oauth2.Token) ([]person.ExternalGroup, error) {
	header := wire.Bearer(token)
	header.Set("ConsistencyLevel", "eventual") // what Graph needs to list only those of one sort
	var groups []person.ExternalGroup
	err := pages(ctx, g, g.o.Base+"/me/transitiveMemberOf/microsoft.graph.group?$count=true&$select=id,displayName&$top=999", header, func(o object) error {
		if len(groups) == wire.MaxGroups {
			return wire.TooManyGroups()
		}
		if wire.Fits(o.ID) {
			groups = append(groups, o.group())
		}
		return nil
	})
	return groups, err
}

func (o object) group() person.ExternalGroup {
	name := wire.Clean(o.DisplayName, 200)
	if name == "" {
		name = o.ID // Graph hides names that the asker may not see
	}
	return person.ExternalGroup{ID: o.ID, Name: name}
}

// pages reads a list to its end. The next page must be where the first was: a token is for Graph and nobody else.
func pages[T any](ctx context.Context, g *Graph, at string, header http.Header, each func(T) error) error {
	const most = 10_000 // pages; no list that is asked for is so long
	for range most {
		var p page[T]
		if err := g.o.Wire.Do(ctx, wire.Call{Method: http.MethodGet, URL: at, Header: header}, &p); err != nil {
			return err
		}
		for _, v := range p.Value {
			if err := each(v); err != nil {
				return err
			}
		}
		if p.Next == "" {
			return nil
		}
		if !strings.HasPrefix(p.Next, g.Origin()+"/") || p.Next == at {
			return odcm.E(odcm.Invalid, "provider.answer-malformed", "Microsoft Graph leads to a next page that is elsewhere.")
		}
		at = p.Next
	}
	return errors.New("a list without end")
}
