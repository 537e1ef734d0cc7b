package oidc

import (
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"
	"golang.org/x/oauth2"

	"odcm"
	"odcm/manager/identity/oidc/graph"
	"odcm/manager/identity/oidc/wire"
	"odcm/manager/identity/person"
	"odcm/manager/identity/provider"
)

func entraFields() []provider.Field {
	return slices.Concat(
		[]provider.Field{{Name: "tenant", Label: "Tenant ID", Required: true,
			Help: "A GUID, from the tenant's overview page. For people of several organisations give organizations, and list their tenants below."},
			{Name: "tenants", Label: "Tenants", Multi: true, Help: "With organizations or common only: the IDs of the tenants whose people may sign in, one on a line."}},
		clientFields(true), admissionFields(),
		[]provider.Field{
			{Name: "graph", Label: "Ask Microsoft Graph", Default: graphByApp, Options: []string{graphByApp, graphByUser, graphNever},
				Help: "For people in too many groups for a token, for accounts that are disabled, and to choose groups by name. As the application: grant it GroupMember.Read.All and User.Read.All, with an administrator's consent. As the user: groups at sign-in only."},
			{Name: "trustEmails", Label: "E-mail addresses of this tenant are trusted", Default: "false", Options: []string{"true", "false"},
				Help: "Entra ID lets administrators of a tenant write any address. Say yes only where whoever runs the tenant may speak for the addresses in it."},
			{Name: "groupsClaim", Label: "Claim with groups", Default: groupsClaim, Help: "groups, or roles for the application's own roles.", Advanced: true},
			absentField(),
			{Name: "authority", Label: "Authority", Default: "https://login.microsoftonline.com", Help: "Another for national clouds.", Advanced: true},
			{Name: "graphUrl", Label: "Microsoft Graph", Default: "https://graph.microsoft.com/v1.0", Help: "Another for national clouds.", Advanced: true},
		})
}

// groupsClaim is the claim with the groups that are in the directory.
const groupsClaim = "groups"

// Values of the setting "graph".
const (
	graphByApp  = "application"
	graphByUser = "user"
	graphNever  = "no"
)

// entra is Entra ID, of one tenant or of several.
type entra struct {
	*source
	authority   string
	tenants     []string // who may sign in; the first is the only one where the provider is of one tenant
	several     bool
	groupsClaim string
	absentNone  bool
	trustEmails bool
	graph       *graph.Graph
	mode        string // of asking Graph
}

func openEntra(s *source, set settings) (provider.Source, error) {
	authority, err := set.address("authority", "The authority")
	if err != nil {
		return nil, err
	}
	base, err := set.address("graphUrl", "Microsoft Graph")
	if err != nil {
		return nil, err
	}
	e := &entra{source: s, authority: strings.TrimSuffix(authority, "/"), groupsClaim: set.text("groupsClaim"),
		absentNone: set.text("groupsAbsent") == absentNone, trustEmails: set.on("trustEmails")}
	if err := e.readTenants(set); err != nil {
		return nil, err
	}
	s.clientAuth, s.scopes = authPost, []string{"openid", "profile", "email"}
	e.mode = set.text("graph")
	e.graph = graph.New(graph.Options{Wire: s.wire, Base: base, Authority: e.authority, ClientID: s.clientID, ClientSecret: s.clientSecret, AsUser: e.mode == graphByUser})
	if e.mode == graphByUser {
		s.scopes = append(s.scopes, e.graph.Origin()+"/User.Read")
	}
	at, issuer := e.authority+"/"+set.text("tenant")+"/v2.0", e.authority+"/"+e.tenants[0]+"/v2.0"
	if e.several {
		issuer = e.authority + "/" + anyTenant + "/v2.0"
	} else {
		at = issuer
	}
	s.start(at, issuer, e)
	if e.mode == graphByApp {
		return &withDirectory{s, &graph.Directory{
			Graph: e.graph, Provider: s.id, Tenants: e.tenants, TrustEmails: e.trustEmails, Groups: e.groupsClaim == groupsClaim}}, nil
	}
	return s, nil
}

// withDirectory is a source that can be read without anybody signing in.
type withDirectory struct {
	*source
	provider.Directory
}

func (e *entra) readTenants(set settings) error {
	tenant := strings.ToLower(set.text("tenant"))
	if e.several = tenant == "organizations" || tenant == "common"; !e.several {
		id, err := readTenant(tenant, "tenant")
		e.tenants = []string{id}
		return err
	}
	for _, t := range set.list("tenants") {
		id, err := readTenant(t, "tenants")
		if err != nil {
			return err
		}
		e.tenants = append(e.tenants, id)
	}
	if len(e.tenants) == 0 {
		return odcm.E(odcm.Invalid, "provider.tenants-missing", "List the tenants whose people may sign in: without a list, everybody with an account at Microsoft could.").OnField("tenants")
	}
	return nil
}

func readTenant(text, field string) (string, error) {
	id, err := uuid.Parse(text)
	if err != nil || len(text) != 36 {
		return "", odcm.E(odcm.Invalid, "provider.tenant-invalid", "%q is not a tenant ID: it is a GUID, to be found on the tenant's overview page. The tenant's domain will not do.", wire.Clean(text, 60)).OnField(field)
	}
	return id.String(), nil
}

// anyTenant stands in the description of a provider of many tenants where the tenant goes.
const anyTenant = "{tenantid}"

func templated(issuer string) bool { return strings.Contains(issuer, anyTenant) }

func fill(issuer, tenant string) string { return strings.ReplaceAll(issuer, anyTenant, tenant) }

func (e *entra) ask(f provider.Flow) []oauth2.AuthCodeOption {
	if f.Again {
		return []oauth2.AuthCodeOption{oauth2.SetAuthURLParam("prompt", "login")}
	}
	return nil
}

// issuer is the one of the token's tenant, where that tenant's people may sign in. The tenant is believed because the issuer,
// which is compared exactly, names it.
func (e *entra) issuer(_ *metadata, c *claims, signed key) (string, error) {
	if !slices.Contains(e.tenants, c.Tenant) {
		return "", odcm.E(odcm.Denied, "sign-in.tenant", "Your account belongs to an organisation whose people may not sign in here.")
	}
	if signed.issuer != "" && fill(signed.issuer, c.Tenant) != c.Issuer {
		return "", wire.Refused("sign-in.issuer", "the token is signed with the key of another tenant")
	}
	return e.authority + "/" + c.Tenant + "/v2.0", nil
}

// who takes the object's identifier for the subject: sub differs from one registered application to the next, so that other
// systems could never name the same person by it.
func (e *entra) who(_ context.Context, a *answer) (person.Assertion, error) {
	c := a.claims
	who, err := c.person()
	if err != nil {
		return who, err
	}
	if _, err := uuid.Parse(c.Object); err != nil || len(c.Object) != 36 {
		return who, wire.Refused("sign-in.subject", "the provider does not say which account is yours. Is the scope profile allowed there")
	}
	who.Subject = c.Tenant + "/" + strings.ToLower(c.Object)
	// Whoever runs a tenant can write any address into an account of it (email_verified is not said at all).
	who.EmailVerified, who.TrustEmail = who.Email != "" && (bool(c.DomainOwned) || e.trustEmails), e.trustEmails
	upn := c.UPN
	if upn == "" && strings.Contains(c.PreferredUsername, "@") {
		upn = c.PreferredUsername
	}
	if upn != "" {
		who.Marks["upn"] = wire.Clean(upn, 254)
	}
	if c.OnPremises != "" {
		who.Marks["sid"] = wire.Clean(c.OnPremises, 200)
	}
	return who, nil
}

// groups come in the token, unless there are more than it holds: then the token says so (_claim_names, or hasgroups), or
// leaves the claim out, and Graph is asked. An answer that does not come leaves what was known.
func (e *entra) groups(ctx context.Context, a *answer) ([]person.ExternalGroup, bool, error) {
	groups, is, err := listed(a.claims.all, e.groupsClaim)
	if err != nil {
		return nil, false, err
	}
	_, overage := a.claims.Elsewhere[e.groupsClaim]
	overage = overage || e.groupsClaim == groupsClaim && bool(a.claims.HasGroups)
	switch {
	case is == present && !overage:
		return groups, true, nil
	case e.groupsClaim != groupsClaim || e.mode == graphNever:
		return nil, is == absent && !overage && e.absentNone, nil
	}
	groups, err = e.graph.GroupsOf(ctx, a.claims.Tenant, a.claims.Object, a.tokens)
	if odcm.CodeOf(err) == wire.CodeTooManyGroups {
		return nil, false, err
	}
	return groups, err == nil, nil
}
