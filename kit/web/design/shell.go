package design

import (
	"cmp"
	"strconv"

	"github.com/a-h/templ"
)

// Frame is what stands around a page.
type Frame struct {
	Assets           *Assets
	Product, Version string
	Title, Intro     string
	Notice           string // what is wrong, before the title in the tab: "2 offline"
	Crumbs           []Crumb
	Actions          templ.Component
	Tabs             []Tab
	Bare             bool   // no side bar: sign-in
	Full             bool   // nothing but the body
	Headless         bool   // the body has its own heading
	Theme            string // "light", "dark" or "auto"
	Since            string // the live stream's position when the page was made
	Space            string // what the switcher's button says; "" for "Go to"
	User, UserDetail string // who is signed in, and their role
	Nav              []NavGroup
	Flash, FlashTone string          // a toast to begin with
	Find             string          // what the palette says it finds; "Find a Space or a page" if empty
	Menu             templ.Component // beside the brand: what else there is to switch to; nil for nothing
	SettingsHref     string          // where the account's menu leads; "/settings" if empty
	Extra            []string        // names of further style sheets and scripts among the assets
}

// Crumb is a step of the way to a page.
type Crumb struct{ Label, Href string }

// NavGroup is a part of the side bar under a heading, which may be empty.
type NavGroup struct {
	Label string
	Items []NavLink
}

// NavLink is an entry of the side bar.
type NavLink struct {
	Label, Icon, Href string
	On                bool
}

// Tab is one of several views of a thing.
type Tab struct {
	Label, Href string
	On          bool
	Count       string // "" for none
}

// Choice is something to jump to.
type Choice struct {
	Group, Label, Detail, Href, Icon string
	Status                           string // shown as a dot where it is not empty
	Theme                            string // the theme that it chooses, instead of leading to Href
}

// numbered is a choice with its place among all that were found.
type numbered struct {
	Choice
	at int
}

type choiceGroup struct {
	label   string
	choices []numbered
}

// groupsOf gathers neighbours of the same group.
func groupsOf(found []Choice) (groups []choiceGroup) {
	for i, c := range found {
		if last := len(groups) - 1; last < 0 || groups[last].label != c.Group {
			groups = append(groups, choiceGroup{label: c.Group})
		}
		last := &groups[len(groups)-1]
		last.choices = append(last.choices, numbered{c, i})
	}
	return groups
}

func choiceID(i int) string { return "choice-" + strconv.Itoa(i) }

func groupID(i int) string { return "choices-" + strconv.Itoa(i) }

func (f Frame) find() string { return cmp.Or(f.Find, "Find a Space or a page") }

func (f Frame) settings() string { return cmp.Or(f.SettingsHref, "/settings") }

// windowTitle leads with what is wrong, because a tab shows little more than the beginning.
func (f Frame) windowTitle() string {
	title := f.Title + " · " + f.Product
	if f.Notice != "" {
		title = "(" + f.Notice + ") " + title
	}
	return title
}

func (f Frame) favicon() string {
	if f.Notice != "" {
		return "icon-alert.svg"
	}
	return "icon.svg"
}
