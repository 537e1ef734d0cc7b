package db

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"

	"odcm"
)

// The codes of what [Explain] makes.
const (
	CodeFull = "db.full"
	CodeAway = "db.unavailable"
	CodeText = "db.text"
)

// Explain turns what people can do something about into an [odcm.Error]: a disk that is full and a database that does not
// answer or is locked by another program are Unavailable, a zero byte in a text, which PostgreSQL does not store, is Invalid.
// It leaves other errors alone. [DB.Tx] does it by itself.
func Explain(err error) error {
	var known *odcm.Error
	switch {
	case err == nil || errors.As(err, &known) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		return err
	case IsFull(err):
		return odcm.E(odcm.Unavailable, CodeFull, "The disk of the database is full: nothing was changed. Make room there, then try again.").Because(err)
	case isNoText(err):
		return odcm.E(odcm.Invalid, CodeText, "A text holds a character that cannot be stored: take it out, then try again.").Because(err)
	case IsAway(err):
		return odcm.E(odcm.Unavailable, CodeAway, "The database does not answer: nothing was changed. Try again in a moment; if it stays, look at the database server.").Because(err)
	}
	return err
}

// IsUnique tells whether the error is a broken unique or primary key constraint.
func IsUnique(err error) bool {
	var s *sqlite.Error
	if errors.As(err, &s) {
		return s.Code() == sqlitelib.SQLITE_CONSTRAINT_UNIQUE || s.Code() == sqlitelib.SQLITE_CONSTRAINT_PRIMARYKEY
	}
	var p *pgconn.PgError
	return errors.As(err, &p) && p.Code == "23505"
}

// IsFull tells whether the database's disk is full.
func IsFull(err error) bool {
	var s *sqlite.Error
	if errors.As(err, &s) {
		// SHMSIZE: the index of the write-ahead log could not grow.
		return s.Code()&0xff == sqlitelib.SQLITE_FULL || s.Code() == sqlitelib.SQLITE_IOERR_SHMSIZE
	}
	var p *pgconn.PgError
	return errors.As(err, &p) && p.Code == "53100"
}

func isNoText(err error) bool {
	var p *pgconn.PgError
	return errors.As(err, &p) && (p.Code == "22021" || p.Code == "22P05")
}

// ended says that PostgreSQL ended a session that was silent in a transaction for too long (appendix A, 25P03).
const ended = "25P03"

// IsAway tells whether the database could not be reached or used (PostgreSQL, appendix A: classes 08 and 57P, 53300, 25P03).
func IsAway(err error) bool {
	var s *sqlite.Error
	if errors.As(err, &s) {
		switch s.Code() & 0xff {
		case sqlitelib.SQLITE_BUSY, sqlitelib.SQLITE_IOERR, sqlitelib.SQLITE_CANTOPEN, sqlitelib.SQLITE_READONLY:
			return true
		}
		return false
	}
	var p *pgconn.PgError
	if errors.As(err, &p) {
		return strings.HasPrefix(p.Code, "08") || strings.HasPrefix(p.Code, "57P") || p.Code == "53300" || p.Code == ended
	}
	var connect *pgconn.ConnectError
	var network *net.OpError
	return errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, driver.ErrBadConn) ||
		errors.Is(err, io.ErrUnexpectedEOF) || pgconn.SafeToRetry(err)
}

// shouldRetry tells whether nothing was done and the same again may work: serialization failure, deadlock, a transaction that was
// rolled back because this process was suspended in it, or a connection that was found dead before anything was sent.
func shouldRetry(err error) bool {
	var p *pgconn.PgError
	if errors.As(err, &p) {
		return p.Code == "40001" || p.Code == "40P01" || p.Code == ended
	}
	return pgconn.SafeToRetry(err)
}
