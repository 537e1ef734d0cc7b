package scimhttp

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"odcm"
	"odcm/kit/web/design"
	"odcm/manager/identity/scim"
)

type listView struct {
	all       []scim.Directory
	providers map[odcm.ProviderID]string
	typed     scim.Directory
	faults    map[string]string
	mayCreate bool
}

// choices are the providers that have no directory yet, by name.
func (v listView) choices() []design.Option {
	options := []design.Option{{Value: "", Label: "None: they sign in otherwise, or not at all"}}
	for id, name := range v.providers {
		if !slices.ContainsFunc(v.all, func(d scim.Directory) bool { return d.Provider == id }) {
			options = append(options, design.Option{Value: string(id), Label: name})
		}
	}
	slices.SortFunc(options[1:], func(a, b design.Option) int {
		return cmp.Or(cmp.Compare(a.Label, b.Label), cmp.Compare(a.Value, b.Value))
	})
	return options
}

// nameOf is what the provider is called, where it is one of those by which people sign in.
func (v listView) nameOf(id odcm.ProviderID) string { return cmp.Or(v.providers[id], "its own") }

type view struct {
	scim.Directory
	address                        string
	tokens                         []scim.Token
	pushed                         scim.Pushed
	secret, purpose                string
	faults                         map[string]string
	mayUpdate, mayDelete, mayToken bool
	now                            time.Time
}

func (v view) facts() []design.Fact {
	facts := []design.Fact{
		{Label: "Address", Content: design.Code(v.address)},
		{Label: "Provider", Content: design.Code(string(v.Provider))},
		{Label: "People pushed", Value: fmt.Sprint(v.pushed.Users)},
		{Label: "Groups pushed", Value: fmt.Sprint(v.pushed.Groups)},
		{Label: "Addresses of people", Value: map[bool]string{true: "taken as their own", false: "to be verified by them"}[v.TrustEmail]},
	}
	if v.Prefix != "" {
		facts = append(facts, design.Fact{Label: "Before externalId", Content: design.Code(v.Prefix)})
	}
	return facts
}

func (v view) expired(t scim.Token) bool { return !t.Expires.IsZero() && !t.Expires.After(v.now) }

// lives are how long a new token may work.
func lives() []design.Option {
	return []design.Option{{Value: "365", Label: "1 year"}, {Value: "90", Label: "90 days"}, {Value: "1095", Label: "3 years"}, {Value: "0", Label: "Without end"}}
}
