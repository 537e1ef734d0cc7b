package ldap

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"odcm"
	"odcm/manager/identity/ldap/msid"
	"odcm/manager/identity/ldap/pool"
	"odcm/manager/identity/person"
	"odcm/manager/identity/provider"
)

// directory is a source: [provider.Passwords], [provider.Domains] and [provider.Directory].
type directory struct {
	*settings
	*pool.Pool
	o Options
}

func newDirectory(s *settings, o Options) *directory {
	return &directory{settings: s, Pool: pool.New(s.target, o.Allow, o.Now), o: o}
}

// Close implements [provider.Source].
func (d *directory) Close() error {
	d.Pool.Close()
	return nil
}

// Domains implements [provider.Domains].
func (d *directory) Domains() []string {
	return slices.DeleteFunc([]string{d.domain, d.netbios}, func(s string) bool { return s == "" })
}

// Verify implements [provider.Passwords].
func (d *directory) Verify(ctx context.Context, username, password string) (a person.Assertion, err error) {
	defer func() { err = d.explain(err) }()
	if password == "" { // would be a bind as nobody, which succeeds (RFC 4513 section 5.1.2)
		return a, wrongPassword()
	}
	var who account
	if err := d.Use(ctx, func(c *pool.Conn) error {
		who, err = d.find(c, username)
		return err
	}); err != nil {
		return a, err
	}
	if err := d.check(ctx, who, password); err != nil {
		return a, err
	}
	if d.disabled(who, d.o.Now()) { // a directory that lets such an account bind says so all the same
		return a, d.refuse(pool.AccountDisabled())
	}
	return d.complete(ctx, who)
}

// check binds as the person, on a connection of its own.
func (d *directory) check(ctx context.Context, who account, password string) error {
	c, err := d.Dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	err = c.Bounded(ctx, func() error { return c.Bind(who.DN, password) })
	if r, ok := pool.RefusalOf(err); ok {
		return d.refuse(r)
	}
	if ldap.IsErrorAnyOf(err, ldap.LDAPResultInvalidCredentials, ldap.LDAPResultInappropriateAuthentication) {
		return wrongPassword()
	}
	return err
}

func (d *directory) refuse(r pool.Refusal) error {
	return odcm.E(odcm.Denied, r.Code, "%s.", r.Message)
}

func wrongPassword() error {
	return odcm.E(odcm.Unauthenticated, "identity.sign-in-failed", "The username or the password is not right.")
}

// complete adds the groups. That they cannot be read keeps nobody out: those that were known stay.
func (d *directory) complete(ctx context.Context, who account) (person.Assertion, error) {
	a := d.assertion(who)
	err := d.Use(ctx, func(c *pool.Conn) (err error) {
		a.Groups, a.GroupsKnown, err = d.groupsOf(c, who)
		return err
	})
	if err != nil {
		d.o.Logger.WarnContext(ctx, "groups could not be read", "provider", d.id, "error", err)
		a.Groups, a.GroupsKnown = nil, false
	}
	return a, nil
}

// People implements [provider.Directory].
func (d *directory) People(ctx context.Context, subjects []string) iter.Seq2[provider.Person, error] {
	return func(yield func(provider.Person, error) bool) {
		for chunk := range slices.Chunk(subjects, perFilter) {
			var people []provider.Person
			err := d.Use(ctx, func(c *pool.Conn) (err error) {
				people, err = d.people(c, chunk)
				return err
			})
			if err != nil {
				yield(provider.Person{}, d.explain(err))
				return
			}
			for _, p := range people {
				if !yield(p, nil) {
					return
				}
			}
		}
	}
}

func (d *directory) people(c *pool.Conn, subjects []string) ([]provider.Person, error) {
	found, err := d.bySubject(c, d.schema.people, subjects)
	if err != nil {
		return nil, err
	}
	groups, err := newWalk(d.settings, c).of(found)
	if err != nil {
		return nil, err
	}
	var people []provider.Person
	missing := make(map[string]bool, len(subjects))
	for _, s := range subjects {
		missing[s] = true
	}
	for _, a := range found {
		p := provider.Person{Assertion: d.assertion(a), Disabled: d.disabled(a, d.o.Now())}
		p.Groups, p.GroupsKnown = groups[a.subject], groups[a.subject] != nil
		people = append(people, p)
		delete(missing, a.subject)
	}
	if len(missing) == 0 {
		return people, nil
	}
	rest, err := d.absent(c, slices.DeleteFunc(slices.Clone(subjects), func(s string) bool { return !missing[s] }))
	return append(people, rest...), err
}

// absent tells of those who were not found among the people that may sign in: still there, or gone. Gone is said only where
// the search base can be read.
func (d *directory) absent(c *pool.Conn, subjects []string) ([]provider.Person, error) {
	base, err := d.searchBase(c)
	if err != nil {
		return nil, err
	}
	root, err := c.At(base, "(objectClass=*)", "1.1")
	if err != nil {
		return nil, err
	}
	if root == nil {
		return nil, odcm.E(odcm.Unavailable, "ldap.base-unreadable", "The search base %s cannot be read: check it, and the rights of the service account.", base)
	}
	there, err := d.bySubject(c, "(objectClass=*)", subjects)
	if err != nil {
		return nil, err
	}
	var people []provider.Person
	for _, a := range there { // the filter leaves it out
		people = append(people, provider.Person{Assertion: d.assertion(a), Disabled: true})
	}
	for _, s := range subjects {
		if !slices.ContainsFunc(there, func(a account) bool { return a.subject == s }) {
			people = append(people, provider.Person{Assertion: person.Assertion{Provider: d.id, Subject: s}, Gone: true})
		}
	}
	return people, nil
}

// bySubject reads accounts by what never changes.
func (d *directory) bySubject(c *pool.Conn, filter string, subjects []string) ([]account, error) {
	var alternatives strings.Builder
	for _, s := range subjects {
		if raw, ok := msid.ParseGUID(s); d.schema.active && ok {
			alternatives.WriteString(bytesFilter(d.schema.id, raw))
		} else if !d.schema.active {
			alternatives.WriteString("(" + d.schema.id + "=" + ldap.EscapeFilter(s) + ")")
		}
	}
	if alternatives.Len() == 0 {
		return nil, nil
	}
	entries, err := d.search(c, fmt.Sprintf("(&%s(|%s))", filter, alternatives.String()), d.accountAttributes(), len(subjects))
	if err != nil {
		return nil, err
	}
	var found []account
	for _, e := range entries {
		if a, ok := d.account(e); ok && slices.Contains(subjects, a.subject) {
			found = append(found, a)
		}
	}
	return found, nil
}

// FindGroups implements [provider.Directory].
func (d *directory) FindGroups(ctx context.Context, text string, limit int) (groups []person.ExternalGroup, err error) {
	defer func() { err = d.explain(err) }()
	attributes := []string{d.schema.id, d.schema.groupName}
	filter := "(&" + d.schema.groups + contains(text, d.schema.groupName) + ")"
	err = d.Use(ctx, func(c *pool.Conn) error {
		entries, err := d.search(c, filter, attributes, limit)
		groups = nil
		for _, e := range entries {
			if g := d.group(e); g.ID != "" {
				groups = append(groups, g)
			}
		}
		return err
	})
	slices.SortFunc(groups, func(a, b person.ExternalGroup) int { return strings.Compare(a.Name, b.Name) })
	return groups, err
}

// FindPeople implements [provider.Directory].
func (d *directory) FindPeople(ctx context.Context, text string, limit int) (people []person.Assertion, err error) {
	defer func() { err = d.explain(err) }()
	filter := "(&" + d.schema.people + contains(text, d.schema.username, d.schema.displayName, d.schema.mail) + ")"
	err = d.Use(ctx, func(c *pool.Conn) error {
		entries, err := d.search(c, filter, d.accountAttributes(), limit)
		people = nil
		for _, e := range entries {
			if a, ok := d.account(e); ok {
				people = append(people, d.assertion(a))
			}
		}
		return err
	})
	slices.SortFunc(people, func(a, b person.Assertion) int { return strings.Compare(a.Username, b.Username) })
	return people, err
}

// contains is a filter for entries that have the text in one of the attributes; for all entries where there is no text.
func contains(text string, attributes ...string) string {
	if text = strings.TrimSpace(text); text == "" {
		return ""
	}
	var b strings.Builder
	b.WriteString("(|")
	for _, a := range attributes {
		if a != "" {
			b.WriteString("(" + a + "=*" + ldap.EscapeFilter(text) + "*)")
		}
	}
	return b.String() + ")"
}
