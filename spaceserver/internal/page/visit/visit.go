// Package visit is one look at one page: who looks, at which space, what the server's routes answer them, and the frame
// around what is shown.
//
// Pages ask the REST routes in process, so that permissions, rules, events and the sentences of refusals are those of the
// API. A visit keeps the first error that an answer brought; what is asked after it is empty, and the error's page is shown
// instead of the page. So pages read straight down without a check at each line.
package visit

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
)

// Visit is one request of a browser. Its methods are for the goroutine that answers it.
type Visit struct {
	Who   permission.Principal
	Space collection.SpaceEntry // the one in the address, or the one that was looked at last
	// Failed is why what was sent was refused, when the page is shown again with its form; "" at other times.
	Failed string

	w    http.ResponseWriter
	r    *http.Request
	desk *Desk
	err  error
	sent bool   // a form was sent
	left string // where else to go
	memo map[string][]octopus.Object
}

// Context is the request's.
func (v *Visit) Context() context.Context { return v.r.Context() }

// Path is a part of the address by its name in the pattern.
func (v *Visit) Path(name string) string { return v.r.PathValue(name) }

// Query is a parameter of the address.
func (v *Visit) Query(name string) string { return v.r.URL.Query().Get(name) }

// Here is the address without its parameters.
func (v *Visit) Here() string { return v.r.URL.Path }

// Form is a field of the form that was sent, without space around it.
func (v *Visit) Form(name string) string { return strings.TrimSpace(v.r.PostFormValue(name)) }

// Text is a field of several lines as it was typed, with the line ends of Unix: browsers send CRLF (HTML, form submission).
func (v *Visit) Text(name string) string {
	return strings.ReplaceAll(v.r.PostFormValue(name), "\r\n", "\n")
}

// Forms are all the values of a field, such as those of several boxes.
func (v *Visit) Forms(name string) []string {
	v.r.PostFormValue(name)
	list := []string{}
	for _, value := range v.r.PostForm[name] {
		if value != "" {
			list = append(list, value)
		}
	}
	return list
}

// Flag tells whether a box was ticked.
func (v *Visit) Flag(name string) bool { return v.Form(name) != "" }

// Lines are the lines or comma-separated words of a field.
func (v *Visit) Lines(name string) []string {
	list := []string{}
	for _, word := range strings.FieldsFunc(v.Form(name), func(r rune) bool { return r == ',' || r == '\n' || r == '\r' }) {
		if word = strings.TrimSpace(word); word != "" {
			list = append(list, word)
		}
	}
	return list
}

// Was is what was typed into a field before it was refused, or otherwise.
func (v *Visit) Was(name, otherwise string) string {
	if !v.sent {
		return otherwise
	}
	return v.Text(name)
}

// WasOn is [Visit.Was] of a box.
func (v *Visit) WasOn(name, value string, otherwise bool) bool {
	if !v.sent {
		return otherwise
	}
	for _, have := range v.Forms(name) {
		if have == value {
			return true
		}
	}
	return false
}

// Err is the first error.
func (v *Visit) Err() error { return v.err }

// Fail keeps an error, if it is the first.
func (v *Visit) Fail(err error) {
	if v.err == nil {
		v.err = err
	}
}

// Refuse keeps a sentence that tells what is wrong with what was sent.
func (v *Visit) Refuse(sentence string) { v.Fail(problem.Invalid(sentence)) }

// May tells whether the visitor holds the permission anywhere in the space ("" for the whole server where the page is of
// no space).
func (v *Visit) May(name permission.Name) bool {
	return v.Who.Set.Holds(name, v.Space.ID) || v.Who.Set.Holds(name, "")
}

// MayOn is [Visit.May] for a project.
func (v *Visit) MayOn(name permission.Name, project octopus.Object) bool {
	return v.Who.Set.Changes(name, permission.Target{Space: v.Space.ID, Project: project.Text("Id"), ProjectGroup: project.Text("ProjectGroupId")})
}

// Need refuses the page to whoever does not hold the permission.
func (v *Visit) Need(name permission.Name) {
	if !v.May(name) {
		v.Fail(problem.Denied(string(name)))
	}
}

// Administers tells whether the visitor may do everything.
func (v *Visit) Administers() bool { return v.Who.Set.Administers() }

// Holds tells whether the visitor holds a permission on the whole server.
func (v *Visit) Holds(name permission.Name) bool { return v.Who.Set.Holds(name, "") }

// To is an address in the space of the visit.
func (v *Visit) To(parts ...string) string {
	return "/app/" + v.Space.ID + "/" + strings.Join(parts, "/")
}

// Now is the time of the visit.
func (v *Visit) Now() time.Time { return v.desk.Service.Now() }

// Spaces are those that the visitor may enter.
func (v *Visit) Spaces() []collection.SpaceEntry {
	var list []collection.SpaceEntry
	for _, s := range v.desk.Service.Directory().Spaces {
		if v.Who.Set.Enters(s.ID) {
			list = append(list, s)
		}
	}
	return list
}

// ask asks a route. A path that begins with a slash is the whole server's.
func (v *Visit) ask(method, path string, header http.Header, body io.Reader) []byte {
	if v.err != nil {
		return nil
	}
	target := "/api" + path
	if !strings.HasPrefix(path, "/") {
		target = "/api/" + v.Space.ID + "/" + path
	}
	answer, err := v.desk.Door.Ask(v.Context(), v.Who, method, target, header, body)
	v.Fail(err)
	return answer
}

// Get reads one document.
func (v *Visit) Get(path string) octopus.Object {
	b := v.ask(http.MethodGet, path, nil, nil)
	if v.err != nil {
		return octopus.Object{}
	}
	o, err := octopus.ParseObject(b)
	v.Fail(err)
	return o
}

// Into reads an answer into a Go value.
func (v *Visit) Into(dst any, path string) {
	if b := v.ask(http.MethodGet, path, nil, nil); v.err == nil {
		v.Fail(json.Unmarshal(b, dst))
	}
}

// All reads an answer that is an array. Within one visit the same path is asked once.
func (v *Visit) All(path string) []octopus.Object {
	if list, ok := v.memo[path]; ok {
		return list
	}
	var list []octopus.Object
	v.Into(&list, path)
	if v.err == nil {
		if v.memo == nil {
			v.memo = map[string][]octopus.Object{}
		}
		v.memo[path] = list
	}
	return list
}

// Maybe is [Visit.All] for what the page can do without: nothing is shown to whoever may not see it.
func (v *Visit) Maybe(path string) []octopus.Object {
	if v.err != nil {
		return nil
	}
	list := v.All(path)
	v.forgive()
	return list
}

// Try is [Visit.Get] for what the page can do without.
func (v *Visit) Try(path string) octopus.Object {
	if v.err != nil {
		return octopus.Object{}
	}
	o := v.Get(path)
	v.forgive()
	return o
}

// forgive forgets an error that says that there is nothing to see.
func (v *Visit) forgive() {
	if Status(v.err) < http.StatusInternalServerError || Status(v.err) == http.StatusNotImplemented {
		v.err = nil
	}
}

// List is a part of a list.
type List struct {
	Items        []octopus.Object
	TotalResults int
	skip, take   int
}

// Page reads the part of a list that the address asks for with "skip".
func (v *Visit) Page(path string, take int) List {
	l := List{skip: collection.Number(v.r.URL.Query(), "skip", 0), take: take}
	query := url.Values{"skip": {itoa(l.skip)}, "take": {itoa(take)}}
	base, more, _ := strings.Cut(path, "?")
	if extra, err := url.ParseQuery(more); err == nil {
		for k, values := range extra {
			query[k] = values
		}
	}
	v.Into(&l, base+"?"+query.Encode())
	return l
}

// Send sends a document and reads the answer.
func (v *Visit) Send(method, path string, body any) octopus.Object {
	text, err := json.Marshal(body)
	v.Fail(err)
	b := v.ask(method, path, http.Header{"Content-Type": {"application/json"}}, bytes.NewReader(text))
	if v.err != nil {
		return octopus.Object{}
	}
	o, _ := octopus.ParseObject(b) // some answer lists or nothing
	return o
}

// Post makes something.
func (v *Visit) Post(path string, body any) octopus.Object {
	return v.Send(http.MethodPost, path, body)
}

// Put changes something.
func (v *Visit) Put(path string, body any) octopus.Object {
	return v.Send(http.MethodPut, path, body)
}

// Delete removes something.
func (v *Visit) Delete(path string) { v.ask(http.MethodDelete, path, nil, nil) }

// Forward passes what the browser sent on to a route as it is: files are not read here.
func (v *Visit) Forward(path string) octopus.Object {
	b := v.ask(http.MethodPost, path, http.Header{"Content-Type": v.r.Header["Content-Type"]}, v.r.Body)
	if v.err != nil {
		return octopus.Object{}
	}
	o, _ := octopus.ParseObject(b)
	return o
}
