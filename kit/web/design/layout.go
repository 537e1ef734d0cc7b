package design

import "github.com/a-h/templ"

// ButtonProps describe a button, or a link that looks like one where Href is set.
type ButtonProps struct {
	Label, Icon string
	Kind        string // "primary", "" (secondary), "quiet" or "danger"
	Href        string
	Type        string // "submit" if empty
	Name, Value string // what a form gets when this button sent it
	Form        string // id of the form that it sends, "" for the one around it
	Dialog      string // id of the dialog that it opens
	Disabled    bool
	IconOnly    bool             // the label is for screen readers and the tooltip
	Attrs       templ.Attributes // anything else
}

func (p ButtonProps) attributes() templ.Attributes {
	a := templ.Attributes{}
	set := func(k, v string) {
		if v != "" {
			a[k] = v
		}
	}
	set("name", p.Name)
	set("value", p.Value)
	set("form", p.Form)
	if p.Dialog != "" {
		a["data-open"] = p.Dialog
		a["aria-haspopup"] = "dialog"
	}
	if p.IconOnly {
		a["aria-label"], a["title"] = p.Label, p.Label
	}
	for k, v := range p.Attrs {
		a[k] = v
	}
	return a
}

func (p ButtonProps) kind() string {
	if p.Type != "" {
		return p.Type
	}
	if p.Dialog != "" {
		return "button"
	}
	return "submit"
}

func (p ButtonProps) class() string {
	c := "button"
	if p.Kind != "" {
		c += " " + p.Kind
	}
	if p.IconOnly {
		c += " icon-only"
	}
	return c
}

// CardProps describe a card.
type CardProps struct {
	Title, Intro string
	Actions      templ.Component
	Flush        bool   // no padding: for a table
	ID           string // for data-live-region and anchors
	Region       string // topics that refresh it: see data-live-region in the package comment of web
}

// TileProps describe a tile.
type TileProps struct {
	Title, Detail, Href string
	Status              string
	Live                string // the topic that replaces it: "space/space-…"
	Reason              string // why the status is not online
	Meta                []string
	Starred             bool
}

// Fact is one line of a list of facts.
type Fact struct {
	Label, Value string
	Content      templ.Component // instead of Value
}

func live(topic string) templ.Attributes {
	if topic == "" {
		return nil
	}
	return templ.Attributes{"data-live": topic}
}

func region(id, topics string) templ.Attributes {
	a := templ.Attributes{}
	if id != "" {
		a["id"] = id
	}
	if topics != "" {
		a["data-live-region"] = topics
	}
	return a
}

func toneIcon(tone string) string {
	switch tone {
	case "success":
		return "check"
	case "warning", "danger":
		return "alert"
	}
	return "info"
}

// toneRole interrupts a screen reader for what went wrong only.
func toneRole(tone string) string {
	if tone == "danger" {
		return "alert"
	}
	return "note"
}

func problemIcon(status int) string {
	switch {
	case status == 404:
		return "search"
	case status == 401 || status == 403:
		return "lock"
	case status >= 500:
		return "wrench"
	}
	return "alert"
}

func problemTitle(status int) string {
	switch {
	case status == 404:
		return "Not found"
	case status == 401:
		return "Please sign in"
	case status == 403:
		return "You may not do this"
	case status == 409 || status == 412:
		return "Someone was faster"
	case status == 413:
		return "That is too much"
	case status == 503:
		return "Not available at the moment"
	case status >= 500:
		return "Something went wrong"
	}
	return "That did not work"
}
