package task

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	_ "github.com/dbos-inc/dbos-transact-golang/dbos/driver/sqlite" // lets DBOS run on SQLite
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"odcm/kit/db"
)

// This file fits DBOS to the house. Its Shutdown closes the handle that it was given, also one that is shared, so it
// gets one of its own: on PostgreSQL a small pool, which also keeps heartbeats alive where the rooms use up theirs; on
// SQLite a handle that borrows the one writer connection for each statement.

// poolSize bounds DBOS's own connections on PostgreSQL; one of them listens.
const poolSize = 6

// version never changes. By default it is a hash of the program, and an upgraded one would leave the last one's tasks alone.
const version = "1"

// standstill is after what time PostgreSQL ends a transaction in which nothing happens: its replica stands still, and its
// locks must not stop the one that takes over.
const standstill = "4s"

type library struct {
	dbos.Context
	pool *pgxpool.Pool // nil on SQLite; closed by DBOS
}

func openLibrary(ctx context.Context, d *db.DB, executor string, log *slog.Logger) (*library, error) {
	cfg := dbos.Config{
		AppName:            "odcm",
		ExecutorID:         executor,
		ApplicationVersion: version,
		Logger:             slog.New(quiet{log.Handler()}),
	}
	l := &library{}
	if d.Postgres() {
		pc := d.Pool.Config()
		pc.MaxConns, pc.MinConns = poolSize, 0
		pc.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
			_, err := c.Exec(ctx, `SET idle_in_transaction_session_timeout = '`+standstill+`'`)
			return err
		}
		pool, err := pgxpool.NewWithConfig(ctx, pc)
		if err != nil {
			return nil, err
		}
		cfg.SystemDBPool, l.pool = pool, pool
	} else {
		cfg.SQLiteSystemDB = borrow(d.Write())
	}
	// Not the caller's context: the library lives until Shutdown, which drains; a context that ends does not.
	c, err := dbos.NewContext(context.WithoutCancel(ctx), cfg)
	if err != nil {
		if l.pool != nil {
			l.pool.Close()
		}
		return nil, err
	}
	l.Context = c
	if dbos.GetExecutorID(c) != executor || dbos.GetApplicationVersion(c) != version { // DBOS lets the environment override both
		return nil, errors.Join(errors.New("unset DBOS__VMID and DBOS__APPVERSION: tasks could not be taken over"), dbos.Shutdown(c, time.Second))
	}
	return l, nil
}

// borrow makes a handle whose every connection is the one connection of w, taken for one statement or transaction.
func borrow(w *sql.DB) *sql.DB {
	d := sql.OpenDB(lender{w})
	d.SetMaxIdleConns(-1) // give it back at once
	return d
}

type lender struct{ db *sql.DB }

func (l lender) Driver() driver.Driver { return l.db.Driver() }

func (l lender) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := l.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	b := &borrowed{lent: c}
	err = c.Raw(func(raw any) error {
		conn, ok := raw.(conn)
		if !ok {
			return fmt.Errorf("the SQLite driver's %T lacks a method that tasks need", raw)
		}
		b.conn = conn
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return b, nil
}

// conn is what database/sql uses of a connection. Nobody else uses it while it is lent.
type conn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
}

type borrowed struct {
	conn
	lent io.Closer
}

func (b *borrowed) Close() error { return b.lent.Close() }

// quiet turns DBOS's log down: what it calls an error is a warning to us, because each is tried again or comes back as an
// error of ours; the rest is for debugging.
type quiet struct{ to slog.Handler }

func (q quiet) Enabled(ctx context.Context, l slog.Level) bool { return q.to.Enabled(ctx, quieter(l)) }

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	quieted := slog.NewRecord(r.Time, quieter(r.Level), "dbos: "+r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool { quieted.AddAttrs(a); return true })
	return q.to.Handle(ctx, quieted)
}

func (q quiet) WithAttrs(as []slog.Attr) slog.Handler { return quiet{q.to.WithAttrs(as)} }
func (q quiet) WithGroup(name string) slog.Handler    { return quiet{q.to.WithGroup(name)} }

func quieter(l slog.Level) slog.Level {
	if l >= slog.LevelError {
		return slog.LevelWarn
	}
	return slog.LevelDebug
}
