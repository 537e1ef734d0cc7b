package userhttp

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"odcm"
	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/identity/person"
)

// listView is the page of all users.
type listView struct {
	people    []person.Person
	names     map[odcm.ProviderID]string
	filter    person.Filter
	query     url.Values
	next      string
	first     string
	mayInvite bool
	mayCreate bool
}

func readFilter(q url.Values) person.Filter {
	return person.Filter{Text: q.Get("q"), State: person.State(q.Get("state")), Provider: odcm.ProviderID(q.Get("provider")), Role: odcm.Role(q.Get("role"))}
}

func (h *handler) listPage(w http.ResponseWriter, r *http.Request) error {
	ctx, q := r.Context(), r.URL.Query()
	v := listView{filter: readFilter(q), query: q, mayInvite: h.may(r, "user.invite"), mayCreate: h.may(r, "user.create")}
	after, err := web.ReadCursor[string](q.Get("cursor"))
	if err != nil {
		return err
	}
	if v.people, err = h.People.List(ctx, web.Principal(ctx), v.filter, after, pageSize+1); err != nil {
		return err
	}
	if v.names, err = h.names(ctx); err != nil {
		return err
	}
	if after != "" {
		v.first = v.href("cursor", "")
	}
	if len(v.people) > pageSize {
		v.people = v.people[:pageSize]
		v.next = v.href("cursor", web.Cursor(keyOf(v.people[pageSize-1])))
	}
	return h.Site.Render(w, r, http.StatusOK, h.frame("/people", web.Page{
		Intro: "Everybody who may sign in to ODCM.", Actions: listActions(v), Body: listBody(v),
	}))
}

// keyOf is by what the list is sorted.
func keyOf(p person.Person) string {
	if !p.Deleted.IsZero() {
		return "deleted " + string(p.ID)
	}
	_, key, err := person.ParseUsername(p.Username)
	if err != nil {
		return p.Username
	}
	return key
}

// href is the page with one of its parameters different.
func (v listView) href(name, value string) string {
	q := url.Values{}
	for _, kept := range []string{"q", "state", "provider", "role"} {
		if x := v.query.Get(kept); x != "" {
			q.Set(kept, x)
		}
	}
	q.Del(name)
	if value != "" {
		q.Set(name, value)
	}
	if len(q) == 0 {
		return "/people"
	}
	return "/people?" + q.Encode()
}

func (v listView) filtered() bool { return v.filter != person.Filter{} }

func (v listView) states() []design.Chip {
	chips := []design.Chip{{Label: "All", Href: v.href("state", ""), On: v.filter.State == ""}}
	for _, s := range []person.State{person.Active, person.Disabled, person.Deleted} {
		chips = append(chips, design.Chip{Label: stateName(s), Href: v.href("state", string(s)), On: v.filter.State == s})
	}
	return chips
}

func (v listView) providers() []design.Option {
	o := []design.Option{{Value: "", Label: "Any way to sign in"}, {Value: string(person.Local), Label: "Password"}}
	var named []design.Option
	for id, name := range v.names {
		named = append(named, design.Option{Value: string(id), Label: name})
	}
	slices.SortFunc(named, func(a, b design.Option) int { return cmp.Compare(a.Label, b.Label) })
	return append(o, named...)
}

func stateOf(u person.User) person.State {
	switch {
	case !u.Deleted.IsZero():
		return person.Deleted
	case u.Disabled:
		return person.Disabled
	}
	return person.Active
}

func stateName(s person.State) string {
	switch s {
	case person.Active:
		return "Active"
	case person.Disabled:
		return "Deactivated"
	}
	return "Deleted"
}

func stateTone(s person.State) string {
	switch s {
	case person.Active:
		return "success"
	case person.Disabled:
		return "warning"
	}
	return "neutral"
}

// ways says in words how somebody signs in.
func ways(p person.Person, names map[odcm.ProviderID]string) string {
	var all []string
	if p.HasPassword {
		all = append(all, "Password")
	}
	for _, i := range p.Identities {
		if n := providerName(i, names); !slices.Contains(all, n) {
			all = append(all, n)
		}
	}
	switch {
	case p.ID == person.Guest:
		return "Nobody has to"
	case len(all) == 0:
		return "Not yet"
	}
	return strings.Join(all, ", ")
}

func providerName(i person.Identity, names map[odcm.ProviderID]string) string {
	if n := names[i.Provider]; n != "" {
		return n
	}
	return "A provider that is switched off"
}

func roleName(r odcm.Role) string {
	name := strings.ReplaceAll(string(r), "-", " ")
	return strings.ToUpper(name[:1]) + name[1:]
}

func roleOptions(on []odcm.Role) []design.Option {
	details := map[odcm.Role]string{
		odcm.Administrator: "May do everything in ODCM.", odcm.Auditor: "May see everything and change nothing.",
		odcm.SpaceAdministrator: "Sees groups and maps them to teams in Spaces that he runs.", odcm.Member: "Enters the Spaces that were granted.",
	}
	var o []design.Option
	for _, r := range person.Roles() {
		o = append(o, design.Option{Value: string(r), Label: roleName(r), Detail: details[r], On: slices.Contains(on, r)})
	}
	return o
}

// readRoles reads the checks of a form.
func readRoles(form url.Values) []odcm.Role {
	roles := []odcm.Role{}
	for _, r := range form["roles"] {
		roles = append(roles, odcm.Role(r))
	}
	return roles
}

// initials are the first letters of the first two words of a name.
func initials(name string) string {
	var letters []rune
	for _, word := range strings.Fields(name) {
		first, _ := utf8.DecodeRuneInString(word)
		if letters = append(letters, unicode.ToUpper(first)); len(letters) == 2 {
			break
		}
	}
	return string(letters)
}
