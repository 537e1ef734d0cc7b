package ldap

import (
	"context"
	"strconv"
	"strings"

	"odcm"
	"odcm/manager/identity/ldap/msid"
	"odcm/manager/identity/ldap/pool"
	"odcm/manager/identity/person"
	"odcm/manager/identity/provider"
)

// active is Active Directory, which also tells what changed: [provider.Watched].
type active struct{ *directory }

// maxChanged is how many changed accounts are told one by one.
const maxChanged = 1000

// Changes implements [provider.Watched]. Each domain controller counts the changes that reached it, its update sequence
// numbers (USN, [MS-ADTS] section 3.1.1.1.9): a mark is such a number, with the invocation identifier of the database that
// counts. After a change of server, or a restoration from a backup, the mark is nobody's, and everything is read.
func (d *active) Changes(ctx context.Context, mark string) (found provider.Changes, err error) {
	defer func() { err = d.explain(err) }()
	err = d.Use(ctx, func(c *pool.Conn) error {
		found = provider.Changes{}
		root, err := c.Server("highestCommittedUSN", "dsServiceName")
		if err != nil {
			return err
		}
		usn, err := strconv.ParseUint(root.GetEqualFoldAttributeValue("highestCommittedUSN"), 10, 63)
		if err != nil {
			return odcm.E(odcm.Unsupported, "ldap.no-changes", "The server does not tell what changed.").Because(err)
		}
		database := counter(c, root.GetEqualFoldAttributeValue("dsServiceName"))
		found.Mark = database + ":" + strconv.FormatUint(usn, 10)
		if mark == found.Mark {
			return nil
		}
		was, text, _ := strings.Cut(mark, ":")
		since, err := strconv.ParseUint(text, 10, 63)
		if err != nil || was != database || since > usn {
			found.All = true
			return nil
		}
		return d.changed(c, since, &found)
	})
	return found, err
}

// counter is the invocation identifier of the server's database, or its name where that may not be read.
func counter(c *pool.Conn, service string) string {
	e, err := c.At(service, "(objectClass=*)", "invocationId")
	if err == nil && e != nil {
		if id := msid.GUID(e.GetEqualFoldRawAttributeValue("invocationId")); id != "" {
			return id
		}
	}
	return strings.ReplaceAll(service, ":", "-")
}

func (d *active) changed(c *pool.Conn, since uint64, found *provider.Changes) error {
	filter := "(&(uSNChanged>=" + strconv.FormatUint(since+1, 10) + ")(|(objectClass=group)(&(objectCategory=person)(objectClass=user))))"
	entries, err := d.search(c, filter, []string{d.schema.id, "objectClass"}, maxChanged)
	if err != nil {
		return err
	}
	for _, e := range entries {
		for _, class := range e.GetEqualFoldAttributeValues("objectClass") {
			if strings.EqualFold(class, "group") {
				found.All = true
			}
		}
		if id := d.idOf(e); id != "" {
			found.People = append(found.People, id)
		}
	}
	if found.All = found.All || len(entries) >= maxChanged; found.All {
		found.People = nil
	}
	return nil
}

// windows is Active Directory with Integrated Windows sign-in: [provider.Tickets].
type windows struct{ active }

// Accept implements [provider.Tickets]. The ticket proves who it is; the directory says whether the account may be used now,
// and its groups: those in a ticket are as old as the ticket.
func (d *windows) Accept(ctx context.Context, token []byte, remoteAddress string) (a person.Assertion, reply []byte, err error) {
	ticket, reply, err := d.tickets.Accept(token, remoteAddress)
	if err != nil {
		return a, reply, err
	}
	defer func() { err = d.explain(err) }()
	if !strings.EqualFold(ticket.Realm, d.domain) {
		return a, nil, odcm.E(odcm.Denied, "ldap.realm-foreign", "%s is of the domain %s: sign in with a password.", ticket.Name, ticket.Realm)
	}
	var who account
	if err := d.Use(ctx, func(c *pool.Conn) error {
		who, err = d.ticketHolder(c, ticket.Name, ticket.SID)
		return err
	}); err != nil {
		if odcm.KindOf(err) == odcm.NotFound {
			err = odcm.E(odcm.Denied, "ldap.user-unknown", "%s may not sign in here.", ticket.Name).Because(err)
		}
		return a, nil, err
	}
	if d.disabled(who, d.o.Now()) { // a ticket lives on for hours
		return a, nil, d.refuse(pool.AccountDisabled())
	}
	if a, err = d.complete(ctx, who); err != nil {
		return a, nil, err
	}
	a.Method = "kerberos"
	return a, reply, nil
}

// ticketHolder looks by the security identifier in the ticket, which stays when a name goes to somebody else.
func (d *windows) ticketHolder(c *pool.Conn, name, sid string) (account, error) {
	raw, ok := msid.ParseSID(sid)
	if !ok {
		return d.find(c, d.netbios+`\`+name)
	}
	found, err := d.search(c, "(&"+d.schema.people+bytesFilter(attrSID, raw)+")", d.accountAttributes(), 1)
	if err != nil {
		return account{}, err
	}
	if len(found) == 1 {
		if a, ok := d.account(found[0]); ok {
			return a, nil
		}
	}
	return account{}, noUser()
}
