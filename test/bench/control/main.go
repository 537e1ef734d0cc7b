// Command control does only the unavoidable work of what is measured: it is what ODCM's figures are divided by.
//
//	control rows FILE             opens SQLite, listens, reads and writes one row a request
//	control deploy FILE SCRIPT    the same, and runs the script for each request, 20 at a time
//	control targets PORT          answers 200 to anything, on every loopback address
//	control access U G S          decides by bit sets who of U may enter which of S, by G groups
//	control sso ALG DATABASE      signs in and refreshes, by ES256 or RS256, with one durable row for what is spent
//	control probe N PORT SECONDS  gets N targets every 10 s in bursts of 100 ms over one shared transport
package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"
	_ "modernc.org/sqlite"
)

func main() {
	log.SetFlags(0)
	var err error
	switch os.Args[1] {
	case "rows":
		err = rows(os.Args[2])
	case "deploy":
		err = deploy(os.Args[2], os.Args[3])
	case "targets":
		err = targets(os.Args[2])
	case "probe":
		err = probe(number(2), os.Args[3], number(4))
	case "sso":
		err = sso(os.Args[2], os.Args[3])
	case "access":
		err = access(number(2), number(3), number(4))
	}
	if err != nil {
		log.Fatal(err)
	}
}

func number(arg int) int {
	n, err := strconv.Atoi(os.Args[arg])
	if err != nil {
		log.Fatal(err)
	}
	return n
}

// rows is the control for start, memory, reads and durable writes: one table, one writer connection with synchronous=FULL,
// and the document of the body as it came.
func rows(path string) error {
	dsn := "file:" + path + "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"
	w, err := sql.Open("sqlite", dsn+"&_txlock=immediate")
	if err != nil {
		return err
	}
	w.SetMaxOpenConns(1)
	if _, err := w.Exec(`CREATE TABLE IF NOT EXISTS doc (id TEXT PRIMARY KEY, body TEXT NOT NULL)`); err != nil {
		return err
	}
	r, err := sql.Open("sqlite", dsn)
	if err != nil {
		return err
	}
	r.SetMaxOpenConns(8)
	r.SetMaxIdleConns(8)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"Application":"control"}`) })
	mux.HandleFunc("POST /api/docs", func(res http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		id := uuid.Must(uuid.NewV7()).String()
		if err == nil {
			_, err = w.ExecContext(req.Context(), `INSERT INTO doc (id, body) VALUES ($1, $2)`, id, string(body))
		}
		if err != nil {
			http.Error(res, err.Error(), http.StatusInternalServerError)
			return
		}
		res.WriteHeader(http.StatusCreated)
		fmt.Fprintf(res, `{"Id":%q}`, id)
	})
	mux.HandleFunc("GET /api/docs/{id}", func(res http.ResponseWriter, req *http.Request) {
		var body string
		if err := r.QueryRowContext(req.Context(), `SELECT body FROM doc WHERE id = $1`, req.PathValue("id")).Scan(&body); err != nil {
			http.Error(res, err.Error(), http.StatusNotFound)
			return
		}
		res.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(res, body)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("{\"url\":\"http://%s\"}\n", l.Addr())
	return http.Serve(l, mux)
}

// targets plays the servers that are probed: all of 127.0.0.0/8 on one port.
func targets(port string) error {
	l, err := net.Listen("tcp4", "0.0.0.0:"+port)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	return http.Serve(loopbackOnly{l}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/api" || r.URL.Path == "/api/" {
			_, _ = io.WriteString(w, `{"Application":"Octopus Deploy","Version":"2025.4.1000","ApiVersion":"3.0.0","InstallationId":"6f1c8f0a-0000-4000-8000-000000000000"}`)
			return
		}
		_, _ = io.WriteString(w, "{}")
	}))
}

// loopbackOnly refuses whoever does not come from this machine.
type loopbackOnly struct{ net.Listener }

func (l loopbackOnly) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil || c.RemoteAddr().(*net.TCPAddr).IP.IsLoopback() {
			return c, err
		}
		c.Close()
	}
}

// probe is the bare loop: every 100 ms what is due, in one burst.
func probe(n int, port string, seconds int) error {
	const every, burst = 10 * time.Second, 100 * time.Millisecond
	transport := &http.Transport{MaxIdleConns: 0, MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute, DisableCompression: true}
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	perBurst := n / int(every/burst)
	next := 0
	round := func() error {
		var wg sync.WaitGroup
		var failed error
		for range perBurst {
			url := "http://" + Target(next, port) + "/api/octopusservernodes/ping"
			next = (next + 1) % n
			wg.Go(func() {
				req, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
				res, err := client.Do(req)
				if err != nil {
					failed = err
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
			})
		}
		wg.Wait()
		return failed
	}
	tick := time.NewTicker(burst)
	bursts := int(every / burst)
	for range bursts { // the first round opens the connections
		<-tick.C
		if err := round(); err != nil {
			return err
		}
	}
	before := cpu()
	probes := 0
	for range seconds * int(time.Second/burst) {
		<-tick.C
		if err := round(); err != nil {
			return err
		}
		probes += perBurst
	}
	fmt.Printf("{\"probes\":%d,\"cpuSeconds\":%f,\"memoryMiB\":%f}\n", probes, (cpu() - before).Seconds(), memory())
	return nil
}

// Target is the address of the nth target: 127.1.x.y.
func Target(n int, port string) string {
	return fmt.Sprintf("127.1.%d.%d:%s", n/250, n%250+1, port)
}

// memory is the resident set in MiB.
func memory() float64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, resident int
	if _, err := fmt.Sscan(string(b), &size, &resident); err != nil {
		return 0
	}
	return float64(resident*os.Getpagesize()) / (1 << 20)
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		log.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
