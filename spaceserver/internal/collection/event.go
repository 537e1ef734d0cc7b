package collection

import (
	"encoding/json"
	"slices"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/document"
)

// Event is the part of an audit event that its row's columns do not hold (EventResource in the Swagger document).
type Event struct {
	UserID                  string `json:"UserId"`
	Username                string
	IsService               bool
	IdentityEstablishedWith string
	UserAgent               string
	IPAddress               string `json:"IpAddress"`
	Message                 string
	MessageReferences       []MessageReference
	Comments                string
	ChangeDetails           ChangeDetails
}

// MessageReference is a piece of the message that names a document.
type MessageReference struct {
	ReferencedDocumentID string `json:"ReferencedDocumentId"`
	StartIndex, Length   int
}

// ChangeDetails says what changed: the document as it is now, and each difference as an operation of JSON Patch with the
// old value beside it (RFC 6902). There are no secrets in it: the stored text has none.
type ChangeDetails struct {
	DocumentContext json.RawMessage
	Differences     []Difference
}

// Difference is one member that changed.
type Difference struct {
	Op    string          `json:"op"`
	Path  string          `json:"path"`
	Value json.RawMessage `json:"value,omitempty"`
	Old   json.RawMessage `json:"old,omitempty"`
}

// note adds the event of the change to what will be committed.
func (c *Change) note(category string, row document.Row) {
	c.batch.decides = c.batch.decides || c.Kind.Decides
	c.batch.spaces = c.batch.spaces || c.Kind.Name == "Spaces"
	if c.batch.quiet || c.silent || c.Kind.Silent {
		return
	}
	o := c.New
	if category == "Deleted" {
		o = c.Old
	}
	title := titleOf(c.Kind, o, row.ID)
	related := []string{row.ID}
	for _, id := range []string{row.Owner, row.Project} {
		if id != "" && !slices.Contains(related, id) {
			related = append(related, id)
		}
	}
	for _, member := range []string{c.Kind.Environments, c.Kind.Tenants, c.Kind.ProjectGroup} {
		for _, id := range c.Kind.ids(o, row.ID, member) {
			if !slices.Contains(related, id) {
				related = append(related, id)
			}
		}
	}
	change := ChangeDetails{DocumentContext: row.Body}
	if category == "Modified" {
		now, _ := octopus.ParseObject(row.Body)
		if change.Differences = Differences(c.Old, now); len(change.Differences) == 0 {
			return
		}
	}
	c.Note(category, row.Space, c.Kind.Noun()+" "+title+" was "+verb(category), title, related, change)
}

// Note adds an event that is not the plain change of a document.
func (c *Change) Note(category, space, message, title string, related []string, change ChangeDetails) {
	if c.batch.quiet {
		return
	}
	message = strings.ToUpper(message[:1]) + message[1:]
	e := Event{UserID: c.Principal.ID, Username: c.Principal.Username, IsService: c.Principal.Service,
		IdentityEstablishedWith: established(c.Principal.Via), UserAgent: c.Principal.Agent, IPAddress: c.Principal.Address,
		Message: message, MessageReferences: []MessageReference{}, ChangeDetails: change}
	if at := strings.Index(message, title); at >= 0 && title != "" && len(related) > 0 {
		e.MessageReferences = append(e.MessageReferences, MessageReference{related[0], at, len(title)})
	}
	body, err := marshal(e)
	if err != nil { // the context is stored JSON: it marshals
		body = json.RawMessage(`{}`)
	}
	typ := ""
	if c.Kind != nil {
		typ = c.Kind.Type
	}
	c.batch.events = append(c.batch.events, document.Event{Space: space, Category: category, Type: typ, User: c.Principal.ID,
		Occurred: c.batch.at, Related: related, Body: body})
}

// Differences are what changed between two texts of a document.
func Differences(before, after octopus.Object) []Difference {
	var all []Difference
	for name, value := range after.All() {
		if name == "LastModifiedOn" || name == "LastModifiedBy" || name == "Version" {
			continue
		}
		old, had := before.Get(name)
		switch {
		case !had:
			all = append(all, Difference{Op: "add", Path: "/" + name, Value: value})
		case string(old) != string(value):
			all = append(all, Difference{Op: "replace", Path: "/" + name, Value: value, Old: old})
		}
	}
	for name, old := range before.All() {
		if _, has := after.Get(name); !has {
			all = append(all, Difference{Op: "remove", Path: "/" + name, Old: old})
		}
	}
	return all
}

func verb(category string) string {
	switch category {
	case "Created":
		return "created"
	case "Deleted":
		return "deleted"
	}
	return "changed"
}

func established(via string) string {
	switch via {
	case "session":
		return "Session cookie"
	case "api-key":
		return "API key"
	case "bearer":
		return "Access token"
	}
	return ""
}
