package spaceserver_test

import (
	"context"
	"database/sql"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/spaceserver"
)

// The control is a bare handler that reads and writes the same row through the same database handle; the Space server
// should keep at least half of its rate.

const row = `{"Name":"environment-NAME","Description":"an environment like any other","UseGuidedFailure":false,"AllowDynamicInfrastructure":true}`

func BenchmarkRead(b *testing.B) {
	b.Run("control", func(b *testing.B) {
		url := control(b)
		hit(b, http.MethodPost, url+"/environments", "", row)
		parallel(b, func(int64) (string, string, string) { return http.MethodGet, url + "/environments/1", "" })
	})
	b.Run("spaceserver", func(b *testing.B) {
		url := served(b)
		hit(b, http.MethodPost, url+"/api/Spaces-1/environments", adminKey, row)
		parallel(b, func(int64) (string, string, string) {
			return http.MethodGet, url + "/api/Spaces-1/environments/Environments-1", ""
		})
	})
}

func BenchmarkWrite(b *testing.B) {
	b.Run("control", func(b *testing.B) {
		url := control(b)
		parallel(b, func(n int64) (string, string, string) {
			return http.MethodPost, url + "/environments", strings.Replace(row, "NAME", strconv.FormatInt(n, 10), 1)
		})
	})
	b.Run("spaceserver", func(b *testing.B) {
		url := served(b)
		parallel(b, func(n int64) (string, string, string) {
			return http.MethodPost, url + "/api/Spaces-1/proxies", `{"Host":"h",` + strings.Replace(row[1:], "NAME", strconv.FormatInt(n, 10), 1)
		})
	})
}

func parallel(b *testing.B, request func(n int64) (method, url, body string)) {
	var n atomic.Int64
	b.ResetTimer()
	b.SetParallelism(2)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			method, url, body := request(n.Add(1))
			hit(b, method, url, adminKey, body)
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}

var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}

func hit(b *testing.B, method, url, key, body string) {
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("X-Octopus-ApiKey", key)
	answer, err := client.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil || answer.StatusCode >= 300 {
		b.Fatalf("status %d: %s %v", answer.StatusCode, text, err)
	}
}

func served(b *testing.B) string {
	s, err := spaceserver.New(spaceserver.Options{Listen: "127.0.0.1:0", Data: b.TempDir(), AdminAPIKey: adminKey})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return s.URL()
}

func control(b *testing.B) string {
	d, err := db.Open(context.Background(), dbtest.SQLite(b), db.Options{})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := d.Write().Exec("CREATE TABLE doc (id BIGINT PRIMARY KEY, body TEXT NOT NULL)"); err != nil {
		b.Fatal(err)
	}
	var last atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /environments/{id}", func(w http.ResponseWriter, r *http.Request) {
		var body []byte
		if err := d.Read().QueryRowContext(r.Context(), "SELECT body FROM doc WHERE id = $1", r.PathValue("id")).Scan(&body); err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		_, _ = w.Write(body)
	})
	mux.HandleFunc("POST /environments", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = d.Tx(r.Context(), func(tx *sql.Tx) error {
				_, err := tx.ExecContext(r.Context(), "INSERT INTO doc (id, body) VALUES ($1, $2)", last.Add(1), string(body))
				return err
			})
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(body)
	})
	server := httptest.NewServer(mux)
	b.Cleanup(func() {
		server.Close()
		if err := d.Close(); err != nil {
			b.Error(err)
		}
	})
	return server.URL
}
