package oidc

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"odcm"
	"odcm/manager/identity/oidc/wire"
	"odcm/manager/identity/provider"
)

// testWithin bounds one step of a test.
const testWithin = 10 * time.Second

// Test implements [provider.Source].
func (s *source) Test(ctx context.Context, tell func(provider.Finding)) {
	m, ok := s.testDescription(ctx, tell)
	if !ok {
		return
	}
	if !s.testKeys(ctx, m, tell) {
		return
	}
	s.testClient(ctx, m, tell)
	tell(provider.Finding{Step: "Redirect address", OK: true,
		Message: "Register exactly this address with the provider as a redirect URI of a web application: " + s.returnURL})
	s.dialect.test(ctx, m, tell)
}

// step tells of one step: said where err is nil, else what is wrong.
func step(tell func(provider.Finding), name, said string, err error) bool {
	f := provider.Finding{Step: name, OK: err == nil, Message: said}
	if err != nil {
		f.Message = explain(err)
	}
	tell(f)
	return err == nil
}

// explain says to an administrator what an error means.
func explain(err error) string {
	var e *odcm.Error
	var s *wire.Status
	switch {
	case odcm.KindOf(err) == odcm.Internal && errors.As(err, &s):
		return "It answered " + s.Error() + "."
	case errors.As(err, &e):
		if errors.As(e.Cause, &s) {
			return e.Message + " It answered " + s.Error() + "."
		}
		return e.Message
	}
	return wire.Clean(err.Error(), 300)
}

func (s *source) testDescription(ctx context.Context, tell func(provider.Finding)) (*metadata, bool) {
	ctx, cancel := context.WithTimeout(ctx, testWithin)
	defer cancel()
	m, err := s.described.renewed(ctx) // now, not as it was an hour ago
	if !step(tell, "Read the provider's description", "Found, over a connection that can be trusted.", err) {
		return nil, false
	}
	tell(provider.Finding{Step: "Issuer and endpoints", OK: true, Message: "The issuer is " + wire.Clean(m.Issuer, 200) + ", as in the settings; people sign in at " + hostOf(m.Authorization) +
		", tokens come from " + hostOf(m.Token) + " and are signed with " + strings.Join(m.Algorithms, ", ") + "."})
	return m, true
}

func (s *source) testKeys(ctx context.Context, m *metadata, tell func(provider.Finding)) bool {
	ctx, cancel := context.WithTimeout(ctx, testWithin)
	defer cancel()
	_, err := s.keys.renewed(ctx)
	return step(tell, "Read the provider's keys", "Found at "+hostOf(m.Keys)+".", err)
}

// testClient offers a code that is none: a provider looks at who offers it before it looks at the code (RFC 6749 section 5.2), so
// that invalid_grant proves that the client is known and its secret right.
func (s *source) testClient(ctx context.Context, m *metadata, tell func(provider.Finding)) {
	ctx, cancel := context.WithTimeout(ctx, testWithin)
	defer cancel()
	const name = "Client ID and secret"
	_, err := s.config(m).Exchange(s.wire.With(ctx), "odcm-test-"+rand.Text(), oauth2.VerifierOption(oauth2.GenerateVerifier()))
	var e *oauth2.RetrieveError
	switch {
	case errors.As(err, &e) && e.ErrorCode == "invalid_grant":
		step(tell, name, "The provider knows them.", nil)
	case errors.As(err, &e) && (e.ErrorCode == "invalid_client" || e.ErrorCode == "unauthorized_client"):
		step(tell, name, "", odcm.E(odcm.Invalid, "provider.client-refused",
			"The provider does not accept them: compare the client ID, and make a new secret if the old one has expired."))
	case errors.As(err, &e):
		tell(provider.Finding{Step: name, OK: true, Warning: true,
			Message: "The provider does not tell (it answered " + wire.Clean(e.ErrorCode, 60) + "): a sign-in will show whether they are right."})
	default:
		step(tell, name, "", wire.Unreachable(err))
	}
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return wire.Clean(u.Host, 200)
}

func (e *entra) test(ctx context.Context, _ *metadata, tell func(provider.Finding)) {
	switch e.mode {
	case graphNever:
		tell(provider.Finding{Step: "Microsoft Graph", OK: true, Warning: true,
			Message: "It is not asked. Groups of people who are in more than 200 stay as they were, and accounts that are disabled are noticed only when they sign in."})
		return
	case graphByUser:
		tell(provider.Finding{Step: "Microsoft Graph", OK: true, Warning: true,
			Message: "It is asked as the person who signs in, so that only a sign-in shows whether that is allowed. Accounts that are disabled are noticed only when they sign in."})
		return
	}
	for _, tenant := range e.tenants {
		if !within(ctx, func(ctx context.Context) bool { return e.graph.Test(ctx, tenant, steps(tell)) }) {
			return
		}
	}
}

func (g *google) test(ctx context.Context, _ *metadata, tell func(provider.Finding)) {
	tell(provider.Finding{Step: "Hosted domains", OK: true, Message: "Only accounts of " + strings.Join(g.domains, ", ") + " are let in."})
	if g.workspace == nil {
		tell(provider.Finding{Step: "Directory API", OK: true, Warning: true,
			Message: "Without a service account key, groups are not read, and accounts that are suspended are noticed only when they sign in."})
		return
	}
	within(ctx, func(ctx context.Context) bool { return g.workspace.Test(ctx, steps(tell)) })
}

// steps makes step what the packages below tell by.
func steps(tell func(provider.Finding)) func(name, said string, err error) bool {
	return func(name, said string, err error) bool { return step(tell, name, said, err) }
}

// within bounds a step in time.
func within(ctx context.Context, do func(context.Context) bool) bool {
	ctx, cancel := context.WithTimeout(ctx, testWithin)
	defer cancel()
	return do(ctx)
}
