package accesshttp

import (
	"cmp"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"odcm/kit/web/design"
	"odcm/manager/access"
	"odcm/manager/access/admit"
	"odcm/manager/access/explain"
)

// ref is how an address names a Space; one that is gone has its identifier left.
func ref(p access.Place) string {
	if p.Slug != "" {
		return p.Slug
	}
	return string(p.Space)
}

func holderHref(g admit.Listed) string {
	if g.Holder.Group != "" {
		return "/access?" + url.Values{"group": {string(g.Holder.Group)}}.Encode()
	}
	return "/access?" + url.Values{"user": {string(g.Holder.User)}}.Encode()
}

// spoken is what a screen reader says for a button whose word alone does not tell it from the others of its column.
func spoken(name string) templ.Attributes { return templ.Attributes{"aria-label": name} }

// holderName and groupName are for who is not known any more too.
func holderName(g admit.Listed) string { return cmp.Or(g.Name, "somebody who is not known any more") }

func groupName(g admit.MappedGroup) string {
	return cmp.Or(g.Name, "a group that is not known any more")
}

func unmapTail(team, group string) string {
	return "/review?" + url.Values{"kind": {"unmap"}, "team": {team}, "group": {group}}.Encode()
}

func peopleColumns(v spaceView) []design.Column {
	columns := []design.Column{{Label: "Person"}, {Label: "By"}, {Label: "Teams"}}
	if v.tells {
		columns = append(columns, design.Column{Label: "In the Space"})
	}
	return columns
}

func effectColumns(several bool) []design.Column {
	columns := []design.Column{{Label: "Person"}}
	if several {
		columns = append(columns, design.Column{Label: "Space"})
	}
	return append(columns, design.Column{Label: "What"})
}

// by says by which groups a person enters.
func by(e admit.Entrant) string {
	names := slices.Clone(e.By)
	for i, name := range names {
		if name == e.Person.Called() {
			names[i] = "a grant of their own"
		}
	}
	return strings.Join(names, ", ")
}

func joined(teams []access.Team) string {
	names := make([]string, len(teams))
	for i, t := range teams {
		names[i] = t.Name
	}
	return strings.Join(names, ", ")
}

func arrivalTone(a access.Arrival) string { tone, _ := arrivalLook(a); return tone }
func arrivalWord(a access.Arrival) string { _, word := arrivalLook(a); return word }
func effectTone(e explain.Effect) string  { tone, _ := effectLook(e); return tone }
func effectWords(e explain.Effect) string { _, words := effectLook(e); return words }

func checked(s access.Standing) string {
	if s.Checked.IsZero() {
		return "not compared yet"
	}
	return "compared " + s.Checked.UTC().Format("2 Jan 15:04 UTC")
}

func teamChange(d explain.Difference) string {
	switch {
	case d.Join > 0 && d.Leave > 0:
		return "+" + strconv.Itoa(d.Join) + " −" + strconv.Itoa(d.Leave)
	case d.Join > 0:
		return "+" + strconv.Itoa(d.Join)
	case d.Leave > 0:
		return "−" + strconv.Itoa(d.Leave)
	}
	return "0"
}

// nothing says why a change would do nothing now.
func nothing(v review) string {
	switch v.wish.kind {
	case explain.ToGrant:
		return "Everybody whom it lets in may enter already, or there is nobody in the group yet."
	case explain.ToRevoke:
		return "Everybody whom it lets in may enter by another grant too."
	}
	return "Nobody in the group may enter, or all are in the team by another group."
}

// pairs are the fields of a wish, in one order.
func pairs(x wish) (all [][2]string) {
	values := x.values()
	for _, name := range slices.Sorted(maps.Keys(values)) {
		all = append(all, [2]string{name, values[name]})
	}
	return all
}
