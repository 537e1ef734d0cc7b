package activity

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

const (
	defaultBytes = 20 << 20
	defaultFlush = 200 * time.Millisecond
	chunkBytes   = 64 << 10 // of one append
	waitingBytes = 1 << 20  // that wait while the sink refuses
	graveBytes   = 64 << 10 // of warnings and errors that are kept beyond the bound
	retryAfter   = time.Second
)

// ErrLost says that the task is no longer this node's: what it still writes is left out.
var ErrLost = errors.New("the task is no longer run here")

// Recorder is the log of one task, open for writing. It is safe for concurrent use. Writers wait while a full chunk is on
// its way to the sink, so a flood is held back to what the database takes.
type Recorder struct {
	o    Options
	root string

	mu      sync.Mutex
	masks   *masks
	nodes   map[string]*Log
	buffer  []byte
	timer   *time.Timer // runs while records wait
	used    int64
	grave   int64 // bytes of warnings and errors beyond the bound
	omitted int   // lines beyond the bound
	dropped int   // lines that the sink did not take
	lost    bool
	warned  bool
	closed  bool
}

// Record opens the log of a task. It goes on where an earlier run of the task stopped: node ids are made of names, so a node
// that is opened again is the same.
func Record(o Options) *Recorder {
	if o.Bytes == 0 {
		o.Bytes = defaultBytes
	}
	if o.Flush == 0 {
		o.Flush = defaultFlush
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Recorder{o: o, nodes: map[string]*Log{}, used: o.Used, masks: newMasks()}
}

// Discard is a log that nobody reads.
func Discard() *Recorder { return Record(Options{Sink: nowhere{}}) }

type nowhere struct{}

func (nowhere) Append(context.Context, string, []byte) error { return nil }

// Mask hides values in all that is written from now on: each becomes ********. Values that are empty or shorter than
// three characters are left out. Lines of several-line secrets are hidden one by one too.
func (r *Recorder) Mask(secrets ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.masks.add(secrets...)
}

// Masked is the text without the secrets, for messages that are kept elsewhere.
func (r *Recorder) Masked(text string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.masks.hide(text)
}

// Warned tells whether any warning or error was written.
func (r *Recorder) Warned() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.warned
}

// Root is the top node, which is named like the task.
func (r *Recorder) Root(name string) *Log { return r.open("", r.o.Task, name) }

// Close writes what waits. Nothing is kept of what is written later.
func (r *Recorder) Close(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.close()
	return r.flush(ctx)
}

// Rest closes the recorder and returns what waits: to be appended in the transaction in which the task ends.
func (r *Recorder) Rest() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.close()
	rest := r.buffer
	r.buffer = nil
	return rest
}

func (r *Recorder) close() {
	if r.closed {
		return
	}
	r.closed = true
	for _, l := range r.nodes {
		r.release(l, true)
	}
	if r.omitted > 0 {
		r.put(Entry{Node: r.root, Line: Warning, Text: fmt.Sprintf("%d lines were left out of this log because it reached its limit of %d KiB.", r.omitted, r.o.Bytes>>10)})
	}
	if r.dropped > 0 {
		r.put(Entry{Node: r.root, Line: Warning, Text: fmt.Sprintf("%d lines of this log were lost because the database did not take them.", r.dropped)})
	}
}

// open is Root and Child.
func (r *Recorder) open(parent, key, name string) *Log {
	r.mu.Lock()
	defer r.mu.Unlock()
	sum := sha256.Sum256([]byte(parent + "/" + key))
	id := r.o.Task + "_" + base32.StdEncoding.EncodeToString(sum[:10])
	l := r.nodes[id]
	if l == nil {
		l = &Log{recorder: r, id: id, path: parent + "/" + key}
		if above := r.nodeAt(parent); above != nil {
			l.above = above.id
		} else {
			r.root = id
		}
		r.nodes[id] = l
	}
	l.percent = -1
	r.put(Entry{Node: id, Name: r.masks.hide(orDash(name)), Parent: l.above})
	return l
}

func (r *Recorder) nodeAt(path string) *Log {
	for _, l := range r.nodes {
		if l.path == path {
			return l
		}
	}
	return nil
}

func orDash(name string) string {
	if name == "" {
		return "-"
	}
	return name
}

// write adds a line of a node, or keeps it back while it ends in what may be the beginning of a secret.
func (r *Recorder) write(l *Log, c Category, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.lost {
		return
	}
	r.warned = r.warned || c.grave()
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		line = strings.ToValidUTF8(strings.TrimSuffix(line, "\r"), "\uFFFD")
		if !r.admits(c, len(line)) {
			continue
		}
		l.held = append(l.held, heldLine{c, r.o.Now().UnixMilli(), line})
		r.release(l, false)
	}
	r.arm(r.o.Flush)
}

// admits counts the line against the bound.
func (r *Recorder) admits(c Category, size int) bool {
	size += 64 // about what a record costs beside its text
	switch {
	case r.used+int64(size) <= r.o.Bytes:
		r.used += int64(size)
		return true
	case c.grave() && r.grave+int64(size) <= graveBytes:
		r.grave += int64(size)
		return true
	}
	if r.omitted++; r.omitted == 1 {
		r.put(Entry{Node: r.root, Line: Warning, Text: fmt.Sprintf("This log reached its limit of %d KiB: from here on only warnings and errors are kept.", r.o.Bytes>>10)})
	}
	return false
}

// release puts those lines of a node that can no longer be part of a secret that goes on; all of them at the end.
func (r *Recorder) release(l *Log, all bool) {
	for _, h := range r.masks.release(&l.seen, &l.held, all) {
		r.put(Entry{Node: l.id, At: h.at, Line: h.category, Text: h.text})
	}
}

// put adds a record to the chunk, and sends the chunk when it is full.
func (r *Recorder) put(v Entry) {
	if r.lost {
		return
	}
	if v.At == 0 {
		v.At = r.o.Now().UnixMilli()
	}
	b, err := json.Marshal(v)
	if err != nil { // texts and numbers always marshal
		return
	}
	if len(r.buffer)+len(b) > waitingBytes {
		r.dropped++
		return
	}
	r.buffer = append(append(r.buffer, b...), '\n')
	if len(r.buffer) >= chunkBytes {
		_ = r.flush(context.Background())
	}
	r.arm(r.o.Flush)
}

func (r *Recorder) arm(after time.Duration) {
	if r.timer == nil && !r.closed {
		r.timer = time.AfterFunc(after, r.late)
	}
}

// late sends what has waited long enough.
func (r *Recorder) late() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.timer = nil
	if r.closed {
		return
	}
	for _, l := range r.nodes {
		r.release(l, true)
	}
	if r.flush(context.Background()) != nil {
		r.arm(retryAfter)
	}
}

// flush sends the chunk. A chunk that is refused stays, so that it is sent again with what comes.
func (r *Recorder) flush(ctx context.Context) error {
	if len(r.buffer) == 0 || r.lost {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	err := r.o.Sink.Append(ctx, r.o.Task, r.buffer)
	switch {
	case errors.Is(err, ErrLost):
		r.lost, r.buffer = true, nil
		return err
	case err != nil:
		return err
	}
	if cap(r.buffer) > 2*chunkBytes {
		r.buffer = nil
	}
	r.buffer = r.buffer[:0]
	return nil
}

// Log is one node. It is safe for concurrent use.
type Log struct {
	recorder        *Recorder
	id, path, above string

	held    []heldLine // lines that may be part of a secret that goes on
	seen    string     // the end of what was put, to know a secret that began there
	percent int
}

type heldLine struct {
	category Category
	at       int64
	text     string
}

// ID is what interruptions and artifacts call CorrelationId.
func (l *Log) ID() string { return l.id }

// Child opens a node below; it starts Running. Names may repeat: key tells them apart and must be the same when a task is
// run again.
func (l *Log) Child(key, name string) *Log { return l.recorder.open(l.path, key, name) }

// Write adds a line, or several.
func (l *Log) Write(c Category, text string) { l.recorder.write(l, c, text) }

// Progress says how far it is, 0 to 100.
func (l *Log) Progress(percent int, message string) {
	r := l.recorder
	r.mu.Lock()
	defer r.mu.Unlock()
	percent = min(max(percent, 0), 100)
	if r.closed || percent == l.percent || r.used > r.o.Bytes {
		return
	}
	l.percent = percent
	r.used += int64(64 + len(message))
	r.put(Entry{Node: l.id, Done: &percent, Text: r.masks.hide(message)})
}

// End closes the node.
func (l *Log) End(s Status) {
	r := l.recorder
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.warned = r.warned || s == Failed || s == SuccessWithWarning
	r.release(l, true)
	l.seen = ""
	r.put(Entry{Node: l.id, Ended: s})
}
