package oidc

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/url"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"odcm"
	"odcm/manager/identity/oidc/wire"
	"odcm/manager/identity/person"
	"odcm/manager/identity/provider"
)

// source is one provider. What is special about its kind is in dialect.
type source struct {
	id        odcm.ProviderID
	now       func() time.Time
	wire      wire.Client
	returnURL string

	clientID, clientSecret, clientAuth string
	admission                          admission

	scopes    []string
	described *cached[*metadata]
	keys      *cached[[]key]
	dialect   dialect
}

// dialect is what a kind of provider does in its own way.
type dialect interface {
	// ask adds to the request for a sign-in.
	ask(provider.Flow) []oauth2.AuthCodeOption
	// issuer is what the token must name as its issuer; the key has signed it.
	issuer(*metadata, *claims, key) (string, error)
	// who reads the person out of a token that is verified.
	who(context.Context, *answer) (person.Assertion, error)
	// groups reads those of the person; known is false where that failed, and an error is a reason to refuse.
	groups(context.Context, *answer) (groups []person.ExternalGroup, known bool, err error)
	// test goes on where the test of the endpoints ended.
	test(context.Context, *metadata, func(provider.Finding))
}

// answer is what the provider has said about one person, verified.
type answer struct {
	metadata *metadata
	claims   *claims
	tokens   *oauth2.Token
	partial  bool // userinfo could not be read: what is not in the token is not known
}

// start makes what is read lazily: the description at base, which must name the issuer, and the keys that it points to.
func (s *source) start(base, issuer string, d dialect) {
	s.dialect = d
	s.described = &cached[*metadata]{now: s.now, fetch: func(ctx context.Context) (*metadata, error) { return discover(ctx, s.wire, base, issuer) }}
	s.keys = &cached[[]key]{now: s.now, fetch: func(ctx context.Context) ([]key, error) {
		m, err := s.described.get(ctx)
		if err != nil {
			return nil, err
		}
		return fetchKeys(ctx, s.wire, m.Keys)
	}}
}

// finishWithin bounds all that is asked of a provider while a person waits.
const finishWithin = 10 * time.Second

func (s *source) config(m *metadata) *oauth2.Config {
	return &oauth2.Config{
		ClientID: s.clientID, ClientSecret: s.clientSecret, Endpoint: m.endpoint(s.clientAuth, s.clientSecret != ""), RedirectURL: s.returnURL, Scopes: s.scopes,
	}
}

// Begin implements [provider.Redirects].
func (s *source) Begin(ctx context.Context, f provider.Flow) (_ string, err error) {
	defer odcm.Wrap(&err, "begin sign-in with %s", s.id)
	ctx, cancel := context.WithTimeout(ctx, finishWithin)
	defer cancel()
	m, err := s.described.get(ctx)
	if err != nil {
		return "", err
	}
	options := append(s.dialect.ask(f), oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier))
	if f.LoginHint != "" {
		options = append(options, oauth2.SetAuthURLParam("login_hint", wire.Clean(f.LoginHint, 320)))
	}
	return s.config(m).AuthCodeURL(f.State, options...), nil
}

// Finish implements [provider.Redirects].
func (s *source) Finish(ctx context.Context, f provider.Flow, got url.Values) (_ person.Assertion, err error) {
	defer odcm.Wrap(&err, "finish sign-in with %s", s.id)
	ctx, cancel := context.WithTimeout(ctx, finishWithin)
	defer cancel()
	r, err := readResponse(f, got)
	if err != nil {
		return person.Assertion{}, err
	}
	m, err := s.described.get(ctx)
	if err != nil {
		return person.Assertion{}, err
	}
	if r.issuer == "" && m.NamesIssuer {
		return person.Assertion{}, wire.Refused("sign-in.issuer-missing", "the answer does not name its provider, though the provider says that it always does")
	}
	// Before anything else is believed, and before the code goes anywhere, the answer must be this provider's (RFC 9207
	// section 2.4). Where the issuer depends on the tenant, it is compared with the token's below.
	if r.issuer != "" && !templated(m.Issuer) && r.issuer != m.Issuer {
		return person.Assertion{}, mixedUp()
	}
	if r.err != "" {
		return person.Assertion{}, saidNo(r.err)
	}
	tokens, err := s.config(m).Exchange(s.wire.With(ctx), r.code, oauth2.VerifierOption(f.Verifier))
	if err != nil {
		return person.Assertion{}, wire.NotExchanged(ctx, err)
	}
	c, err := s.verify(ctx, m, f, tokens, r.code)
	if err != nil {
		return person.Assertion{}, err
	}
	if r.issuer != "" && r.issuer != c.Issuer {
		return person.Assertion{}, mixedUp()
	}
	return s.assertion(ctx, &answer{metadata: m, claims: c, tokens: tokens})
}

func (s *source) assertion(ctx context.Context, a *answer) (person.Assertion, error) {
	who, err := s.dialect.who(ctx, a)
	if err != nil {
		return person.Assertion{}, err
	}
	who.Provider, who.Method = s.id, "oidc"
	who.Admit = s.admission.admits(who)
	who.Groups, who.GroupsKnown, err = s.dialect.groups(ctx, a)
	if err != nil {
		return person.Assertion{}, err
	}
	return who, nil
}

// Close implements [provider.Source].
func (s *source) Close() error { return nil } // connections are the guard's

// response is what the browser brought back (RFC 6749 section 4.1.2).
type response struct{ code, err, issuer string }

// maxCode bounds what is sent on to the provider.
const maxCode = 8 << 10

// readResponse takes parameters that are there once (RFC 6749 section 3.1), after the state, which proves that the answer is
// to the question that this browser was sent with.
func readResponse(f provider.Flow, got url.Values) (r response, err error) {
	for name, into := range map[string]*string{"code": &r.code, "error": &r.err, "iss": &r.issuer, "state": new(string)} {
		values := got[name]
		if len(values) > 1 {
			return response{}, wire.Refused("sign-in.answer-malformed", "the provider's answer says something twice")
		}
		if len(values) == 1 {
			*into = values[0]
		}
	}
	switch {
	case f.State == "" || subtle.ConstantTimeCompare([]byte(got.Get("state")), []byte(f.State)) != 1:
		return response{}, odcm.E(odcm.Invalid, "sign-in.state", "This answer does not belong to the sign-in that was begun in this browser.")
	case r.err != "":
		r.code = ""
	case r.code == "" || len(r.code) > maxCode:
		return response{}, wire.Refused("sign-in.answer-malformed", "the provider's answer has no code")
	}
	return r, nil
}

func mixedUp() error {
	return wire.Refused("sign-in.issuer-mixed-up", "the answer came from another provider than the one that was asked")
}

// saidNo tells what the error of an answer means (RFC 6749 section 4.1.2.1, OpenID Connect Core section 3.1.2.6). Its
// description is not shown: anybody can make a link with one.
func saidNo(code string) error {
	switch code {
	case "access_denied":
		return odcm.E(odcm.Denied, "sign-in.denied", "The provider did not let you in, or you said no there.")
	case "login_required", "interaction_required", "consent_required", "account_selection_required":
		return odcm.E(odcm.Unauthenticated, "sign-in.denied", "The provider wants you to sign in there first.")
	case "server_error", "temporarily_unavailable":
		return odcm.E(odcm.Unavailable, "provider.unreachable", "The provider has a problem of its own.")
	}
	return odcm.E(odcm.Unavailable, "provider.refused-request", "The provider does not accept ODCM's request. An administrator can test the provider's settings.").
		Because(errors.New("the provider answered with the error " + wire.Clean(code, 60)))
}
