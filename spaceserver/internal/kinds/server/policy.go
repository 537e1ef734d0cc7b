package server

import (
	"context"
	"sync"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/limit"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
)

// Scopes of rate limiting policies (RateLimitingPolicyScopeType in go-octopusdeploy).
const (
	unauthenticated = "Unauthenticated"
	human           = "AuthenticatedHuman"
	agent           = "AuthenticatedAgent"
)

// RateLimiting is the kind of the rate limiting policies: three, built in, whose numbers can be changed.
func RateLimiting() []*collection.Kind {
	return []*collection.Kind{{
		Name: "RateLimitingPolicies", Type: "RateLimitingPolicy", Route: "ratelimitingpolicies", Scope: collection.InSystem, Order: document.OldestFirst, Decides: true,
		Template:   `{"Name":"","IsBuiltIn":false,"IsEnabled":true,"ScopeType":"` + unauthenticated + "|" + human + "|" + agent + `","RequestsPerMinute":200,"BurstLimit":200,"AuditMode":false}`,
		Required:   []string{"Name"},
		Ours:       []string{"IsBuiltIn"},
		Permission: collection.Verbs{View: permission.ConfigureServer, Create: permission.ConfigureServer, Edit: permission.ConfigureServer, Delete: permission.ConfigureServer},
		Without:    "create delete all",
		Query:      "skip,take",
		Prepare:    preparePolicy,
	}}
}

func preparePolicy(c *collection.Change) error {
	if c.Creating {
		return nil
	}
	switch {
	case c.New.Text("Name") != c.Old.Text("Name"):
		return problem.Invalid("The name of a built-in rate limiting policy cannot be changed.")
	case c.New.Text("ScopeType") != c.Old.Text("ScopeType"):
		return problem.Invalid("The scope of a built-in rate limiting policy cannot be changed.")
	case c.New.Int("RequestsPerMinute") < 1 || c.New.Int("RequestsPerMinute") > 100_000_000 || c.New.Int("BurstLimit") < 1 || c.New.Int("BurstLimit") > 100_000_000:
		return problem.Invalid("RequestsPerMinute and BurstLimit must be at least 1.")
	}
	return nil
}

// SeedPolicies makes the policies where there are none. They are far above what clients need, and keep one that went
// astray from taking the server away from the others.
func SeedPolicies(ctx context.Context, service *collection.Service) error {
	if _, err := service.Store.Get(ctx, service.Store.DB.Read(), "RateLimitingPolicies", "RateLimitingPolicies-1", ""); err == nil {
		return nil
	}
	return service.Quietly(ctx, collection.Request{Principal: permission.System()}, func(c *collection.Change) error {
		if _, ok, err := c.Get("RateLimitingPolicies", "RateLimitingPolicies-1"); err != nil || ok {
			return err
		}
		for _, p := range []struct {
			name, scope   string
			perMinute, of int
		}{
			{"Unauthenticated requests", unauthenticated, 6_000, 6_000},
			{"Authenticated requests", human, 600_000, 100_000},
			{"Authenticated AI agent requests", agent, 6_000, 6_000},
		} {
			if _, err := c.Create("RateLimitingPolicies", part.Object(map[string]any{"Name": p.name, "ScopeType": p.scope, "IsBuiltIn": true, "IsEnabled": true,
				"RequestsPerMinute": p.perMinute, "BurstLimit": p.of})); err != nil {
				return err
			}
		}
		return nil
	})
}

// Policies keeps the policies in memory, for every request asks for them.
type Policies struct {
	Service *collection.Service

	mu   sync.RWMutex
	kept *limit.Policies
}

// Forget has them read again: they may have changed.
func (p *Policies) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept = nil
}

// Get returns the policies.
func (p *Policies) Get(ctx context.Context) (limit.Policies, error) {
	p.mu.RLock()
	kept := p.kept
	p.mu.RUnlock()
	if kept != nil {
		return *kept, nil
	}
	// Locked while it reads, so that what was forgotten meanwhile is not kept after.
	p.mu.Lock()
	defer p.mu.Unlock()
	rows, _, err := p.Service.Store.List(ctx, p.Service.Store.DB.Read(), document.Query{Kind: "RateLimitingPolicies", Order: document.OldestFirst})
	if err != nil {
		return limit.Policies{}, err
	}
	var all limit.Policies
	for _, row := range rows {
		o, err := octopus.ParseObject(row.Body)
		if err != nil {
			return all, err
		}
		one := limit.Policy{ID: row.ID, Name: o.Text("Name"), Enabled: o.Bool("IsEnabled"), RequestsPerMinute: int(o.Int("RequestsPerMinute")), Burst: int(o.Int("BurstLimit")), AuditMode: o.Bool("AuditMode")}
		switch o.Text("ScopeType") {
		case unauthenticated:
			all.Unauthenticated = one
		case human:
			all.Human = one
		case agent:
			all.Agent = one
		}
	}
	p.kept = &all
	return all, nil
}
