package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"odcm"
)

// DB is a database, SQLite or PostgreSQL, behind one SQL text.
type DB struct {
	// Pool is the connection pool of PostgreSQL, nil on SQLite. Libraries that want pgx itself share it.
	Pool *pgxpool.Pool

	write, read *sql.DB

	mu   sync.Mutex
	open map[*sql.Tx][]func() // transactions of Tx that run now, and what to do once each is committed
}

// Options tune a database. The zero value is right for the manager.
type Options struct {
	// Readers bounds SQLite's read connections; 8 if zero.
	Readers int
	// CacheKiB bounds SQLite's page cache per connection; 2,000 if zero.
	CacheKiB int
	// MaxConns bounds PostgreSQL's connections; 16 if zero.
	MaxConns int
}

// Open opens the database at the URL: "sqlite:PATH" makes the file (mode 0600) and its folder where they are missing,
// "postgres://..." connects. It does not make tables; see [DB.Migrate].
func Open(ctx context.Context, rawURL string, o Options) (*DB, error) {
	if path, ok := strings.CutPrefix(rawURL, "sqlite:"); ok {
		return openSQLite(ctx, strings.TrimPrefix(path, "//"), o)
	}
	if strings.HasPrefix(rawURL, "postgres://") || strings.HasPrefix(rawURL, "postgresql://") {
		return openPostgres(ctx, rawURL, o)
	}
	scheme, _, _ := strings.Cut(rawURL, ":")
	return nil, odcm.E(odcm.Invalid, "db.url", "database URL starts with %q: want sqlite:PATH or postgres://HOST/NAME", scheme)
}

func openSQLite(ctx context.Context, path string, o Options) (*DB, error) {
	if strings.ContainsAny(path, "?#%") {
		return nil, odcm.E(odcm.Invalid, "db.url", "database path %q: ?, # and %% are not allowed in it", path)
	}
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	var f *os.File
	if err == nil {
		f, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) // secrets live here: not for other users of the machine
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return nil, odcm.E(odcm.Unavailable, "db.file", "cannot use the database file: %v; let this user write there, or choose another folder", err).Because(err)
	}
	// synchronous(FULL): what was answered as done survives a power cut. WAL lets readers go on while one writes.
	dsn := fmt.Sprintf("file:%s?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"+
		"&_pragma=foreign_keys(1)&_pragma=cache_size(-%d)&_dqs=0", path, or(o.CacheKiB, 2000))
	w, err := openKeeping(dsn + "&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	// One writer connection: Go's queue for it is fair, SQLite's busy handler is not, and a deferred transaction that
	// reads and then writes fails at once on a stale snapshot.
	w.SetMaxOpenConns(1)
	if err := w.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", path, Explain(err)), w.Close())
	}
	r, err := openKeeping(dsn + "&_pragma=query_only(1)")
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	r.SetMaxOpenConns(or(o.Readers, 8))
	r.SetMaxIdleConns(2)
	r.SetConnMaxIdleTime(time.Minute)
	return &DB{write: w, read: r}, nil
}

func openPostgres(ctx context.Context, rawURL string, o Options) (*DB, error) {
	cfg, err := pgxpool.ParseConfig(rawURL)
	if err != nil {
		// The error may hold the password: say only what to look at.
		return nil, odcm.E(odcm.Invalid, "db.url", "database URL: want postgres://USER:PASSWORD@HOST:PORT/NAME?sslmode=...")
	}
	cfg.MaxConns = int32(or(o.MaxConns, 16))
	// A replica that is suspended or cut off inside a transaction must not hold its locks, that of the event log among them,
	// for longer than this.
	if params := cfg.ConnConfig.RuntimeParams; params["idle_in_transaction_session_timeout"] == "" {
		params["idle_in_transaction_session_timeout"] = "20000"
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, odcm.E(odcm.Unavailable, "db.unreachable", "connect to PostgreSQL at %s: %v", Redact(rawURL), err).Because(err)
	}
	d := stdlib.OpenDBFromPool(pool)
	return &DB{Pool: pool, write: d, read: d}, nil
}

// Close closes all connections.
func (d *DB) Close() error {
	err := d.write.Close()
	if d.read != d.write {
		err = errors.Join(err, d.read.Close())
	}
	if d.Pool != nil {
		d.Pool.Close()
	}
	return err
}

// Postgres tells which of the two databases it is.
func (d *DB) Postgres() bool { return d.Pool != nil }

// Read returns the handle for queries outside a transaction. On SQLite it refuses to write.
func (d *DB) Read() *sql.DB { return d.read }

// Write returns the handle for libraries that write by themselves. On SQLite it is a single connection: never use it,
// nor [DB.Tx], while holding a transaction on the same goroutine.
func (d *DB) Write() *sql.DB { return d.write }

// Tx runs f in a transaction that writes, and commits it if f returns nil. f may run again when PostgreSQL asks for it
// (serialization failure, deadlock, a process that was suspended), so it must do nothing but use tx: no network, no channel, no call to d. Its errors are
// explained (see [Explain]).
func (d *DB) Tx(ctx context.Context, f func(tx *sql.Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := d.tx(ctx, f)
		if err == nil || attempt == 5 || !shouldRetry(err) {
			return Explain(err)
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Duration(attempt) * 5 * time.Millisecond):
		}
	}
}

// AfterCommit runs f once the transaction, which must be one that [DB.Tx] runs now, is committed; never when it rolls back.
// f runs on the goroutine of Tx, after the connection was given back. It returns false, and does nothing, for another
// transaction.
func (d *DB) AfterCommit(tx *sql.Tx, f func()) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	hooks, ok := d.open[tx]
	if ok {
		d.open[tx] = append(hooks, f)
	}
	return ok
}

func (d *DB) forget(tx *sql.Tx) []func() {
	d.mu.Lock()
	defer d.mu.Unlock()
	hooks := d.open[tx]
	delete(d.open, tx)
	return hooks
}

func (d *DB) tx(ctx context.Context, f func(tx *sql.Tx) error) error {
	tx, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	d.mu.Lock()
	if d.open == nil {
		d.open = map[*sql.Tx][]func(){}
	}
	d.open[tx] = nil
	d.mu.Unlock()
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing; when f panics it gives the connection back
	defer d.forget(tx)
	if err := f(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	for _, hook := range d.forget(tx) {
		hook()
	}
	return nil
}

// Migrate brings the tables of one owner (a room, a tool) to its newest schema. Steps are goose SQL files in the root of
// schema; each owner counts its own steps. Replicas that start together take turns.
func (d *DB) Migrate(ctx context.Context, owner string, schema fs.FS) error {
	opts := []goose.ProviderOption{
		goose.WithTableName("schema_" + owner), goose.WithDisableGlobalRegistry(true),
		goose.WithSlog(slog.New(slog.DiscardHandler)),
	}
	dialect := goose.DialectSQLite3
	if d.Postgres() {
		dialect = goose.DialectPostgres
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return err
		}
		opts = append(opts, goose.WithSessionLocker(locker))
	}
	p, err := goose.NewProvider(dialect, d.write, schema, opts...)
	if err != nil {
		return fmt.Errorf("schema of %s: %w", owner, err)
	}
	for attempt := 1; ; attempt++ { // each step is a transaction of its own: what was done is not done again
		if _, err = p.Up(ctx); err == nil {
			return nil
		}
		if attempt == 5 || !shouldRetry(err) || ctx.Err() != nil {
			return fmt.Errorf("schema of %s: %w", owner, Explain(err))
		}
	}
}

// Redact takes user and password out of a URL, for logs and errors.
func Redact(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "(unreadable URL)"
	}
	u.User, u.RawQuery = nil, ""
	return u.String()
}

func or(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}
