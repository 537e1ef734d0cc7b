package grouphttp

import (
	"net/url"
	"strings"
	"time"

	"odcm/kit/web/design"
	"odcm/manager/identity/group"
)

type listView struct {
	text, kind, provider string
	groups               []group.Entry
	sources              []group.Source
	next                 string
	first, mayCreate     bool
	now                  time.Time
}

// href is the list's address with these filters and others changed.
func (v listView) href(change url.Values) string {
	q := url.Values{"q": {v.text}, "kind": {v.kind}, "provider": {v.provider}}
	for name, values := range change {
		q[name] = values
	}
	for name, values := range q {
		if values[0] == "" {
			q.Del(name)
		}
	}
	if len(q) == 0 {
		return "/groups"
	}
	return "/groups?" + q.Encode()
}

func (v listView) filtered() bool { return v.text != "" || v.kind != "" || v.provider != "" }

func (v listView) chips() []design.Chip {
	chips := []design.Chip{
		{Label: "All", Href: v.href(url.Values{"kind": {""}, "provider": {""}}), On: v.kind == "" && v.provider == ""},
		{Label: "Own", Href: v.href(url.Values{"kind": {string(group.Own)}, "provider": {""}}), On: v.kind == string(group.Own)},
	}
	for _, s := range v.sources {
		chips = append(chips, design.Chip{Label: s.Name, Href: v.href(url.Values{"kind": {""}, "provider": {string(s.ID)}}), On: v.provider == string(s.ID)})
	}
	return chips
}

// stale are the providers whose last reading failed.
func (v listView) stale() (all []group.Source) {
	for _, s := range v.sources {
		if s.Error != "" {
			all = append(all, s)
		}
	}
	return all
}

func (v listView) sourceOf(g group.Group) string {
	for _, s := range v.sources {
		if s.ID == g.External.Provider {
			return s.Name
		}
	}
	return string(g.External.Provider)
}

// age says how old what is known of a provider's groups is.
func age(s group.Source, now time.Time) string {
	if s.Synced.IsZero() {
		return "They have not been read yet."
	}
	d := now.Sub(s.Synced)
	switch {
	case d < time.Minute:
		return "What is shown is a moment old."
	case d < time.Hour:
		return "What is shown is " + plural(int(d.Minutes()), "minute", "minutes") + " old."
	case d < 48*time.Hour:
		return "What is shown is " + plural(int(d.Hours()), "hour", "hours") + " old."
	}
	return "What is shown is " + plural(int(d.Hours()/24), "day", "days") + " old."
}

func count(e group.Entry) string {
	var parts []string
	if e.Users > 0 {
		parts = append(parts, plural(e.Users, "user", "users"))
	}
	if e.Groups > 0 {
		parts = append(parts, plural(e.Groups, "group", "groups"))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

type groupView struct {
	group.Group
	source                        group.Source
	members                       []group.Member
	next                          string
	first                         bool
	mayUpdate, mayEdit, mayDelete bool
	now                           time.Time
}

func (v groupView) firstHref(tab string) string {
	if v.first {
		return ""
	}
	return href(v.ID, tab)
}

type addView struct {
	group.Group
	text   string
	found  []group.Choice
	silent []string
}

func (v addView) options() []design.Option {
	options := make([]design.Option, len(v.found))
	for i, c := range v.found {
		kind := "Group"
		if c.User {
			kind = "User"
		}
		options[i] = design.Option{Value: c.Ref, Label: c.Name, Detail: strings.TrimSuffix(kind+", "+c.Detail, ", ")}
	}
	return options
}

// wayThere names the groups on the way from the user to the group, without the group itself.
func wayThere(path []group.Group) string {
	if len(path) < 2 {
		return "directly"
	}
	names := make([]string, len(path)-1)
	for i, g := range path[:len(path)-1] {
		names[i] = g.Name
	}
	return strings.Join(names, " → ")
}

func memberRef(m group.Member) string {
	if m.Group != nil {
		return string(m.Group.ID)
	}
	return string(m.User.ID)
}

func memberName(m group.Member) string {
	if m.Group != nil {
		return m.Group.Name
	}
	return m.User.DisplayName
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func emptyText(v groupView) string {
	if v.IsExternal() {
		return "Its provider has told of nobody in it so far."
	}
	return "Add users, other groups, or groups of a directory."
}

// indent draws how deep a branch is; what is read aloud says it by lists in lists.
func indent(depth int) string {
	if depth == 0 {
		return ""
	}
	return strings.Repeat("\u2003", depth-1) + "└ "
}
