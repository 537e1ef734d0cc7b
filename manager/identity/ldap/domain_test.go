package ldap_test

import (
	"encoding/base64"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"odcm"
	"odcm/manager/identity/ldap"
	"odcm/manager/identity/person"
	"odcm/manager/identity/provider"
	"odcm/test/directory"
)

// of makes the settings of the domain, changed as the test wants; "" takes a setting away.
func of(d *directory.Domain, changes ...string) provider.Provider {
	p := provider.Provider{ID: "provider-ad", Kind: provider.ActiveDirectory, Name: "Test domain", Revision: 1,
		Settings: map[string]string{"domain": directory.DNSName, "netbios": directory.NetBIOS, "servers": d.Address, "serverName": directory.Host,
			"ca": d.CA, "bindUser": directory.Service},
		Secrets: map[string]string{"bindPassword": directory.Password}}
	for i := 0; i < len(changes); i += 2 {
		if changes[i] == "bindPassword" || changes[i] == "keytab" {
			p.Secrets[changes[i]] = changes[i+1]
		} else {
			p.Settings[changes[i]] = changes[i+1]
		}
	}
	return p
}

func open(t *testing.T, p provider.Provider) provider.Source {
	t.Helper()
	for _, c := range ldap.Connectors(ldap.Options{Logger: slog.New(slog.DiscardHandler)}) {
		if c.Kind() == p.Kind {
			s, err := c.Open(p, "")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			return s
		}
	}
	t.Fatalf("no connector for %s", p.Kind)
	return nil
}

func verify(t *testing.T, s provider.Source, username, password string) (person.Assertion, error) {
	t.Helper()
	return s.(provider.Passwords).Verify(t.Context(), username, password)
}

func names(groups []person.ExternalGroup) []string {
	var list []string
	for _, g := range groups {
		list = append(list, g.Name)
	}
	slices.Sort(list)
	return list
}

func findings(t *testing.T, s provider.Source) (list []provider.Finding) {
	t.Helper()
	s.Test(t.Context(), func(f provider.Finding) { list = append(list, f) })
	return list
}

// wrong returns what the test of the settings found wrong.
func wrong(t *testing.T, s provider.Source) string {
	t.Helper()
	var list []string
	for _, f := range findings(t, s) {
		if !f.OK {
			list = append(list, f.Step+": "+f.Message)
		}
	}
	return strings.Join(list, "\n")
}

func want(t *testing.T, got string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(got, part) {
			t.Errorf("%q is missing in %q", part, got)
		}
	}
}

// TestDomain works with a real domain. What changes the domain comes last, one after another.
func TestDomain(t *testing.T) {
	t.Parallel()
	d := directory.Start(t)
	s := open(t, of(d))
	t.Run("over TLS from the first byte", func(t *testing.T) { signIn(t, s) })
	t.Run("over StartTLS", func(t *testing.T) { signIn(t, open(t, of(d, "security", "starttls"))) })
	t.Run("names", func(t *testing.T) { checkNames(t, s) })
	t.Run("an empty password is not a bind as nobody", func(t *testing.T) {
		if _, err := verify(t, s, "alice", ""); odcm.KindOf(err) != odcm.Unauthenticated {
			t.Errorf("%v", err)
		}
	})
	t.Run("states of accounts", func(t *testing.T) { checkStates(t, s) })
	t.Run("groups", func(t *testing.T) { checkGroups(t, d) })
	t.Run("as any LDAP directory", func(t *testing.T) { checkAnyDirectory(t, d) })
	t.Run("the test explains", func(t *testing.T) { checkTest(t, d) })
	t.Run("pickers", func(t *testing.T) { checkPickers(t, s) })
	t.Run("thousands", func(t *testing.T) { checkThousands(t, d) })
	t.Run("Windows sign-in", func(t *testing.T) { checkTickets(t, d) })
	t.Run("changes are told", func(t *testing.T) { checkChanges(t, d, s) })
	t.Run("another server takes over", func(t *testing.T) {
		signIn(t, open(t, of(d, "servers", "127.77.0.250 "+d.Address)))
	})
	t.Run("a restarted server is found again", func(t *testing.T) {
		if err := d.Stop(); err != nil {
			t.Fatal(err)
		}
		if _, err := verify(t, s, "alice", directory.Password); odcm.KindOf(err) != odcm.Unavailable {
			t.Errorf("while it is down: %v", err)
		}
		if err := d.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		signIn(t, open(t, of(d)))
	})
}

func signIn(t *testing.T, s provider.Source) {
	t.Helper()
	a, err := verify(t, s, "alice", directory.Password)
	if err != nil {
		t.Fatal(err)
	}
	if a.Username != "alice" || a.DisplayName != "Alice Test" || a.Email != "alice@mail.test" || a.EmailVerified || len(a.Subject) != 36 || !a.Admit {
		t.Errorf("%+v", a)
	}
	if a.Marks["upn"] != "alice@odcm.test" || a.Marks["sam"] != `ODCM\alice` || !strings.HasPrefix(a.Marks["sid"], "S-1-5-21-") ||
		!strings.EqualFold(a.Marks["dn"], directory.PersonDN("alice")) {
		t.Errorf("marks %v", a.Marks)
	}
	if got := names(a.Groups); !a.GroupsKnown || !slices.Equal(got, nested) {
		t.Errorf("groups %v, want %v", got, nested)
	}
	if _, err := verify(t, s, "alice", "wrong"); odcm.CodeOf(err) != "identity.sign-in-failed" {
		t.Errorf("wrong password: %v", err)
	}
}

// nested are alice's groups: three deep, and those of the primary group.
var nested = []string{"Domain Users", directory.Admins, directory.OnCall, directory.Team, "Users"}

func checkNames(t *testing.T, s provider.Source) {
	for _, name := range []string{"alice", "ALICE", `ODCM\alice`, `odcm\Alice`, `odcm.test\alice`, "alice@odcm.test", "alice@mail.test"} {
		if a, err := verify(t, s, name, directory.Password); err != nil || a.Username != "alice" {
			t.Errorf("%s: %v, %v", name, a.Username, err)
		}
	}
	for _, name := range []string{"nobody", `OTHER\alice`, "alice@other.test", "*", "al*", "alice)(objectClass=*", `ODCM\*`, "*@odcm.test", "alice\x00", `\alice`, "@odcm.test",
		"alice)(|(objectClass=*", "\\2a", strings.Repeat("a", 300), "many0001)(x=", "\xff\xfe", "CN=alice"} {
		if _, err := verify(t, s, name, directory.Password); odcm.KindOf(err) != odcm.NotFound {
			t.Errorf("%q: %v", name, err)
		}
	}
	a, err := verify(t, s, strings.NewReplacer("*", "", "(", "", ")", "").Replace(directory.Awkward), directory.Password)
	if err != nil || a.DisplayName != "O"+directory.Awkward[1:]+" Test" {
		t.Errorf("%+v, %v", a, err)
	}
}

func checkStates(t *testing.T, s provider.Source) {
	for name, code := range map[string]string{"dave": "ldap.account-disabled", "erin": "ldap.account-expired", "frank": "ldap.password-must-change"} {
		_, err := verify(t, s, name, directory.Password)
		if odcm.KindOf(err) != odcm.Denied || odcm.CodeOf(err) != code {
			t.Errorf("%s: %v, want %s", name, err, code)
		}
		if _, err := verify(t, s, name, "wrong"); odcm.KindOf(err) != odcm.Unauthenticated {
			t.Errorf("%s with a wrong password: %v", name, err)
		}
	}
}

func checkGroups(t *testing.T, d *directory.Domain) {
	for how, want := range map[string][]string{"in-chain": nested, "step-by-step": nested, "direct": {"Domain Users", directory.OnCall}} {
		s := open(t, of(d, "nested", how))
		a, err := verify(t, s, "alice", directory.Password)
		if err != nil || !slices.Equal(names(a.Groups), want) {
			t.Errorf("%s: %v, %v", how, names(a.Groups), err)
		}
		p := read(t, s, a.Subject)
		if len(p) != 1 || !slices.Equal(p[0].Groups, a.Groups) && how != "in-chain" || how == "in-chain" && !slices.Equal(names(p[0].Groups), want) {
			t.Errorf("%s: read as %v, signed in as %v", how, p, a.Groups)
		}
	}
	t.Run("cycles end", func(t *testing.T) {
		for _, how := range []string{"in-chain", "step-by-step"} {
			a, err := verify(t, open(t, of(d, "nested", how)), "carol", directory.Password)
			if got := names(a.Groups); err != nil || !slices.Equal(got, []string{"Domain Users", directory.Loop, "Loop-B", "Users"}) {
				t.Errorf("%s: %v, %v", how, got, err)
			}
		}
	})
	t.Run("a filter leaves groups out but not the way through them", func(t *testing.T) {
		for _, how := range []string{"in-chain", "step-by-step"} {
			s := open(t, of(d, "nested", how, "groupFilter", "(&(objectClass=group)(cn=Octopus*))"))
			a, err := verify(t, s, "alice", directory.Password)
			if got := names(a.Groups); err != nil || !slices.Equal(got, []string{directory.Admins}) {
				t.Errorf("%s: %v, %v", how, got, err)
			}
			if p := read(t, s, a.Subject); !slices.Equal(names(p[0].Groups), []string{directory.Admins}) {
				t.Errorf("%s: read %v", how, p[0].Groups)
			}
		}
	})
}

func read(t *testing.T, s provider.Source, subjects ...string) (people []provider.Person) {
	t.Helper()
	for p, err := range s.(provider.Directory).People(t.Context(), subjects) {
		if err != nil {
			t.Fatal(err)
		}
		people = append(people, p)
	}
	return people
}

func checkTest(t *testing.T, d *directory.Domain) {
	if got := wrong(t, open(t, of(d))); got != "" {
		t.Errorf("right settings: %s", got)
	}
	other := directory.Authority(t)
	for name, c := range map[string]struct {
		changes []string
		parts   []string
	}{
		"a wrong authority":       {[]string{"ca", other}, []string{"was issued by CN=Test domain authority", "give that authority's certificate"}},
		"no authority":            {[]string{"ca", ""}, []string{"which is not trusted here"}},
		"a wrong name":            {[]string{"serverName", "dc9.other.test"}, []string{"is for dc1.odcm.test"}},
		"nobody listens":          {[]string{"servers", d.Address + ":1"}, []string{"Nothing listens at " + d.Address + ":1"}},
		"no TLS on that port":     {[]string{"servers", d.Address + ":389"}, []string{"Connect to " + d.Address + ":389"}},
		"a wrong password":        {[]string{"bindPassword", "wrong"}, []string{"Sign in as", "its name or password is wrong"}},
		"a disabled service":      {[]string{"bindUser", "dave@odcm.test"}, []string{"this account is disabled"}},
		"a base that is not":      {[]string{"base", "OU=Nowhere,DC=odcm,DC=test"}, []string{"There is nothing at the search base"}},
		"a filter for nobody":     {[]string{"peopleFilter", "(department=none)"}, []string{"Nobody matches the filter"}},
		"a plain bind is refused": {[]string{"security", "none"}, []string{"the server wants encryption"}},
	} {
		t.Run(name, func(t *testing.T) { want(t, wrong(t, open(t, of(d, c.changes...))), c.parts...) })
	}
	t.Run("an address that is not allowed", func(t *testing.T) {
		refused := ldap.Connectors(ldap.Options{Allow: notAllowed})[0]
		s, err := refused.Open(of(d), "")
		if err != nil {
			t.Fatal(err)
		}
		want(t, wrong(t, s), "ODCM does not connect there")
	})
}

func checkPickers(t *testing.T, s provider.Source) {
	dir := s.(provider.Directory)
	groups, err := dir.FindGroups(t.Context(), "octopus", 10)
	if got := names(groups); err != nil || !slices.Equal(got, []string{directory.Admins, directory.Viewers}) {
		t.Errorf("%v, %v", got, err)
	}
	if groups, err = dir.FindGroups(t.Context(), "", 5); err != nil || len(groups) != 5 {
		t.Errorf("%v, %v", groups, err)
	}
	if groups, err = dir.FindGroups(t.Context(), "*)(cn=*", 5); err != nil || len(groups) != 0 {
		t.Errorf("injected: %v, %v", groups, err)
	}
	people, err := dir.FindPeople(t.Context(), "lice te", 10)
	if err != nil || len(people) != 1 || people[0].Username != "alice" || people[0].GroupsKnown {
		t.Errorf("%v, %v", people, err)
	}
	if people, err = dir.FindPeople(t.Context(), "many", 50); err != nil || len(people) != 50 {
		t.Errorf("%d, %v", len(people), err)
	}
}

func checkThousands(t *testing.T, d *directory.Domain) {
	s := open(t, of(d))
	subjects, err := ldap.Subjects(t.Context(), s)
	if err != nil || len(subjects) < directory.Many {
		t.Fatalf("%d, %v", len(subjects), err)
	}
	start := time.Now()
	people := read(t, s, append(subjects, "00000000-0000-0000-0000-000000000001", "no-guid")...)
	t.Logf("%d people were read in %s", len(people), time.Since(start))
	gone := 0
	for _, p := range people {
		switch {
		case p.Gone:
			gone++
		case !p.GroupsKnown || len(p.Groups) == 0:
			t.Fatalf("%s: %v, %v", p.Username, p.GroupsKnown, p.Groups)
		}
	}
	if gone != 2 || len(people) != len(subjects)+2 {
		t.Errorf("%d gone of %d", gone, len(people))
	}
}

func checkTickets(t *testing.T, d *directory.Domain) {
	p := of(d, "kerberos", "true", "servicePrincipal", directory.ServicePrincipal, "keytab", base64.StdEncoding.EncodeToString(d.Keytab))
	s := open(t, p)
	if _, ok := open(t, of(d)).(provider.Tickets); ok {
		t.Error("tickets are taken though that is off")
	}
	if got := wrong(t, s); got != "" {
		t.Errorf("the test: %s", got)
	}
	served := serve(t, s.(provider.Tickets))
	env, err := d.Ticket(t.Context(), "alice", directory.Password)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := directory.Negotiate(t.Context(), env, served, "/")
	if err != nil {
		t.Fatal(err)
	}
	want(t, answer, "200 OK", "Www-Authenticate: Negotiate ", "alice by kerberos in "+strings.Join(nested, ","))
	nobody, err := directory.Negotiate(t.Context(), []string{"KRB5CCNAME=FILE:/nonexistent", env[0]}, served, "/")
	if err != nil {
		t.Fatal(err)
	}
	want(t, nobody, "401 Unauthorized")
	t.Run("a ticket of a disabled account", func(t *testing.T) {
		if err := d.Disable("alice", true); err != nil {
			t.Fatal(err)
		}
		answer, err := directory.Negotiate(t.Context(), env, served, "/")
		if err != nil {
			t.Fatal(err)
		}
		want(t, answer, "403 Forbidden", "ldap.account-disabled")
		if err := d.Disable("alice", false); err != nil {
			t.Fatal(err)
		}
	})
}

func checkChanges(t *testing.T, d *directory.Domain, s provider.Source) {
	watched := s.(provider.Watched)
	mark := ""
	next := func() provider.Changes {
		t.Helper()
		c, err := watched.Changes(t.Context(), mark)
		if err != nil {
			t.Fatal(err)
		}
		mark = c.Mark
		return c
	}
	if c := next(); !c.All {
		t.Error("without a mark everything must be read")
	}
	if c := next(); c.All || len(c.People) > 0 {
		t.Errorf("nothing changed: %+v", c)
	}
	bob, err := verify(t, s, "bob", directory.Password)
	if err != nil {
		t.Fatal(err)
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	next()
	do(d.Disable("bob", true))
	if c := next(); c.All || !slices.Equal(c.People, []string{bob.Subject}) {
		t.Errorf("disabled: %+v", c)
	}
	if p := read(t, s, bob.Subject); len(p) != 1 || !p[0].Disabled {
		t.Errorf("disabled: %+v", p)
	}
	do(d.Disable("bob", false))
	do(d.AddMember(directory.Empty, directory.PersonDN("bob")))
	if c := next(); !c.All {
		t.Errorf("a group changed: %+v", c)
	}
	if p := read(t, s, bob.Subject); len(p) != 1 || p[0].Disabled || !slices.Contains(names(p[0].Groups), directory.Empty) {
		t.Errorf("after joining: %+v", p)
	}
	do(d.RemoveMember(directory.Empty, directory.PersonDN("bob")))
	if p := read(t, s, bob.Subject); slices.Contains(names(p[0].Groups), directory.Empty) {
		t.Errorf("after leaving: %+v", p)
	}
	do(d.AddPerson("gina"))
	gina, err := verify(t, s, "gina", directory.Password)
	do(err)
	do(d.Delete(directory.PersonDN("gina")))
	if p := read(t, s, gina.Subject); len(p) != 1 || !p[0].Gone {
		t.Errorf("after deletion: %+v", p)
	}
	mark = "00000000-0000-0000-0000-000000000000:1"
	if c := next(); !c.All {
		t.Error("the mark of another server was believed")
	}
	if p := read(t, open(t, of(d, "peopleFilter", "(&(objectClass=user)(!(cn=bob)))")), bob.Subject); len(p) != 1 || !p[0].Disabled || p[0].Gone {
		t.Errorf("left out by the filter: %+v", p)
	}
}

// checkAnyDirectory reads the domain as what it also is: a directory that names things in another way.
func checkAnyDirectory(t *testing.T, d *directory.Domain) {
	for name, memberOf := range map[string]string{"groups name their members": "", "people name their groups": "memberOf"} {
		t.Run(name, func(t *testing.T) {
			p := provider.Provider{ID: "provider-ldap", Kind: provider.LDAP, Name: "Directory", Secrets: map[string]string{"bindPassword": directory.Password},
				Settings: map[string]string{"servers": d.Address, "ca": d.CA, "serverName": directory.Host, "bindUser": directory.PersonDN("svc-odcm"), "base": directory.Base,
					"peopleFilter": "(objectClass=user)", "usernameAttribute": "sAMAccountName", "nameAttribute": "displayName", "idAttribute": "name", "groupFilter": "(objectClass=group)",
					"memberOfAttribute": memberOf}}
			s := open(t, p)
			if got := wrong(t, s); got != "" {
				t.Error(got)
			}
			a, err := verify(t, s, "alice", directory.Password)
			three := []string{directory.Admins, directory.OnCall, directory.Team}
			if err != nil || a.Subject != "alice" || !a.GroupsKnown || !slices.Equal(names(a.Groups), three) {
				t.Errorf("%+v, %v", a, err)
			}
			if _, err := verify(t, s, "alice", "wrong"); odcm.KindOf(err) != odcm.Unauthenticated {
				t.Errorf("%v", err)
			}
			people := read(t, s, "alice", "carol", "nobody")
			if len(people) != 3 || !slices.Equal(names(people[0].Groups), three) && !slices.Equal(names(people[1].Groups), three) || !people[2].Gone {
				t.Errorf("%+v", people)
			}
			p.Settings["nested"] = "direct"
			if a, err = verify(t, open(t, p), "carol", directory.Password); err != nil || !slices.Equal(names(a.Groups), []string{"Loop-B"}) {
				t.Errorf("%v, %v", names(a.Groups), err)
			}
		})
	}
}
