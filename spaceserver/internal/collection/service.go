package collection

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"odcm/kit/db"
	"odcm/octopus"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
)

// Service is every collection: it reads and changes documents of all kinds by the same rules.
type Service struct {
	Store *document.Store

	kinds    []*Kind
	byName   map[string]*Kind
	byType   map[string]*Kind
	links    map[string]linkSet
	sealer   Sealer
	now      func() time.Time
	decided  func()
	watch    func(*Change, []document.Event) error
	noted    func([]document.Event)
	users    map[string][]referrer // kind -> who refers to it
	spaces   atomic.Pointer[Directory]
	readOnly atomic.Bool
}

// Options are what a service needs.
type Options struct {
	Store  *document.Store
	Kinds  []*Kind
	Sealer Sealer
	Now    func() time.Time // time.Now if nil
	// Decided is called after a commit that changes who may do what.
	Decided func()
	// Watch is called before a commit that leaves events, in its transaction: what follows from them by itself is kept with
	// them, or nothing is. Events that it adds are committed too; it is not asked about those.
	Watch func(c *Change, events []document.Event) error
	// Noted is called after a commit that left events. It must not block.
	Noted func(events []document.Event)
}

// New checks the table of kinds.
func New(o Options) (*Service, error) {
	s := &Service{Store: o.Store, kinds: o.Kinds, sealer: o.Sealer, now: o.Now, decided: o.Decided, watch: o.Watch, noted: o.Noted,
		byName: map[string]*Kind{}, byType: map[string]*Kind{}, links: map[string]linkSet{}, users: map[string][]referrer{}}
	if s.now == nil {
		s.now = time.Now
	}
	if s.decided == nil {
		s.decided = func() {}
	}
	if s.watch == nil {
		s.watch = func(*Change, []document.Event) error { return nil }
	}
	if s.noted == nil {
		s.noted = func([]document.Event) {}
	}
	for _, k := range o.Kinds {
		if err := k.compile(); err != nil {
			return nil, err
		}
		if s.byName[k.Name] != nil {
			return nil, fmt.Errorf("kind %s is twice in the table", k.Name)
		}
		s.byName[k.Name], s.byType[k.Type] = k, k
		s.links[k.Name] = compileLinks(k)
	}
	for _, k := range o.Kinds {
		for _, r := range k.References {
			if s.byName[r.Kind] == nil {
				return nil, fmt.Errorf("kind %s refers to %s, which is not in the table", k.Name, r.Kind)
			}
			if !r.Loose {
				s.users[r.Kind] = append(s.users[r.Kind], referrer{k, r})
			}
		}
	}
	return s, nil
}

// Kinds lists the table in its order.
func (s *Service) Kinds() []*Kind { return s.kinds }

// Kind returns a kind by its name, nil where there is none.
func (s *Service) Kind(name string) *Kind { return s.byName[name] }

// OfType returns a kind by the type of its documents, nil where there is none.
func (s *Service) OfType(typ string) *Kind { return s.byType[typ] }

// Now is the server's time, UTC.
func (s *Service) Now() time.Time { return s.now().UTC() }

// SetReadOnly turns maintenance mode on or off: while on only those who administer the system may change anything.
func (s *Service) SetReadOnly(on bool) { s.readOnly.Store(on) }

// ReadOnly tells whether maintenance mode is on.
func (s *Service) ReadOnly() bool { return s.readOnly.Load() }

// MayChange refuses whoever may not change anything now.
func (s *Service) MayChange(p permission.Principal) error {
	if s.ReadOnly() && !p.Set.Administers() {
		return problem.New(http.StatusServiceUnavailable, "This server is in maintenance mode: only administrators may change anything until it ends.")
	}
	return nil
}

// Request says who asks, where, and with which query.
type Request struct {
	Principal permission.Principal
	// Space is the id of the space that the route names, or of the default space for routes of spaces that name none.
	// It is "" for routes of the whole server.
	Space string
	// Named tells whether the route named the space.
	Named bool
	Query url.Values
}

// Document is one document on its way out.
type Document struct {
	document.Row
	kind  *Kind
	links linkSet
	shown []byte // Body after Present
}

// Text is the body as it is answered, without links.
func (d Document) Text() []byte {
	if d.shown != nil {
		return d.shown
	}
	return d.Body
}

// Object parses the document.
func (d Document) Object() octopus.Object {
	o, _ := octopus.ParseObject(d.Text()) // it was written by us
	return o
}

// MarshalJSON writes the body with its links. Nothing is parsed: lists of thousands are copied.
func (d Document) MarshalJSON() ([]byte, error) {
	return d.append(make([]byte, 0, len(d.Text())+len(d.links.tail)+512))
}

func (d Document) append(b []byte) ([]byte, error) {
	text := d.Text()
	if len(text) < 2 || text[len(text)-1] != '}' {
		return nil, fmt.Errorf("%s %s: stored text is not an object", d.Kind, d.ID)
	}
	b = append(b, text[:len(text)-1]...)
	if len(text) > 2 {
		b = append(b, ',')
	}
	b = d.links.write(b, d.Row)
	return append(b, '}'), nil
}

// Secrets opens the secrets of a document by their path in it ("/Variables/<Id>/Value"), for the server's own use: nothing
// of it may be answered.
func (s *Service) Secrets(ctx context.Context, kind, id, space string) (map[string]string, error) {
	sealed, err := s.Store.Sealed(ctx, s.Store.DB.Read(), kind, id, space)
	if err != nil {
		return nil, err
	}
	return s.open(kind, id, sealed)
}

func (s *Service) open(kind, id string, sealed map[string]string) (map[string]string, error) {
	open := make(map[string]string, len(sealed))
	for path, text := range sealed {
		plain, err := s.sealer.Open(text, kind+"/"+id+path)
		if err != nil {
			return nil, err
		}
		open[path] = string(plain)
	}
	return open, nil
}

// View is what Present gets.
type View struct {
	Context context.Context
	Service *Service
	Request Request
	Kind    *Kind
	Row     document.Row
}

func (s *Service) present(ctx context.Context, r Request, k *Kind, row document.Row) (Document, error) {
	d := Document{Row: row, kind: k, links: s.links[k.Name]}
	if k.Present == nil {
		return d, nil
	}
	o, err := octopus.ParseObject(row.Body)
	if err != nil {
		return d, err
	}
	if err := k.Present(&View{ctx, s, r, k, row}, &o); err != nil {
		return d, err
	}
	d.shown, err = o.MarshalJSON()
	return d, err
}

// Get reads one document by id, slug or name.
func (s *Service) Get(ctx context.Context, r Request, k *Kind, key string) (Document, error) {
	row, err := s.find(ctx, s.Store.DB.Read(), r, k, key, "")
	if err != nil {
		return Document{}, err
	}
	return s.present(ctx, r, k, row)
}

// GetOwned is [Service.Get] among the documents of one owner.
func (s *Service) GetOwned(ctx context.Context, r Request, k *Kind, owner, key string) (Document, error) {
	row, err := s.find(ctx, s.Store.DB.Read(), r, k, key, owner)
	if err != nil {
		return Document{}, err
	}
	if row.Owner != owner {
		return Document{}, problem.NotFound(k.Type, key)
	}
	return s.present(ctx, r, k, row)
}

// find reads a row that the principal may see. One that it may not see is not found.
func (s *Service) find(ctx context.Context, q db.Querier, r Request, k *Kind, key, owner string) (document.Row, error) {
	spaces, err := s.scope(r, k)
	if err != nil {
		return document.Row{}, err
	}
	row, err := s.Store.Get(ctx, q, k.Name, key, "*")
	if err == nil && spaces != nil && !slices.Contains(spaces, row.Space) {
		err = document.ErrNone
	}
	if errors.Is(err, document.ErrNone) {
		row, err = s.Store.Find(ctx, q, k.Name, key, spaces, owner)
	}
	if errors.Is(err, document.ErrNone) {
		return row, problem.NotFound(k.Type, key)
	}
	if err != nil {
		return row, err
	}
	if k.Scope == InBoth && row.Space != "" && !r.Principal.Set.Enters(row.Space) {
		return row, problem.NotFound(k.Type, key)
	}
	if !s.sees(r.Principal, k, row) {
		if k.Visible != nil || r.Principal.Set.Holds(k.Permission.View, row.Space) {
			return row, problem.NotFound(k.Type, key)
		}
		return row, problem.Denied(string(k.Permission.View))
	}
	return row, nil
}

// scope returns the spaces in which the request looks; nil for any.
func (s *Service) scope(r Request, k *Kind) ([]string, error) {
	switch k.Scope {
	case InSystem:
		return []string{""}, nil
	case InSpace:
		if r.Space == "" {
			return nil, problem.New(http.StatusNotFound, "There is no default space: name one in the route, as /api/Spaces-1/%s.", k.Route)
		}
		return []string{r.Space}, nil
	}
	system := !strings.EqualFold(r.Query.Get("includeSystem"), "false")
	var spaces []string
	switch wanted := Split(r.Query, "spaces"); {
	case len(wanted) > 0 && !slices.Contains(wanted, "all"):
		spaces = wanted
	case r.Named:
		spaces = []string{r.Space}
	case system:
		return nil, nil
	default:
		for _, space := range s.Directory().Spaces {
			spaces = append(spaces, space.ID)
		}
	}
	if system {
		spaces = append(spaces, "")
	}
	return spaces, nil
}

// Sees tells whether someone may see a document, for those who come upon it otherwise.
func (s *Service) Sees(p permission.Principal, row document.Row) bool {
	return s.sees(p, s.byName[row.Kind], row)
}

func (s *Service) sees(p permission.Principal, k *Kind, row document.Row) bool {
	if k.Visible != nil && !k.Visible(p, row) {
		return false
	}
	if p.Set.Unrestricted(k.Permission.View, row.Space) {
		return true
	}
	// What is shared by a whole server or space is seen by those who may see that kind at all; only restricted grants need
	// the body.
	return p.Set.Sees(k.Permission.View, k.target(row))
}

// target reads from a row what restricted grants look at.
func (k *Kind) target(row document.Row) permission.Target {
	t := permission.Target{Space: row.Space, Project: row.Project}
	if k.Environments == "" && k.Tenants == "" && k.ProjectGroup == "" {
		return t
	}
	o, _ := octopus.ParseObject(row.Body)
	t.ProjectGroup = first(k.ids(o, row.ID, k.ProjectGroup))
	t.Environments = k.ids(o, row.ID, k.Environments)
	t.Tenants = k.ids(o, row.ID, k.Tenants)
	t.Everywhere = k.Everywhere
	return t
}

func (k *Kind) ids(o octopus.Object, id, member string) []string {
	switch {
	case member == "":
		return nil
	case member == "Id":
		return []string{id}
	}
	for { // a path through objects: Arguments.EnvironmentId
		name, rest, deeper := strings.Cut(member, ".")
		if !deeper {
			break
		}
		o, member = o.Object(name), rest
	}
	if one := o.Text(member); one != "" {
		return []string{one}
	}
	return o.Texts(member)
}

func first(s []string) string {
	if len(s) == 0 {
		return ""
	}
	return s[0]
}

// Split reads a parameter that is a list: "a,b" or given several times, its name in any case.
func Split(q url.Values, name string) []string {
	var list []string
	for key, values := range q {
		if !strings.EqualFold(key, name) {
			continue
		}
		for _, v := range values {
			for item := range strings.SplitSeq(v, ",") {
				if item = strings.TrimSpace(item); item != "" {
					list = append(list, item)
				}
			}
		}
	}
	return list
}

// Number reads a whole number from the query, or the default where there is none or it is none.
func Number(q url.Values, name string, otherwise int) int {
	text := first(Split(q, name))
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return otherwise
	}
	return int(min(n, 1<<31-1))
}
