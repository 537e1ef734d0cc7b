package sso

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"odcm"
)

// checkURI says what is wrong with an address to which a browser or a token would be sent.
func (p Party) checkURI(text string) *odcm.Error {
	bad := func(why string) *odcm.Error {
		return odcm.E(odcm.Invalid, "party.uri", "%.100q: %s", text, why)
	}
	if len(text) > MaxURI || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' || r == '*' }) {
		return bad("want an address of at most 2,000 ASCII characters, without spaces, backslashes and wildcards.")
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return bad("this is not an address.")
	case strings.Contains(text, "#"):
		return bad("leave out the fragment (RFC 6749 section 3.1.2).")
	case u.User != nil:
		return bad("leave out user and password.")
	case slices.Contains(strings.Split(u.EscapedPath(), "/"), ".."), strings.Contains(strings.ToLower(u.EscapedPath()), "%2e%2e"):
		return bad("leave out \"..\".")
	}
	switch u.Scheme {
	case "https":
	case "http":
		if !p.PlainHTTP && (p.Kind != KindNative || !loopback(u)) {
			return bad("plain http lets whoever listens take the sign-in: use https, or allow http for this relying party.")
		}
	default: // RFC 8252 section 7.1: a native application's own scheme is a domain name in reverse
		if p.Kind == KindNative && strings.Contains(u.Scheme, ".") && u.Opaque == "" {
			return nil
		}
		return bad("want https.")
	}
	if u.Hostname() == "" || u.Opaque != "" {
		return bad("the host is missing.")
	}
	return nil
}

// loopback tells an address of the machine itself; names are left out, for what they mean is the resolver's to say (RFC 8252
// section 8.3).
func loopback(u *url.URL) bool {
	a, err := netip.ParseAddr(u.Hostname())
	return err == nil && a.IsLoopback() && a.Zone() == ""
}

// Redirects tells whether people may be sent to the address: it is, character by character, one that is registered (RFC 9700
// section 2.1), but for the port of a native application's loopback address, which the system chooses as it starts.
func (p Party) Redirects(to string) bool {
	if slices.Contains(p.RedirectURIs, to) {
		return true
	}
	if p.Kind != KindNative || len(to) > MaxURI {
		return false
	}
	return slices.ContainsFunc(p.RedirectURIs, func(registered string) bool { return sameLoopback(registered, to) })
}

func sameLoopback(registered, to string) bool {
	want, err := url.Parse(registered)
	if err != nil || want.Scheme != "http" || !loopback(want) {
		return false
	}
	got, err := url.Parse(to)
	if err != nil || !loopback(got) {
		return false
	}
	port := got.Port()
	if port == "" || port[0] == '0' {
		return false
	}
	want.Host = net.JoinHostPort(want.Hostname(), port)
	return want.String() == to // any other difference shows here, for to itself is compared, not what was read of it
}
