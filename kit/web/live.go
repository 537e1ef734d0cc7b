package web

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/a-h/templ"

	"odcm"
	"odcm/kit/signal"
)

// Live pushes server-rendered fragments to open pages. One goroutine listens to the bus; a few draw; each page has one
// that writes. A fragment is drawn once per change, however many pages show it, and they share its bytes. A slow page
// keeps at most one frame per topic waiting.
type Live struct {
	logger    *slog.Logger
	fragments map[string]fragment // by name: "space", "space.header"
	names     map[string][]string // by noun: "space" -> "space", "space.header"

	mu      sync.Mutex
	work    sync.Cond // the drawers wait for dirty entries
	entries map[string]*entry
	dirty   []*entry
	busy    int // entries that are dirty or being drawn
	stopped bool
	stop    context.CancelFunc
	done    chan struct{} // closed by stop: every stream ends
	wg      sync.WaitGroup

	// A page knows the position at which it was made: the epoch of the replica that made it and how many hints had come.
	// A stream that begins there gets what changed since; one from elsewhere, or from too long ago, gets everything.
	epoch   string
	seq     uint64
	floor   uint64            // positions before it are too long ago
	changed map[string]uint64 // topic -> position of its last hint
}

type fragment struct {
	render func(ctx context.Context, id string) (templ.Component, error)
	allow  func(p odcm.Principal, id string) bool
}

// entry is a topic that at least one page shows.
type entry struct {
	topic    string
	id       string
	fragment *fragment // nil: pages read themselves again
	streams  map[*stream]struct{}
	waiting  map[*stream]struct{} // want the next drawing even if it equals the last
	frame    []byte               // the last drawing as an event; nil before the first
	queued   bool                 // is in dirty
	drawing  bool
}

const (
	// rememberedTopics bounds what Live.changed holds.
	rememberedTopics = 8192
	drawers          = 2
	drawTimeout      = 10 * time.Second
)

func newLive(logger *slog.Logger) *Live {
	l := &Live{
		logger: logger, fragments: map[string]fragment{}, names: map[string][]string{}, entries: map[string]*entry{},
		done: make(chan struct{}), epoch: rand.Text()[:8], changed: map[string]uint64{},
	}
	l.work.L = &l.mu
	return l
}

// Fragment says how a thing is drawn. The name is a noun ("space"), or a noun with one of its views ("space.header").
// Whenever the bus says that "space/ID" changed, render draws it once, and every page that shows data-live="space/ID" or
// "space.header/ID" gets it in place of that element. The component's root is that element; it must be the same for every
// person who may see it, so its context has no principal. An error of kind NotFound removes the element. Allow is asked
// at subscription and every minute; nil allows everyone who is signed in. Call Fragment before the site serves.
//
// A render of nil names a view that pages read again by themselves: data-live-region="space.page/ID".
func (l *Live) Fragment(name string, render func(ctx context.Context, id string) (templ.Component, error), allow func(p odcm.Principal, id string) bool) {
	l.fragments[name] = fragment{render, allow}
	noun, _, _ := strings.Cut(name, ".")
	l.names[noun] = append(l.names[noun], name)
}

// start listens to the bus until stop; without a bus nothing changes by itself.
func (l *Live) start(bus *signal.Bus) {
	ctx, cancel := context.WithCancel(context.Background())
	l.stop = cancel
	for range drawers {
		l.wg.Go(func() { l.draw(ctx) })
	}
	if bus == nil {
		return
	}
	sub := bus.Subscribe()
	context.AfterFunc(ctx, sub.Close)
	l.wg.Go(func() {
		for topic := range sub.C {
			l.hint(topic)
		}
	})
}

func (l *Live) close() {
	l.mu.Lock()
	if l.stopped {
		l.mu.Unlock()
		return
	}
	l.stopped = true
	close(l.done)
	l.work.Broadcast()
	l.mu.Unlock()
	if l.stop != nil {
		l.stop()
	}
	l.wg.Wait()
}

// hint notes that a topic changed, and has it drawn or announced where a page shows it.
func (l *Live) hint(topic string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	if topic == signal.All {
		l.floor = l.seq
		clear(l.changed)
		for _, e := range l.entries {
			l.touch(e, topic)
		}
		return
	}
	if len(l.changed) >= rememberedTopics {
		l.floor = l.seq - 1
		clear(l.changed)
	}
	name, id, isThing := strings.Cut(topic, "/")
	l.changed[topic] = l.seq
	if isThing {
		l.changed[name] = l.seq
		if e := l.entries[name]; e != nil {
			l.touch(e, topic)
		}
	}
	names := l.names[name]
	if _, ok := l.fragments[name]; !ok {
		names = append([]string{name}, names...)
	}
	for _, n := range names {
		full := n
		if isThing {
			full += "/" + id
		}
		if e := l.entries[full]; e != nil {
			l.touch(e, topic)
		}
	}
}

// touch has an entry drawn again, or tells its pages to read themselves again.
func (l *Live) touch(e *entry, topic string) {
	if e.fragment == nil {
		if e.id != "" {
			topic = e.topic // a view of the thing: the page knows it by that name
		}
		frame := event("refresh", topic)
		for s := range e.streams {
			s.put(e.topic, frame)
		}
		return
	}
	l.enqueue(e)
}

func (l *Live) enqueue(e *entry) {
	if e.queued {
		return
	}
	e.queued = true
	l.busy++
	l.dirty = append(l.dirty, e)
	l.work.Signal()
}

// draw draws dirty entries until the end. An entry is drawn by one goroutine at a time: a change that comes meanwhile
// queues it again.
func (l *Live) draw(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		i := 0
		for i < len(l.dirty) && l.dirty[i].drawing {
			i++
		}
		if l.stopped {
			return
		}
		if i == len(l.dirty) {
			l.work.Wait()
			continue
		}
		e := l.dirty[i]
		l.dirty = append(l.dirty[:i], l.dirty[i+1:]...)
		e.queued, e.drawing = false, true
		l.mu.Unlock()
		frame := l.frameOf(ctx, e)
		l.mu.Lock()
		e.drawing = false
		l.busy--
		if e.queued {
			l.work.Signal() // someone may have passed it over
		}
		if frame == nil {
			e.frame = nil // out of date, and not known better: whoever comes next has it drawn again
			continue
		}
		same := bytes.Equal(frame, e.frame)
		for s := range e.streams {
			if _, wants := e.waiting[s]; wants || !same {
				s.put(e.topic, frame)
			}
		}
		clear(e.waiting)
		e.frame = frame
	}
}

// frameOf draws the entry as an event, nil where that failed: pages keep what they have.
func (l *Live) frameOf(ctx context.Context, e *entry) (frame []byte) {
	ctx, cancel := context.WithTimeout(ctx, drawTimeout)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			l.logger.ErrorContext(ctx, "draw fragment", "topic", e.topic, "panic", v)
			frame = nil
		}
	}()
	component, err := e.fragment.render(ctx, e.id)
	if err == nil {
		var html []byte
		if html, err = drawHTML(ctx, component); err == nil {
			return event("swap", e.topic+"\n"+string(html))
		}
	}
	if odcm.KindOf(err) == odcm.NotFound {
		return event("gone", e.topic)
	}
	if !errors.Is(err, context.Canceled) {
		l.logger.WarnContext(ctx, "draw fragment", "topic", e.topic, "error", err)
	}
	return nil
}

// event writes a server-sent event (HTML Standard, section 9.2.6). Lines end with LF; a CR would end one too.
func event(name, data string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "event: %s\n", name)
	for line := range strings.Lines(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(data)) {
		b.WriteString("data: ")
		b.WriteString(strings.TrimSuffix(line, "\n"))
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	return b.Bytes()
}

// position is where a page that is made now begins to listen.
func (l *Live) position() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.epoch + "-" + strconv.FormatUint(l.seq, 10)
}

// after returns the position as a number, false where it is not of this epoch or too long ago.
func (l *Live) after(position string) (uint64, bool) {
	epoch, text, _ := strings.Cut(position, "-")
	seq, err := strconv.ParseUint(text, 10, 64)
	return seq, err == nil && epoch == l.epoch && seq >= l.floor && seq <= l.seq
}

type positionKey struct{}

// mark notes the position at the start of a request: whatever is hinted later may be missing in the page.
func (l *Live) mark(ctx context.Context) context.Context {
	return context.WithValue(ctx, positionKey{}, l.position())
}

func (l *Live) since(ctx context.Context) string {
	position, _ := ctx.Value(positionKey{}).(string)
	return position
}
