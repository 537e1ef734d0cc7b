package wire_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"odcm"
	"odcm/manager/identity/oidc/wire"
)

func TestDo(t *testing.T) {
	t.Parallel()
	json := func(w http.ResponseWriter, text string) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		fmt.Fprint(w, text)
	}
	for name, c := range map[string]struct {
		serve func(w http.ResponseWriter, n int32)
		asked int32
		err   string
	}{
		"answers":               {func(w http.ResponseWriter, _ int32) { json(w, `{"value":7}`) }, 1, ""},
		"too busy for a moment": {busyOnce("1", json), 2, ""},
		"too busy for an hour":  {busyOnce("3600", json), 1, "HTTP 429 TooManyRequests"},
		"refuses": {func(w http.ResponseWriter, _ int32) {
			w.WriteHeader(403)
			fmt.Fprint(w, `{"error":"access_denied","secret":"x"}`)
		}, 1, "HTTP 403 access_denied"},
		"refuses without saying why": {func(w http.ResponseWriter, _ int32) { w.WriteHeader(404); fmt.Fprint(w, `<html>`) }, 1, "HTTP 404 "},
		"is another sort of answer":  {func(w http.ResponseWriter, _ int32) { json(w, `[1]`) }, 1, "not the JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { c.serve(w, asked.Add(1)) }))
			defer s.Close()
			var got struct{ Value int }
			err := wire.Client{HTTP: s.Client()}.Do(t.Context(), wire.Call{Method: http.MethodGet, URL: s.URL}, &got)
			if c.err == "" && (err != nil || got.Value != 7) || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("%+v %v", got, err)
			}
			if asked.Load() != c.asked {
				t.Errorf("asked %d times", asked.Load())
			}
		})
	}
}

// busyOnce refuses the first request, and says when to come back.
func busyOnce(after string, then func(http.ResponseWriter, string)) func(http.ResponseWriter, int32) {
	return func(w http.ResponseWriter, n int32) {
		if n > 1 {
			then(w, `{"value":7}`)
			return
		}
		w.Header().Set("Retry-After", after)
		w.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprint(w, `{"error":{"code":"TooManyRequests","message":"x"}}`)
	}
}

func TestDoEndsWithItsContext(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))
	defer s.Close()
	defer close(over)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := wire.Client{HTTP: s.Client()}.Do(ctx, wire.Call{Method: http.MethodGet, URL: s.URL}, new(any))
	if odcm.CodeOf(err) != "egress.timeout" {
		t.Error(err)
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a\x00b\r\nc\u202ed", 3)
	f.Add("\xff\xfeä", 1)
	f.Add("a b", 2)
	f.Fuzz(func(t *testing.T, s string, n int) {
		if n < 0 {
			return
		}
		got := wire.Clean(s, n)
		if len(got) > n || !utf8.ValidString(got) || strings.ContainsAny(got, "\x00\r\n\u202e") || wire.Clean(got, n) != got {
			t.Errorf("Clean(%q, %d) = %q", s, n, got)
		}
	})
}
