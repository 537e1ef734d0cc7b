package oidc

import (
	"context"
	"slices"
	"strings"

	"golang.org/x/oauth2"

	"odcm"
	"odcm/manager/identity/oidc/wire"
	"odcm/manager/identity/oidc/workspace"
	"odcm/manager/identity/person"
	"odcm/manager/identity/provider"
)

func googleFields() []provider.Field {
	return slices.Concat(
		[]provider.Field{{Name: "hostedDomains", Label: "Hosted domains", Required: true, Multi: true,
			Help: "The domains of your Google Workspace, one on a line. Nobody else is let in. The first is proposed where people choose an account."}},
		clientFields(true), admissionFields(),
		[]provider.Field{
			{Name: "serviceAccount", Label: "Service account key", Secret: true, Multi: true,
				Help: "The key's JSON file, of a service account with domain-wide delegation for admin.directory.group.readonly and admin.directory.user.readonly. Without it, ODCM knows nothing of groups and of suspended accounts."},
			{Name: "adminEmail", Label: "Act as", Help: "E-mail address of an administrator of the Workspace, as whom the service account reads the directory."},
			{Name: "nestedGroups", Label: "Nested groups", Default: "true", Options: []string{"true", "false"}, Help: "Count groups that a person's groups are in. Each costs a request.", Advanced: true},
			{Name: "issuer", Label: "Issuer", Default: "https://accounts.google.com", Advanced: true},
			{Name: "directoryUrl", Label: "Directory API", Default: "https://admin.googleapis.com", Advanced: true},
		})
}

// google is Google Workspace.
type google struct {
	*source
	domains   []string
	workspace *workspace.Workspace // nil: groups are never known
}

func openGoogle(s *source, set settings) (provider.Source, error) {
	issuer, err := set.address("issuer", "The issuer")
	if err != nil {
		return nil, err
	}
	base, err := set.address("directoryUrl", "The Directory API")
	if err != nil {
		return nil, err
	}
	g := &google{source: s}
	for _, d := range set.list("hostedDomains") {
		domain, err := readDomain(d, "hostedDomains")
		if err != nil {
			return nil, err
		}
		g.domains = append(g.domains, domain)
	}
	s.clientAuth, s.scopes = authPost, []string{"openid", "profile", "email"}
	s.start(issuer, issuer, g)
	if set.text("serviceAccount") == "" {
		return s, nil
	}
	if g.workspace, err = workspace.New(s.wire, base, set.text("serviceAccount"), set.text("adminEmail"), set.on("nestedGroups")); err != nil {
		return nil, err
	}
	return &withDirectory{s, &workspace.Directory{Workspace: g.workspace, Provider: s.id, Owns: g.owns}}, nil
}

// ask proposes the hosted domain. That is a convenience of the form: who leaves it out of the address gets any account in, and
// is refused by who.
func (g *google) ask(f provider.Flow) []oauth2.AuthCodeOption {
	domain := g.domains[0]
	if len(g.domains) > 1 {
		domain = "*"
	}
	options := []oauth2.AuthCodeOption{oauth2.SetAuthURLParam("hd", domain)}
	if f.Again {
		options = append(options, oauth2.SetAuthURLParam("prompt", "select_account")) // Google knows no prompt=login
	}
	return options
}

func (g *google) issuer(m *metadata, _ *claims, _ key) (string, error) { return m.Issuer, nil }

func (g *google) who(_ context.Context, a *answer) (person.Assertion, error) {
	if !slices.Contains(g.domains, strings.ToLower(a.claims.HostedDomain)) {
		return person.Assertion{}, odcm.E(odcm.Denied, "sign-in.domain", "Your Google account belongs to no organisation whose people may sign in here. Choose the account of your work.")
	}
	who, err := a.claims.person()
	who.TrustEmail = g.owns(who.Email)
	return who, err
}

// owns tells whether the address is of a hosted domain: for those, the Workspace's administrator and nobody else gives them.
func (g *google) owns(address string) bool {
	_, domain, ok := strings.Cut(address, "@")
	return ok && slices.Contains(g.domains, strings.ToLower(domain))
}

func (g *google) groups(ctx context.Context, a *answer) ([]person.ExternalGroup, bool, error) {
	if g.workspace == nil {
		return nil, false, nil
	}
	groups, err := g.workspace.GroupsOf(ctx, a.claims.Subject)
	if odcm.CodeOf(err) == wire.CodeTooManyGroups {
		return nil, false, err
	}
	return groups, err == nil, nil
}
