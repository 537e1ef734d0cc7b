package grant

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	"odcm"
	"odcm/manager/sso"
)

// Tokens is the answer of the token endpoint: a flat object of scalars, which is all that Octopus's providers read.
type Tokens struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"` // seconds
	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
	Scope        string `json:"scope"`
}

// CodeExchange is a request for the tokens of a code.
type CodeExchange struct{ Code, RedirectURI, Verifier string }

// BadGrant is the answer to a code or token that is not valid (RFC 6749 section 5.2).
func BadGrant(why string) error { return oidc.ErrInvalidGrant().WithDescription("%s", why) }

// Exchange gives tokens for a code: once, to the party that it was made for, which shows the redirect URI and the PKCE
// verifier that go with it. A code that comes again ends what came of it, whoever sent it (RFC 6749 section 4.1.2).
func (s *Service) Exchange(ctx context.Context, c sso.Credentials, in CodeExchange) (t Tokens, err error) {
	p, err := s.Authenticate(ctx, c)
	if err != nil {
		return t, err
	}
	var code codeState
	now := s.now()
	refuse := func(reason string) (Tokens, error) {
		s.Refused(ctx, p.ID, code.User, reason)
		return Tokens{}, BadGrant("the code is not valid, or not any more")
	}
	if err := s.o.Keys.Open(useCode, in.Code, &code); err != nil {
		return refuse("code that is not ours")
	}
	switch {
	case code.Party != p.ID:
		return refuse("code of another relying party")
	case now.UnixMilli() >= code.Until:
		return refuse("code that has expired")
	case code.Redirect != in.RedirectURI:
		return refuse("code with another redirect URI")
	case !proven(p, code.Challenge, in.Verifier):
		return refuse("code without the PKCE verifier that goes with it")
	}
	if _, err := s.Session(ctx, code.Session); odcm.KindOf(err) == odcm.NotFound {
		return refuse("code of a session that has ended")
	} else if err != nil {
		return t, err
	}
	granted := strings.Fields(code.Scopes)
	about, err := s.ClaimsOf(ctx, p, code.User, granted)
	if odcm.KindOf(err) == odcm.Denied {
		return refuse(odcm.CodeOf(err))
	}
	if err != nil {
		return t, err
	}
	offline := slices.Contains(granted, oidc.ScopeOfflineAccess)
	g := grantOf(code.grantState, now.Add(accessLife))
	if g.Used = now; offline {
		g.Offline, g.Expires = true, now.Add(refreshLife)
	}
	var e odcm.Event
	if !code.Opened {
		e = entered(g, p, about)
	}
	redeemed := s.o.Store.Redeem(g, e)
	t, failed := s.tokens(ctx, p, code.grantState, code.Nonce, granted, about, g, 0)
	uses, err := redeemed(ctx)
	if err != nil {
		return Tokens{}, err
	}
	if uses > 1 {
		return refuse("code that was used before: what came of it is revoked")
	}
	return t, failed
}

// proven checks PKCE. A verifier without a challenge is refused too: somebody took the challenge out of the request on its way
// (RFC 9700 section 2.1.1).
func proven(p sso.Party, challenge, verifier string) bool {
	if challenge == "" {
		return verifier == "" && !p.Public()
	}
	return len(verifier) >= 43 && len(verifier) <= 128 && oidc.NewSHACodeChallenge(verifier) == challenge
}

// tokens makes the answer. The access token is opaque, so that the ID token is the only signature.
func (s *Service) tokens(ctx context.Context, p sso.Party, state grantState, nonce string, granted []string, about PersonClaims, g Grant, sequence int64) (t Tokens, err error) {
	now := s.now()
	until := now.Add(accessLife)
	if g.Expires.Before(until) {
		until = g.Expires
	}
	state.Issued, state.Until, state.Scopes = now.UnixMilli(), until.UnixMilli(), strings.Join(granted, " ")
	t = Tokens{TokenType: "Bearer", ExpiresIn: int(until.Sub(now) / time.Second), Scope: state.Scopes}
	if t.AccessToken, err = s.o.Keys.Seal(useAccess, &tokenState{state, 0}); err != nil {
		return t, err
	}
	if g.Offline {
		state.Until, state.Scopes = g.Expires.UnixMilli(), g.Scopes
		if t.RefreshToken, err = s.o.Keys.Seal(useRefresh, &tokenState{state, sequence}); err != nil {
			return t, err
		}
	}
	t.IDToken, err = s.idToken(ctx, p, state, nonce, "", t.AccessToken, about)
	return t, err
}

// Admission lets a person in at a relying party without a code.
type Admission struct {
	User          odcm.UserID
	Scopes        []string
	Authenticated time.Time
	Method        string
	About         PersonClaims // by [Service.ClaimsOf]
}

// Admit gives tokens that belong to no session of ODCM.
func (s *Service) Admit(ctx context.Context, p sso.Party, a Admission) (Tokens, error) {
	now := s.now()
	state := grantState{Grant: newGrantID(), Party: p.ID, User: a.User, Scopes: strings.Join(a.Scopes, " "), Auth: a.Authenticated.Unix(), Method: a.Method,
		Issued: now.UnixMilli()}
	g := grantOf(state, now.Add(accessLife))
	if slices.Contains(a.Scopes, oidc.ScopeOfflineAccess) {
		g.Offline, g.Expires = true, now.Add(refreshLife)
	}
	if _, err := s.o.Store.Redeem(g, entered(g, p, a.About))(ctx); err != nil {
		return Tokens{}, err
	}
	return s.tokens(ctx, p, state, "", a.Scopes, a.About, g, 0)
}

// Refresh gives new tokens for a refresh token, which is spent by that. One that was spent before was stolen, or its thief
// was faster: nothing of its family is valid any more (RFC 9700 section 4.14.2).
func (s *Service) Refresh(ctx context.Context, c sso.Credentials, token, scope string) (t Tokens, err error) {
	p, err := s.Authenticate(ctx, c)
	if err != nil {
		return t, err
	}
	var state tokenState
	now := s.now()
	refuse := func(reason string) (Tokens, error) {
		s.Refused(ctx, p.ID, state.User, reason)
		return Tokens{}, BadGrant("the refresh token is not valid, or not any more")
	}
	if err := s.o.Keys.Open(useRefresh, token, &state); err != nil {
		return refuse("refresh token that is not ours")
	}
	switch {
	case state.Party != p.ID:
		return refuse("refresh token of another relying party")
	case now.UnixMilli() >= state.Until:
		return refuse("refresh token that has expired")
	}
	granted := strings.Fields(state.Scopes)
	if scope != "" { // may be narrowed for these tokens, never widened (RFC 6749 section 6)
		asked := strings.Fields(scope)
		if !slices.Contains(asked, oidc.ScopeOpenID) || slices.ContainsFunc(asked, func(s string) bool { return !slices.Contains(granted, s) }) {
			return t, oidc.ErrInvalidScope().WithDescription("not more than was granted, and openid")
		}
		granted = asked
	}
	about, err := s.ClaimsOf(ctx, p, state.User, granted)
	if odcm.KindOf(err) == odcm.Denied {
		if _, err := s.o.Store.Revoke(ctx, Revocation{ID: state.Grant, Offline: true, At: now}, revoked(odcm.System, p.ID, state.User)); err != nil {
			return t, err
		}
		return refuse(odcm.CodeOf(err))
	}
	if err != nil {
		return t, err
	}
	rotated := s.o.Store.Rotate(state.Grant, state.Sequence, now)
	g := grantOf(state.grantState, time.UnixMilli(state.Until).UTC())
	g.Offline = true
	t, failed := s.tokens(ctx, p, state.grantState, "", granted, about, g, state.Sequence+1)
	r, err := rotated(ctx)
	switch {
	case odcm.KindOf(err) == odcm.NotFound:
		return refuse("refresh token of a grant that was revoked")
	case err != nil:
		return Tokens{}, err
	case r.Replayed:
		return refuse("refresh token that was used before: its family is revoked")
	}
	return t, failed
}
