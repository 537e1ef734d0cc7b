package collection

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"unicode/utf8"

	"odcm/octopus"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
)

// Action is a route that is not one of the usual verbs.
type Action struct {
	Method string
	// Path is below /api or /api/{space}: "projects/{id}/summary". Literal segments are matched in any case.
	Path string
	// Scope says whether the path belongs to a space, to the whole server, or answers at both.
	Scope Scope
	// Permission must be held on something in the space (or on the server). Finer questions are the handler's.
	Permission permission.Name
	// Anonymous actions are open to everyone.
	Anonymous bool
	// Writes marks actions that change something themselves, not by a [Change] that asks: maintenance mode refuses them.
	Writes bool
	// Large bodies are bounded by the limit for packages, not by that for JSON.
	Large  bool
	Handle func(c *Call) (any, error)
}

// Call is one request to an [Action]. What Handle returns is written as JSON with status 200; nil as an empty object;
// [Made] with 201; [Answer] with its status and headers; [Content] as it is.
type Call struct {
	Context context.Context
	Service *Service
	Request
	// Param returns a segment of the path by its name.
	Param func(name string) string
	// Body is the request's body, bounded by the server's limit. Multipart forms are for Action handlers to read.
	Body   io.Reader
	Header http.Header
	// Origin is the scheme and host that the request was sent to, as the client named them; Address is the client's IP
	// address. Both are there for anonymous requests too.
	Origin, Address string
}

// Made is answered with status 201 Created.
type Made struct{ Value any }

// Answer is a value with a status and headers of its own.
type Answer struct {
	Status int
	Header http.Header
	Value  any
}

// Content is answered as it is.
type Content struct {
	Status int // 200 if 0
	Type   string
	Name   string // of the file that a browser saves it to; "" shows it
	Body   io.Reader
}

// Object reads the body as one JSON object.
func (c *Call) Object() (octopus.Object, error) {
	o, err := ReadObject(c.Body)
	if err != nil {
		return o, err
	}
	return o, c.Service.warm(o)
}

// Decode reads the body into a Go value; names match in any case.
func (c *Call) Decode(v any) error {
	b, err := readJSON(c.Body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return problem.Invalid("The request's body is not what this route takes: " + plain(err) + ".").Because(err)
	}
	return nil
}

// Transact runs f in a transaction.
func (c *Call) Transact(f func(change *Change) error) error {
	return c.Service.Transact(c.Context, c.Request, f)
}

// Find reads a document of another kind that the caller may see, by id, slug or name.
func (c *Call) Find(kind, key string) (Document, error) {
	return c.Service.Get(c.Context, c.Request, c.Service.byName[kind], key)
}

// ReadObject reads one JSON object, and tells in Octopus's shape what is wrong with anything else.
func ReadObject(r io.Reader) (octopus.Object, error) {
	b, err := readJSON(r)
	if err != nil {
		return octopus.Object{}, err
	}
	o, err := octopus.ParseObject(b)
	if err != nil {
		return o, problem.Invalid("The request's body must be a JSON object: " + plain(err) + ".").Because(err)
	}
	return o, nil
}

func readJSON(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(r)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, problem.New(http.StatusRequestEntityTooLarge, "The request's body is larger than %d bytes, which is this server's limit.", large.Limit)
	case err != nil:
		return nil, problem.Invalid("The request's body could not be read to its end.").Because(err)
	case len(bytes.TrimSpace(b)) == 0:
		return nil, problem.Invalid("The request has no body: a JSON object is needed.")
	case !utf8.Valid(b):
		return nil, problem.Invalid("The request's body is not UTF-8.")
	}
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")) // .NET clients like to send a byte order mark
	if !json.Valid(b) {
		return nil, problem.Invalid("The request's body is not valid JSON.")
	}
	return b, nil
}

// plain is the message of an error of encoding/json, without Go's words for types.
func plain(err error) string {
	var typ *json.UnmarshalTypeError
	if errors.As(err, &typ) {
		if typ.Field == "" {
			return "there is " + typ.Value + " where something else is wanted"
		}
		return typ.Field + " is of a wrong type (" + typ.Value + ")"
	}
	return "it is not readable"
}
