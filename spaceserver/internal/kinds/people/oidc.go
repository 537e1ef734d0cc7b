package people

import (
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/elevation"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/problem"
)

// trusted is the kind of what a service account trusts instead of a key: tokens of an issuer about a subject
// (pkg/serviceaccounts in go-octopusdeploy).
func (p *rules) trusted() *collection.Kind {
	on := func(method, path string, handle func(c *collection.Call) (any, error)) collection.Action {
		return collection.Action{Method: method, Path: "serviceaccounts/{id}/oidcidentities/" + path, Scope: collection.InSystem, Handle: handle}
	}
	return &collection.Kind{
		Name: "ServiceAccountOidcIdentities", Type: "ServiceAccountOidcIdentity", Scope: collection.InSystem, Shared: true, Owner: "ServiceAccountId", RootLink: "-",
		Template:   `{"Name":"","ServiceAccountId":"","Issuer":"","Subject":"","Audience":null}`,
		Required:   []string{"Name", "ServiceAccountId", "Issuer", "Subject"},
		References: []collection.Reference{{Path: "ServiceAccountId", Kind: "Users"}},
		Permission: collection.Verbs{View: "UserView", Create: "UserEdit", Edit: "UserEdit", Delete: "UserEdit"},
		Links:      map[string]string{"Self": "/api/serviceaccounts/{Owner}/oidcidentities/{Id}/v1"},
		Permit: func(c *collection.Change) error {
			return elevation.Rules{Identity: p.Identity}.Acting(c, c.New.Text("ServiceAccountId"))
		},
		Prepare: p.prepareTrusted,
		Actions: []collection.Action{
			on("GET", "v1", p.listTrusted), on("POST", "create/v1", p.createTrusted),
			on("GET", "{identity}/v1", func(c *collection.Call) (any, error) { return p.oneTrusted(c) }),
			on("PUT", "{identity}/v1", p.editTrusted), on("DELETE", "{identity}/v1", p.deleteTrusted),
		},
	}
}

func (p *rules) prepareTrusted(c *collection.Change) error {
	if !c.Creating && c.New.Text("ServiceAccountId") != c.Old.Text("ServiceAccountId") {
		return problem.Invalid("An OIDC identity cannot be moved to another service account.")
	}
	account, ok, err := c.Get("Users", c.New.Text("ServiceAccountId"))
	if err != nil {
		return err
	}
	if !ok || !account.Bool("IsService") {
		return problem.Invalid("OIDC identities are for service accounts: people sign in through an authentication provider.")
	}
	if len(c.New.Text("Subject")) > 1024 {
		return problem.Invalid("Subject must be at most 1,024 characters long.")
	}
	return p.SignIn.IssuerAllowed(c.New.Text("Issuer"))
}

// account finds the service account of the route.
func (p *rules) account(c *collection.Call) (collection.Document, error) {
	return c.Service.Get(c.Context, c.Request, c.Service.Kind("Users"), c.Param("id"))
}

func (p *rules) listTrusted(c *collection.Call) (any, error) {
	account, err := p.account(c)
	if err != nil {
		return nil, err
	}
	page, err := c.Service.List(c.Context, c.Request, c.Service.Kind("ServiceAccountOidcIdentities"), collection.Listing{Owner: account.ID})
	if err != nil {
		return nil, err
	}
	return map[string]any{"ServerUrl": c.Origin, "ExternalId": p.SignIn.ExternalID(account.ID), "OidcIdentities": part.Some(page.Items), "Count": page.Total}, nil
}

func (p *rules) oneTrusted(c *collection.Call) (collection.Document, error) {
	account, err := p.account(c)
	if err != nil {
		return collection.Document{}, err
	}
	return c.Service.GetOwned(c.Context, c.Request, c.Service.Kind("ServiceAccountOidcIdentities"), account.ID, c.Param("identity"))
}

func (p *rules) createTrusted(c *collection.Call) (any, error) {
	account, err := p.account(c)
	if err != nil {
		return nil, err
	}
	body, err := c.Object()
	if err != nil {
		return nil, err
	}
	body.Set("ServiceAccountId", account.ID)
	made, err := c.Service.Create(c.Context, c.Request, c.Service.Kind("ServiceAccountOidcIdentities"), body)
	return collection.Made{Value: made}, err
}

func (p *rules) editTrusted(c *collection.Call) (any, error) {
	old, err := p.oneTrusted(c)
	if err != nil {
		return nil, err
	}
	body, err := c.Object()
	if err != nil {
		return nil, err
	}
	body.Set("ServiceAccountId", old.Owner)
	return c.Service.Update(c.Context, c.Request, c.Service.Kind("ServiceAccountOidcIdentities"), old.ID, body)
}

func (p *rules) deleteTrusted(c *collection.Call) (any, error) {
	old, err := p.oneTrusted(c)
	if err != nil {
		return nil, err
	}
	return nil, c.Service.Delete(c.Context, c.Request, c.Service.Kind("ServiceAccountOidcIdentities"), old.ID)
}
