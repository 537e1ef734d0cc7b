package activity

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"iter"
	"slices"
	"sync"
	"time"

	"odcm/kit/db"
)

// Book is the logs of all tasks in table spaceserver_log.
type Book struct {
	db   *db.DB
	poll time.Duration

	mu      sync.Mutex
	waiting map[string]chan struct{} // task -> closed when something is appended here
}

// NewBook reads and writes the table that package document makes.
func NewBook(d *db.DB) *Book {
	b := &Book{db: d, waiting: map[string]chan struct{}{}}
	if d.Postgres() { // other nodes write too
		b.poll = time.Second
	}
	return b
}

// Append adds a chunk in a transaction, and wakes who follows the task when it is committed.
func (b *Book) Append(ctx context.Context, tx *sql.Tx, task string, chunk []byte) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO spaceserver_log (task, sequence, body)
		SELECT $1, coalesce(max(sequence), 0) + 1, $2 FROM spaceserver_log WHERE task = $3`, task, string(chunk), task)
	if err == nil {
		b.db.AfterCommit(tx, func() { b.Wake(task) })
	}
	return err
}

// Say adds a line to the root of a task that nobody runs, in a transaction.
func (b *Book) Say(ctx context.Context, tx *sql.Tx, task, title string, at time.Time, c Category, text string) error {
	r := Record(Options{Sink: sinkFunc(func(ctx context.Context, task string, chunk []byte) error { return b.Append(ctx, tx, task, chunk) }), Task: task, Now: func() time.Time { return at }})
	r.Root(title).Write(c, text)
	return r.Close(ctx)
}

type sinkFunc func(ctx context.Context, task string, chunk []byte) error

func (f sinkFunc) Append(ctx context.Context, task string, chunk []byte) error {
	return f(ctx, task, chunk)
}

// Size is how many bytes the log of a task has.
func (b *Book) Size(ctx context.Context, task string) (n int64, err error) {
	err = b.db.Read().QueryRowContext(ctx, "SELECT coalesce(sum(length(body)), 0) FROM spaceserver_log WHERE task = $1", task).Scan(&n)
	return n, err
}

// Remove deletes the log of a task.
func (b *Book) Remove(ctx context.Context, tx *sql.Tx, task string) error {
	_, err := tx.ExecContext(ctx, "DELETE FROM spaceserver_log WHERE task = $1", task)
	return err
}

// chunks yields what came after the sequence, one chunk in memory at a time.
func (b *Book) chunks(ctx context.Context, task string, after int64) iter.Seq2[chunk, error] {
	return func(yield func(chunk, error) bool) {
		rows, err := b.db.Read().QueryContext(ctx, "SELECT sequence, body FROM spaceserver_log WHERE task = $1 AND sequence > $2 ORDER BY sequence", task, after)
		if err != nil {
			yield(chunk{}, err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var c chunk
			err := rows.Scan(&c.sequence, &c.body)
			if !yield(c, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(chunk{}, err)
		}
	}
}

type chunk struct {
	sequence int64
	body     []byte
}

// records yields the records of a chunk. What is damaged is left out: the rest of a log is worth reading.
func (c chunk) records() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		for line := range bytes.Lines(c.body) {
			var r Entry
			if json.Unmarshal(line, &r) == nil && !yield(r) {
				return
			}
		}
	}
}

// followed bounds what one call of Follow returns.
const followed = 4 * chunkBytes

// Follow waits until the log of a task has records after the sequence, 0 for the beginning, and returns them with the last
// sequence. It returns without any when the task ended or was changed meanwhile ([Book.Wake]): the caller looks whether it
// goes on. On PostgreSQL, where other nodes write, it looks every second; else nothing wakes it but a change.
func (b *Book) Follow(ctx context.Context, task string, after int64) (records []Entry, last int64, err error) {
	for {
		changed := b.changed(task) // before reading, so that nothing is missed between
		records, last, err := b.since(ctx, task, after)
		if err != nil || len(records) > 0 {
			return records, last, err
		}
		var poll <-chan time.Time
		if b.poll > 0 {
			poll = time.After(b.poll)
		}
		select {
		case <-ctx.Done():
			return nil, after, ctx.Err()
		case <-changed:
			return b.since(ctx, task, after)
		case <-poll:
		}
	}
}

// since reads without waiting.
func (b *Book) since(ctx context.Context, task string, after int64) (records []Entry, last int64, err error) {
	last = after
	size := 0
	for c, err := range b.chunks(ctx, task, after) {
		if err != nil {
			return nil, after, err
		}
		records, last = slices.AppendSeq(records, c.records()), c.sequence
		if size += len(c.body); size >= followed {
			break
		}
	}
	return records, last, nil
}

// Wake lets those who follow the task look again.
func (b *Book) Wake(task string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.waiting[task]; c != nil {
		close(c)
		delete(b.waiting, task)
	}
}

// changed is closed at the next change of the task here.
func (b *Book) changed(task string) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.waiting[task]
	if c == nil {
		c = make(chan struct{})
		b.waiting[task] = c
	}
	return c
}
