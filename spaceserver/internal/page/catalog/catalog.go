// Package catalog is the pages of everything that is a list of documents with a form for each: environments, accounts, feeds,
// tag sets, users. A [Kind] says which columns the list has and which fields the form; what is written goes through the
// kind's REST routes.
package catalog

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"odcm/kit/web/design"
	"odcm/octopus"
	"odcm/spaceserver/internal/page/visit"
	"odcm/spaceserver/internal/permission"
)

// Kind describes the pages of one kind of document.
type Kind struct {
	One, Many string // "environment", "Environments"
	Icon      string
	Nav       string
	Base      string // of the pages below the space ("infrastructure/environments"), or "/people/users" for the whole server
	Route     string // of the API, likewise: "environments", "/users"
	Query     string // added to the list's: "contentType=Variables"
	Tabs      func(v *visit.Visit, on string) []design.Tab
	Intro     string
	Empty     string // what to do where there is none

	View, Create, Edit, Delete permission.Name

	// Start is a new document. Where there are several types the form of each has its own fields, see [Field.Types]; Type is
	// the member that tells them apart.
	Start   map[string]any
	Type    string
	Types   []Type
	Columns []Column
	Fields  []Field
	// Keep leaves documents of the list out, which is then read as a whole.
	Keep func(o octopus.Object) bool
	// Plain lists have no search: the route knows no partialName.
	Plain bool
	// Actions stand beside the heading of one document's page, More stands below its form.
	Actions, More func(v *visit.Visit, o octopus.Object) templ.Component
	// Above stands above the list.
	Above func(v *visit.Visit) templ.Component
	// Send changes what is about to be sent; nil for nothing.
	Send func(v *visit.Visit, o *octopus.Object)
}

// Type is one of several types of a kind: "SshKeyPair", "SSH key pair".
type Type struct{ Value, Label string }

// Column is a column of the list beside the name.
type Column struct {
	Label  string
	Text   func(v *visit.Visit, o octopus.Object) string
	Cell   func(v *visit.Visit, o octopus.Object) templ.Component // instead of Text
	Number bool
}

// As is how a member is edited.
type As int

// The ways to edit a member.
const (
	Line    As = iota // one line of text
	Area              // several lines
	Code              // several lines, as written by a machine
	Number            // a whole number
	Flag              // on or off
	Choice            // one of Options
	Many              // several of Options
	Words             // a list of words, one a line
	Secret            // a sensitive value: written, never shown
	Heading           // no member: a heading
)

// Field is a field of the form.
type Field struct {
	Path        string // of the member: "Endpoint.Host"
	Label, Help string
	As          As
	Options     func(v *visit.Visit) []design.Option
	Required    bool
	Once        bool     // only when it is made
	Types       []string // only for these types; nil for all
	Placeholder string
	// Get and Put read and write what is no member as it stands: a list of documents as lines.
	Get func(o octopus.Object) string
	Put func(v *visit.Visit, o *octopus.Object, text string)
}

// text is what the field shows of a document.
func (f Field) text(o octopus.Object) string {
	if f.Get != nil {
		return f.Get(o)
	}
	return member(o, f.Path)
}

func (k *Kind) system() bool { return strings.HasPrefix(k.Base, "/") }

func (k *Kind) at(v *visit.Visit, parts ...string) string {
	path := strings.Join(append([]string{k.Base}, parts...), "/")
	if k.system() {
		return path
	}
	return v.To(path)
}

func (k *Kind) href(v *visit.Visit, o octopus.Object) string { return k.at(v, o.Text("Id")) }

// Serve adds the pages to the desk.
func (k *Kind) Serve(d *visit.Desk) {
	base := "/app/{space}/" + k.Base
	if k.system() {
		base = k.Base
	}
	d.Show(base, k.list)
	if k.Create != "" {
		d.Form(base+"/new", k.blank, k.create)
	}
	d.Form(base+"/{id}", k.one, k.change)
	d.Do(base+"/{id}/delete", k.one, func(v *visit.Visit) (string, string) {
		o := v.Get(k.Route + "/" + v.Path("id"))
		v.Delete(k.Route + "/" + v.Path("id"))
		return k.at(v), "Deleted " + title(o) + "."
	})
}

func title(o octopus.Object) string {
	for _, member := range []string{"DisplayName", "Name", "Username", "Title", "Id"} {
		if text := o.Text(member); text != "" {
			return text
		}
	}
	return ""
}

func (k *Kind) tabs(v *visit.Visit) []design.Tab {
	if k.Tabs == nil {
		return nil
	}
	return k.Tabs(v, k.Base)
}

func (k *Kind) list(v *visit.Visit) visit.Page {
	query := []string{}
	if k.Query != "" {
		query = append(query, k.Query)
	}
	if q := v.Query("q"); q != "" && !k.Plain {
		query = append(query, "partialName="+escape(q))
	}
	found := v.Page(k.Route+"?"+strings.Join(query, "&"), 50)
	if k.Keep != nil {
		found.Items = slices.DeleteFunc(found.Items, func(o octopus.Object) bool { return !k.Keep(o) })
		found.TotalResults = len(found.Items)
	}
	return visit.Page{Title: k.Many, Intro: k.Intro, Nav: k.Nav, Tabs: k.tabs(v), Actions: k.adders(v), Body: list(k, v, found)}
}

func (k *Kind) crumbs(v *visit.Visit) []design.Crumb {
	return []design.Crumb{{Label: k.Many, Href: k.at(v)}}
}

func (k *Kind) blank(v *visit.Visit) visit.Page {
	v.Need(k.Create)
	o := k.fresh(v)
	name := "New " + k.One
	if label := k.label(k.chosen(v)); label != "" {
		name += ": " + label
	}
	return visit.Page{Title: name, Nav: k.Nav, Crumbs: k.crumbs(v), Body: form(k, v, o, true)}
}

// fresh is a new document of the type that was chosen.
func (k *Kind) fresh(v *visit.Visit) (o octopus.Object) {
	for name, value := range k.Start {
		o.Set(name, value)
	}
	if k.Type != "" {
		set(&o, k.Type, k.chosen(v))
	}
	return o
}

// chosen is the type of what is to be made.
func (k *Kind) chosen(v *visit.Visit) string {
	for _, t := range k.Types {
		if t.Value == v.Query("type") {
			return t.Value
		}
	}
	if len(k.Types) > 0 {
		return k.Types[0].Value
	}
	return ""
}

func (k *Kind) label(kind string) string {
	for _, t := range k.Types {
		if t.Value == kind {
			return t.Label
		}
	}
	return ""
}

func (k *Kind) one(v *visit.Visit) visit.Page {
	o := v.Get(k.Route + "/" + v.Path("id"))
	p := visit.Page{Title: title(o), Nav: k.Nav, Crumbs: k.crumbs(v), Body: form(k, v, o, false), Actions: k.actions(v, o)}
	if k.Type != "" {
		p.Intro = k.label(member(o, k.Type))
	}
	return p
}

func (k *Kind) create(v *visit.Visit) (string, string) {
	o := k.fresh(v)
	k.read(v, &o, true)
	made := v.Post(k.Route, o)
	return k.at(v), "Created " + title(made) + "."
}

func (k *Kind) change(v *visit.Visit) (string, string) {
	o := v.Get(k.Route + "/" + v.Path("id"))
	k.read(v, &o, false)
	v.Put(k.Route+"/"+v.Path("id"), o)
	return "", "Saved " + title(o) + "."
}

// fields are those of the document's form.
func (k *Kind) fields(o octopus.Object, fresh bool) []Field {
	return slices.DeleteFunc(slices.Clone(k.Fields), func(f Field) bool {
		return f.Once && !fresh || f.Types != nil && !slices.Contains(f.Types, member(o, k.Type))
	})
}

// read puts what was typed into the document.
func (k *Kind) read(v *visit.Visit, o *octopus.Object, fresh bool) {
	for _, f := range k.fields(*o, fresh) {
		if f.Put != nil {
			f.Put(v, o, v.Text(f.Path))
			continue
		}
		switch f.As {
		case Heading:
		case Flag:
			set(o, f.Path, v.Flag(f.Path))
		case Number:
			n, err := strconv.Atoi(v.Form(f.Path))
			if err != nil && v.Form(f.Path) != "" {
				v.Refuse(f.Label + " must be a whole number.")
			}
			set(o, f.Path, n)
		case Many:
			set(o, f.Path, v.Forms(f.Path))
		case Words:
			set(o, f.Path, v.Lines(f.Path))
		case Secret:
			if text := v.Text(f.Path); text != "" {
				set(o, f.Path, map[string]any{"HasValue": true, "NewValue": text})
			}
		case Area, Code:
			set(o, f.Path, v.Text(f.Path))
		case Choice:
			if text := v.Form(f.Path); text != "" {
				set(o, f.Path, text)
			} else {
				set(o, f.Path, nil)
			}
		default:
			set(o, f.Path, v.Form(f.Path))
		}
	}
	if k.Send != nil {
		k.Send(v, o)
	}
}

// set sets a member at a path through objects.
func set(o *octopus.Object, path string, value any) {
	name, rest, deeper := strings.Cut(path, ".")
	if !deeper {
		o.Set(name, value)
		return
	}
	inner := o.Object(name)
	set(&inner, rest, value)
	o.Set(name, inner)
}

// member reads a member at a path as text: numbers and flags as JSON writes them, lists a line each.
func member(o octopus.Object, path string) string {
	for {
		name, rest, deeper := strings.Cut(path, ".")
		if !deeper {
			break
		}
		o, path = o.Object(name), rest
	}
	raw, ok := o.Get(path)
	if !ok || string(raw) == "null" {
		return ""
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		return strings.Join(list, "\n")
	}
	return string(raw)
}

func members(o octopus.Object, path string) []string {
	text := member(o, path)
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// holds tells whether a sensitive member has a value.
func holds(o octopus.Object, path string) bool {
	for {
		name, rest, deeper := strings.Cut(path, ".")
		if !deeper {
			return o.Object(path).Bool("HasValue")
		}
		o, path = o.Object(name), rest
	}
}

func (k *Kind) allowed(v *visit.Visit, name permission.Name) bool {
	if k.system() {
		return v.Holds(name)
	}
	return v.May(name)
}

// field is what the design shows for a field.
func (f Field) field(v *visit.Visit, o octopus.Object, editable bool) design.Field {
	shown := design.Field{Name: f.Path, Label: f.Label, Help: f.Help, Required: f.Required, Disabled: !editable, Placeholder: f.Placeholder, Value: v.Was(f.Path, f.text(o))}
	switch f.As {
	case Number:
		shown.Type = "number"
	case Secret:
		shown.Type, shown.Value, shown.Autocomplete = "password", "", "new-password"
		if holds(o, f.Path) {
			shown.Placeholder = "kept as it is"
		}
	case Code:
		shown.Mono, shown.Attrs = true, templ.Attributes{"rows": "12", "data-code": true}
		shown.Help = strings.TrimSpace(shown.Help + " Tab indents; Escape before it leaves the field.")
	case Words:
		shown.Attrs = templ.Attributes{"rows": "2"}
	}
	return shown
}

func (f Field) options(v *visit.Visit, o octopus.Object, editable bool) []design.Option {
	options := f.Options(v)
	have := strings.Split(f.text(o), "\n")
	for i := range options {
		options[i].On = v.WasOn(f.Path, options[i].Value, slices.Contains(have, options[i].Value))
		options[i].Disabled = !editable
	}
	return options
}

// Static are options that are always the same: value, label, value, label.
func Static(pairs ...string) func(*visit.Visit) []design.Option {
	return func(*visit.Visit) []design.Option {
		options := make([]design.Option, 0, len(pairs)/2)
		for i := 0; i+1 < len(pairs); i += 2 {
			options = append(options, design.Option{Value: pairs[i], Label: pairs[i+1]})
		}
		return options
	}
}

// From are the documents of a route to choose from; where nothing is chosen, the label of none is, if there is one.
func From(route, none string) func(*visit.Visit) []design.Option {
	return func(v *visit.Visit) []design.Option {
		var options []design.Option
		if none != "" {
			options = append(options, design.Option{Label: none})
		}
		for _, option := range visit.Options(v.Maybe(route)) {
			option.Detail = ""
			options = append(options, option)
		}
		return options
	}
}

// Named joins the names of the documents that a member lists: a column of environments.
func Named(path, route, none string) func(*visit.Visit, octopus.Object) string {
	return func(v *visit.Visit, o octopus.Object) string {
		ids := members(o, path)
		if len(ids) == 0 {
			return none
		}
		return visit.Join(ids, visit.Names(v.Maybe(route)))
	}
}

// Member shows a member as it is.
func Member(path string) func(*visit.Visit, octopus.Object) string {
	return func(_ *visit.Visit, o octopus.Object) string {
		return strings.Join(members(o, path), ", ")
	}
}

// deletion asks before a document is deleted.
func (k *Kind) deletion(v *visit.Visit, o octopus.Object) design.Confirm {
	return design.Confirm{ID: "delete", Title: "Delete " + title(o) + "?", Text: "The " + k.One + " is deleted for good. It is refused where something still uses it.",
		Action: k.href(v, o) + "/delete", Button: "Delete", Danger: true}
}

func (k *Kind) deletable(v *visit.Visit, o octopus.Object) bool {
	return k.Delete != "" && k.allowed(v, k.Delete) && !o.Bool("IsDefault") && (!o.Has("CanBeDeleted") || o.Bool("CanBeDeleted"))
}
