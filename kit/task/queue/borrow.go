package queue

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
)

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
