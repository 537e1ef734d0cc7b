package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// deploy is the control for deployments: it forks the same script and writes the same rows as a Space server, with nothing
// around them. A request writes the deployment, its task, its place in the queue, where the release is now, and an event; one of
// 20 workers takes the task, runs the script, and writes what it said and how it ended. Each step is a durable transaction,
// as a server needs them to be truthful after a crash; numbers come from counters, as ids of Octopus do.
func deploy(path, script string) error {
	w, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate")
	if err != nil {
		return err
	}
	w.SetMaxOpenConns(1)
	for _, table := range []string{"deployment", "task", "event", "log", "queue", "ledger", "counter"} {
		if _, err := w.Exec(`CREATE TABLE IF NOT EXISTS ` + table + ` (id TEXT PRIMARY KEY, body TEXT NOT NULL)`); err != nil {
			return err
		}
	}
	document, err := json.Marshal(map[string]any{"Name": "Deploy to Dev", "ProjectId": "Projects-1", "EnvironmentId": "Environments-1", "ReleaseId": "Releases-1", "State": "Queued", "Padding": string(bytes.Repeat([]byte("x"), 600))})
	if err != nil {
		return err
	}
	write := func(statements ...func(tx *sql.Tx) error) error {
		tx, err := w.BeginTx(context.Background(), nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		for _, s := range statements {
			if err := s(tx); err != nil {
				return err
			}
		}
		return tx.Commit()
	}
	insert := func(table, id, body string) func(tx *sql.Tx) error {
		return func(tx *sql.Tx) error {
			_, err := tx.Exec(`INSERT INTO `+table+` (id, body) VALUES ($1, $2)`, id, body)
			return err
		}
	}
	change := func(table, id, body string) func(tx *sql.Tx) error {
		return func(tx *sql.Tx) error {
			_, err := tx.Exec(`UPDATE `+table+` SET body = $1 WHERE id = $2`, body, id)
			return err
		}
	}
	remove := func(table, id string) func(tx *sql.Tx) error {
		return func(tx *sql.Tx) error {
			_, err := tx.Exec(`DELETE FROM `+table+` WHERE id = $1`, id)
			return err
		}
	}
	count := func(name string) func(tx *sql.Tx) error {
		return func(tx *sql.Tx) error {
			_, err := tx.Exec(`INSERT INTO counter (id, body) VALUES ($1, '1') ON CONFLICT (id) DO UPDATE SET body = CAST(counter.body AS INTEGER) + 1`, name)
			return err
		}
	}
	var done, failed atomic.Int64
	queue := make(chan string, 100_000)
	run := func(id string) error {
		if err := write(change("queue", id, "running"), change("task", id, string(document)), insert("event", id+"-started", string(document)), count("events")); err != nil {
			return err
		}
		said, err := exec.Command("bash", script).CombinedOutput()
		if err != nil {
			return err
		}
		return write(insert("log", id, string(said)), change("task", id, string(document)), change("ledger", id, "Success"), remove("queue", id),
			insert("event", id+"-ended", string(document)), count("events"))
	}
	for range 20 {
		go func() {
			for id := range queue {
				if run(id) != nil {
					failed.Add(1)
				}
				done.Add(1)
			}
		}()
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api", func(res http.ResponseWriter, _ *http.Request) { fmt.Fprint(res, `{"Application":"control"}`) })
	mux.HandleFunc("GET /api/done", func(res http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(res, `{"Done":%d,"Failed":%d}`, done.Load(), failed.Load())
	})
	mux.HandleFunc("GET /api/one", func(res http.ResponseWriter, req *http.Request) {
		var body string
		if err := w.QueryRowContext(req.Context(), `SELECT body FROM task LIMIT 1`).Scan(&body); err != nil {
			http.Error(res, err.Error(), http.StatusNotFound)
			return
		}
		fmt.Fprint(res, body)
	})
	mux.HandleFunc("POST /api/deploy", func(res http.ResponseWriter, _ *http.Request) {
		id := uuid.Must(uuid.NewV7()).String()
		if err := write(insert("deployment", id, string(document)), insert("task", id, string(document)), insert("queue", id, "queued"), insert("ledger", id, "Queued"),
			insert("event", id, string(document)), count("deployments"), count("tasks"), count("events")); err != nil {
			http.Error(res, err.Error(), http.StatusInternalServerError)
			return
		}
		queue <- id
		res.WriteHeader(http.StatusCreated)
		fmt.Fprintf(res, `{"Id":%q}`, id)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("{\"url\":\"http://%s\"}\n", l.Addr())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	return server.Serve(l)
}
