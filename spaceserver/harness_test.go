package spaceserver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"odcm/kit/db/dbtest"
	"odcm/octopus"
	"odcm/spaceserver"
)

const (
	adminKey      = "API-FIRSTADMINISTRATOR"
	adminPassword = "a password of its own"
)

func TestMain(m *testing.M) {
	if os.Getenv("SPACESERVER_DATA") != "" {
		serve()
		return
	}
	os.Exit(m.Run())
}

// world is a running server and someone who calls it.
type world struct {
	t    *testing.T
	url  string
	key  string
	data string
}

// start runs a server on the database until the end of the test.
func start(t *testing.T, o spaceserver.Options) *world {
	t.Helper()
	if o.Data == "" {
		o.Data = t.TempDir()
	}
	o.Listen, o.AdminAPIKey = "127.0.0.1:0", adminKey
	s, err := spaceserver.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return &world{t: t, url: s.URL(), key: adminKey, data: o.Data}
}

// each runs the test against a server on SQLite and one on PostgreSQL.
func each(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	dbtest.EachURL(t, func(t *testing.T, url string) { f(t, start(t, spaceserver.Options{Database: url})) })
}

func (w *world) as(key string) *world { return &world{t: w.t, url: w.url, key: key} }

// send sends a request and returns status and text. Bodies are chunked, as the official Go client sends them.
func (w *world) send(method, path string, body any) (int, []byte) {
	w.t.Helper()
	status, text, err := w.try(method, path, body)
	if err != nil {
		w.t.Fatal(err)
	}
	return status, text
}

// try is [world.send] to a server that may be gone.
func (w *world) try(method, path string, body any) (int, []byte, error) {
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = struct{ io.Reader }{strings.NewReader(b)}
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return 0, nil, err
		}
		reader = struct{ io.Reader }{bytes.NewReader(text)}
	}
	r, err := http.NewRequest(method, w.url+path, reader)
	if err != nil {
		return 0, nil, err
	}
	if w.key != "" {
		r.Header["X-Octopus-Apikey"] = []string{w.key}
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, text, err
}

// waitUntil asks again and again until the answer is yes.
func waitUntil(t *testing.T, within time.Duration, holds func() bool) {
	t.Helper()
	for began := time.Now(); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > within {
			t.Fatalf("it did not come true within %s", within)
		}
	}
}

// want sends a request and fails unless it is answered with the status and a JSON object.
func (w *world) want(status int, method, path string, body any) octopus.Object {
	w.t.Helper()
	got, text := w.send(method, path, body)
	if got != status {
		w.t.Fatalf("%s %s: status %d, want %d: %s", method, path, got, status, text)
	}
	o, err := octopus.ParseObject(text)
	if err != nil {
		w.t.Fatalf("%s %s: %v: %s", method, path, err, text)
	}
	return o
}

func (w *world) create(path string, body any) octopus.Object {
	w.t.Helper()
	return w.want(http.StatusCreated, http.MethodPost, path, body)
}

func (w *world) get(path string) octopus.Object {
	w.t.Helper()
	return w.want(http.StatusOK, http.MethodGet, path, nil)
}

// project makes a project in the default space.
func (w *world) project(name string) octopus.Object {
	w.t.Helper()
	return w.create("/api/Spaces-1/projects", fields{"Name": name, "ProjectGroupId": "ProjectGroups-1", "LifecycleId": "Lifecycles-1"})
}

type fields = map[string]any
