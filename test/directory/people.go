package directory

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/go-ldap/ldap/v3"
)

// Group names in the domain. Each holds the next: alice is in the last, and so in all.
const (
	Admins  = "Octopus-Admins"
	Team    = "Ops-Team"
	OnCall  = "Ops-Oncall"
	Viewers = "Octopus-Viewers" // holds bob
	Loop    = "Loop-A"          // holds Loop-B, which holds Loop-A and carol
	Empty   = "Developers"      // holds nobody
)

// People: alice, bob and carol may sign in; dave is disabled, erin's account has expired, frank must change the password, and
// "o'neil (ext) *" has a name full of signs.
const Awkward = "o'neil (ext) *"

// admin is a connection that may change everything.
func (d *Domain) admin() (*ldap.Conn, error) {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(d.CA))
	c, err := ldap.DialURL("ldaps://"+d.Address, ldap.DialWithTLSConfig(&tls.Config{RootCAs: roots, ServerName: Host, MinVersion: tls.VersionTLS12}),
		ldap.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}))
	if err != nil {
		return nil, err
	}
	c.SetTimeout(20 * time.Second)
	if err := c.Bind(Administrator, adminPassword); err != nil {
		return nil, fmt.Errorf("bind as administrator: %w: %w", err, c.Close())
	}
	return c, nil
}

func (d *Domain) change(f func(*ldap.Conn) error) error {
	c, err := d.admin()
	if err != nil {
		return err
	}
	defer c.Close()
	return f(c)
}

// PersonDN is the distinguished name of a person of the domain.
func PersonDN(name string) string { return "CN=" + ldap.EscapeDN(name) + ",OU=People," + Base }

// GroupDN is the distinguished name of a group of the domain.
func GroupDN(name string) string { return "CN=" + ldap.EscapeDN(name) + ",OU=Groups," + Base }

// unicodePwd is how Active Directory takes a password ([MS-ADTS] section 3.1.1.3.1.5): in quotes, as UTF-16.
func unicodePwd(password string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(`"` + password + `"`)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return string(b)
}

// Bits of userAccountControl ([MS-ADTS] section 2.2.16).
const (
	normalAccount = "512"
	disabled      = "514"
	noPassword    = "544"
)

func person(dn, name string, more map[string][]string) *ldap.AddRequest {
	r := ldap.NewAddRequest(dn, nil)
	r.Attribute("objectClass", []string{"user"})
	r.Attribute("sAMAccountName", []string{name})
	r.Attribute("userPrincipalName", []string{strings.ReplaceAll(name, " ", ".") + "@" + DNSName})
	for attribute, values := range more {
		r.Attribute(attribute, values)
	}
	return r
}

// AddPerson adds somebody who may sign in with Password.
func (d *Domain) AddPerson(name string) error {
	return d.change(func(c *ldap.Conn) error { return c.Add(d.newPerson(name)) })
}

func (d *Domain) newPerson(name string) *ldap.AddRequest {
	display := strings.ToUpper(name[:1]) + name[1:] + " Test"
	return person(PersonDN(name), strings.NewReplacer("*", "", "(", "", ")", "").Replace(name), map[string][]string{"displayName": {display},
		"mail": {strings.Split(name, " ")[0] + "@mail.test"}, "userAccountControl": {normalAccount}, "unicodePwd": {unicodePwd(Password)}})
}

func addGroup(c *ldap.Conn, name string, members ...string) error {
	r := ldap.NewAddRequest(GroupDN(name), nil)
	r.Attribute("objectClass", []string{"group"})
	r.Attribute("sAMAccountName", []string{name})
	if len(members) > 0 {
		r.Attribute("member", members)
	}
	return c.Add(r)
}

// AddMember puts the entry with the distinguished name into a group.
func (d *Domain) AddMember(group, dn string) error { return d.member(group, dn, true) }

// RemoveMember takes the entry out of the group.
func (d *Domain) RemoveMember(group, dn string) error { return d.member(group, dn, false) }

func (d *Domain) member(group, dn string, in bool) error {
	return d.change(func(c *ldap.Conn) error {
		r := ldap.NewModifyRequest(GroupDN(group), nil)
		if in {
			r.Add("member", []string{dn})
		} else {
			r.Delete("member", []string{dn})
		}
		return c.Modify(r)
	})
}

// Disable disables a person's account, or enables it again.
func (d *Domain) Disable(name string, off bool) error {
	control := normalAccount
	if off {
		control = disabled
	}
	return d.Set(PersonDN(name), "userAccountControl", control)
}

// Set replaces an attribute's values.
func (d *Domain) Set(dn, attribute string, values ...string) error {
	return d.change(func(c *ldap.Conn) error { return set(c, dn, attribute, values...) })
}

func set(c *ldap.Conn, dn, attribute string, values ...string) error {
	r := ldap.NewModifyRequest(dn, nil)
	r.Replace(attribute, values)
	return c.Modify(r)
}

// Delete removes an entry.
func (d *Domain) Delete(dn string) error {
	return d.change(func(c *ldap.Conn) error { return c.Del(ldap.NewDelRequest(dn, nil)) })
}

// seed fills a new domain.
func (d *Domain) seed(ctx context.Context) error {
	if err := d.change(d.fill); err != nil {
		return err
	}
	return run(ctx, nil, "samba-tool", "domain", "exportkeytab", d.path("http.keytab"), "--principal="+ServicePrincipal+"@"+Realm, "-s", d.path("etc/smb.conf"))
}

func (d *Domain) fill(c *ldap.Conn) error {
	for _, name := range []string{"People", "Groups", "Many"} {
		r := ldap.NewAddRequest("OU="+name+","+Base, nil)
		r.Attribute("objectClass", []string{"organizationalUnit"})
		if err := c.Add(r); err != nil {
			return err
		}
	}
	for _, name := range []string{"alice", "bob", "carol", "dave", "erin", "frank", Awkward} {
		if err := c.Add(d.newPerson(name)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	service := PersonDN("svc-odcm")
	if err := c.Add(person(service, "svc-odcm", map[string][]string{"userAccountControl": {normalAccount}, "unicodePwd": {unicodePwd(Password)},
		"servicePrincipalName": {ServicePrincipal}, "msDS-SupportedEncryptionTypes": {"24"}})); err != nil { // AES128 and AES256
		return err
	}
	for _, v := range [][3]string{
		{PersonDN("dave"), "userAccountControl", disabled},
		{PersonDN("erin"), "accountExpires", "132223104000000000"}, // 1 January 2020
		{PersonDN("frank"), "pwdLastSet", "0"},
	} {
		if err := set(c, v[0], v[1], v[2]); err != nil {
			return fmt.Errorf("%s of %s: %w", v[1], v[0], err)
		}
	}
	for _, g := range []struct {
		name    string
		members []string
	}{
		{OnCall, []string{PersonDN("alice")}}, {Team, []string{GroupDN(OnCall)}}, {Admins, []string{GroupDN(Team)}}, {Viewers, []string{PersonDN("bob")}},
		{"Loop-B", []string{PersonDN("carol")}}, {Loop, []string{GroupDN("Loop-B")}}, {Empty, nil},
	} {
		if err := addGroup(c, g.name, g.members...); err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
	}
	loop := ldap.NewModifyRequest(GroupDN("Loop-B"), nil)
	loop.Add("member", []string{GroupDN(Loop)})
	if err := c.Modify(loop); err != nil {
		return err
	}
	for i := 1; i <= Many; i++ {
		name := fmt.Sprintf("many%04d", i)
		if err := c.Add(person("CN="+name+",OU=Many,"+Base, name, map[string][]string{"userAccountControl": {noPassword}})); err != nil {
			return err
		}
	}
	return nil
}

// Ticket signs a person in as Windows does. The environment is for programs that shall use the ticket.
func (d *Domain) Ticket(ctx context.Context, name, password string) (env []string, err error) {
	cache, err := os.CreateTemp(d.dir, "tickets-*")
	if err != nil {
		return nil, err
	}
	if err := cache.Close(); err != nil {
		return nil, err
	}
	env = []string{"KRB5_CONFIG=" + d.path("krb5.conf"), "KRB5CCNAME=FILE:" + cache.Name()}
	return env, d.kinit(ctx, env, name, password)
}
