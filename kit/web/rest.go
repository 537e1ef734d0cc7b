package web

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"odcm"
)

const apiPrefix = "/api/v1"

// Public is the Security of an operation that anyone may call.
var Public = []map[string][]string{}

// Register adds an operation to the site's API, as [huma.Register] does; an error that the handler returns is answered by
// its kind as problem+json. Always register through it: huma itself would answer 500 and show the message. Use [Principal]
// in the handler; operations need a principal unless their Security is [Public].
func Register[I, O any](api huma.API, op huma.Operation, handler func(context.Context, *I) (*O, error)) {
	describe(api, &op)
	huma.Register(api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handler(ctx, in)
		if err == nil {
			return out, nil
		}
		var status huma.StatusError
		if errors.As(err, &status) {
			return nil, err
		}
		return nil, ProblemOf(ctx, err)
	})
	schemas := api.OpenAPI().Components.Schemas.Map()
	delete(schemas, "ErrorModel") // huma adds its own error body, which is never sent
	delete(schemas, "ErrorDetail")
}

// ETag writes a revision as an entity tag (RFC 9110 section 8.8.3).
func ETag(revision int64) string { return `"` + strconv.FormatInt(revision, 10) + `"` }

// IfMatch reads the revision that an If-Match header asks for; 0 where there is none or where it is "*", which any
// revision satisfies. What is neither is an error of kind Invalid.
func IfMatch(header string) (revision int64, err error) {
	if header == "" || header == "*" {
		return 0, nil
	}
	tag, ok := strings.CutPrefix(header, `"`)
	tag, ok2 := strings.CutSuffix(tag, `"`)
	revision, parse := strconv.ParseInt(tag, 10, 64)
	if !ok || !ok2 || parse != nil || revision <= 0 {
		return 0, odcm.E(odcm.Invalid, codeMalformed, `If-Match: want one ETag as it was read, such as "7".`)
	}
	return revision, nil
}

// Stale is the answer 412 to a change whose If-Match does not name the current revision (RFC 9110 section 13.1.1). Stores
// return a plain odcm.Conflict; a REST handler that got If-Match turns it into Stale.
func Stale(cause error) error {
	return odcm.E(odcm.Conflict, codeStale, "It was changed by someone else since you read it. Read it again, then repeat your change.").Because(cause)
}

// OrStale turns a conflict into [Stale] where the request had an If-Match revision, and leaves other errors alone.
func OrStale(revision int64, err error) error {
	if revision != 0 && odcm.KindOf(err) == odcm.Conflict {
		return Stale(err)
	}
	return err
}

func newAPI(s *Site) huma.API {
	c := huma.DefaultConfig(s.o.Product+" API", s.o.Version)
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "/openapi", "", ""
	c.CreateHooks = nil // no $schema member and Link header in every answer
	c.RejectUnknownQueryParameters = true
	c.Transformers = []huma.Transformer{s.transform}
	c.OnAddOperation = []huma.AddOpFunc{func(_ *huma.OpenAPI, op *huma.Operation) {
		op.MaxBodyBytes = s.limit(op.Method + " " + apiPrefix + op.Path) // huma answers 413 only where it counts itself
	}}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearerAuth": {Type: "http", Scheme: "bearer", Description: "An API key, made on your profile page or with `odcm apikey create`."},
	}
	c.Security = []map[string][]string{{"bearerAuth": {}}}
	api := humago.NewWithPrefix(s.mux, apiPrefix, c)
	api.UseMiddleware(s.authenticate, s.idempotent)
	return api
}

// authenticate lets an operation run for a known principal only, unless it is [Public].
func (s *Site) authenticate(c huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(c)
	p, err := s.o.Authenticator.Authenticate(r)
	op := c.Operation()
	if public := op.Security != nil && len(op.Security) == 0; err != nil && !public {
		s.Error(w, r, err)
		return
	}
	next(huma.WithContext(c, WithPrincipal(c.Context(), p)))
}

// transform turns what huma says of a wrong request into a [Problem].
func (s *Site) transform(c huma.Context, _ string, v any) (any, error) {
	switch e := v.(type) {
	case *Problem:
		s.logProblem(c.Context(), e)
	case *huma.ErrorModel:
		return s.problemOfModel(c.Context(), e), nil
	}
	return v, nil
}

func (s *Site) problemOfModel(ctx context.Context, m *huma.ErrorModel) *Problem {
	if m.Status >= 500 {
		p := ProblemOf(ctx, errors.New(m.Detail))
		s.logProblem(ctx, p)
		return p
	}
	p := &Problem{Title: http.StatusText(m.Status), Status: m.Status, Detail: m.Detail, Kind: odcm.Invalid, Code: "request.invalid", Instance: RequestID(ctx)}
	if len(m.Errors) > 0 {
		p.Detail = "The request is not as it should be: see what errors says, mend it and send it again."
	}
	switch m.Status {
	case http.StatusBadRequest:
		p.Code = codeMalformed
	case http.StatusRequestEntityTooLarge:
		p.Code = codeTooLarge
	case http.StatusUnsupportedMediaType:
		p.Code, p.Detail = codeMedia, "Send the body as application/json."
	case http.StatusNotFound:
		p.Kind, p.Code = odcm.NotFound, string(odcm.NotFound)
	}
	for _, e := range m.Errors {
		if e != nil { // the value is left out: it may be a secret
			p.Errors = append(p.Errors, ProblemField{Location: e.Location, Message: e.Message})
		}
	}
	return p
}

// describe adds to the operation's description what this package does for it.
func describe(api huma.API, op *huma.Operation) {
	schema := huma.SchemaFromType(api.OpenAPI().Components.Schemas, typeOfProblem)
	api.OpenAPI().Components.Schemas.Map()["Problem"] = schema
	if op.Responses == nil {
		op.Responses = map[string]*huma.Response{}
	}
	problem := func(description string) *huma.Response {
		return &huma.Response{Description: description, Content: map[string]*huma.MediaType{
			"application/problem+json": {Schema: &huma.Schema{Ref: "#/components/schemas/Problem"}},
		}}
	}
	op.Responses["default"] = problem("The request was refused or failed")
	for _, status := range op.Errors {
		op.Responses[strconv.Itoa(status)] = problem(http.StatusText(status))
	}
	op.Errors = nil // huma would describe its own body for them
	if op.Method == http.MethodPost {
		op.Parameters = append(op.Parameters, &huma.Param{
			Name: idempotencyHeader, In: "header", Schema: &huma.Schema{Type: huma.TypeString},
			Description: "Repeating a request with the same key within 24 hours gives the first answer again and does nothing twice",
		})
	}
}
