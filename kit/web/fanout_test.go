package web

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/a-h/templ"

	"odcm"
	"odcm/kit/db/dbtest"
	"odcm/kit/signal"
)

// lisa is everyone who asks.
type lisa struct{}

func (lisa) Authenticate(*http.Request) (odcm.Principal, error) {
	return odcm.Principal{User: "user-1", Name: "Lisa"}, nil
}

// TestFanOut is the whole way: a hint on the bus of a real database, over HTTP, to many open pages.
func TestFanOut(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t, dbtest.SQLite(t))
	bus, err := signal.New(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close()
	var drawn atomic.Int64
	s := New(Options{Authenticator: lisa{}, Logger: slog.New(slog.DiscardHandler), DB: d, Bus: bus})
	s.Live().Fragment("space", func(context.Context, string) (templ.Component, error) {
		return templ.Raw(fmt.Sprintf("<b>%d</b>", drawn.Add(1))), nil
	}, nil)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	defer server.Close()
	defer s.Stop(context.Background())

	const pages = 100
	since := s.live.Position()
	var ready, done sync.WaitGroup
	for range pages {
		ready.Add(1)
		done.Go(func() {
			r, err := server.Client().Get(server.URL + "/live?topic=space/1&since=" + since)
			ready.Done()
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Body.Close()
			for lines := bufio.NewScanner(r.Body); lines.Scan(); {
				if lines.Text() == "data: <b>1</b>" {
					return
				}
			}
			t.Error("the stream ended without the fragment")
		})
	}
	ready.Wait()
	bus.Publish("space/1")
	done.Wait()
	if n := drawn.Load(); n != 1 {
		t.Errorf("drawn %d times for %d pages", n, pages)
	}
}

// BenchmarkFanOut measures one change to 1,000 open pages, without the network.
func BenchmarkFanOut(b *testing.B) {
	s := New(Options{Authenticator: lisa{}, Logger: slog.New(slog.DiscardHandler)})
	var n atomic.Int64
	s.Live().Fragment("space", func(context.Context, string) (templ.Component, error) {
		return templ.Raw(fmt.Sprintf("<article>%d%s</article>", n.Add(1), strings.Repeat("x", 800))), nil
	}, nil)
	if err := s.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	defer s.Stop(context.Background())
	server := httptest.NewServer(s)
	defer server.Close()
	const pages = 1000
	got := make(chan struct{}, pages)
	var wg sync.WaitGroup
	since := s.live.Position()
	for range pages {
		r, err := server.Client().Get(server.URL + "/live?topic=space/1&since=" + since)
		if err != nil {
			b.Fatal(err)
		}
		wg.Go(func() {
			defer r.Body.Close()
			lines := bufio.NewReader(r.Body)
			for {
				line, err := lines.ReadString('\n')
				if err != nil {
					return
				}
				if strings.HasPrefix(line, "data: <article>") {
					got <- struct{}{}
				}
			}
		})
	}
	for b.Loop() {
		s.live.Redraw("space")
		for range pages {
			<-got
		}
	}
	s.Stop(context.Background())
	wg.Wait()
}
