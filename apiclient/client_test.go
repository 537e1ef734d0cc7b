package apiclient_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"odcm"
	"odcm/api"
	"odcm/apiclient"
)

// wire answers requests without a network.
type wire func(r *http.Request) (status int, body string)

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	status, body := w(r)
	if status == 0 {
		return nil, errors.New("connection refused")
	}
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: http.Header{}, Request: r,
		Body: io.NopCloser(strings.NewReader(body))}, nil
}

func (w wire) client(t *testing.T) *apiclient.Client {
	t.Helper()
	c, err := apiclient.New(apiclient.Options{URL: "https://odcm.example.com/below/", APIKey: "odcm_key", HTTP: &http.Client{Transport: w}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestErrorsAreTheManagers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   string
		kind   odcm.Kind
		code   string
	}{
		"problem":             {409, `{"status": 409, "kind": "exists", "code": "space.name-taken", "detail": "Taken."}`, odcm.Exists, "space.name-taken"},
		"page of a proxy":     {502, `<html>Bad gateway</html>`, odcm.Unavailable, "client.answer"},
		"JSON of another":     {404, `{"message": "Not found"}`, odcm.Unavailable, "client.answer"},
		"page for an answer":  {200, `<html>Sign in</html>`, odcm.Unavailable, "client.answer"},
		"nothing listens":     {0, "", odcm.Unavailable, "client.unreachable"},
		"answer that is torn": {200, `{"id": "space-`, odcm.Unavailable, "client.answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := wire(func(*http.Request) (int, string) { return c.status, c.body }).client(t).Space(t.Context(), "shipping")
			if odcm.KindOf(err) != c.kind || odcm.CodeOf(err) != c.code {
				t.Errorf("%v of kind %s and code %s", err, odcm.KindOf(err), odcm.CodeOf(err))
			}
		})
	}
}

func TestFieldsOfAProblemAreThoseOfTheInput(t *testing.T) {
	t.Parallel()
	c := wire(func(*http.Request) (int, string) {
		return 422, `{"kind": "invalid", "code": "x", "detail": "Wrong.", "errors": [{"location": "body.spaces[0].name", "message": "Taken."}]}`
	}).client(t)
	_, err := c.Enlist(t.Context(), api.Enlistment{}, "key")
	var e *odcm.Error
	if !errors.As(err, &e) || len(e.Fields) != 1 || e.Fields[0] != (odcm.FieldError{Field: "spaces[0].name", Message: "Taken."}) {
		t.Errorf("error %+v", err)
	}
}

// net/http itself takes the key along to another port of the same host, and the password of a sign-in to anywhere.
func TestNoSecretFollowsARedirect(t *testing.T) {
	t.Parallel()
	var reached atomic.Bool
	stranger := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
	t.Cleanup(stranger.Close)
	moved := httptest.NewServer(http.RedirectHandler(stranger.URL+"/elsewhere?of=it", http.StatusTemporaryRedirect))
	t.Cleanup(moved.Close)
	c, err := apiclient.New(apiclient.Options{URL: moved.URL, APIKey: "odcm_key"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Me(t.Context())
	if odcm.CodeOf(err) != "client.redirected" || !strings.Contains(err.Error(), stranger.URL) {
		t.Errorf("asking: %v", err)
	}
	if _, err := c.SignIn(t.Context(), api.SignIn{Username: "barry", Password: "secret"}); odcm.CodeOf(err) != "client.redirected" {
		t.Errorf("signing in: %v", err)
	}
	if reached.Load() {
		t.Error("the stranger was called")
	}
}

func TestListsReadPageAfterPage(t *testing.T) {
	t.Parallel()
	var asked []string
	c := wire(func(r *http.Request) (int, string) {
		asked = append(asked, r.URL.Path+"?"+r.URL.RawQuery)
		if r.URL.Query().Get("cursor") == "" {
			return 200, `{"items": [{"id": "a"}, {"id": "b"}], "next": "2"}`
		}
		return 200, `{"items": [{"id": "c"}]}`
	}).client(t)
	for limit, want := range map[int]string{0: "abc", 2: "ab", 3: "abc"} {
		got := ""
		spaces, err := apiclient.Collect(c.Spaces(t.Context(), apiclient.SpaceFilter{Text: "x&y"}), limit)
		for _, s := range spaces {
			got += s.ID
		}
		if err != nil || got != want {
			t.Errorf("up to %d: %q, %v", limit, got, err)
		}
	}
	if asked[0] != "/below/api/v1/spaces?q=x%26y" {
		t.Errorf("asked for %s", asked[0])
	}
}

// patience of WaitTask is tested on a clock that is not real.
func TestWaitingOutlivesTheManagersRestart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		away time.Duration
		code string
	}{"for a while": {50 * time.Second, ""}, "for ever": {time.Hour, "client.unreachable"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				client := wire(func(r *http.Request) (int, string) {
					switch since := time.Since(began); {
					case since > time.Second && since < c.away:
						return 0, ""
					case strings.HasSuffix(r.URL.Path, "/log"):
						return 200, `{"lines": [], "next": 0}`
					case since >= c.away:
						return 200, `{"id": "task-1", "state": "succeeded"}`
					}
					return 200, `{"id": "task-1", "state": "running"}`
				}).client(t)
				task, err := client.WaitTask(t.Context(), "task-1", nil)
				if c.code == "" && (err != nil || task.State != "succeeded") {
					t.Errorf("%+v, %v", task, err)
				}
				if c.code != "" && odcm.CodeOf(err) != c.code {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

func TestWaitingEndsWithTheContextAndForWhatIsNotThere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := wire(func(r *http.Request) (int, string) { return 200, `{"state": "running"}` }).client(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := c.WaitTask(ctx, "task-1", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		c = wire(func(*http.Request) (int, string) { return 404, `{"kind": "not-found", "code": "task.not-found"}` }).client(t)
		if _, err := c.WaitTask(t.Context(), "task-1", nil); odcm.KindOf(err) != odcm.NotFound {
			t.Errorf("%v", err)
		}
	})
}

// slow yields a byte a minute.
type slow struct{ left int }

func (s *slow) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	s.left--
	time.Sleep(time.Minute)
	return copy(p, "x"), nil
}

func (*slow) Close() error { return nil }

type slowWire struct{}

func (slowWire) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{}, Request: r, Body: &slow{10}}, nil
}

func TestAnExportTakesAsLongAsItTakes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, err := apiclient.New(apiclient.Options{URL: "https://odcm.example.com", HTTP: &http.Client{Transport: slowWire{}}})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := c.ExportEvents(t.Context(), &out, nil); err != nil || out.Len() != 10 {
			t.Errorf("%q, %v", out.String(), err)
		}
	})
}

// mute never answers.
type mute struct{}

func (mute) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestAManagerThatDoesNotAnswerIsUnavailable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, err := apiclient.New(apiclient.Options{URL: "https://odcm.example.com", HTTP: &http.Client{Transport: mute{}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Me(t.Context()); odcm.CodeOf(err) != "client.unreachable" || !strings.Contains(err.Error(), "within") {
			t.Errorf("%v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Me(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}

func TestOnlyAddressesOfManagersAreTaken(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "odcm.example.com", "ftp://odcm.example.com", "http://", "https:///x", "://", "http://a b"} {
		if _, err := apiclient.New(apiclient.Options{URL: address}); odcm.CodeOf(err) != "client.url" {
			t.Errorf("%q: %v", address, err)
		}
	}
}
