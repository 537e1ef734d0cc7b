package providerhttp

import (
	"strconv"
	"time"

	"odcm/kit/web/design"
	"odcm/manager/identity/provider"
)

type listView struct {
	providers []provider.Provider
	mayEdit   bool
	syncs     func(provider.Provider) bool
	now       time.Time
}

type pageView struct {
	provider.Provider
	mayEdit   bool
	syncs     bool
	now       time.Time
	returnURL string
	leaving   provider.Leaving
	form      formView
}

// state is how a provider stands, in a word that design.Status knows.
func state(p provider.Provider, syncs bool, now time.Time) string {
	switch {
	case !p.Enabled:
		return "disabled"
	case syncs && p.Sync.Held != "":
		return "attention"
	case syncs && p.Sync.Error != "":
		return "unavailable"
	case syncs && stale(p, now):
		return "warnings"
	}
	return "enabled"
}

// stale tells that what is known is older than it should be.
func stale(p provider.Provider, now time.Time) bool {
	every := p.SyncEvery
	if every == 0 {
		every = provider.DefaultSyncEvery
	}
	return !p.Sync.Succeeded.IsZero() && now.Sub(p.Sync.Succeeded) > 2*every
}

// knowledge says how old what is known of a directory is.
func knowledge(p provider.Provider, now time.Time) string {
	switch {
	case p.Sync.Succeeded.IsZero():
		return "Not read yet."
	case p.Sync.Error != "" || p.Sync.Held != "" || stale(p, now):
		return "What is known is " + design.Took(now.Sub(p.Sync.Succeeded)) + " old."
	}
	return ""
}

func counts(s provider.Sync) string {
	return plural(s.People, "person", "people") + ", " + plural(s.Groups, "group", "groups")
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// lost is how long a test may go without an end before it counts as broken off.
const lost = 2 * time.Minute

// testing tells whether a test goes on.
func testing(t provider.Test, now time.Time) bool {
	return !t.Started.IsZero() && t.Ended.IsZero() && now.Sub(t.Started) < lost
}

// steps are the findings of a test as steps of a task.
func steps(t provider.Test, now time.Time) []design.Step {
	list := make([]design.Step, 0, len(t.Findings)+1)
	for _, f := range t.Findings {
		s := design.Step{Name: f.Step, Detail: f.Message, State: "succeeded"}
		switch {
		case !f.OK:
			s.State = "failed"
		case f.Warning:
			s.State = "canceled"
			s.Detail = "Beware: " + f.Message
		}
		list = append(list, s)
	}
	switch {
	case testing(t, now):
		list = append(list, design.Step{Name: "Going on", State: "running"})
	case t.Ended.IsZero():
		list = append(list, design.Step{Name: "The test broke off", Detail: "ODCM was stopped meanwhile. Test again.", State: "canceled"})
	}
	return list
}

func facts(v pageView) []design.Fact {
	var list []design.Fact
	if v.returnURL != "" {
		list = append(list, design.Fact{Label: "Return address", Content: design.Code(v.returnURL)})
	}
	if !v.syncs {
		return list
	}
	read := design.Fact{Label: "Last read", Value: "Never"}
	if !v.Sync.Succeeded.IsZero() {
		read = design.Fact{Label: "Last read", Content: design.Time(v.Sync.Succeeded)}
	}
	list = append(list, read, design.Fact{Label: "Knows of", Value: counts(v.Sync)})
	if v.Sync.Tried.After(v.Sync.Succeeded) {
		list = append(list, design.Fact{Label: "Last tried", Content: design.Time(v.Sync.Tried)})
	}
	return list
}

// deletion is the question before the provider is deleted. Who sees that people are stranded has confirmed it.
func (v pageView) deletion() design.Confirm {
	c := design.Confirm{ID: "delete", Title: "Delete " + v.Name + "?", Action: href(v.ID) + "/delete", Button: "Delete", Danger: true, Text: v.leaving.Summary()}
	if v.leaving.Warning() != "" {
		c.Button, c.Hidden = "Delete all the same", map[string]string{"confirmed": "true"}
		c.Type = v.Name
	}
	return c
}
