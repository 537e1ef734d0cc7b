package grant

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"

	"odcm"
	"odcm/manager/sso"
)

// Uses for which texts are sealed, so that none is taken for another.
const (
	useCode    = "code"
	useAccess  = "access"
	useRefresh = "refresh"
	useConsent = "consent"
)

// newGrantID sorts by time, so that grants made one after another are rows beside each other: a commit writes few pages.
func newGrantID() string { return odcm.NewID[string]("grant") }

// idClaims are the claims of an ID token: those of Octopus's providers among them, for they never ask userinfo.
type idClaims struct {
	oidc.TokenClaims
	AccessTokenHash string `json:"at_hash,omitempty"`
	CodeHash        string `json:"c_hash,omitempty"`
	SessionID       string `json:"sid,omitempty"`
	PersonClaims
}

// PersonClaims are the claims about a person that scopes allow.
type PersonClaims struct {
	Name              string    `json:"name,omitempty"`
	PreferredUsername string    `json:"preferred_username,omitempty"`
	UpdatedAt         oidc.Time `json:"updated_at,omitempty"`
	Email             string    `json:"email,omitempty"`
	EmailVerified     *bool     `json:"email_verified,omitempty"`
	Groups            []string  `json:"groups,omitempty"`
}

// ClaimsOf says who the person is to the party: [odcm.Denied] where they may not enter. A Space's server gets all claims, for
// its providers ask for no scopes beyond openid, profile and email and expect groups among them.
func (s *Service) ClaimsOf(ctx context.Context, p sso.Party, user odcm.UserID, granted []string) (c PersonClaims, err error) {
	person, err := s.person(ctx, user)
	if err != nil {
		return c, err
	}
	all := p.Kind == sso.KindSpace
	if all {
		if c.Groups, err = s.o.Access.Enter(ctx, user, p.Instance); err != nil {
			return c, err
		}
	}
	if all || slices.Contains(granted, oidc.ScopeProfile) {
		c.Name, c.PreferredUsername, c.UpdatedAt = person.DisplayName, person.Username, oidc.FromTime(person.Updated)
	}
	if (all || slices.Contains(granted, oidc.ScopeEmail)) && person.Email != "" {
		c.Email, c.EmailVerified = person.Email, &person.EmailVerified
	}
	return c, nil
}

// amr says how somebody signed in, in the words of RFC 8176; those of other providers are theirs to say.
func amr(method string) []string {
	switch method {
	case "password", "ldap":
		return []string{"pwd"}
	case "kerberos":
		return []string{"wia"}
	}
	return nil
}

// idToken signs what is known of the person. Hashes bind it to the code and the access token that come with it (OpenID Connect
// Core sections 3.1.3.6 and 3.3.2.11).
func (s *Service) idToken(ctx context.Context, p sso.Party, g grantState, nonce, code, access string, about PersonClaims) (string, error) {
	now := s.now()
	c := idClaims{SessionID: g.Session, PersonClaims: about, TokenClaims: oidc.TokenClaims{
		Issuer: s.Issuer(), Subject: string(g.User), Audience: oidc.Audience{string(p.ID)}, Nonce: nonce,
		Expiration: oidc.FromTime(now.Add(idLife)), IssuedAt: oidc.FromTime(now), AuthTime: oidc.Time(g.Auth),
		AuthenticationMethodsReferences: amr(g.Method), AuthorizedParty: string(p.ID),
	}}
	var err1, err2 error
	if code != "" {
		c.CodeHash, err1 = oidc.ClaimHash(code, jose.SignatureAlgorithm(p.Algorithm))
	}
	if access != "" {
		c.AccessTokenHash, err2 = oidc.ClaimHash(access, jose.SignatureAlgorithm(p.Algorithm))
	}
	if err := errors.Join(err1, err2); err != nil {
		return "", err
	}
	return s.o.Keys.Sign(ctx, p.Algorithm, "", c)
}

// reply lets the person in: it makes the code, the ID token, or both.
func (s *Service) reply(ctx context.Context, q request, who sso.Session) (Answer, error) {
	if q.party.Kind == sso.KindSpace {
		if err := s.o.Access.Arrive(ctx, who.User, q.party.Instance); err != nil {
			return Answer{}, err
		}
	}
	now := s.now()
	state := grantState{Grant: newGrantID(), Party: q.party.ID, User: who.User, Session: who.ID, Scopes: strings.Join(q.Scopes, " "),
		Auth: who.Authenticated.Unix(), Method: who.Method, Issued: now.UnixMilli(), Until: now.Add(codeLife).UnixMilli()}
	values := url.Values{}
	var code string
	var err error
	if q.response.code {
		code, err = s.o.Keys.Seal(useCode, &codeState{state, q.RedirectURI, q.Nonce, q.CodeChallenge, q.response.token})
		if err != nil {
			return Answer{}, err
		}
		values.Set("code", code)
	}
	if q.response.token {
		about, err := s.ClaimsOf(ctx, q.party, who.User, q.Scopes)
		if err != nil {
			return Answer{}, err
		}
		token, err := s.idToken(ctx, q.party, state, q.Nonce, code, "", about)
		if err != nil {
			return Answer{}, err
		}
		g := grantOf(state, now.Add(idLife))
		if err := s.o.Store.Open(ctx, g, entered(g, q.party, about)); err != nil { // so that it can be listed, and signed out
			return Answer{}, err
		}
		values.Set("id_token", token)
	}
	return Answer{Reply: s.back(q, values)}, nil
}

func grantOf(g grantState, expires time.Time) Grant {
	return Grant{ID: g.Grant, Party: g.Party, User: g.User, Session: g.Session, Scopes: g.Scopes, Authenticated: time.Unix(g.Auth, 0).UTC(),
		Method: g.Method, Created: time.UnixMilli(g.Issued).UTC(), Used: time.UnixMilli(g.Issued).UTC(), Expires: expires}
}

// entered is the event of a sign-in at a relying party.
func entered(g Grant, p sso.Party, about PersonClaims) odcm.Event {
	return odcm.Event{Type: "party.entered", Subject: string(p.ID), Name: p.Name, Actor: g.User, By: about.PreferredUsername, Via: "sso"}
}

// Hint is what an id_token_hint says.
type Hint struct {
	Subject odcm.UserID
	Session string
	Party   sso.PartyID
}

// Hint reads an id_token_hint. An expired one will do: it says who was signed in, and lets nobody in (OpenID Connect
// RP-Initiated Logout 1.0 section 2). Client may be "" where the hint itself says whose it is.
func (s *Service) Hint(ctx context.Context, text string, client sso.PartyID) (Hint, error) {
	if text == "" {
		return Hint{}, nil
	}
	payload, err := sso.Verify(text, "", func(kid string) (jose.JSONWebKey, error) { return s.o.Keys.Public(ctx, kid) })
	if err != nil {
		return Hint{}, err
	}
	var c idClaims
	if err := json.Unmarshal(payload, &c); err != nil || c.Issuer != s.Issuer() || len(c.Audience) != 1 || c.Subject == "" ||
		client != "" && c.Audience[0] != string(client) {
		return Hint{}, odcm.E(odcm.Invalid, "sso.hint", "The id_token_hint is not for this relying party.").Because(err)
	}
	return Hint{odcm.UserID(c.Subject), c.SessionID, sso.PartyID(c.Audience[0])}, nil
}

// errorOf tells an error of the protocol.
func errorOf(err error) (*oidc.Error, bool) {
	var e *oidc.Error
	ok := errors.As(err, &e)
	return e, ok
}
