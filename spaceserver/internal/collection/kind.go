package collection

import (
	"context"
	"fmt"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/shape"
)

// Scope says where documents of a kind live.
type Scope int

// The scopes.
const (
	InSpace  Scope = iota // each in one space: projects
	InSystem              // on the whole server: users
	InBoth                // some in a space, some on the whole server: teams
)

// Verbs are the permissions that the four verbs need. None lets everyone who is signed in.
type Verbs struct{ View, Create, Edit, Delete permission.Name }

// Quartet is the usual four: ProjectView, ProjectCreate, ProjectEdit, ProjectDelete.
func Quartet(noun string) Verbs {
	return Verbs{permission.Name(noun + "View"), permission.Name(noun + "Create"), permission.Name(noun + "Edit"), permission.Name(noun + "Delete")}
}

// Reference says that a member holds ids of documents of another kind. Path is members joined by dots, "[]" behind those
// that are arrays and "{}" behind those that are maps: "Phases[].AutomaticDeploymentTargets[]". Keys of a map are meant
// by a path that ends in "{key}".
type Reference struct {
	Path string
	Kind string
	// Loose references are neither checked on write nor do they keep the other document from being deleted: history.
	Loose bool
	// Dropped references are taken out of the document when the other one is deleted: a tenant's connection to a project.
	// Never where an empty list means everything.
	Dropped bool
}

// Kind is what is special about one kind of resource.
type Kind struct {
	// Name is the prefix of ids and the key of the table: "Environments" gives Environments-1.
	Name string
	// Type is what one is called: ItemType of lists, document type of events. "Environment".
	Type string
	// Route is the path below /api or /api/{space}: "environments".
	Route string
	Scope Scope
	// Template is a new document as JSON: its members in order with their defaults. It decides spelling and types, see
	// [Shape]. The engine adds Id, SpaceId, LastModifiedOn and LastModifiedBy.
	Template string
	// Title is the member that names it, "Name" if empty; "-" where it has none.
	Title string
	// Shared lets several have the same name. Otherwise names are distinct, in any case, among those of one owner.
	Shared bool
	// State is the member that a column is kept of, because lists are narrowed by it however many documents there are.
	State string
	// Slugged kinds have a Slug made from the name, and are found by it.
	Slugged bool
	// Owner is the member with the id of the document that it goes with when that is deleted: a channel's ProjectId.
	Owner string
	// Project, Environments and Tenants are the members (ids or arrays of ids) that restricted grants look at; "Id" for
	// the document itself.
	Project, Environments, Tenants, ProjectGroup string
	// Everywhere says that a document without environments holds in all of them.
	Everywhere bool
	Required   []string
	References []Reference
	// Ours are members that only the server sets: ignored in what clients send.
	Ours       []string
	Permission Verbs
	// Filters are query parameters that select by a member: "accountType": "AccountType".
	Filters map[string]string
	Order   document.Order
	// Position is the member that people order by, with document.ByPosition.
	Position string
	// Versioned kinds carry Version: a PUT with another than the stored one is a conflict.
	Versioned bool
	// Without names verbs that the routes do not offer: "create", "edit", "delete", "all".
	Without string
	// Decides marks kinds that decide who may do what: their change makes every replica read permissions again.
	Decides bool
	// Silent kinds leave no events: their documents are part of another's change.
	Silent bool
	// Under are routes of owners that list it too: "projects" gives /projects/{id}/channels.
	Under []string
	// UnderRoute is its name below the owner where that differs from Route: triggers for projecttriggers.
	UnderRoute string
	// Links are relative to /api/{space}: name -> "projects/{Id}/channels{/id}". Only {Id}, {Owner}, {Project} and {Slug}
	// are filled in; what follows stays a template of RFC 6570. A link that starts with / is taken as it is.
	Links map[string]string
	// Query is the template's query in the root document: "skip,take,ids,partialName" if empty.
	Query string
	// RootLink is the link's name in the root document, Route's plural noun if empty; "-" for none.
	RootLink string
	// Number makes ids: Name-<n> if nil.
	Number func(c *Change) (string, error)

	// Before runs ahead of the transaction of a client's create or change, for work that takes long: hashing a password.
	Before func(ctx context.Context, r Request, sent *octopus.Object) error
	// Permit refuses what the four permissions would let through of a client's create or change, where it matters what exactly
	// is changed. It runs before Prepare, and not for changes of the server's own doing.
	Permit func(c *Change) error
	// Prepare validates and completes c.New before it is written; see [Change]. It runs for creates and changes.
	Prepare func(c *Change) error
	// Settle makes what comes with the document, after it was written.
	Settle func(c *Change) error
	// Remove refuses a deletion, or deletes what goes along.
	Remove func(c *Change) error
	// Visible decides who sees a document where the permission to view is None: a space is seen by who has something in it.
	Visible func(p permission.Principal, row document.Row) bool
	// Present adds what is computed to a document that is answered.
	Present func(v *View, o *octopus.Object) error
	// Actions are further routes.
	Actions []Action

	shape    *shape.Shape
	withheld map[string]bool // Ours, by lower-case name
}

func (k *Kind) compile() error {
	var err error
	if k.shape, err = shape.Parse([]byte(k.Template)); err != nil {
		return fmt.Errorf("kind %s: template: %w", k.Name, err)
	}
	if !k.shape.IsObject() {
		return fmt.Errorf("kind %s: template is not an object", k.Name)
	}
	if k.Title == "" {
		k.Title = "Name"
	}
	if k.Query == "" {
		k.Query = "skip,take,ids,partialName"
	}
	k.withheld = map[string]bool{"id": true, "links": true, "lastmodifiedon": true, "lastmodifiedby": true}
	for _, name := range k.Ours {
		k.withheld[strings.ToLower(name)] = true
	}
	return nil
}

// Offers tells whether the routes offer the verb.
func (k *Kind) Offers(verb string) bool { return !strings.Contains(k.Without, verb) }

// Noun is how the kind is called in sentences: "deployment process".
func (k *Kind) Noun() string {
	var b strings.Builder
	for i, r := range k.Type {
		if r >= 'A' && r <= 'Z' {
			if i > 0 {
				b.WriteByte(' ')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Blank is a new document of the kind, as its template says.
func (k *Kind) Blank() octopus.Object {
	var problems []string
	return k.shape.FitMembers(octopus.Object{}, "", &problems)
}
