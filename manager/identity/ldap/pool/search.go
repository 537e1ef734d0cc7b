package pool

import (
	"time"

	"github.com/go-ldap/ldap/v3"

	"odcm"
)

// Below asks below the base for at most limit entries. That there are more is not an error: Active Directory answers with as
// many as were asked for.
func (c *Conn) Below(base, filter string, attributes []string, limit int) ([]*ldap.Entry, error) {
	r, err := c.Search(ldap.NewSearchRequest(base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, limit, seconds, false, filter, attributes, nil))
	if ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded) && r != nil {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	return r.Entries[:min(len(r.Entries), limit)], nil
}

const (
	seconds  = int(AskWithin / time.Second)
	pageSize = 500 // Active Directory gives at most 1,000 (MaxPageSize)
)

// All asks below the base page by page (RFC 2696), and fails where there are more entries than limit.
func (c *Conn) All(base, filter string, attributes []string, limit int, each func(*ldap.Entry)) error {
	paging := ldap.NewControlPaging(pageSize)
	for found := 0; ; {
		r, err := c.Search(ldap.NewSearchRequest(base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, seconds, false, filter, attributes, []ldap.Control{paging}))
		if err != nil {
			return err
		}
		if found += len(r.Entries); found > limit {
			return odcm.E(odcm.Invalid, "ldap.too-many", "More than %d entries were found.", limit)
		}
		for _, e := range r.Entries {
			each(e)
		}
		next, _ := ldap.FindControl(r.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging)
		if next == nil || len(next.Cookie) == 0 {
			return nil
		}
		paging.SetCookie(next.Cookie)
		c.meter.left.Store(maxAnswer)
	}
}

// At reads one entry: nil where there is none that matches.
func (c *Conn) At(dn, filter string, attributes ...string) (*ldap.Entry, error) {
	r, err := c.Search(ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 1, seconds, false, filter, attributes, nil))
	if err != nil || len(r.Entries) == 0 {
		return nil, err
	}
	return r.Entries[0], nil
}

// Server reads what the server says of itself (RFC 4512 section 5.1).
func (c *Conn) Server(attributes ...string) (*ldap.Entry, error) {
	e, err := c.At("", "(objectClass=*)", attributes...)
	if e == nil {
		e = &ldap.Entry{}
	}
	return e, err
}

// Domain is the root of the domain that the server holds.
func (c *Conn) Domain() (string, error) {
	if c.root != "" {
		return c.root, nil
	}
	server, err := c.Server("defaultNamingContext")
	if err != nil {
		return "", err
	}
	if c.root = server.GetEqualFoldAttributeValue("defaultNamingContext"); c.root == "" {
		return "", odcm.E(odcm.Invalid, "ldap.base-unknown", "The server does not say which domain it holds: give the search base.").OnField("base")
	}
	return c.root, nil
}
