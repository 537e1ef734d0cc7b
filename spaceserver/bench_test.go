package spaceserver_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	neturl "net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/spaceserver"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/ledger"
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

// BenchmarkDashboard reads a dashboard with a deployment in each cell of 200 projects by 10 environments, from the API and
// as a page.
func BenchmarkDashboard(b *testing.B) {
	url := board(b, 200, 10)
	b.Run("api", func(b *testing.B) {
		for b.Loop() {
			hit(b, http.MethodGet, url+"/api/Spaces-1/dashboard", adminKey, "")
		}
	})
	b.Run("page", func(b *testing.B) {
		jar, err := cookiejar.New(nil)
		if err != nil {
			b.Fatal(err)
		}
		person := &http.Client{Jar: jar}
		look := func(answer *http.Response, err error) []byte {
			if err != nil {
				b.Fatal(err)
			}
			defer answer.Body.Close()
			text, err := io.ReadAll(answer.Body)
			if err != nil || answer.StatusCode != http.StatusOK {
				b.Fatal(answer.Status, err)
			}
			return text
		}
		look(person.PostForm(url+"/sign-in", neturl.Values{"username": {"admin"}, "password": {adminPassword}}))
		for b.Loop() {
			if cells := bytes.Count(look(person.Get(url+"/app/Spaces-1/dashboard")), []byte(`class="release"`)); cells != 2000 {
				b.Fatalf("the page has %d cells", cells)
			}
		}
	})
}

// board is a server with a full dashboard. The first cell is made by the API, the others are written as rows like it:
// thousands of deployments take their time.
func board(b *testing.B, projects, environments int) string {
	data := b.TempDir()
	url := servedFrom(b, data)
	made := func(path, body string) string {
		var o struct{ ID string }
		if err := json.Unmarshal(hit(b, http.MethodPost, url+"/api/Spaces-1/"+path, adminKey, body), &o); err != nil {
			b.Fatal(err)
		}
		return o.ID
	}
	places := make([]string, environments)
	for i := range places {
		places[i] = made("environments", fmt.Sprintf(`{"Name":"Environment %d"}`, i+1))
	}
	lines := make([]string, projects)
	for i := range lines {
		lines[i] = made("projects", fmt.Sprintf(`{"Name":"Project %d","ProjectGroupId":"ProjectGroups-1","LifecycleId":"Lifecycles-1"}`, i+1))
	}
	release := made("releases", `{"ProjectId":"`+lines[0]+`","Version":"1.0.0"}`)
	deployment := made("deployments", `{"ReleaseId":"`+release+`","EnvironmentId":"`+places[0]+`"}`)
	d, err := db.Open(b.Context(), "sqlite:"+filepath.Join(data, "spaceserver.db"), db.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	store := &document.Store{DB: d}
	first, ok, err := ledger.Get(b.Context(), d.Read(), deployment)
	if err != nil || !ok {
		b.Fatal("the first deployment is not in the ledger", err)
	}
	var rows []document.Row
	for kind, id := range map[string]string{"Releases": release, "Deployments": deployment, "ServerTasks": first.Task} {
		row, err := store.Get(b.Context(), d.Read(), kind, id, "Spaces-1")
		if err != nil {
			b.Fatal(kind, err)
		}
		rows = append(rows, row)
	}
	if err := d.Tx(b.Context(), func(tx *sql.Tx) error {
		n := int64(1000)
		for _, line := range lines {
			for _, place := range places {
				if n++; line == first.Project && place == first.Environment {
					continue
				}
				like := strings.NewReplacer(release, fmt.Sprint("Releases-", n), deployment, fmt.Sprint("Deployments-", n), first.Task, fmt.Sprint("ServerTasks-", n), first.Project, line, first.Environment, place)
				for _, row := range rows {
					row.ID, row.Owner, row.Project, row.Body = like.Replace(row.ID), like.Replace(row.Owner), like.Replace(row.Project), []byte(like.Replace(string(row.Body)))
					row.Name, row.Slug, row.Distinct, row.Sequence = fmt.Sprint(row.Name, n), "", false, n
					if err := store.Insert(b.Context(), tx, row); err != nil {
						return err
					}
				}
				e := first
				e.ID, e.Project, e.Line, e.Source, e.Environment, e.Task, e.Number = like.Replace(e.ID), line, line, like.Replace(e.Source), place, like.Replace(e.Task), n
				if err := errors.Join(ledger.Add(b.Context(), tx, e), ledger.End(b.Context(), tx, e, "Success", e.Created)); err != nil {
					return err
				}
			}
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	return url
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

func hit(b *testing.B, method, url, key, body string) []byte {
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
	return text
}

func served(b *testing.B) string { return servedFrom(b, b.TempDir()) }

func servedFrom(b *testing.B, data string) string {
	s, err := spaceserver.New(spaceserver.Options{Listen: "127.0.0.1:0", Data: data, AdminAPIKey: adminKey, AdminPassword: adminPassword})
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
