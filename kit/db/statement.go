package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"

	"modernc.org/sqlite"
)

// keptStatements bounds what a connection keeps: a few KiB each.
const keptStatements = 128

// keptLength is the longest text that is kept: longer ones have many parameters or are schema steps, and come once.
const keptLength = 2000

// openKeeping opens SQLite with connections that keep the statements that they prepared, as PostgreSQL's driver does by itself.
// SQLite's prepares anew for each call, which for most statements costs more than running it.
func openKeeping(dsn string) (*sql.DB, error) {
	c, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(keeper{c}), nil
}

type keeper struct{ driver.Connector }

func (k keeper) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := k.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	full, ok := c.(fullConn)
	if !ok {
		return nil, fmt.Errorf("the SQLite driver's %T lacks a method that database/sql uses", c)
	}
	return &keepingConn{full, map[string]statement{}}, nil
}

// fullConn and statement are what database/sql uses of the driver.
type fullConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

type statement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// keepingConn is used by one goroutine at a time, as every connection of database/sql.
type keepingConn struct {
	fullConn
	idle map[string]statement // by their text; one that runs is not in it
}

func (c *keepingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	result, err := s.ExecContext(ctx, args)
	c.give(query, s)
	return result, err
}

func (c *keepingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, err := s.QueryContext(ctx, args)
	if err != nil {
		c.give(query, s)
		return nil, err
	}
	return &keptRows{rows, func() { c.give(query, s) }}, nil
}

func (c *keepingConn) Close() error {
	for _, s := range c.idle {
		_ = s.Close() // closing the connection frees what that could not
	}
	return c.fullConn.Close()
}

// take prepares the statement, or takes the one that is kept: two readers of the same text in one transaction have one each.
func (c *keepingConn) take(ctx context.Context, query string) (statement, error) {
	if s, ok := c.idle[query]; ok {
		delete(c.idle, query)
		return s, nil
	}
	s, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.(statement), nil
}

// give keeps a statement that has run; where there are too many, it takes the place of any.
func (c *keepingConn) give(query string, s statement) {
	if _, twice := c.idle[query]; twice || len(query) > keptLength {
		_ = s.Close() // its error is that of its last run, which was told
		return
	}
	for other, old := range c.idle {
		if len(c.idle) < keptStatements {
			break
		}
		delete(c.idle, other)
		_ = old.Close()
	}
	c.idle[query] = s
}

// keptRows gives the statement back once its rows were read.
type keptRows struct {
	driver.Rows
	done func()
}

func (r *keptRows) Close() error {
	err := r.Rows.Close()
	if r.done != nil {
		r.done()
		r.done = nil
	}
	return err
}
