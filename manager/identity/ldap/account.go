package ldap

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"odcm"
	"odcm/manager/identity/ldap/msid"
	"odcm/manager/identity/ldap/pool"
	"odcm/manager/identity/person"
)

// account is a person's entry.
type account struct {
	*ldap.Entry
	subject string
	sid     []byte // Active Directory only
}

// Attributes that only Active Directory has, and those by which others say that an account may not be used: 389 Directory
// Server and its kin, and OpenLDAP's password policy.
const (
	attrSID       = "objectSid"
	attrUPN       = "userPrincipalName"
	attrControl   = "userAccountControl"
	attrExpires   = "accountExpires"
	attrPrimary   = "primaryGroupID"
	attrLocked    = "nsAccountLock"
	attrLockedFor = "pwdAccountLockedTime"
)

func (s *settings) accountAttributes() []string {
	list := []string{s.schema.id, s.schema.username, s.schema.displayName}
	for _, a := range []string{s.schema.mail, s.schema.memberOf} {
		if a != "" {
			list = append(list, a)
		}
	}
	if s.schema.active {
		return append(list, attrSID, attrUPN, attrControl, attrExpires, attrPrimary)
	}
	return append(list, attrLocked, attrLockedFor)
}

// account reads an entry; false where it has no identifier, and so cannot be known again.
func (s *settings) account(e *ldap.Entry) (account, bool) {
	a := account{Entry: e, subject: s.idOf(e)}
	if s.schema.active {
		a.sid = e.GetEqualFoldRawAttributeValue(attrSID)
	}
	return a, a.subject != ""
}

func (s *settings) idOf(e *ldap.Entry) string {
	raw := e.GetEqualFoldRawAttributeValue(s.schema.id)
	if s.schema.active {
		return msid.GUID(raw)
	}
	return strings.ToValidUTF8(string(raw), "")
}

// name is a person's or group's name as people know it.
func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// assertion is what the account says of itself, without groups.
func (s *settings) assertion(a account) person.Assertion {
	username := a.GetEqualFoldAttributeValue(s.schema.username)
	n := person.Assertion{Provider: s.id, Subject: a.subject, Method: "ldap", Username: username,
		DisplayName: first(a.GetEqualFoldAttributeValue(s.schema.displayName), username), Admit: s.admit, Marks: map[string]string{"dn": a.DN}}
	if s.schema.mail != "" {
		n.Email = a.GetEqualFoldAttributeValue(s.schema.mail)
	}
	n.EmailVerified = s.vouch && n.Email != ""
	if s.schema.active {
		n.Marks["sam"] = s.netbios + `\` + username
		n.Marks["sid"] = msid.SID(a.sid)
		n.Marks["upn"] = first(a.GetEqualFoldAttributeValue(attrUPN), username+"@"+s.domain)
	}
	return n
}

// userAccountControl's bit ACCOUNTDISABLE ([MS-ADTS] section 2.2.16).
const accountDisabled = 2

// disabled tells whether the directory says that the account may not be used. Being locked for a while after wrong passwords
// does not count: it passes.
func (s *settings) disabled(a account, now time.Time) bool {
	if !s.schema.active {
		return strings.EqualFold(a.GetEqualFoldAttributeValue(attrLocked), "true") ||
			a.GetEqualFoldAttributeValue(attrLockedFor) == "000001010000Z" // locked for ever (draft-behera-ldap-password-policy section 5.3.3)
	}
	if control, err := strconv.ParseInt(a.GetEqualFoldAttributeValue(attrControl), 10, 64); err == nil && control&accountDisabled != 0 {
		return true
	}
	at, never := fileTime(a.GetEqualFoldAttributeValue(attrExpires))
	return !never && !at.After(now)
}

// fileTime reads 100-nanosecond steps since 1601; 0 and the largest number mean never ([MS-ADA1] section 2.1).
func fileTime(text string) (at time.Time, never bool) {
	const toUnix = 116444736000000000
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 || n >= 1<<62 {
		return time.Time{}, true
	}
	return time.Unix((n-toUnix)/1e7, 0), false
}

// find looks for the account that people mean by what they typed: NotFound where there is none, or more than one.
func (s *settings) find(c *pool.Conn, username string) (account, error) {
	names, err := s.names(username)
	if err != nil {
		return account{}, err
	}
	for _, filter := range names {
		found, err := s.search(c, "(&"+s.schema.people+filter+")", s.accountAttributes(), 2)
		switch {
		case err != nil:
			return account{}, err
		case len(found) > 1:
			return account{}, odcm.E(odcm.NotFound, "ldap.user-ambiguous", "%s has several accounts of this name.", s.name)
		case len(found) == 1:
			if a, ok := s.account(found[0]); ok {
				return a, nil
			}
		}
	}
	return account{}, noUser()
}

func noUser() error { return odcm.E(odcm.NotFound, "ldap.user-unknown", "There is no such user.") }

// names are the filters by which an account is looked for, the surest first: an account's own principal name outdoes the
// one that another's username and the domain make, and that an address, which need not be anybody's alone.
func (s *settings) names(username string) ([]string, error) {
	if len(username) > 256 || strings.ContainsRune(username, 0) {
		return nil, noUser()
	}
	is := func(attribute, value string) string { return "(" + attribute + "=" + ldap.EscapeFilter(value) + ")" }
	if domain, name, ok := strings.Cut(username, `\`); ok {
		if name == "" || !strings.EqualFold(domain, s.netbios) && !strings.EqualFold(domain, s.domain) {
			return nil, noUser()
		}
		return []string{is(s.schema.username, name)}, nil
	}
	at := strings.LastIndexByte(username, '@')
	if at < 0 {
		return []string{is(s.schema.username, username)}, nil
	}
	var filters []string
	if s.schema.active {
		filters = append(filters, is(attrUPN, username))
	} else {
		filters = append(filters, is(s.schema.username, username))
	}
	if s.domain != "" && strings.EqualFold(username[at+1:], s.domain) && at > 0 {
		filters = append(filters, is(s.schema.username, username[:at]))
	}
	if s.schema.mail != "" {
		filters = append(filters, is(s.schema.mail, username))
	}
	return filters, nil
}

// search asks below the search base for at most limit entries. That there are more is not an error: Active Directory answers
// with as many as were asked for.
func (s *settings) search(c *pool.Conn, filter string, attributes []string, limit int) ([]*ldap.Entry, error) {
	base, err := s.searchBase(c)
	if err != nil {
		return nil, err
	}
	return c.Below(base, filter, attributes, limit)
}

// searchAll asks below the search base for all entries, and fails where there are more than limit.
func (s *settings) searchAll(c *pool.Conn, filter string, attributes []string, limit int, each func(*ldap.Entry)) error {
	base, err := s.searchBase(c)
	if err != nil {
		return err
	}
	return c.All(base, filter, attributes, limit, each)
}

// searchBase is what the settings say, or the domain that the server says it holds.
func (s *settings) searchBase(c *pool.Conn) (string, error) {
	if s.base != "" {
		return s.base, nil
	}
	return c.Domain()
}

// bytesFilter writes a value of bytes into a filter (RFC 4515 section 3).
func bytesFilter(attribute string, b []byte) string {
	var text strings.Builder
	text.WriteString("(" + attribute + "=")
	for _, c := range b {
		fmt.Fprintf(&text, `\%02x`, c)
	}
	return text.String() + ")"
}

// explain turns what the network and the directory say into what people can act on.
func (s *settings) explain(err error) error {
	var known *odcm.Error
	if err == nil || errors.As(err, &known) || errors.Is(err, context.Canceled) {
		return err
	}
	return odcm.E(odcm.Unavailable, "ldap.unavailable", "%s", s.target.Reason(err)).Because(err)
}
