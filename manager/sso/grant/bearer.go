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

// UserInfo is the answer of the userinfo endpoint (OpenID Connect Core section 5.3.2).
type UserInfo struct {
	Subject string `json:"sub"`
	PersonClaims
}

// errToken is RFC 6750's; the library has no name for it.
func errToken() error {
	return &oidc.Error{ErrorType: "invalid_token", Description: "the access token is not valid, or not any more"}
}

// UserInfo tells who an access token stands for.
func (s *Service) UserInfo(ctx context.Context, access string) (u UserInfo, err error) {
	state, _, err := s.bearer(ctx, useAccess, access)
	if err != nil {
		return u, err
	}
	p, err := s.Lookup(ctx, state.Party)
	if odcm.KindOf(err) == odcm.NotFound || err == nil && p.Disabled {
		return u, errToken()
	}
	if err != nil {
		return u, err
	}
	u.Subject = string(state.User)
	u.PersonClaims, err = s.ClaimsOf(ctx, p, state.User, strings.Fields(state.Scopes))
	if odcm.KindOf(err) == odcm.Denied {
		return u, errToken()
	}
	return u, err
}

// bearer opens an access or refresh token whose grant stands.
func (s *Service) bearer(ctx context.Context, use, token string) (grantState, Grant, error) {
	var state tokenState
	if s.o.Keys.Open(use, token, &state) != nil || s.now().UnixMilli() >= state.Until {
		return grantState{}, Grant{}, errToken()
	}
	g, err := s.o.Store.Grant(ctx, state.Grant)
	if odcm.KindOf(err) == odcm.NotFound || err == nil && (!g.Revoked.IsZero() || !s.now().Before(g.Expires)) {
		return grantState{}, Grant{}, errToken()
	}
	return state.grantState, g, err
}

// Introspect tells a relying party about a token of its own; of others it tells that they are not active (RFC 7662 section 4).
// Public clients prove nothing, and are told nothing.
func (s *Service) Introspect(ctx context.Context, c sso.Credentials, token string) (*oidc.IntrospectionResponse, error) {
	p, err := s.Authenticate(ctx, c)
	if err != nil {
		return nil, err
	}
	if p.Public() {
		return nil, oidc.ErrInvalidClient().WithDescription("introspection needs a client that authenticates")
	}
	inactive := &oidc.IntrospectionResponse{}
	for _, use := range []string{useAccess, useRefresh} {
		state, g, err := s.bearer(ctx, use, token)
		if _, ok := errorOf(err); ok {
			continue
		}
		if err != nil {
			return nil, err
		}
		person, err := s.person(ctx, state.User)
		if odcm.KindOf(err) == odcm.Denied || state.Party != p.ID {
			return inactive, nil
		}
		if err != nil {
			return nil, err
		}
		answer := &oidc.IntrospectionResponse{Active: true, Scope: strings.Fields(state.Scopes), ClientID: string(p.ID),
			Expiration: oidc.FromTime(time.UnixMilli(state.Until)), IssuedAt: oidc.FromTime(time.UnixMilli(state.Issued)), AuthTime: oidc.Time(state.Auth),
			Subject: string(state.User), Audience: oidc.Audience{string(p.ID)}, Issuer: s.Issuer(), JWTID: g.ID, Username: person.Username}
		if use == useAccess {
			answer.TokenType = oidc.BearerToken
		}
		return answer, nil
	}
	return inactive, nil
}

// RevokeToken ends the grant of a token of the relying party's own: its access and refresh tokens together (RFC 7009 section
// 2.1). A token that is not valid is no error.
func (s *Service) RevokeToken(ctx context.Context, c sso.Credentials, token string) error {
	p, err := s.Authenticate(ctx, c)
	if err != nil {
		return err
	}
	for _, use := range []string{useRefresh, useAccess} {
		var state tokenState
		if s.o.Keys.Open(use, token, &state) != nil {
			continue
		}
		if state.Party != p.ID {
			s.Refused(ctx, p.ID, state.User, "revocation of another relying party's token")
			return BadGrant("the token is another client's")
		}
		_, err := s.o.Store.Revoke(ctx, Revocation{ID: state.Grant, Offline: true, At: s.now()}, revoked(odcm.Principal{Name: p.Name, Via: "sso"}, p.ID, state.User))
		return err
	}
	return nil
}

func revoked(by odcm.Principal, party sso.PartyID, user odcm.UserID) odcm.Event {
	return odcm.NewEvent(by, "party.access-revoked", string(party), "", nil, map[string]string{"user": string(user)})
}

// Connection is one sign-in of a person at a relying party, for people to look at.
type Connection struct {
	Grant
	Party sso.Party
	Mine  bool // it is the person's own consent that lets the party know them
}

// Sessions lists where a person is signed in by ODCM, the newest first: one's own, or anybody's for who may.
func (s *Service) Sessions(ctx context.Context, by odcm.Principal, user odcm.UserID, before string, limit int) ([]Connection, error) {
	if by.User == "" || by.User != user {
		if err := s.o.Authorizer.Authorize(ctx, by, "application.list", string(user)); err != nil {
			return nil, err
		}
	}
	grants, err := s.o.Store.Grants(ctx, user, s.now(), before, limit)
	if err != nil {
		return nil, err
	}
	all := make([]Connection, 0, len(grants))
	for _, g := range grants {
		p, err := s.Lookup(ctx, g.Party) // remembered: a person's list names few
		if odcm.KindOf(err) == odcm.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, Connection{g, p, p.Consent})
	}
	return all, nil
}

// Revoke ends what a person has at a relying party: tokens, sessions, which the party is told of where it listens, and the
// consent that was given.
func (s *Service) Revoke(ctx context.Context, by odcm.Principal, user odcm.UserID, party sso.PartyID) (err error) {
	defer odcm.Wrap(&err, "revoke the access of %s", party)
	if by.User == "" || by.User != user {
		if err := s.o.Authorizer.Authorize(ctx, by, "application.revoke", string(user)); err != nil {
			return err
		}
	}
	if user == "" || party == "" {
		return odcm.E(odcm.Invalid, "sso.revoke", "Say whose access to what.")
	}
	p, _, err := s.o.Store.Party(ctx, party)
	if err != nil {
		return err
	}
	e := revoked(by, party, user)
	e.Name = p.Name
	if _, err = s.o.Store.Revoke(ctx, Revocation{User: user, Party: party, Offline: true, At: s.now(), Tell: true}, e); err != nil {
		return err
	}
	s.o.Bus.Publish(sso.TopicLogout)
	return s.withdraw(ctx, by, user, p)
}

// may tells that the scope was granted.
func may(granted, scope string) bool { return slices.Contains(strings.Fields(granted), scope) }
