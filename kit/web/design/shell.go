package design

import (
	"strconv"

	"github.com/a-h/templ"
)

// Frame is what stands around a page.
type Frame struct {
	Assets           *Assets
	Product, Version string
	Title, Intro     string
	Crumbs           []Crumb
	Actions          templ.Component
	Tabs             []Tab
	Bare             bool   // no side bar: sign-in
	Theme            string // "light", "dark" or "auto"
	Since            string // the live stream's position when the page was made
	Space            string // what the switcher's button says; "" for "Go to"
	User, UserDetail string // who is signed in, and their role
	Nav              []NavGroup
	Flash, FlashTone string // a toast to begin with
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
}

func choiceID(i int) string { return "choice-" + strconv.Itoa(i) }
