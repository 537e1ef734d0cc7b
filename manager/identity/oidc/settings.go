package oidc

import (
	"net/url"
	"slices"
	"strings"

	"odcm"
	"odcm/manager/identity/oidc/wire"
	"odcm/manager/identity/person"
	"odcm/manager/identity/provider"
)

// settings are a provider's, secrets among them, with defaults in place.
type settings map[string]string

// read checks what can be checked by the fields alone.
func read(fields []provider.Field, p provider.Provider) (settings, error) {
	set := settings{}
	for _, f := range fields {
		value := strings.TrimSpace(p.Settings[f.Name])
		if f.Secret {
			value = p.Secrets[f.Name]
		}
		if value == "" {
			value = f.Default
		}
		if value == "" && f.Required {
			return nil, odcm.E(odcm.Invalid, "provider.setting-missing", "%s is missing.", f.Label).OnField(f.Name)
		}
		if len(f.Options) > 0 && !slices.Contains(f.Options, value) {
			return nil, odcm.E(odcm.Invalid, "provider.setting-invalid", "%s must be one of: %s.", f.Label, strings.Join(f.Options, ", ")).OnField(f.Name)
		}
		set[f.Name] = value
	}
	return set, nil
}

func (s settings) text(name string) string { return s[name] }

func (s settings) on(name string) bool { return s[name] == "true" }

// list reads a setting of several values, on lines of their own or between commas or spaces.
func (s settings) list(name string) []string {
	return strings.FieldsFunc(s[name], func(r rune) bool { return r == ',' || r == ';' || r == ' ' || r == '\n' || r == '\r' || r == '\t' })
}

// address reads a base address: https, without query, fragment, user or slash at its end; http to this machine alone.
func (s settings) address(name, label string) (string, error) {
	text := s[name]
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(text, "?#") {
		return "", odcm.E(odcm.Invalid, "provider.address-invalid", "%s must be an address such as https://login.example.com.", label).OnField(name)
	}
	if !wire.Safe(u) {
		return "", odcm.E(odcm.Invalid, "provider.address-invalid", "%s must begin with https://: without TLS anybody on the way could sign in as anyone.", label).OnField(name)
	}
	return text, nil
}

// Values of the setting "admit".
const (
	admitNobody   = "invited"
	admitDomains  = "domains"
	admitEveryone = "everyone"
)

// admission is who may become a user by signing in here.
type admission struct {
	rule    string
	domains []string
}

func readAdmission(set settings) (admission, error) {
	a := admission{rule: set.text("admit")}
	for _, d := range set.list("domains") {
		domain, err := readDomain(d, "domains")
		if err != nil {
			return a, err
		}
		a.domains = append(a.domains, domain)
	}
	return a, nil
}

func readDomain(text, field string) (string, error) {
	domain := strings.ToLower(strings.TrimPrefix(text, "@"))
	if !strings.Contains(domain, ".") || strings.ContainsAny(domain, "@/:*") || len(domain) > 253 {
		return "", odcm.E(odcm.Invalid, "provider.domain-invalid", "%q is not a domain: give it like example.com.", wire.Clean(text, 100)).OnField(field)
	}
	return domain, nil
}

// admits tells whether an unknown person becomes a user. The domain of an address counts only where the address is verified.
func (a admission) admits(who person.Assertion) bool {
	switch a.rule {
	case admitEveryone:
		return true
	case admitDomains:
		_, domain, ok := strings.Cut(who.Email, "@")
		return ok && who.EmailVerified && slices.Contains(a.domains, strings.ToLower(domain))
	}
	return false
}
