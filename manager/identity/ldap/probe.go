package ldap

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"odcm/manager/identity/ldap/pool"
	"odcm/manager/identity/provider"
)

// probe is one test under way.
type probe struct {
	*directory
	tell func(provider.Finding)
}

// Test implements [provider.Source].
func (d *directory) Test(ctx context.Context, tell func(provider.Finding)) {
	p := probe{d, tell}
	answers := 0
	for _, server := range d.target.Servers {
		if p.connect(ctx, server) {
			answers++
		}
	}
	if answers > 0 {
		p.read(ctx)
	}
	p.keytab()
}

func (p probe) ok(step, format string, args ...any) {
	p.tell(provider.Finding{Step: step, OK: true, Message: fmt.Sprintf(format, args...)})
}

func (p probe) warn(step, format string, args ...any) {
	p.tell(provider.Finding{Step: step, OK: true, Warning: true, Message: fmt.Sprintf(format, args...)})
}

// failed tells what is wrong, and that it is.
func (p probe) failed(step string, err error) bool {
	if err == nil {
		return false
	}
	p.tell(provider.Finding{Step: step, Message: p.target.Reason(err)})
	return true
}

func (p probe) connect(ctx context.Context, server string) bool {
	step := "Connect to " + server
	c, err := p.DialServer(ctx, server)
	if p.failed(step, err) {
		return false
	}
	defer func() { _ = c.Close() }()
	if p.target.Security == pool.Plain {
		p.warn(step, "It answers, without encryption: whoever is on the way can read passwords. Choose ldaps or starttls.")
		return true
	}
	state, _ := c.TLSConnectionState()
	if len(state.PeerCertificates) > 0 {
		cert := state.PeerCertificates[0]
		p.ok(step, "It answers over TLS. Its certificate is of %s, valid until %s.", first(cert.Subject.CommonName, strings.Join(cert.DNSNames, ", ")), cert.NotAfter.Format("2 January 2006"))
	} else {
		p.ok(step, "It answers over TLS.")
	}
	return true
}

// countUpTo bounds counting: more than that is many.
const countUpTo = 1000

func (p probe) read(ctx context.Context) {
	step := "Sign in as " + p.target.User
	err := p.Use(ctx, func(c *pool.Conn) error {
		p.ok(step, "The service account is let in.")
		step = "Read the search base"
		base, err := p.searchBase(c)
		if err != nil {
			return err
		}
		root, err := c.At(base, "(objectClass=*)", "1.1")
		if err != nil {
			return err
		}
		if root == nil {
			return &ldap.Error{ResultCode: ldap.LDAPResultInsufficientAccessRights}
		}
		p.ok(step, "%s is there.", base)
		step = "Find people"
		if err := p.people(c); err != nil {
			return err
		}
		step = "Find groups"
		return p.groups(c)
	})
	p.failed(step, err)
}

func (p probe) people(c *pool.Conn) error {
	found, err := p.search(c, "(&"+p.schema.people+"("+p.schema.username+"=*))", p.accountAttributes(), countUpTo)
	if err != nil {
		return err
	}
	var example string
	without := 0
	for _, e := range found {
		a, ok := p.account(e)
		if !ok {
			without++
		} else if example == "" && !p.disabled(a, p.o.Now()) {
			example = p.assertion(a).Username
		}
	}
	switch {
	case len(found) == 0:
		p.tell(provider.Finding{Step: "Find people", Message: "Nobody matches the filter below the search base: check both, and that the service account may read people."})
	case without > 0:
		p.tell(provider.Finding{Step: "Find people", Message: fmt.Sprintf("%d of %d accounts have no %s, by which they could be known again: choose another attribute, or let the service account read it.", without, len(found), p.schema.id)})
	default:
		p.ok("Find people", "%s, such as %s.", many(len(found), "account"), first(example, "none that is in use"))
	}
	return nil
}

func (p probe) groups(c *pool.Conn) error {
	found, err := p.search(c, p.schema.groups, []string{p.schema.id, p.schema.groupName}, countUpTo)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		p.warn("Find groups", "There are none below the search base: people will be in no groups.")
		return nil
	}
	p.ok("Find groups", "%s, such as %s.", many(len(found), "group"), p.group(found[0]).Name)
	if p.nested != inChain {
		return nil
	}
	_, err = p.search(c, "(&"+p.schema.groups+"(member"+chainRule+"="+ldap.EscapeFilter(found[0].DN)+"))", []string{"1.1"}, 1)
	if err != nil {
		if pool.IsSilent(err) {
			return err
		}
		p.warn("Walk nested groups", "The server does not walk them itself (%s): ODCM does, step by step.", p.target.Reason(err))
		return nil
	}
	p.ok("Walk nested groups", "The server walks them itself.")
	return nil
}

func many(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case n >= countUpTo:
		return "At least " + strconv.Itoa(n) + " " + noun + "s"
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

func (p probe) keytab() {
	if p.tickets != nil {
		p.ok("Read the keytab", "It has keys for %s (%s). To try it, open the sign-in page from a machine of the domain.", p.tickets.Principal(), strings.Join(p.tickets.Keys(), "; "))
	}
}
