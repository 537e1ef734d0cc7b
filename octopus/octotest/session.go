package octotest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"odcm/octopus"
	"odcm/octopus/octotest/swagger"
)

// Result is the outcome of one step; no problems means that it passed.
type Result struct {
	Name     string // "environments/create"
	Problems []string
	Gap      string // the server's reason why the step may fail

	again int // findings that an earlier step has reported
}

// session is one run of the suite against one server.
type session struct {
	server Server
	*Reference
	http *http.Client
	ctx  context.Context
	run  string // makes names unique among runs

	results  []Result
	step     *Result // the one that is running
	used     map[int]bool
	reported map[swagger.Finding]bool
	secrets  []string // none of them may stand in an answer

	me      octopus.Object
	kinds   []Kind
	made    map[string]octopus.Object // by route: what other kinds need, made once
	cleanup []func()
	names   int
}

// stop ends a step.
type stop struct{}

// do runs a step and notes its problems. It tells whether the step ended well enough to go on with what builds on it.
func (s *session) do(name string, f func()) (ok bool) {
	outer := s.step
	s.step = &Result{Name: name}
	defer func() {
		if s.step.again > 0 {
			s.problemf("%d findings that an earlier step has reported", s.step.again)
		}
		s.results = append(s.results, *s.step)
		s.step = outer
		if r := recover(); r != nil {
			if _, stopped := r.(stop); !stopped {
				panic(r)
			}
			ok = false
		}
	}()
	f()
	return true
}

// problemf notes a problem of the step; fatalf ends the step too.
func (s *session) problemf(format string, args ...any) {
	s.step.Problems = append(s.step.Problems, fmt.Sprintf(format, args...))
}

func (s *session) fatalf(format string, args ...any) {
	s.problemf(format, args...)
	panic(stop{})
}

// reply is what the server answered.
type reply struct {
	what   string // method and path
	status int
	header http.Header
	body   []byte
}

// request is what send sends; a nil key means the server's own.
type request struct {
	method, path string
	body         any // nil: none; []byte: as it is; else JSON
	contentType  string
	key          *string
	header       http.Header // more to send
}

// send sends a request and checks the answer against the document, whatever the step wanted of it.
func (s *session) send(r request) reply {
	req, err := http.NewRequestWithContext(s.ctx, r.method, strings.TrimRight(s.server.URL, "/")+r.path, nil)
	if err != nil {
		s.fatalf("%s %s: %v", r.method, r.path, err)
	}
	if r.body != nil {
		raw, ok := r.body.([]byte)
		if !ok {
			raw = encode(r.body)
		}
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
		req.Header.Set("Content-Type", "application/json")
	}
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	key := s.server.APIKey
	if r.key != nil {
		key = *r.key
	}
	if key != "" {
		req.Header.Set(octopus.APIKeyHeader, key)
	}
	req.Header.Set("Accept", "application/json")
	for name, values := range r.header {
		req.Header[name] = values
	}
	res, err := s.http.Do(req)
	if err != nil {
		s.fatalf("%s %s: no answer: %v", r.method, r.path, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err != nil {
		s.fatalf("%s %s: answer broke off: %v", r.method, r.path, err)
	}
	a := reply{what: r.method + " " + r.path, status: res.StatusCode, header: res.Header, body: body}
	s.checkSecrets(a)
	s.checkAnswer(r, a)
	return a
}

func encode(v any) []byte {
	var raw []byte
	var err error
	if m, ok := v.(json.Marshaler); ok {
		raw, err = m.MarshalJSON()
	} else {
		raw, err = json.Marshal(v)
	}
	if err != nil {
		panic(fmt.Sprintf("octotest: a body that is not JSON: %v", err)) // a defect of the suite
	}
	return raw
}

func (s *session) checkSecrets(a reply) {
	for _, secret := range s.secrets {
		if bytes.Contains(a.body, []byte(secret)) {
			s.problemf("%s: the answer shows a secret that was written", a.what)
		}
	}
}

// checkAnswer holds the answer against the document, or against the shape of errors.
func (s *session) checkAnswer(r request, a reply) {
	path, _, _ := strings.Cut(r.path, "?")
	switch {
	case a.status >= 400:
		for _, problem := range errorShape(a.status, a.header, a.body) {
			s.problemf("%s: %s", a.what, problem)
		}
		return
	case a.status >= 300:
		s.problemf("%s: status %d; the API does not redirect", a.what, a.status)
		return
	}
	answer, route := s.expected(r.method, path, a)
	if answer == nil {
		return
	}
	if answer["type"] == "file" {
		return
	}
	if ct := a.header.Get("Content-Type"); !strings.HasPrefix(ct, "application/json") {
		s.problemf("%s: Content-Type %q instead of application/json", a.what, ct)
	}
	findings, err := s.document.Check(answer, a.body)
	if err != nil {
		s.problemf("%s: not JSON: %v", a.what, err)
	}
	for _, f := range findings {
		if f.Definition == "" {
			f.Definition = route // the answer is described there and not by a definition
		}
		s.find(a.what, f)
	}
	for _, problem := range pageShape(a.body) {
		s.problemf("%s: %s", a.what, problem)
	}
}

// expected is the schema of the answer, nil where nobody told, and the operation that it belongs to.
func (s *session) expected(method, path string, a reply) (answer swagger.Schema, route string) {
	plain := path
	if rest, ok := strings.CutPrefix(path, octopus.SpaceRoute(s.server.Space)+"/"); ok {
		plain = octopus.Route() + "/" + rest
	}
	op, ok := s.document.Find(method, path)
	for _, u := range untold {
		if u.method != method || len(swagger.Split(u.path)) != len(swagger.Split(plain)) {
			continue
		}
		literal, same := swagger.Matches(swagger.Split(u.path), swagger.Split(plain))
		if same && (literal == len(swagger.Split(plain)) || !ok || op.Answers[http.StatusOK] == nil) {
			return u.answer, u.method + " " + u.path
		}
	}
	if !ok {
		s.find(a.what, swagger.Finding{Definition: method + " " + path, Problem: swagger.Route, Detail: "the document does not have it"})
		return nil, ""
	}
	answer, listed := op.Answers[a.status]
	if !listed {
		s.find(a.what, swagger.Finding{Definition: op.Route(), Field: fmt.Sprint(a.status), Problem: swagger.Status,
			Detail: "the document does not list this status"})
		answer = op.Answers[http.StatusOK]
		if answer == nil {
			answer = op.Answers[http.StatusCreated]
		}
	}
	return answer, op.Route()
}

// find notes a finding that no deviation covers, each in full once in a run, because one cause should be one line. Later
// steps that meet it fail too, with a count.
func (s *session) find(what string, f swagger.Finding) {
	for _, d := range known {
		if d.covers(f) {
			return
		}
	}
	for i, d := range s.server.Deviations {
		if d.covers(f) {
			s.used[i] = true
			return
		}
	}
	once := f
	once.Detail = ""
	if s.reported[once] {
		s.step.again++
		return
	}
	s.reported[once] = true
	s.problemf("%s: %s", what, f)
}

// errorShape is what every failure looks like.
func errorShape(status int, header http.Header, body []byte) (problems []string) {
	if status == http.StatusTeapot {
		return nil
	}
	if ct := header.Get("Content-Type"); !strings.HasPrefix(ct, "application/json") {
		problems = append(problems, fmt.Sprintf("status %d with Content-Type %q: errors are JSON", status, ct))
	}
	o, err := octopus.ParseObject(body)
	if err != nil {
		return append(problems, fmt.Sprintf("status %d without a JSON object: %v", status, err))
	}
	if o.Text("ErrorMessage") == "" {
		problems = append(problems, fmt.Sprintf("status %d without an ErrorMessage", status))
	}
	if raw, ok := o.Get("Errors"); ok && string(raw) != "null" {
		var texts []string
		if json.Unmarshal(raw, &texts) != nil {
			problems = append(problems, "Errors is not an array of texts")
		}
		if status == http.StatusNotFound {
			problems = append(problems, "a 404 with Errors: clients take it for a failure, not for \"there is none\"")
		}
	}
	for name, raw := range o.All() {
		if !slices.Contains([]string{"ErrorMessage", "Errors", "ParsedHelpLinks", "HelpText", "HelpLink", "FullException", "Details"}, name) {
			problems = append(problems, fmt.Sprintf("unknown %s in an error: %.60s", name, raw))
		}
	}
	return problems
}

var skipTake = regexp.MustCompile(`[?&](skip|take)=\d+`)

// pageShape checks that the numbers and links of a page agree, where the body is one.
func pageShape(body []byte) (problems []string) {
	o, err := octopus.ParseObject(body)
	if err != nil || !o.Has("TotalResults") || !o.Has("Items") {
		return nil
	}
	p := octopus.Page{Object: o}
	items, total, size := len(p.Items()), p.Total(), int(o.Int("ItemsPerPage"))
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if items > total || size > 0 && items > size {
		problem("%d items of %d, %d for a page", items, total, size)
	}
	if o.Has("NumberOfPages") && size > 0 {
		if pages := (total + size - 1) / size; o.Int("NumberOfPages") != int64(max(pages, 1)) && o.Int("NumberOfPages") != int64(pages) {
			problem("NumberOfPages %d for %d items of %d", o.Int("NumberOfPages"), total, size)
		}
		if last := o.Int("LastPageNumber"); last != max(o.Int("NumberOfPages")-1, 0) {
			problem("LastPageNumber %d of %d pages", last, o.Int("NumberOfPages"))
		}
	}
	if p.ItemType() == "" {
		problem("no ItemType")
	}
	for _, name := range []string{"Self", "Template", "Page.Current"} {
		if o.Link(name) == "" {
			problem("no link %s", name)
		}
	}
	if items == total && p.Next() != "" {
		problem("Page.Next after all %d items", total)
	}
	if next := p.Next(); next != "" && !skipTake.MatchString(next) {
		problem("Page.Next %q without skip", next)
	}
	return problems
}

// object reads a reply that must be a resource.
func (s *session) object(a reply) octopus.Object {
	o, err := octopus.ParseObject(a.body)
	if err != nil {
		s.fatalf("%s: not a JSON object: %v", a.what, err)
	}
	return o
}

// want ends the step where the status is none of these.
func (s *session) want(a reply, status ...int) reply {
	if !slices.Contains(status, a.status) {
		s.fatalf("%s: status %d instead of %v: %.300s", a.what, a.status, status, a.body)
	}
	return a
}

func (s *session) get(path string) octopus.Object {
	return s.object(s.want(s.send(request{method: "GET", path: path}), 200))
}

func (s *session) put(path string, body any) octopus.Object {
	return s.object(s.want(s.send(request{method: "PUT", path: path, body: body}), 200))
}

func (s *session) post(path string, body any) octopus.Object {
	return s.object(s.want(s.send(request{method: "POST", path: path, body: body}), 200, 201))
}

func (s *session) delete(path string) {
	s.want(s.send(request{method: "DELETE", path: path}), 200)
}

// name makes a name that nobody else has.
func (s *session) name(noun string) string {
	s.names++
	return fmt.Sprintf("%s %s-%d", noun, s.run, s.names)
}

// route is the path of a kind's route, in the space unless the kind is the server's.
func (s *session) route(k *Kind, parts ...string) string {
	if k.System {
		return octopus.Route(append([]string{k.Route}, parts...)...)
	}
	return octopus.SpaceRoute(s.server.Space, append([]string{k.Route}, parts...)...)
}

// in is a path in the space, with "{projects}" and the like replaced by what need makes.
func (s *session) in(path string) string {
	return octopus.SpaceRoute(s.server.Space) + "/" + s.fill(path)
}

var placeholder = regexp.MustCompile(`\{([A-Za-z]+)(?:\.([A-Za-z]+))?\}`)

// fill replaces "{projects}" by the identifier of the project that need makes, "{projects.VariableSetId}" by that field.
func (s *session) fill(path string) string {
	return placeholder.ReplaceAllStringFunc(path, func(p string) string {
		m := placeholder.FindStringSubmatch(p)
		if m[1] == "me" {
			return s.me.ID()
		}
		if m[2] != "" {
			raw, _ := s.need(m[1]).Get(m[2])
			if len(raw) == 0 || string(raw) == "null" {
				s.fatalf("%s has no %s", s.need(m[1]).ID(), m[2])
			}
			return strings.Trim(string(raw), `"`)
		}
		return s.need(m[1]).ID()
	})
}

// need makes one resource of a kind for others to refer to, once in a run, and removes it at the end.
func (s *session) need(route string) octopus.Object {
	if o, ok := s.made[route]; ok {
		if o.ID() == "" {
			s.fatalf("there is no %s to refer to, as making one failed before", route)
		}
		return o
	}
	k := s.kind(route)
	s.made[route] = octopus.Object{} // so that a failure is not repeated
	o := s.post(s.route(k), k.Body(s))
	s.made[route] = o
	if s.document.Has("DELETE", s.route(k, o.ID())) {
		s.cleanup = append(s.cleanup, func() { s.remove(k, o) })
	}
	return o
}

// remove deletes what the suite made, after what its kind wants done before.
func (s *session) remove(k *Kind, o octopus.Object) {
	path := s.route(k, o.ID())
	if k.BeforeDelete != nil {
		current := s.get(path)
		k.BeforeDelete(&current)
		s.put(path, current)
	}
	s.delete(path)
}

func newSession(ctx context.Context, server Server, reference *Reference) *session {
	return &session{
		server: server, Reference: reference, ctx: ctx, kinds: kinds(),
		http:     &http.Client{Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		run:      fmt.Sprintf("%x", time.Now().UnixNano()%0xffffffff),
		used:     map[int]bool{},
		reported: map[swagger.Finding]bool{},
		made:     map[string]octopus.Object{},
	}
}
