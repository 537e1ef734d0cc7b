package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5/pgconn"

	"odcm"
	"odcm/kit/web"
)

func TestEveryKindHasItsStatus(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		status int
		code   string
		detail string
	}{
		{odcm.E(odcm.NotFound, "", "No such Space."), 404, "not-found", "No such Space."},
		{odcm.E(odcm.Exists, "space.name-taken", "Taken."), 409, "space.name-taken", "Taken."},
		{odcm.E(odcm.Invalid, "", "Wrong."), 422, "invalid", "Wrong."},
		{odcm.E(odcm.Denied, "", "No."), 403, "denied", "No."},
		{odcm.E(odcm.Unauthenticated, "", "Who?"), 401, "unauthenticated", "Who?"},
		{odcm.E(odcm.Conflict, "", "Changed."), 409, "conflict", "Changed."},
		{web.Stale(odcm.E(odcm.Conflict, "", "x")), 412, "request.stale", "It was changed by someone else since you read it. Read it again, then repeat your change."},
		{odcm.E(odcm.Unavailable, "", "Later."), 503, "unavailable", "Later."},
		{odcm.E(odcm.Unsupported, "", "Too old."), 501, "unsupported", "Too old."},
		{odcm.E(odcm.Internal, "db.corrupt", "the inside"), 500, "internal", ""},
		{errors.New("the inside"), 500, "internal", ""},
		{fmt.Errorf("enlist: %w", odcm.E(odcm.Denied, "a.b", "No.").Because(errors.New("the inside"))), 403, "a.b", "No."},
		{fmt.Errorf("x: %w", odcm.E(odcm.Unavailable, "thing.busy", "Wait.").Because(inAMoment{})), 429, "thing.busy", "Wait."},
		{&pgconn.PgError{Code: "53100", Message: "the inside"}, 507, "db.full", ""},
		{&pgconn.PgError{Code: "57P01", Message: "the inside"}, 503, "db.unavailable", ""},
		{&http.MaxBytesError{Limit: 5}, 413, "request.too-large", "The body is larger than 5 bytes."},
		{context.DeadlineExceeded, 503, "request.timeout", "That took too long. Try again."},
	} {
		p := web.ProblemOf(t.Context(), c.err)
		if p.Status != c.status || p.Code != c.code || (c.detail != "" && p.Detail != c.detail) || p.Title != http.StatusText(c.status) {
			t.Errorf("%v: %+v", c.err, p)
		}
		b, err := json.Marshal(p)
		if err != nil || strings.Contains(string(b), "the inside") {
			t.Errorf("%v: shows %s (%v)", c.err, b, err)
		}
	}
	fields := web.Fields(fmt.Errorf("x: %w", odcm.E(odcm.Invalid, "a.b", "Bad key.").OnField("apiKey")))
	if fields["apiKey"] != "Bad key." || len(web.Fields(errors.New("x"))) != 0 {
		t.Errorf("Fields: %v", fields)
	}
}

// inAMoment knows when to come back.
type inAMoment struct{}

func (inAMoment) Error() string             { return "the inside" }
func (inAMoment) RetryAfter() time.Duration { return 1500 * time.Millisecond }

func TestOperations(t *testing.T) {
	t.Parallel()
	bearer := map[string]string{"Authorization": "Bearer lisa"}
	for name, c := range map[string]struct {
		call
		status int
		want   string
	}{
		"works":           {call{method: "POST", path: "/api/v1/things", body: `{"name":"a"}`, header: bearer, anonymous: true}, 201, `{"name":"a by lisa"}`},
		"by session":      {call{method: "POST", path: "/api/v1/things", body: `{"name":"a"}`}, 201, `{"name":"a by Barry Infrastructure"}`},
		"open to anyone":  {call{method: "GET", path: "/api/v1/public", anonymous: true}, 200, `{"name":"open"}`},
		"error of a kind": {call{method: "POST", path: "/api/v1/things", body: `{"name":"taken"}`}, 409, `"code":"thing.taken","kind":"exists","errors":[{"location":"body.name"`},
		"not JSON":        {call{method: "POST", path: "/api/v1/things", body: `{"name":`}, 400, `"code":"request.malformed"`},
		"unknown member":  {call{method: "POST", path: "/api/v1/things", body: `{"name":"a","nayme":"b"}`}, 422, `"location":"body.nayme"`},
		"too long":        {call{method: "POST", path: "/api/v1/things", body: `{"name":"abcdefghijklm"}`}, 422, `"location":"body.name"`},
		"missing member":  {call{method: "POST", path: "/api/v1/things", body: `{}`}, 422, `"code":"request.invalid","kind":"invalid"`},
		"unknown query":   {call{method: "GET", path: "/api/v1/public?a=b"}, 422, `"location":"query.a"`},
		"asked too often": {call{method: "POST", path: "/api/v1/things", body: `{"name":"busy"}`}, 429, `"code":"thing.busy","kind":"unavailable"`},
		"zero byte":       {call{method: "GET", path: "/api/v1/public%00"}, 400, `"code":"request.malformed"`},
		"query no text":   {call{method: "GET", path: "/api/v1/public?a=%ff"}, 400, `"code":"request.malformed"`},
		"wrong media":     {call{method: "POST", path: "/api/v1/things", body: `name=a`, header: map[string]string{"Content-Type": "text/csv"}}, 415, `"code":"request.content-type"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newWorld(t, web.Options{}).do(c.call)
			body := text(t, r)
			if r.StatusCode != c.status || !strings.Contains(body, c.want) {
				t.Errorf("%d %s", r.StatusCode, body)
			}
			if problem := r.Header.Get("Content-Type") == "application/problem+json"; problem != (c.status >= 400) {
				t.Errorf("Content-Type %s", r.Header.Get("Content-Type"))
			}
			if after := r.Header.Get("Retry-After"); (after == "2") != (c.status == 429) {
				t.Errorf("Retry-After %q", after)
			}
			if strings.Contains(body, "abcdefghijklm") {
				t.Error("the input, which may be a secret, was sent back")
			}
		})
	}
}

func TestOperationBodyLimitWithoutLength(t *testing.T) {
	t.Parallel()
	w := newWorld(t, web.Options{MaxBody: 100})
	r := httptest.NewRequest("POST", "/api/v1/things", io.MultiReader(strings.NewReader(`{"name":"`+strings.Repeat("a", 300)+`"}`)))
	r.Header.Set("Authorization", "Bearer lisa")
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	if rec.Code != 413 || !strings.Contains(rec.Body.String(), "request.too-large") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	w.AcceptLarge("PUT /bundle", 1000)
	w.Handle("PUT /bundle", func(_ http.ResponseWriter, r *http.Request) error {
		_, err := io.Copy(io.Discard, r.Body)
		return err
	})
	for size, want := range map[int]int{500: 200, 1001: 413} {
		if r := w.do(call{method: "PUT", path: "/bundle", body: strings.Repeat("a", size)}); r.StatusCode != want {
			t.Errorf("%d bytes to a route for large bodies: %d", size, r.StatusCode)
		}
	}
}

func TestDescription(t *testing.T) {
	t.Parallel()
	w := newWorld(t, web.Options{})
	r := w.do(call{method: "GET", path: "/api/v1/openapi.json", anonymous: true})
	var doc struct {
		OpenAPI    string
		Paths      map[string]map[string]huma.Operation
		Components struct {
			Schemas         map[string]json.RawMessage
			SecuritySchemes map[string]json.RawMessage
		}
		Security []map[string][]string
	}
	if err := json.NewDecoder(r.Body).Decode(&doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") || doc.Components.SecuritySchemes["bearerAuth"] == nil || doc.Components.Schemas["Problem"] == nil || len(doc.Security) != 1 {
		t.Errorf("%+v", doc)
	}
	op := doc.Paths["/things"]["post"]
	if op.Responses["default"].Content["application/problem+json"] == nil {
		t.Error("errors are not described")
	}
	if doc.Components.Schemas["ErrorModel"] != nil {
		t.Error("describes an error body that is never sent")
	}
	if docs := text(t, w.do(call{method: "GET", path: "/api/v1/docs", anonymous: true})); strings.Contains(docs, "<script>") || !strings.Contains(docs, "swagger-ui-bundle-") {
		t.Error(docs)
	}
}

func TestRevisions(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]int64{"": 0, "*": 0, `"7"`: 7, web.ETag(12): 12, "7": -1, `W/"7"`: -1, `"0"`: -1, `"-1"`: -1, `"1", "2"`: -1, `"`: -1} {
		got, err := web.IfMatch(header)
		if (want == -1) != (err != nil) || (err == nil && got != want) {
			t.Errorf("IfMatch(%s) = %d, %v", header, got, err)
		}
		if err != nil && web.StatusOf(err) != 400 {
			t.Errorf("IfMatch(%s): status %d", header, web.StatusOf(err))
		}
	}
	conflict := odcm.E(odcm.Conflict, "space.changed", "x")
	if web.StatusOf(web.OrStale(3, conflict)) != 412 || web.StatusOf(web.OrStale(0, conflict)) != 409 || web.OrStale(3, nil) != nil {
		t.Error("OrStale")
	}
}

type keyset struct {
	Name string `json:"name"`
	ID   string `json:"id"`
}

func FuzzReadCursor(f *testing.F) {
	f.Add("")
	f.Add("e30")
	f.Add(web.Cursor(keyset{"Päyments", "space-1"}))
	f.Add("////")
	f.Fuzz(func(t *testing.T, s string) {
		key, err := web.ReadCursor[keyset](s)
		if err != nil {
			if odcm.KindOf(err) != odcm.Invalid || key != (keyset{}) {
				t.Fatalf("%v with %v", err, key)
			}
			return
		}
		again, err := web.ReadCursor[keyset](web.Cursor(key))
		if err != nil || again != key {
			t.Fatalf("%v became %v (%v)", key, again, err)
		}
	})
}
