// Package dbtest gives each test a database of its own, on SQLite and on a PostgreSQL that it starts itself.
package dbtest

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx" for making databases

	"odcm/kit/db"
)

// Each runs the test on SQLite and on PostgreSQL, each with an empty database. Where PostgreSQL is not installed the
// second half is skipped with the reason, or fails where CI is set.
func Each(t *testing.T, f func(t *testing.T, d *db.DB)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) { f(t, Open(t, SQLite(t))) })
	t.Run("PostgreSQL", func(t *testing.T) { f(t, Open(t, PostgreSQL(t))) })
}

// EachURL is [Each] for tests that open the database themselves, several times or in other processes.
func EachURL(t *testing.T, f func(t *testing.T, url string)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) { f(t, SQLite(t)) })
	t.Run("PostgreSQL", func(t *testing.T) { f(t, PostgreSQL(t)) })
}

// Open opens the database and closes it at the end of the test.
func Open(t testing.TB, url string) *db.DB {
	t.Helper()
	d, err := db.Open(context.Background(), url, db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close database: %v", err)
		}
	})
	return d
}

// SQLite returns the URL of a new file.
func SQLite(t testing.TB) string {
	return "sqlite:" + filepath.Join(t.TempDir(), "test.db")
}

// PostgreSQL returns the URL of a new, empty database on a server that the test binary starts once, on a free port of
// loopback with its data in a folder of its own, and stops when it ends.
func PostgreSQL(t testing.TB) string {
	t.Helper()
	server, err := start()
	if err != nil {
		unavailable(t, err)
	}
	return server.database(t)
}

func unavailable(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("PostgreSQL: %v", err)
	}
	t.Skipf("PostgreSQL: %v", err)
}

type cluster struct {
	*installation
	mu    sync.Mutex
	admin *sql.DB
	made  int
}

var start = sync.OnceValues(startCluster)

// installation is a PostgreSQL with its data in a folder of its own.
type installation struct {
	bin, dir string
	port     int
	attr     *syscall.SysProcAttr // whom it runs as
}

// install makes one, which is stopped and removed when this process ends. PostgreSQL refuses to run as root, so root runs
// it as the user postgres.
func install() (*installation, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(scratch(), "odcm-pg-")
	if err != nil {
		return nil, err
	}
	in := &installation{bin: bin, dir: dir, attr: &syscall.SysProcAttr{Setpgid: true}}
	if os.Geteuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			return nil, fmt.Errorf("root cannot run it, and there is no user postgres: %w", err)
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			return nil, err
		}
		in.attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	if in.port, err = freePort(); err != nil {
		return nil, err
	}
	if err := in.run("initdb", "-D", in.data(), "-U", "odcm", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C"); err != nil {
		return nil, err
	}
	if err := in.start(); err != nil {
		return nil, err
	}
	return in, stopAtExit(in.bin, in.data(), in.dir, in.attr)
}

func (in *installation) data() string { return filepath.Join(in.dir, "data") }

func (in *installation) url(name string) string {
	return fmt.Sprintf("postgres://odcm@127.0.0.1:%d/%s?sslmode=disable", in.port, name)
}

func (in *installation) run(name string, args ...string) error {
	cmd := exec.Command(filepath.Join(in.bin, name), args...)
	cmd.SysProcAttr, cmd.Dir = in.attr, in.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

func (in *installation) start() error {
	opts := fmt.Sprintf("-p %d -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off -c max_connections=300", in.port)
	return in.run("pg_ctl", "-D", in.data(), "-w", "-t", "180", "-l", filepath.Join(in.dir, "log"), "-o", opts, "start")
}

// startCluster starts the server that the tests of a binary share.
func startCluster() (*cluster, error) {
	in, err := install()
	if err != nil {
		return nil, err
	}
	admin, err := sql.Open("pgx", in.url("postgres"))
	if err != nil {
		return nil, err
	}
	return &cluster{installation: in, admin: admin}, admin.Ping()
}

// Server is a PostgreSQL of one test's own.
type Server struct {
	URL string // of its one database
	in  *installation
}

// Private starts a PostgreSQL that the test may stop, and starts again, under those who use it.
func Private(t testing.TB) *Server {
	t.Helper()
	in, err := install()
	if err != nil {
		unavailable(t, err)
	}
	return &Server{URL: in.url("postgres"), in: in}
}

// Stop ends it as an administrator does who is in a hurry: who is connected is cut off.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if err := s.in.run("pg_ctl", "-D", s.in.data(), "-w", "-m", "fast", "stop"); err != nil {
		t.Fatal(err)
	}
}

// Start starts it again, on the same port.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	if err := s.in.start(); err != nil {
		t.Fatal(err)
	}
}

// stopAtExit leaves a shell behind that waits for the end of a pipe, whichever way this process ends, then stops the
// server and removes its folder.
func stopAtExit(bin, data, dir string, attr *syscall.SysProcAttr) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd := exec.Command("/bin/sh", "-c", `cat >/dev/null; "$0" -D "$1" -m immediate stop >/dev/null 2>&1; rm -rf "$2"`,
		filepath.Join(bin, "pg_ctl"), data, dir)
	cmd.Stdin, cmd.SysProcAttr = r, attr
	if err := cmd.Start(); err != nil {
		return err
	}
	runtime.SetFinalizer(w, nil) // keep the writing end open until the process is gone
	keepOpen = append(keepOpen, w)
	return r.Close()
}

var keepOpen []*os.File

func (c *cluster) database(t testing.TB) string {
	t.Helper()
	c.mu.Lock()
	c.made++
	name := fmt.Sprintf("test_%d", c.made)
	c.mu.Unlock()
	if _, err := c.admin.Exec("CREATE DATABASE " + name); err != nil {
		t.Fatalf("PostgreSQL: %v", err)
	}
	t.Cleanup(func() {
		if _, err := c.admin.Exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Logf("PostgreSQL: %v", err)
		}
	})
	return c.url(name)
}

// binaries finds initdb and pg_ctl on the PATH or where Debian puts them, the newest version first.
func binaries() (string, error) {
	if p, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(p), nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	slices.SortFunc(found, func(a, b string) int { return version(b) - version(a) })
	if len(found) == 0 {
		return "", fmt.Errorf("initdb was not found: install Debian's package postgresql (make deps)")
	}
	return filepath.Dir(found[0]), nil
}

func version(path string) int {
	n, _ := strconv.Atoi(strings.Split(path, "/")[4])
	return n
}

// scratch prefers memory to disk.
func scratch() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return ""
}
