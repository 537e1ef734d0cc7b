package oidc

import (
	"encoding/json"
	"math"
	"strings"
	"time"

	exact "github.com/go-jose/go-jose/v4/json"

	"odcm/manager/identity/oidc/wire"
	"odcm/manager/identity/person"
)

// claims are those of an ID token or of userinfo that ODCM reads (OpenID Connect Core sections 2 and 5.1; Entra ID's ID token
// claims; Google's hd).
type claims struct {
	Issuer          string   `json:"iss"`
	Subject         string   `json:"sub"`
	Audience        audience `json:"aud"`
	AuthorizedParty string   `json:"azp"`
	Nonce           string   `json:"nonce"`
	CodeHash        string   `json:"c_hash"`
	Expires         *seconds `json:"exp"`
	Issued          *seconds `json:"iat"`
	NotBefore       *seconds `json:"nbf"`
	Proved          *seconds `json:"auth_time"`

	Name              string `json:"name"`
	GivenName         string `json:"given_name"`
	FamilyName        string `json:"family_name"`
	PreferredUsername string `json:"preferred_username"`
	Email             string `json:"email"`
	EmailVerified     flag   `json:"email_verified"`

	Tenant       string                     `json:"tid"`
	Object       string                     `json:"oid"`
	UPN          string                     `json:"upn"`
	OnPremises   string                     `json:"onprem_sid"`
	DomainOwned  flag                       `json:"xms_edov"`
	HasGroups    flag                       `json:"hasgroups"`
	Elsewhere    map[string]json.RawMessage `json:"_claim_names"`
	HostedDomain string                     `json:"hd"`

	all map[string]json.RawMessage
}

// readClaims takes names of claims by the letter, and none twice: encoding/json would take "Email_Verified", which a provider may
// let people choose, for email_verified.
func readClaims(payload []byte) (*claims, error) {
	c := &claims{}
	if err := exact.Unmarshal(payload, c); err != nil {
		return nil, wire.Refused("sign-in.token-malformed", "a claim of the token is not of the kind that it must be").Because(err)
	}
	if err := exact.Unmarshal(payload, &c.all); err != nil {
		return nil, wire.Refused("sign-in.token-malformed", "the token holds no claims").Because(err)
	}
	return c, nil
}

// audience is one text or a list (RFC 7519 section 4.1.3).
type audience []string

// UnmarshalJSON implements json.Unmarshaler.
func (a *audience) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// flag is a truth that providers write in several ways.
type flag bool

// UnmarshalJSON takes true, "true", 1 and "1"; all else is false, and no error.
func (f *flag) UnmarshalJSON(b []byte) error {
	switch strings.ToLower(string(b)) {
	case `true`, `"true"`, `1`, `"1"`:
		*f = true
	default:
		*f = false
	}
	return nil
}

// seconds is a NumericDate (RFC 7519 section 2), which may have a fraction.
type seconds float64

func (s seconds) time() time.Time {
	whole, fraction := math.Modf(min(max(float64(s), 0), 1<<40))
	return time.Unix(int64(whole), int64(fraction*1e9))
}

// person reads what every kind says in the same claims.
func (c *claims) person() (person.Assertion, error) {
	if !wire.Fits(c.Subject) {
		return person.Assertion{}, wire.Refused("sign-in.subject", "the provider does not say who you are, or not in a way that ODCM can keep")
	}
	a := person.Assertion{
		Subject: c.Subject, Username: wire.Clean(c.PreferredUsername, 200), DisplayName: wire.Clean(c.Name, 200),
		Email: wire.Clean(c.Email, 254), EmailVerified: bool(c.EmailVerified) && c.Email != "", Marks: map[string]string{},
	}
	if a.DisplayName == "" {
		a.DisplayName = wire.Clean(c.GivenName+" "+c.FamilyName, 200)
	}
	if a.Username == "" {
		a.Username = a.Email
	}
	if a.DisplayName == "" {
		a.DisplayName = a.Username
	}
	return a, nil
}

// presence is how a claim is there.
type presence int

const (
	absent     presence = iota
	unreadable          // it is there, and is not what it should be
	present
)

// listed reads a claim that holds groups: a list of text, or one text alone. Some providers nest it: "realm_access.roles".
func listed(all map[string]json.RawMessage, name string) ([]person.ExternalGroup, presence, error) {
	raw, ok := all[name]
	if head, rest, nested := strings.Cut(name, "."); !ok && nested && all[head] != nil {
		var inner map[string]json.RawMessage
		if json.Unmarshal(all[head], &inner) != nil {
			return nil, unreadable, nil
		}
		return listed(inner, rest)
	}
	if !ok {
		return nil, absent, nil
	}
	var names []string
	if one := ""; string(raw) == "null" {
		return nil, unreadable, nil
	} else if json.Unmarshal(raw, &one) == nil {
		names = []string{one}
	} else if json.Unmarshal(raw, &names) != nil {
		return nil, unreadable, nil
	}
	var groups []person.ExternalGroup
	seen := make(map[string]bool, min(len(names), wire.MaxGroups))
	for _, n := range names {
		if !wire.Fits(n) || seen[n] {
			continue
		}
		if len(seen) == wire.MaxGroups {
			return nil, present, wire.TooManyGroups()
		}
		seen[n] = true
		groups = append(groups, person.ExternalGroup{ID: n, Name: wire.Clean(n, 200)})
	}
	return groups, present, nil
}
