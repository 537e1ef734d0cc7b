package web

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"odcm"
	"odcm/kit/db"
)

// Problem is the body of an error answer: RFC 9457, application/problem+json, with the kind and the stable code of the
// error beside the standard members.
type Problem struct {
	Type     string         `json:"type,omitempty" doc:"Always absent, which means about:blank (RFC 9457 section 4.2.1)"`
	Title    string         `json:"title" doc:"What the status means"`
	Status   int            `json:"status" doc:"HTTP status"`
	Detail   string         `json:"detail,omitempty" doc:"What was wrong and what to do"`
	Code     string         `json:"code" doc:"Stable code of the error" example:"space.name-taken"`
	Kind     odcm.Kind      `json:"kind" doc:"Kind of the error" example:"exists"`
	Errors   []ProblemField `json:"errors,omitempty" doc:"Which fields of the input are wrong"`
	Instance string         `json:"instance,omitempty" doc:"Identifier of the request, to be found in the log"`

	cause error
	wait  time.Duration
}

// ProblemField tells what is wrong with one field of the input.
type ProblemField struct {
	Location string `json:"location" doc:"Path of the field" example:"body.apiKey"`
	Message  string `json:"message" doc:"What is wrong with it"`
}

// Error makes a Problem, with GetStatus and ContentType, what huma answers errors with (huma.StatusError,
// huma.ContentTypeFilter).
func (p *Problem) Error() string { return p.Detail }

// Unwrap gives the cause to the log; it is never sent.
func (p *Problem) Unwrap() error { return p.cause }

// GetStatus is the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is application/problem+json whatever was negotiated.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders are what an answer with this status carries beside its body (huma.HeadersError): how to sign in (RFC 9110
// section 11.6.1) and when to come back (section 10.2.3).
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="ODCM"`)
	}
	if p.wait > 0 {
		h.Set("Retry-After", strconv.Itoa(int((p.wait+time.Second-1)/time.Second)))
	}
	return h
}

// statuses is the one place where kinds become HTTP statuses (RFC 9110 section 15).
var statuses = map[odcm.Kind]int{
	odcm.NotFound:        http.StatusNotFound,
	odcm.Exists:          http.StatusConflict,
	odcm.Invalid:         http.StatusUnprocessableEntity,
	odcm.Denied:          http.StatusForbidden,
	odcm.Unauthenticated: http.StatusUnauthorized,
	odcm.Conflict:        http.StatusConflict,
	odcm.Unavailable:     http.StatusServiceUnavailable,
	odcm.Unsupported:     http.StatusNotImplemented,
	odcm.Internal:        http.StatusInternalServerError,
}

// Codes of errors that arise in this package and have a status of their own, more exact than their kind's.
const (
	codeMalformed = "request.malformed"     // 400
	codeMedia     = "request.content-type"  // 415
	codeTooLarge  = "request.too-large"     // 413
	codeStale     = "request.stale"         // 412: If-Match
	codeBusy      = "request.too-many"      // 429
	codeCrossSite = "request.cross-site"    // 403
	codeMethod    = "request.method"        // 405
	codeRoute     = "request.no-such-route" // 404
)

var statusOfCode = map[string]int{
	codeMalformed: http.StatusBadRequest,
	codeTooLarge:  http.StatusRequestEntityTooLarge,
	codeStale:     http.StatusPreconditionFailed,
	codeBusy:      http.StatusTooManyRequests,
	codeMethod:    http.StatusMethodNotAllowed,
	db.CodeFull:   http.StatusInsufficientStorage, // RFC 4918 section 11.5
}

// RetryAfter tells how long the one who asked is to wait, where something in the error's chain knows it, by a method
// RetryAfter() time.Duration; else 0.
func RetryAfter(err error) time.Duration {
	var e interface {
		error
		RetryAfter() time.Duration
	}
	if errors.As(err, &e) {
		return e.RetryAfter()
	}
	return 0
}

// StatusOf returns the HTTP status of the error: by its kind, or by its code where the request itself was wrong (body too
// large 413, If-Match that does not match 412), or 429 where it says how long to wait (RFC 6585 section 4).
func StatusOf(err error) int {
	err = normal(err)
	if RetryAfter(err) > 0 {
		return http.StatusTooManyRequests
	}
	if status, ok := statusOfCode[odcm.CodeOf(err)]; ok {
		return status
	}
	return statuses[odcm.KindOf(err)]
}

// normal gives kinds to errors that other packages made.
func normal(err error) error {
	var e *odcm.Error
	if errors.As(err, &e) {
		return err
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return odcm.E(odcm.Invalid, codeTooLarge, "The body is larger than %d bytes.", tooLarge.Limit).Because(err)
	case errors.Is(err, context.DeadlineExceeded):
		return odcm.E(odcm.Unavailable, "request.timeout", "That took too long. Try again.").Because(err)
	}
	return db.Explain(err)
}

// ProblemOf describes the error for the one who asked. The message of an internal error is not shown.
func ProblemOf(ctx context.Context, err error) *Problem {
	err = normal(err)
	p := &Problem{
		Status: StatusOf(err), Kind: odcm.KindOf(err), Code: odcm.CodeOf(err), Instance: RequestID(ctx), cause: err,
		wait: RetryAfter(err),
	}
	p.Title = http.StatusText(p.Status)
	var e *odcm.Error
	if p.Kind == odcm.Internal || !errors.As(err, &e) {
		p.Code, p.Detail = string(odcm.Internal), "Something went wrong here. The log has the details under this request's identifier."
		return p
	}
	p.Detail = e.Message
	for _, f := range e.Fields {
		p.Errors = append(p.Errors, ProblemField{Location: "body." + f.Field, Message: f.Message})
	}
	return p
}

// Fields returns what is wrong with which field, for a form that is shown again; empty where the error names none.
func Fields(err error) map[string]string {
	var e *odcm.Error
	fields := map[string]string{}
	if errors.As(err, &e) {
		for _, f := range e.Fields {
			fields[f.Field] = f.Message
		}
	}
	return fields
}

// Error answers with the error, as a page to a browser and as problem+json to anything else, and logs its cause.
func (s *Site) Error(w http.ResponseWriter, r *http.Request, err error) {
	p := ProblemOf(r.Context(), err)
	s.logProblem(r.Context(), p)
	maps.Copy(w.Header(), p.GetHeaders())
	w.Header().Set("Cache-Control", "no-store")
	if wantsPage(r) {
		s.errorPage(w, r, p)
		return
	}
	writeProblem(w, p)
}

func writeProblem(w http.ResponseWriter, p *Problem) {
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client is gone if it fails
}

func (s *Site) logProblem(ctx context.Context, p *Problem) {
	if p.Status >= 500 {
		s.o.Logger.ErrorContext(ctx, "request failed", "request", p.Instance, "status", p.Status, "code", p.Code, "error", p.cause)
	} else {
		s.o.Logger.DebugContext(ctx, "request refused", "request", p.Instance, "status", p.Status, "code", p.Code, "error", p.cause)
	}
}

// wantsPage tells whether a person's browser navigates here, as opposed to a program or the page's own script.
func wantsPage(r *http.Request) bool {
	if strings.HasPrefix(r.URL.Path, "/api/") || Enhanced(r) {
		return false
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}
