package scim

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"odcm/manager/identity/scim/attribute"
)

// Bounds of a request.
const (
	// MaxBody is how many bytes a request may have: a group of some ten thousand members. The site must accept as many.
	MaxBody  = 8 << 20
	maxCount = 500 // resources in an answer
)

// Handler serves /scim/v2/. It needs no sign-in before it: every request brings a token.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, f func(r *http.Request, d Directory) (*reply, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, f) })
	}
	const base = "/scim/v2/"
	for _, k := range []Kind{User, Group} {
		path := base + string(k) + "s"
		handle("GET "+path, func(r *http.Request, d Directory) (*reply, error) { return s.list(r, d, k) })
		handle("POST "+path, func(r *http.Request, d Directory) (*reply, error) { return s.post(r, d, k) })
		handle("GET "+path+"/{id}", func(r *http.Request, d Directory) (*reply, error) { return s.get(r, d, k) })
		handle("PUT "+path+"/{id}", func(r *http.Request, d Directory) (*reply, error) { return s.put(r, d, k) })
		handle("PATCH "+path+"/{id}", func(r *http.Request, d Directory) (*reply, error) { return s.patch(r, d, k) })
		handle("DELETE "+path+"/{id}", func(r *http.Request, d Directory) (*reply, error) { return s.delete(r, d, k) })
	}
	handle("GET "+base+"ServiceProviderConfig", func(*http.Request, Directory) (*reply, error) { return &reply{body: s.config()}, nil })
	for path, all := range map[string]func() []attribute.Object{"ResourceTypes": s.resourceTypes, "Schemas": s.schemas} {
		handle("GET "+base+path, func(*http.Request, Directory) (*reply, error) { return listed(all(), len(all()), 1), nil })
		handle("GET "+base+path+"/{id}", func(r *http.Request, _ Directory) (*reply, error) {
			for _, o := range all() {
				if o["id"] == r.PathValue("id") {
					return &reply{body: o}, nil
				}
			}
			return nil, &fault{http.StatusNotFound, "", "There is no such thing."}
		})
	}
	handle(base, func(r *http.Request, _ Directory) (*reply, error) {
		path := strings.TrimPrefix(r.URL.Path, base)
		if path == "Me" || path == "Bulk" || strings.HasSuffix(path, ".search") {
			return nil, &fault{http.StatusNotImplemented, "", "This server does not do that."}
		}
		return nil, &fault{http.StatusNotFound, "", "There is nothing at this address, or not by this method."}
	})
	return mux
}

// reply is what is answered: a body, with the version of what is in it.
type reply struct {
	status   int // 200 where zero
	body     any
	version  int64
	location string
}

func (s *Service) serve(w http.ResponseWriter, r *http.Request, f func(r *http.Request, d Directory) (*reply, error)) {
	secret, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	d, err := s.authenticate(r.Context(), secret)
	var a *reply
	if err == nil {
		r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
		a, err = f(r, d)
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		err = &fault{http.StatusRequestEntityTooLarge, "", "The body is too large."}
	case errors.Is(err, context.Canceled):
		return
	}
	if err != nil {
		f := faultOf(err)
		if f.status >= 500 {
			s.o.Logger.Error("a SCIM request failed", "method", r.Method, "path", r.URL.Path, "provider", d.Provider, "error", err)
		}
		f.write(w)
		return
	}
	if a.version > 0 {
		w.Header().Set("ETag", etag(a.version))
		if match := r.Header.Get("If-None-Match"); r.Method == http.MethodGet && matches(match, a.version) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	if a.location != "" {
		w.Header().Set("Location", a.location)
	}
	if a.status == http.StatusNoContent {
		w.WriteHeader(a.status)
		return
	}
	answer(w, max(a.status, http.StatusOK), a.body)
}

// etag is weak: what is answered may leave attributes out (RFC 7644 section 3.14).
func etag(revision int64) string { return `W/"` + strconv.FormatInt(revision, 10) + `"` }

func matches(header string, revision int64) bool {
	for tag := range strings.SplitSeq(header, ",") {
		if tag = strings.TrimSpace(tag); tag == "*" || strings.TrimPrefix(tag, "W/") == strings.TrimPrefix(etag(revision), "W/") {
			return true
		}
	}
	return false
}

// ifMatch refuses a change of a version that the client has not seen.
func ifMatch(r *http.Request) func(int64) error {
	return func(revision int64) error {
		if header := r.Header.Get("If-Match"); header != "" && !matches(header, revision) {
			return &fault{http.StatusPreconditionFailed, "", "It was changed meanwhile: read it again."}
		}
		return nil
	}
}

func (s *Service) location(k Kind, id string) string {
	return s.Address() + "/" + string(k) + "s/" + url.PathEscape(id)
}

// shown adds what only the server says, and leaves out what was not asked for.
func (s *Service) shown(r Resource, doc attribute.Object, q url.Values) attribute.Object {
	out := attribute.Object{"schemas": doc["schemas"], "id": r.ID}
	only, but := names(q.Get("attributes")), names(q.Get("excludedAttributes"))
	for name, v := range doc {
		if len(only) > 0 && !only.has(name) || len(only) == 0 && but[attribute.Fold(name)] {
			continue
		}
		out[name] = v
	}
	if len(only) == 0 && !but["meta"] || only.has("meta") {
		out["meta"] = attribute.Object{"resourceType": r.Kind, "created": stamp(r.Created), "lastModified": stamp(r.Modified), "version": etag(r.Revision), "location": s.location(r.Kind, r.ID)}
	}
	return out
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// wanted is a list of attributes, folded.
type wanted map[string]bool

func names(text string) wanted {
	w := wanted{}
	for name := range strings.SplitSeq(text, ",") {
		if name = attribute.Fold(strings.TrimSpace(name)); name != "" {
			name = strings.TrimPrefix(strings.TrimPrefix(name, attribute.Fold(attribute.UserSchema)+":"), attribute.Fold(attribute.GroupSchema)+":")
			w[name] = true
		}
	}
	return w
}

// has tells whether the attribute or a part of it is listed: a part is answered with its whole.
func (w wanted) has(name string) bool {
	name = attribute.Fold(name)
	for n := range w {
		if n == name || strings.HasPrefix(n, name+".") || strings.HasPrefix(n, name+":") {
			return true
		}
	}
	return false
}

// asksMembers tells whether the answer is to have members: a directory of many leaves them out.
func asksMembers(q url.Values) bool {
	only, but := names(q.Get("attributes")), names(q.Get("excludedAttributes"))
	return len(only) > 0 && only.has("members") || len(only) == 0 && !but["members"]
}

func (s *Service) get(r *http.Request, d Directory, k Kind) (*reply, error) {
	res, doc, err := s.load(r.Context(), d, k, r.PathValue("id"), asksMembers(r.URL.Query()))
	if err != nil {
		return nil, err
	}
	return &reply{body: s.shown(res, doc, r.URL.Query()), version: res.Revision}, nil
}

// told answers a change with the resource as it is now.
func (s *Service) told(r *http.Request, d Directory, res Resource, status int) (*reply, error) {
	withMembers := asksMembers(r.URL.Query())
	doc, err := s.open(r.Context(), d, []Resource{res}, withMembers)
	if err != nil {
		return nil, err
	}
	return &reply{status: status, body: s.shown(res, doc[0], r.URL.Query()), version: res.Revision, location: s.location(res.Kind, res.ID)}, nil
}

func (s *Service) post(r *http.Request, d Directory, k Kind) (*reply, error) {
	var doc attribute.Object
	if err := body(r, k, &doc); err != nil {
		return nil, err
	}
	res, _, err := s.create(r.Context(), d, k, doc)
	if err != nil {
		return nil, err
	}
	return s.told(r, d, res, http.StatusCreated)
}

// body reads a resource and checks that it is one of this sort.
func body(r *http.Request, k Kind, doc *attribute.Object) error {
	if err := read(r.Body, doc); err != nil {
		return err
	}
	said := attribute.List(attribute.Get(*doc, "schemas"))
	if *doc == nil || len(said) > 0 && !slices.ContainsFunc(said, func(v any) bool { return strings.EqualFold(attribute.Text(v), k.schema()) }) {
		return invalid("invalidSyntax", "The body is not a resource of the schema "+k.schema()+".")
	}
	return nil
}

// put replaces a resource; its identity stays.
func (s *Service) put(r *http.Request, d Directory, k Kind) (*reply, error) {
	var fresh attribute.Object
	if err := body(r, k, &fresh); err != nil {
		return nil, err
	}
	return s.changed(r, d, k, func(attribute.Object) (attribute.Object, error) { return clone(fresh), nil })
}

func (s *Service) patch(r *http.Request, d Directory, k Kind) (*reply, error) {
	var in struct {
		Schemas    []string              `json:"schemas"`
		Operations []attribute.Operation `json:"Operations"`
	}
	if err := read(r.Body, &in); err != nil {
		return nil, err
	}
	return s.changed(r, d, k, func(doc attribute.Object) (attribute.Object, error) {
		ops := make([]attribute.Operation, len(in.Operations))
		for i, op := range in.Operations {
			op.Value = cloneValue(op.Value)
			ops[i] = op
		}
		return doc, attribute.Apply(doc, ops)
	})
}

// clone copies a body: a change that is tried again must find it as it came.
func clone(o attribute.Object) attribute.Object { return cloneValue(o).(attribute.Object) }

func cloneValue(v any) any {
	switch v := v.(type) {
	case attribute.Object:
		c := make(attribute.Object, len(v))
		for name, x := range v {
			c[name] = cloneValue(x)
		}
		return c
	case []any:
		c := make([]any, len(v))
		for i, x := range v {
			c[i] = cloneValue(x)
		}
		return c
	}
	return v
}

func (s *Service) changed(r *http.Request, d Directory, k Kind, f func(attribute.Object) (attribute.Object, error)) (*reply, error) {
	res, _, err := s.change(r.Context(), d, k, r.PathValue("id"), ifMatch(r), f)
	if err != nil {
		return nil, err
	}
	return s.told(r, d, res, http.StatusOK)
}

func (s *Service) delete(r *http.Request, d Directory, k Kind) (*reply, error) {
	if err := s.remove(r.Context(), d, k, r.PathValue("id"), ifMatch(r)); err != nil {
		return nil, err
	}
	return &reply{status: http.StatusNoContent}, nil
}

func (s *Service) list(r *http.Request, d Directory, k Kind) (*reply, error) {
	q := r.URL.Query()
	start, count := atLeast(q.Get("startIndex"), 1, 1), min(atLeast(q.Get("count"), 100, 0), maxCount)
	var found []Resource
	var total int
	var err error
	if text := q.Get("filter"); text != "" {
		var f attribute.Filter
		if f, err = attribute.ParseFilter(text); err == nil {
			found, total, err = s.filter(r.Context(), d, k, f, start-1, count)
		}
	} else if total, err = s.o.Store.Count(r.Context(), d.Provider, k); err == nil && count > 0 {
		found, err = s.o.Store.Page(r.Context(), d.Provider, k, start-1, count)
	}
	if err != nil {
		return nil, err
	}
	docs, err := s.open(r.Context(), d, found, asksMembers(q))
	if err != nil {
		return nil, err
	}
	for i, res := range found {
		docs[i] = s.shown(res, docs[i], q)
	}
	return listed(docs, total, start), nil
}

// atLeast reads a number of a query; what is none is the default.
func atLeast(text string, otherwise, least int) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return otherwise
	}
	return max(n, least)
}

func listed(all []attribute.Object, total, start int) *reply {
	if all == nil {
		all = []attribute.Object{}
	}
	return &reply{body: attribute.Object{"schemas": []string{schemaList}, "totalResults": total, "startIndex": start, "itemsPerPage": len(all), "Resources": all}}
}

// filter finds what matches. Where the filter asks for one name or identifier it is looked up, else all are looked through.
func (s *Service) filter(ctx context.Context, d Directory, k Kind, f attribute.Filter, skip, count int) (found []Resource, total int, err error) {
	members := attribute.Mentions(f, "members")
	keep := func(all []Resource) error {
		docs, err := s.open(ctx, d, all, members)
		if err != nil {
			return err
		}
		for i, r := range all {
			docs[i]["id"] = r.ID
			docs[i]["meta"] = attribute.Object{"created": stamp(r.Created), "lastModified": stamp(r.Modified), "resourceType": string(k)}
			if f.Match(docs[i]) {
				if total++; total > skip && len(found) < count {
					found = append(found, r)
				}
			}
		}
		return nil
	}
	if name, value := attribute.Narrow(f); indexed(k, name) {
		all, err := s.o.Store.Find(ctx, d.Provider, k, name, value)
		return found, total, firstOf(err, keep(all))
	}
	for at := 0; ; at += maxCount {
		all, err := s.o.Store.Page(ctx, d.Provider, k, at, maxCount)
		if err != nil || len(all) == 0 {
			return found, total, err
		}
		if err := keep(all); err != nil {
			return nil, 0, err
		}
	}
}

// indexed tells whether the store finds resources by the attribute: of people, displayName is in the document only.
func indexed(k Kind, name string) bool {
	return name == "id" || name == "externalid" || name == "username" && k == User || name == "displayname" && k == Group
}
