package cli

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/spf13/cobra"
)

// TestWatchTellsWhatChanges lets a manager answer the same, then be away, then tell of a change of one Space and a new one.
func TestWatchTellsWhatChanges(t *testing.T) {
	t.Parallel()
	var asked, same atomic.Int64
	const status = `{"space":%q,"status":%q,"reason":%q,"since":"2026-11-24T05:00:00Z"}`
	before := fmt.Sprintf(status, "space-1", "online", "")
	after := fmt.Sprintf(status+","+status, "space-1", "offline", "Nothing listens.", "space-2", "online", "")
	manager := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if id, ok := strings.CutPrefix(r.URL.Path, "/api/v1/spaces/"); ok {
			fmt.Fprintf(w, `{"id":%q,"name":"Name of %s"}`, id, id)
			return
		}
		body, tag := before, `"1"`
		switch n := asked.Add(1); {
		case n == 3:
			w.WriteHeader(http.StatusBadGateway)
			return
		case n > 3:
			body, tag = after, `"2"`
		}
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			same.Add(1)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprintf(w, `{"items":[%s]}`, body)
	}))
	defer manager.Close()
	var out, errors bytes.Buffer
	root := &cobra.Command{Use: "odcm"}
	root.AddCommand(Commands("test")...)
	root.SetOut(&out)
	root.SetErr(&errors)
	root.SetArgs([]string{"space", "watch", "--every", "100ms", "--changes", "2", "-o", "json", "--url", manager.URL, "--api-key", "odcm_test"})
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err, errors.String())
	}
	want := `{"space":"space-1","name":"Name of space-1","before":"online","status":"offline","reason":"Nothing listens.","since":"2026-11-24T05:00:00Z"}
{"space":"space-2","name":"Name of space-2","status":"online","since":"2026-11-24T05:00:00Z"}
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", &out, want)
	}
	if same.Load() != 1 || strings.Count(errors.String(), "trying again") != 1 {
		t.Errorf("%d answers were the same; told %q", same.Load(), errors.String())
	}
}
