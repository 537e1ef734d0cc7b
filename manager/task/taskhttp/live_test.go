package taskhttp_test

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// listen opens a page's stream and gives its lines until the test ends.
func (w *world) listen(as, topics string) <-chan string {
	w.t.Helper()
	server := httptest.NewServer(w.site)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	w.t.Cleanup(func() { cancel(); server.Close() })
	r, err := http.NewRequestWithContext(ctx, "GET", server.URL+"/live?topic="+topics, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+as)
	answer, err := server.Client().Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	lines := make(chan string)
	go func() {
		defer close(lines)
		defer answer.Body.Close()
		for s := bufio.NewScanner(answer.Body); s.Scan(); {
			select {
			case lines <- s.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}

// await reads lines until one contains the text.
func await(t *testing.T, lines <-chan string, text string) {
	t.Helper()
	var seen strings.Builder
	for l := range lines {
		seen.WriteString(l + "\n")
		if strings.Contains(l, text) {
			return
		}
	}
	t.Fatalf("the stream ended without %q: %s", text, &seen)
}

func TestPageFollowsItsTask(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.site.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.site.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	id := string(w.busy("lisa"))
	for topic, text := range map[string]string{
		"task/" + id: "Succeeded", "task.progress/" + id: "Succeeded", "task.log/" + id: "copied &lt;script&gt;", "task-list": "task-list",
	} {
		lines := w.listen("lisa", topic)
		t.Run(topic[:strings.IndexAny(topic+"/", "/")], func(t *testing.T) {
			t.Parallel()
			await(t, lines, text)
		})
	}
	await(t, w.listen("bob", "task/"+id), "gone") // he may not see it
	close(w.release)
}
