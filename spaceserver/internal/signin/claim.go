package signin

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
)

// claims are what a token says, by name. Everything must be in the token itself: Octopus asks no userinfo endpoint.
type claims map[string]json.RawMessage

func (c claims) text(name string) string {
	var text string
	if json.Unmarshal(c[name], &text) == nil {
		return strings.TrimSpace(text)
	}
	return ""
}

// first is the first of the claims that holds text.
func (c claims) first(names []string) string {
	for _, name := range names {
		if text := c.text(name); text != "" {
			return text
		}
	}
	return ""
}

// texts are the values of a claim that is a text or a list of them.
func (c claims) texts(name string) []string {
	var many []string
	if json.Unmarshal(c[name], &many) == nil {
		return many
	}
	if one := c.text(name); one != "" {
		return []string{one}
	}
	return nil
}

// denies tells whether the provider says that the address was never shown to be the user's.
func (c claims) denies() bool {
	verified, err := strconv.ParseBool(strings.Trim(string(c["email_verified"]), `"`))
	return err == nil && !verified
}

// candidate is who wants to sign in, as the provider tells it.
type candidate struct {
	username, display, email, id string
	proven                       bool // the provider does not say that the address is unproven
	groups                       []string
}

// candidate reads the claims as the slot's provider means them. Groups are the values of the role claims and of the claim
// that the slot names.
func (p settings) candidate(c claims) candidate {
	who := candidate{username: c.first(p.username), display: c.text("name"), email: c.first(p.email), id: c.text("sub"), proven: !c.denies()}
	if who.display == "" {
		who.display = who.username
	}
	if p.roles == "" {
		return who
	}
	for _, name := range []string{"role", "roles", p.roles} {
		for _, group := range c.texts(name) {
			if group != "" && len(group) <= 512 && !slices.Contains(who.groups, group) {
				who.groups = append(who.groups, group)
			}
		}
	}
	return who
}

// verify checks an id_token: signature by a named RSA key, issuer, audience and times.
func (s *Service) verify(ctx context.Context, p settings, raw string) (claims, error) {
	if err := named(raw, signatures); err != nil {
		return nil, failed("the identity provider's token is not one that this server takes").Because(err)
	}
	provider, err := s.discover(ctx, p.issuer)
	if err != nil {
		return nil, err
	}
	algorithms := make([]string, len(signatures))
	for i, a := range signatures {
		algorithms[i] = string(a)
	}
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	token, err := provider.Verifier(&oidc.Config{ClientID: p.client, SupportedSigningAlgs: algorithms, Now: s.Now}).Verify(bounded, raw)
	if err != nil {
		return nil, failed("the identity provider's token did not stand the check").Because(err)
	}
	c := claims{}
	if err := token.Claims(&c); err != nil {
		return nil, failed("the identity provider's token is not readable").Because(err)
	}
	if p.hosted != "" && !strings.EqualFold(c.text("hd"), p.hosted) {
		return nil, failed("the account is not one of the hosted domain that this server lets in")
	}
	return c, nil
}
