package collection

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"strconv"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
)

// Change is one transaction and where it stands: hooks read and change other documents through it, so that all of it is
// kept or nothing. A hook must not touch anything else: the transaction may run again.
type Change struct {
	Context   context.Context
	Service   *Service
	Principal permission.Principal
	Query     url.Values
	Space     string
	Kind      *Kind
	ID        string
	Creating  bool
	Old       octopus.Object // as it was; empty when creating
	New       octopus.Object // as it will be; empty when deleting
	Tx        *sql.Tx

	batch     *batch
	cascading bool
	silent    bool
}

// Cascading tells whether a deletion is part of the deletion of what owns the document.
func (c *Change) Cascading() bool { return c.cascading }

// Create adds a document as the client sent it.
func (s *Service) Create(ctx context.Context, r Request, k *Kind, body octopus.Object) (Document, error) {
	var row document.Row
	if err := s.warm(body); err != nil {
		return Document{}, err
	}
	if k.Before != nil {
		if err := k.Before(ctx, r, &body); err != nil {
			return Document{}, err
		}
	}
	err := s.Transact(ctx, r, func(c *Change) (err error) {
		if k.Scope == InSpace && r.Space == "" {
			_, err := s.scope(r, k)
			return err
		}
		row, err = c.create(k, body, true)
		return err
	})
	if err != nil {
		return Document{}, err
	}
	return s.present(ctx, r, k, row)
}

// Update replaces a document with what the client sent. What the server alone sets stays.
func (s *Service) Update(ctx context.Context, r Request, k *Kind, key string, body octopus.Object) (Document, error) {
	var row document.Row
	if err := s.warm(body); err != nil {
		return Document{}, err
	}
	if k.Before != nil {
		if err := k.Before(ctx, r, &body); err != nil {
			return Document{}, err
		}
	}
	err := s.Transact(ctx, r, func(c *Change) error {
		old, err := s.find(ctx, c.Tx, r, k, key, "")
		if err != nil {
			return err
		}
		before, err := octopus.ParseObject(old.Body)
		if err != nil {
			return err
		}
		row, err = c.update(k, old, before, body, true)
		return err
	})
	if err != nil {
		return Document{}, err
	}
	return s.present(ctx, r, k, row)
}

// Delete removes a document and what goes with it.
func (s *Service) Delete(ctx context.Context, r Request, k *Kind, key string) error {
	return s.Transact(ctx, r, func(c *Change) error {
		old, err := s.find(ctx, c.Tx, r, k, key, "")
		if err != nil {
			return err
		}
		return c.delete(k, old, true)
	})
}

// Create adds a document as the server's own doing, without asking for permission. The body may name its Id.
func (c *Change) Create(kind string, body octopus.Object) (octopus.Object, error) {
	row, err := c.create(c.Service.byName[kind], body, false)
	if err != nil {
		return octopus.Object{}, err
	}
	return octopus.ParseObject(row.Body)
}

// Reserve takes the id of a document that is created later in the transaction, for others that name it before.
func (c *Change) Reserve(kind string) (id string, err error) {
	number, err := c.Service.Store.Next(c.Context, c.Tx, kind, 1)
	if err != nil {
		return "", err
	}
	id = kind + "-" + strconv.FormatInt(number, 10)
	if c.batch.reserved == nil {
		c.batch.reserved = map[string]int64{}
	}
	c.batch.reserved[id] = number
	return id, nil
}

// Get reads a document of the change's space or of the whole server, within the transaction.
func (c *Change) Get(kind, id string) (octopus.Object, bool, error) {
	o, err := c.Service.Store.Object(c.Context, c.Tx, kind, id, c.Space)
	if errors.Is(err, document.ErrNone) && c.Space != "" {
		o, err = c.Service.Store.Object(c.Context, c.Tx, kind, id, "")
	}
	if errors.Is(err, document.ErrNone) {
		return octopus.Object{}, false, nil
	}
	return o, err == nil, err
}

// row prefers the change's own space: packages of two spaces may have the same id.
func (c *Change) row(kind, id string) (document.Row, error) {
	if c.Space != "" {
		if row, err := c.Service.Store.Get(c.Context, c.Tx, kind, id, c.Space); !errors.Is(err, document.ErrNone) {
			return row, err
		}
	}
	return c.Service.Store.Get(c.Context, c.Tx, kind, id, "*")
}

// List reads documents within the transaction.
func (c *Change) List(q document.Query) ([]document.Row, error) {
	rows, _, err := c.Service.Store.List(c.Context, c.Tx, q)
	return rows, err
}

// Edit changes a document as the server's own doing.
func (c *Change) Edit(kind, id string, f func(o *octopus.Object) error) error {
	old, err := c.row(kind, id)
	if err != nil {
		return err
	}
	o, err := octopus.ParseObject(old.Body)
	if err != nil {
		return err
	}
	before := o.Clone()
	if err := f(&o); err != nil {
		return err
	}
	_, err = c.update(c.Service.byName[kind], old, before, o, false)
	return err
}

// Delete removes a document as the server's own doing.
func (c *Change) Delete(kind, id string) error {
	old, err := c.row(kind, id)
	if errors.Is(err, document.ErrNone) {
		return nil
	}
	if err != nil {
		return err
	}
	return c.delete(c.Service.byName[kind], old, false)
}

// Secrets opens the secrets of a document, by their path in it.
func (c *Change) Secrets(kind, id, space string) (map[string]string, error) {
	sealed, err := c.Service.Store.Sealed(c.Context, c.Tx, kind, id, space)
	if err != nil {
		return nil, err
	}
	return c.Service.open(kind, id, sealed)
}

// Setting reads a setting of the whole server, and sets it where it was never set.
func (c *Change) Setting(name, otherwise string) (string, error) {
	return c.Service.Store.SetOnce(c.Context, c.Tx, name, otherwise)
}

// In is the same transaction in another space, "" for the whole server.
func (c *Change) In(space string) *Change {
	n := *c
	n.Space = space
	return &n
}

// Silently is the same transaction without the plain events of its changes: what the server finds out by itself leaves events
// of its own, by [Change.Note].
func (c *Change) Silently() *Change {
	n := *c
	n.silent = true
	return &n
}

// Copy makes a document from another of the kind in the same space, its secrets sealed anew for their new place. A new
// id of "" is numbered. It asks for no permission.
func (c *Change) Copy(kind, id, newID string, edit func(o *octopus.Object)) (octopus.Object, error) {
	k := c.Service.byName[kind]
	secret, err := c.Secrets(kind, id, c.Space)
	if err != nil {
		return octopus.Object{}, err
	}
	o, ok, err := c.Get(kind, id)
	if err != nil || !ok {
		return o, errors.Join(err, problem.NotFound(k.Type, id))
	}
	o.Set("Id", newID)
	edit(&o)
	made, err := c.Create(kind, o)
	if err != nil || len(secret) == 0 {
		return made, err
	}
	row, err := c.Service.Store.Get(c.Context, c.Tx, kind, made.Text("Id"), c.Space)
	if err != nil {
		return made, err
	}
	row.State = strings.ToLower(made.Text(k.State))
	row.Sealed = map[string]string{}
	for path, plain := range secret {
		if row.Sealed[path], err = c.Service.sealer.Seal([]byte(plain), kind+"/"+row.ID+path); err != nil {
			return made, err
		}
	}
	row.Body = c.Service.shown(row.Body, row.Sealed)
	return made, c.Service.Store.Rewrite(c.Context, c.Tx, row)
}

func (c *Change) create(k *Kind, sent octopus.Object, asked bool) (document.Row, error) {
	n := *c
	n.Kind, n.Creating, n.Old = k, true, octopus.Object{}
	row := document.Row{Kind: k.Name, Space: c.Space, Revision: 1}
	if k.Scope == InSystem || k.Scope == InBoth && !sent.Has("SpaceId") && (!asked || c.Space == "") {
		row.Space = ""
	} else if k.Scope == InBoth && sent.Text("SpaceId") != "" {
		row.Space = sent.Text("SpaceId")
	}
	n.Space = row.Space
	// Who may not create any is told nothing else; on what exactly it is, is asked again when that is known.
	if asked && !c.Principal.Set.Holds(k.Permission.Create, row.Space) {
		return row, problem.Denied(string(k.Permission.Create))
	}
	var err error
	if n.New, err = k.accept(sent, asked); err != nil {
		return row, err
	}
	if asked && row.Space != "" && k.Scope == InBoth && !c.Service.Directory().Has(row.Space) {
		return row, problem.Invalid("The space '" + row.Space + "' does not exist.")
	}
	n.ID = sent.Text("Id")
	if number, ok := c.batch.reserved[n.ID]; ok && !asked {
		row.Sequence = number
	} else if row.Sequence, err = c.Service.Store.Next(c.Context, c.Tx, k.Name, 1); err != nil {
		return row, err
	}
	switch {
	case !asked && n.ID != "":
	case k.Number != nil:
		if n.ID, err = k.Number(&n); err != nil {
			return row, err
		}
	default:
		n.ID = k.Name + "-" + strconv.FormatInt(row.Sequence, 10)
	}
	n.New.Set("Id", n.ID)
	if err := n.ready(asked); err != nil {
		return row, err
	}
	row, err = n.rowOf(row)
	if err != nil {
		return row, err
	}
	if asked {
		if err := n.authorise(k.Permission.Create, row); err != nil {
			return row, err
		}
	}
	if err := c.Service.Store.Insert(c.Context, c.Tx, row); err != nil {
		return row, n.taken(err)
	}
	n.note("Created", row)
	if k.Settle != nil {
		if err := k.Settle(&n); err != nil {
			return row, err
		}
	}
	return c.again(row, k)
}

// again reads the row where a hook may have changed it.
func (c *Change) again(row document.Row, k *Kind) (document.Row, error) {
	if k.Settle == nil {
		return row, nil
	}
	return c.Service.Store.Get(c.Context, c.Tx, row.Kind, row.ID, row.Space)
}

func (c *Change) update(k *Kind, old document.Row, before, sent octopus.Object, asked bool) (document.Row, error) {
	n := *c
	n.Kind, n.ID, n.Creating, n.Space, n.Old = k, old.ID, false, old.Space, before
	var err error
	if asked {
		if err := n.authorise(k.Permission.Edit, old); err != nil {
			return old, err
		}
		if k.Versioned && sent.Int("Version") != n.Old.Int("Version") {
			return old, problem.Conflict(k.Noun())
		}
	}
	if n.New, err = k.accept(sent, asked); err != nil {
		return old, err
	}
	if asked {
		for _, name := range k.Ours {
			if value, ok := n.Old.Get(name); ok {
				n.New.Set(name, value)
			}
		}
		// What clients leave out of a structure's place they did not mean to empty: the Go client sends null.
		for _, name := range k.shape.Objects() {
			if value, ok := n.Old.Get(name); ok && !sent.Has(name) {
				n.New.Set(name, value)
			}
		}
		if k.Slugged && n.New.Text("Slug") == "" {
			n.New.Set("Slug", n.Old.Text("Slug"))
		}
	}
	n.New.Set("Id", old.ID)
	if k.Versioned {
		n.New.Set("Version", n.Old.Int("Version")+1)
	}
	if err := n.ready(asked); err != nil {
		return old, err
	}
	row, err := n.rowOf(old)
	if err != nil {
		return old, err
	}
	if asked {
		if err := n.authorise(k.Permission.Edit, row); err != nil {
			return old, err
		}
	}
	write := c.Service.Store.Update
	if row.Found(old) {
		write = c.Service.Store.Rewrite
	}
	if err := write(c.Context, c.Tx, row); err != nil {
		return old, n.taken(err)
	}
	n.note("Modified", row)
	if k.Settle != nil {
		if err := k.Settle(&n); err != nil {
			return old, err
		}
	}
	return c.again(row, k)
}

func (c *Change) delete(k *Kind, old document.Row, asked bool) error {
	n := *c
	n.Kind, n.ID, n.New, n.Space = k, old.ID, octopus.Object{}, old.Space
	var err error
	if !asked {
		// What goes along may be named by two owners: it is deleted once.
		if _, err = c.Service.Store.Get(c.Context, c.Tx, k.Name, old.ID, old.Space); errors.Is(err, document.ErrNone) {
			return nil
		} else if err != nil {
			return err
		}
	}
	if n.Old, err = octopus.ParseObject(old.Body); err != nil {
		return err
	}
	if asked {
		if err := n.authorise(k.Permission.Delete, old); err != nil {
			return err
		}
		if err := n.refuseWhileUsed(old); err != nil {
			return err
		}
	}
	if err := n.dropReferences(old); err != nil {
		return err
	}
	if k.Remove != nil {
		if err := k.Remove(&n); err != nil {
			return err
		}
	}
	owned, err := c.Service.Store.Owned(c.Context, c.Tx, old.ID)
	if err != nil {
		return err
	}
	n.cascading = true
	for _, o := range owned {
		if err := n.delete(c.Service.byName[o.Kind], o, false); err != nil {
			return err
		}
	}
	if err := c.Service.Store.Delete(c.Context, c.Tx, k.Name, old.ID, old.Space); err != nil {
		return err
	}
	n.note("Deleted", old)
	return nil
}

func (c *Change) authorise(name permission.Name, row document.Row) error {
	if err := c.Service.MayChange(c.Principal); err != nil {
		return err
	}
	t := c.Kind.target(row)
	if t.Project != "" && t.Space == "" {
		t.Project = ""
	}
	if !c.Principal.Set.Changes(name, t) {
		return problem.Denied(string(name))
	}
	return nil
}
