package ldap

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"odcm"
	"odcm/manager/identity/kerberos"
	"odcm/manager/identity/ldap/pool"
	"odcm/manager/identity/provider"
)

// settings are what an administrator chose, checked.
type settings struct {
	id     odcm.ProviderID
	name   string // of the provider, for messages
	target pool.Target
	base   string // where to search; from the server's own word where empty

	domain  string // "example.com"
	netbios string // "EXAMPLE"
	schema  schema
	nested  nesting
	admit   bool
	vouch   bool // e-mail addresses count as verified

	tickets *kerberos.Acceptor // nil without Integrated Windows sign-in
}

type nesting string

const (
	inChain    nesting = "in-chain"
	stepByStep nesting = "step-by-step"
	direct     nesting = "direct"
)

// schema is how a sort of directory names things.
type schema struct {
	active      bool // Active Directory: GUIDs and SIDs are bytes, accounts have control bits
	id          string
	username    string
	displayName string
	mail        string
	people      string // filter
	groups      string // filter
	groupName   string
	memberOf    string // of a person or group: the groups that it is in; "" where groups are to be searched by member
	member      string // of a group, where memberOf is empty
}

const (
	maxServers = 8
	maxPEM     = 64 << 10
)

// connectionFields are the same for both kinds. The order is that of the form.
func connectionFields() []provider.Field {
	const section = "Connection"
	return []provider.Field{
		{Name: "servers", Label: "Servers", Section: section, Required: true, Multi: true,
			Help: "One a line, such as dc1.example.com or dc1.example.com:636. The first that answers is used."},
		{Name: "security", Label: "Encryption", Section: section, Default: string(pool.OverTLS), Options: []string{string(pool.OverTLS), string(pool.StartTLS), string(pool.Plain)},
			Help: "StartTLS changes to TLS on the plain port. Without encryption everybody on the way can read passwords."},
		{Name: "ca", Label: "Certificate authority", Section: section, Multi: true, Max: maxPEM,
			Help: "In PEM, from BEGIN CERTIFICATE to END CERTIFICATE. Leave it empty where this machine trusts the servers' certificates already."},
		{Name: "serverName", Label: "Name in the certificate", Section: section, Advanced: true, Help: "Where the servers' certificate has another name than the one above."},
		{Name: "bindUser", Label: "Service account", Section: section, Required: true,
			Help: "It reads people and groups, and needs no other right: reader@example.com, or a distinguished name."},
		{Name: "bindPassword", Label: "Its password", Section: section, Required: true, Secret: true},
	}
}

func admissionFields() []provider.Field {
	const section = "Who may sign in"
	return []provider.Field{
		{Name: "admit", Label: "Let people in who are new", Section: section, Default: "true", Options: []string{"true", "false"},
			Help: "Who signs in for the first time becomes a user. Otherwise only people who were invited or linked may sign in."},
		{Name: "vouch", Label: "Believe e-mail addresses", Section: section, Default: "false", Options: []string{"true", "false"}, Advanced: true,
			Help: "Take addresses in the directory for verified. Only where people cannot change their own."},
	}
}

func parse(p provider.Provider, schema schema) (*settings, error) {
	get := func(name, otherwise string) string {
		if v := p.Settings[name]; v != "" {
			return v
		}
		return otherwise
	}
	s := &settings{id: p.ID, name: p.Name, base: get("base", ""), target: pool.Target{Name: p.Name, Security: pool.Security(get("security", string(pool.OverTLS))),
		User: get("bindUser", ""), Password: p.Secrets["bindPassword"]}, domain: strings.ToLower(get("domain", "")),
		netbios: get("netbios", ""), schema: schema, nested: nesting(get("nested", string(stepByStep))),
		admit: get("admit", "true") == "true", vouch: get("vouch", "false") == "true"}
	var err error
	if s.target.Servers, err = servers(get("servers", ""), s.target.Security); err != nil {
		return nil, err
	}
	if s.target.Security != pool.Plain {
		if s.target.TLS, err = tlsConfig(get("ca", ""), get("serverName", "")); err != nil {
			return nil, err
		}
	}
	if s.base != "" {
		if _, err := ldap.ParseDN(s.base); err != nil {
			return nil, odcm.E(odcm.Invalid, "ldap.base-invalid", "The search base is no distinguished name: it looks like OU=Staff,DC=example,DC=com.").OnField("base").Because(err)
		}
	}
	for field, filter := range map[string]string{"peopleFilter": s.schema.people, "groupFilter": s.schema.groups} {
		if _, err := ldap.CompileFilter(filter); err != nil {
			return nil, odcm.E(odcm.Invalid, "ldap.filter-invalid", "%q is no filter: one looks like (&(objectClass=user)(department=IT)).", filter).OnField(field).Because(err)
		}
	}
	for field, attribute := range map[string]string{"idAttribute": s.schema.id, "usernameAttribute": s.schema.username, "nameAttribute": s.schema.displayName,
		"mailAttribute": s.schema.mail, "groupNameAttribute": s.schema.groupName, "memberOfAttribute": s.schema.memberOf, "memberAttribute": s.schema.member} {
		if !isAttribute(attribute) {
			return nil, odcm.E(odcm.Invalid, "ldap.attribute-invalid", "%q is no name of an attribute.", attribute).OnField(field)
		}
	}
	return s, nil
}

// isAttribute takes an attribute description (RFC 4512 section 2.5) without options: what else people type would end up in
// filters. "" is for attributes that a directory does not have.
func isAttribute(name string) bool {
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.' {
			return false
		}
	}
	return true
}

// servers reads one host a line, with or without its port.
func servers(text string, s pool.Security) ([]string, error) {
	var list []string
	for line := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune("\r\n\t ,;", r) }) {
		host, port, err := net.SplitHostPort(line)
		if err != nil {
			host, port = strings.Trim(line, "[]"), s.Port()
		}
		n, err := strconv.Atoi(port)
		if err != nil || n < 1 || n > 65535 || host == "" || strings.ContainsAny(host, "/@?#%\\") || strings.Contains(host, ":") && net.ParseIP(host) == nil {
			return nil, odcm.E(odcm.Invalid, "ldap.server-invalid", "%q is no server: give its name or address, with its port where that is not %s.", line, s.Port()).OnField("servers")
		}
		list = append(list, net.JoinHostPort(host, port))
	}
	if len(list) == 0 || len(list) > maxServers {
		return nil, odcm.E(odcm.Invalid, "ldap.server-missing", "Give from one to %d servers.", maxServers).OnField("servers")
	}
	return list, nil
}

func tlsConfig(ca, serverName string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: serverName}
	if ca = strings.TrimSpace(ca); ca != "" {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM([]byte(ca)) {
			return nil, odcm.E(odcm.Invalid, "ldap.ca-invalid", "There is no certificate in it: give it as PEM text, from BEGIN CERTIFICATE to END CERTIFICATE.").OnField("ca")
		}
	}
	return c, nil
}

// acceptor opens the keytab for Integrated Windows sign-in.
func acceptor(p provider.Provider) (*kerberos.Acceptor, error) {
	if p.Settings["kerberos"] != "true" {
		return nil, nil
	}
	if p.Secrets["keytab"] == "" {
		return nil, odcm.E(odcm.Invalid, "ldap.keytab-missing", "Integrated Windows sign-in needs a keytab.").OnField("keytab")
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(p.Secrets["keytab"]))
	if err != nil {
		return nil, odcm.E(odcm.Invalid, "kerberos.keytab-invalid", "The keytab must be sent in base64.").OnField("keytab")
	}
	return kerberos.New(raw, p.Settings["servicePrincipal"])
}
