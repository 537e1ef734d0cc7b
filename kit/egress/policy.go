package egress

import (
	"net/netip"

	"odcm"
)

// Policy says which addresses may be dialled. Some never may be, whatever the policy says: see [Policy.Check]. The zero
// Policy allows all others, also loopback and private ones, because that is where most Octopus servers live.
type Policy struct {
	// Allow, where it is not empty, is all that may be dialled.
	Allow []netip.Prefix
	// Deny takes away, also from Allow.
	Deny []netip.Prefix
}

// never is what no policy can allow: no Octopus server is there, and what is there gives secrets to whoever asks.
var never = []struct {
	prefix netip.Prefix
	why    string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "unspecified"},          // RFC 1122 section 3.2.1.3
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local"},      // RFC 3927; every cloud's metadata is at 169.254.169.254
	{netip.MustParsePrefix("100.100.100.200/32"), "metadata"},    // Alibaba Cloud
	{netip.MustParsePrefix("168.63.129.16/32"), "metadata"},      // Azure's wire server
	{netip.MustParsePrefix("192.0.0.192/32"), "metadata"},        // Oracle Cloud
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},          // RFC 5771
	{netip.MustParsePrefix("255.255.255.255/32"), "broadcast"},   // RFC 919
	{netip.MustParsePrefix("::/128"), "unspecified"},             // RFC 4291 section 2.5.2
	{netip.MustParsePrefix("fe80::/10"), "link-local"},           // RFC 4291 section 2.5.6
	{netip.MustParsePrefix("fd00:ec2::254/128"), "metadata"},     // Amazon EC2
	{netip.MustParsePrefix("fd20:ce::254/128"), "metadata"},      // Google Cloud
	{netip.MustParsePrefix("ff00::/8"), "multicast"},             // RFC 4291 section 2.7
	{netip.MustParsePrefix("2001::/32"), "a Teredo tunnel"},      // RFC 4380: hides an IPv4 address
	{netip.MustParsePrefix("64:ff9b:1::/48"), "local-use NAT64"}, // RFC 8215: hides an IPv4 address, at no fixed place
}

// Prefixes that carry an IPv4 address, and the byte at which it starts.
var carriers = []struct {
	prefix netip.Prefix
	offset int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12}, // NAT64, RFC 6052
	{netip.MustParsePrefix("2002::/16"), 2},     // 6to4, RFC 3056
	{netip.MustParsePrefix("::/96"), 12},        // IPv4-compatible, RFC 4291 section 2.5.5.1
}

// Check returns nil where the address may be dialled, and else an error of kind Invalid, code "egress.denied". Addresses
// that are link-local, unspecified, multicast, or a cloud's metadata service are always denied, also in the forms in
// which IPv6 wraps IPv4.
func (p Policy) Check(addr netip.Addr) error {
	addr = addr.Unmap().WithZone("")
	if inner, ok := carried(addr); ok {
		addr = inner
	}
	for _, n := range never {
		if n.prefix.Contains(addr) {
			return denied(addr, n.why+" address")
		}
	}
	if contains(p.Deny, addr) {
		return denied(addr, "denied by this installation's policy")
	}
	if len(p.Allow) > 0 && !contains(p.Allow, addr) {
		return denied(addr, "not among the addresses that this installation's policy allows")
	}
	return nil
}

func carried(addr netip.Addr) (netip.Addr, bool) {
	if !addr.Is6() || addr == netip.IPv6Unspecified() || addr == netip.IPv6Loopback() {
		return addr, false
	}
	for _, c := range carriers {
		if c.prefix.Contains(addr) {
			b := addr.As16()
			return netip.AddrFrom4([4]byte(b[c.offset : c.offset+4])), true
		}
	}
	return addr, false
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

func denied(addr netip.Addr, why string) error {
	return odcm.E(odcm.Invalid, "egress.denied", "ODCM does not connect to %s: %s. Give another address.", addr, why)
}
