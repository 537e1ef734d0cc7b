package ldap

import (
	"log/slog"
	"net/netip"
	"time"

	"odcm"
	"odcm/manager/identity/provider"
)

// Options are what the connectors need.
type Options struct {
	// Allow says whether an address may be dialled (egress.Policy.Check); nil allows all.
	Allow  func(netip.Addr) error
	Logger *slog.Logger // slog.Default if nil
	Now    func() time.Time
}

func (o Options) withDefaults() Options {
	if o.Allow == nil {
		o.Allow = func(netip.Addr) error { return nil }
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Connectors are the kinds of this package: Active Directory, and any LDAP directory.
func Connectors(o Options) []provider.Connector {
	o = o.withDefaults()
	return []provider.Connector{activeDirectory{o}, anyDirectory{o}}
}

type activeDirectory struct{ o Options }

func (activeDirectory) Kind() provider.Kind { return provider.ActiveDirectory }

const activePeople = "(&(objectCategory=person)(objectClass=user))"

func (activeDirectory) Fields() []provider.Field {
	const people, groups, windows = "Who may sign in", "Groups", "Integrated Windows sign-in"
	fields := []provider.Field{
		{Name: "domain", Label: "Domain", Required: true, Help: "Its DNS name, such as corp.example.com. People may sign in as bob@corp.example.com."},
		{Name: "netbios", Label: "Short name", Required: true, Help: `As in CORP\bob, what Windows calls the NetBIOS name.`},
	}
	fields = append(fields, connectionFields()...)
	fields = append(fields,
		provider.Field{Name: "base", Label: "Search base", Section: people, Help: "Only accounts and groups below it count: OU=Staff,DC=corp,DC=example,DC=com. The whole domain where empty."},
		provider.Field{Name: "peopleFilter", Label: "Filter", Section: people, Default: activePeople, Advanced: true,
			Help: "Only accounts that match may sign in. Who no longer matches is signed out."},
	)
	fields = append(fields, admissionFields()...)
	return append(fields,
		provider.Field{Name: "nested", Label: "Nested groups", Section: groups, Default: string(inChain), Options: []string{string(inChain), string(stepByStep), string(direct)}, Advanced: true,
			Help: "Where the server does not walk them, ODCM does, step by step. What is left out grants nothing."},
		provider.Field{Name: "groupFilter", Label: "Filter of groups", Section: groups, Default: "(objectClass=group)", Advanced: true, Help: "Only groups that match are seen."},
		provider.Field{Name: "kerberos", Label: "Sign people in by their Windows session", Section: windows, Default: "false", Options: []string{"true", "false"},
			Help: "Browsers of machines in the domain then sign in by Kerberos, without a password."},
		provider.Field{Name: "servicePrincipal", Label: "Service principal", Section: windows, Help: "HTTP/odcm.corp.example.com, the name under which people reach ODCM. Set it with: setspn -S HTTP/odcm.corp.example.com account"},
		provider.Field{Name: "keytab", Label: "Keytab", Section: windows, Secret: true, File: true, Max: 64 << 10,
			Help: "Made with ktpass /crypto AES256-SHA1 for the account that has the service principal. It is kept sealed."},
	)
}

func (c activeDirectory) Open(p provider.Provider, _ string) (provider.Source, error) {
	schema := schema{active: true, id: "objectGUID", username: "sAMAccountName", displayName: "displayName", mail: "mail",
		people: or(p.Settings["peopleFilter"], activePeople), groups: or(p.Settings["groupFilter"], "(objectClass=group)"), groupName: "cn", memberOf: "memberOf"}
	if p.Settings["nested"] == "" {
		p.Settings = with(p.Settings, "nested", string(inChain))
	}
	s, err := parse(p, schema)
	if err != nil {
		return nil, err
	}
	if !isDomain(s.domain) {
		return nil, odcm.E(odcm.Invalid, "ldap.domain-invalid", "%q is no domain: give its DNS name, such as corp.example.com.", s.domain).OnField("domain")
	}
	if s.tickets, err = acceptor(p); err != nil {
		return nil, err
	}
	d := newDirectory(s, c.o)
	if s.tickets != nil {
		return &windows{active{d}}, nil
	}
	return &active{d}, nil
}

type anyDirectory struct{ o Options }

func (anyDirectory) Kind() provider.Kind { return provider.LDAP }

const anyGroups = "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames))"

func (anyDirectory) Fields() []provider.Field {
	const people, groups = "Who may sign in", "Groups"
	fields := append(connectionFields(),
		provider.Field{Name: "base", Label: "Search base", Section: people, Required: true, Help: "Accounts and groups are looked for below it: dc=example,dc=com"},
		provider.Field{Name: "peopleFilter", Label: "Filter", Section: people, Default: "(objectClass=inetOrgPerson)", Help: "Only accounts that match may sign in. Who no longer matches is signed out."},
		provider.Field{Name: "domain", Label: "Domain", Section: people, Help: "Where people may add it to their names, as in bob@example.com.", Advanced: true},
		provider.Field{Name: "usernameAttribute", Label: "Attribute of the username", Section: people, Default: "uid", Advanced: true},
		provider.Field{Name: "nameAttribute", Label: "Attribute of the name", Section: people, Default: "cn", Advanced: true},
		provider.Field{Name: "mailAttribute", Label: "Attribute of the e-mail address", Section: people, Default: "mail", Advanced: true},
		provider.Field{Name: "idAttribute", Label: "Attribute that never changes", Section: people, Default: "entryUUID", Advanced: true,
			Help: "By it people and groups are known again: entryUUID, nsUniqueId, ipaUniqueID."},
	)
	fields = append(fields, admissionFields()...)
	return append(fields,
		provider.Field{Name: "groupFilter", Label: "Filter of groups", Section: groups, Default: anyGroups, Advanced: true},
		provider.Field{Name: "groupNameAttribute", Label: "Attribute of a group's name", Section: groups, Default: "cn", Advanced: true},
		provider.Field{Name: "memberAttribute", Label: "Attribute of a group's members", Section: groups, Default: "member", Advanced: true},
		provider.Field{Name: "memberOfAttribute", Label: "Attribute of an entry's groups", Section: groups, Advanced: true,
			Help: "memberOf, where the directory keeps it: it is faster. Where empty, groups are searched by their members."},
		provider.Field{Name: "nested", Label: "Nested groups", Section: groups, Default: string(stepByStep), Options: []string{string(stepByStep), string(direct)}, Advanced: true},
	)
}

func (c anyDirectory) Open(p provider.Provider, _ string) (provider.Source, error) {
	v := p.Settings
	s, err := parse(p, schema{id: or(v["idAttribute"], "entryUUID"), username: or(v["usernameAttribute"], "uid"), displayName: or(v["nameAttribute"], "cn"),
		mail: or(v["mailAttribute"], "mail"), people: or(v["peopleFilter"], "(objectClass=inetOrgPerson)"), groups: or(v["groupFilter"], anyGroups),
		groupName: or(v["groupNameAttribute"], "cn"), memberOf: v["memberOfAttribute"], member: or(v["memberAttribute"], "member")})
	if err != nil {
		return nil, err
	}
	if s.base == "" {
		return nil, odcm.E(odcm.Invalid, "ldap.base-missing", "Give the search base, such as dc=example,dc=com.").OnField("base")
	}
	return newDirectory(s, c.o), nil
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

func with(m map[string]string, key, value string) map[string]string {
	n := map[string]string{key: value}
	for k, v := range m {
		if k != key {
			n[k] = v
		}
	}
	return n
}

// isDomain takes a host name of at least one label (RFC 1123 section 2.1).
func isDomain(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.' {
			return false
		}
	}
	return true
}
