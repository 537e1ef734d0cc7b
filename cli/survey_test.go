package cli

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Groups and uptime are what the manager says: nothing is counted here.
func TestSpacesAreSurveyed(t *testing.T) {
	t.Parallel()
	l := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.String() {
		case "/api/v1/spaces/groups?by=version&q=pay":
			_, _ = w.Write([]byte(`{"items":[{"name":"2025.4.1","total":3,"counts":{"offline":1,"online":2}},{"name":"","total":1,"counts":{"creating":1}}]}`))
		case "/api/v1/spaces/payments/uptime":
			_, _ = w.Write([]byte(`{"windows":[{"window":"24h","uptime":0.999999,"watchedSeconds":86400,"seconds":{"offline":1},"pings":9,"meanMilliseconds":12.4,"maxMilliseconds":80},
				{"window":"365d","uptime":0,"watchedSeconds":0,"seconds":{},"pings":0,"meanMilliseconds":0,"maxMilliseconds":0}]}`))
		default:
			t.Errorf("asked for %s", r.URL)
		}
	}))
	t.Cleanup(l.Close)
	for _, c := range []struct{ args, want []string }{
		{[]string{"groups", "--by", "version", "-q", "pay"}, []string{"2025.4.1 3 1 0 2", "not known 1 0 0 0"}},
		{[]string{"uptime", "payments"}, []string{"24h 99.999 % 24h0m0s 1s 12 ms, 80 ms at most", "365d not watched 0s 0s"}},
	} {
		root := &cobra.Command{Use: "odcm"}
		root.AddCommand(Commands("test")...)
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetArgs(append(append([]string{"space"}, c.args...), "--url", l.URL, "--api-key", "odcm_test"))
		if err := root.ExecuteContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		said := strings.Join(strings.Fields(out.String()), " ")
		for _, want := range c.want {
			if !strings.Contains(said, want) {
				t.Errorf("%v: %q is missing in %s", c.args, want, said)
			}
		}
	}
}
