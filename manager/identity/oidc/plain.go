package oidc

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/oauth2"

	"odcm/manager/identity/oidc/wire"
	"odcm/manager/identity/person"
	"odcm/manager/identity/provider"
)

func plainFields() []provider.Field {
	return slices.Concat(
		[]provider.Field{{Name: "issuer", Label: "Issuer", Required: true,
			Help: "The provider's address, exactly as it calls itself: https://login.example.com/realms/staff."}},
		clientFields(false), admissionFields(),
		[]provider.Field{
			{Name: "groupsClaim", Label: "Claim with groups", Default: "groups",
				Help: "Where the provider lists a person's groups or roles. A dot leads into a claim: realm_access.roles."},
			absentField(),
			{Name: "trustEmails", Label: "Know people again by their e-mail address", Default: "false", Options: []string{"true", "false"},
				Help: "Whoever signs in with an address that the provider calls verified is taken for the user who has proved the same one. Say yes only where you trust whoever runs the provider with that.", Advanced: true},
			{Name: "scopes", Label: "Scopes", Default: "openid profile email", Help: "What is asked for. Some providers send groups only for a scope of their own.", Advanced: true},
			{Name: "clientAuth", Label: "How the client secret is sent", Default: authAutomatic, Options: []string{authAutomatic, authBasic, authPost}, Advanced: true},
			{Name: "ca", Label: "Certificate authority", Multi: true, Help: "PEM text, where the provider's certificate is from an authority of your own.", Advanced: true},
		})
}

// absentField asks about what the provider does not say by itself.
func absentField() provider.Field {
	return provider.Field{Name: "groupsAbsent", Label: "A token without that claim means", Default: absentUnknown, Options: []string{absentUnknown, absentNone},
		Help: "Some providers leave the claim out for people who are in no group. Choose none only where that is so: then nobody keeps groups that the provider took away.", Advanced: true}
}

// Values of the setting "groupsAbsent".
const (
	absentUnknown = "unknown"
	absentNone    = "none"
)

// plain is a provider of which nothing is known but that it keeps to the standard.
type plain struct {
	*source
	groupsClaim string
	absentNone  bool
	trustEmails bool
}

func openPlain(s *source, set settings) (provider.Source, error) {
	issuer, err := set.address("issuer", "The issuer")
	if err != nil {
		return nil, err
	}
	s.scopes = set.list("scopes")
	if !slices.Contains(s.scopes, "openid") {
		s.scopes = append([]string{"openid"}, s.scopes...)
	}
	s.start(issuer, issuer, &plain{source: s, groupsClaim: set.text("groupsClaim"), absentNone: set.text("groupsAbsent") == absentNone, trustEmails: set.on("trustEmails")})
	return s, nil
}

func (p *plain) ask(f provider.Flow) []oauth2.AuthCodeOption {
	if f.Again {
		return []oauth2.AuthCodeOption{oauth2.SetAuthURLParam("prompt", "login")}
	}
	return nil
}

func (p *plain) issuer(m *metadata, _ *claims, _ key) (string, error) { return m.Issuer, nil }

// who asks userinfo for what the token leaves out: many providers send names, addresses and groups only there (Core section 5.4).
func (p *plain) who(ctx context.Context, a *answer) (person.Assertion, error) {
	_, groups, err := listed(a.claims.all, p.groupsClaim)
	if err != nil {
		return person.Assertion{}, err
	}
	if a.metadata.Userinfo != "" && (groups == absent || a.claims.Email == "" || a.claims.Name == "") {
		if err := p.userinfo(ctx, a); err != nil {
			return person.Assertion{}, err
		}
	}
	who, err := a.claims.person()
	who.TrustEmail = p.trustEmails
	if err == nil && a.claims.PreferredUsername != "" {
		who.Marks["username"] = who.Username
	}
	return who, err
}

// userinfo fills gaps of the token's claims. That it fails is no reason to refuse a person whom the token names, but an answer
// about somebody else is (Core section 5.3.2).
func (p *plain) userinfo(ctx context.Context, a *answer) error {
	var all rawClaims
	if err := p.wire.Do(ctx, wire.Call{Method: http.MethodGet, URL: a.metadata.Userinfo, Header: wire.Bearer(a.tokens)}, &all); err != nil {
		a.partial = true
		return nil
	}
	more, err := readClaims(all)
	if err != nil {
		return err
	}
	if more.Subject != a.claims.Subject {
		return wire.Refused("sign-in.subject-differs", "the provider speaks of two people in one sign-in")
	}
	c := a.claims
	if c.Email == "" {
		c.Email, c.EmailVerified = more.Email, more.EmailVerified
	}
	for into, value := range map[*string]string{
		&c.Name: more.Name, &c.GivenName: more.GivenName, &c.FamilyName: more.FamilyName, &c.PreferredUsername: more.PreferredUsername,
	} {
		if *into == "" {
			*into = value
		}
	}
	head, _, _ := strings.Cut(p.groupsClaim, ".")
	for _, name := range []string{p.groupsClaim, head} {
		if _, there := c.all[name]; !there && more.all[name] != nil {
			c.all[name] = more.all[name]
		}
	}
	return nil
}

func (p *plain) groups(_ context.Context, a *answer) ([]person.ExternalGroup, bool, error) {
	groups, is, err := listed(a.claims.all, p.groupsClaim)
	return groups, is == present || is == absent && p.absentNone && !a.partial, err
}

func (p *plain) test(context.Context, *metadata, func(provider.Finding)) {}
