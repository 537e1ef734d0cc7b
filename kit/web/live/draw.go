package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"odcm"
)

const (
	drawers     = 2
	drawTimeout = 10 * time.Second
	drawAgain   = 5 * time.Second // after a drawing that failed
)

// entry is a topic that at least one page shows.
type entry struct {
	topic    string
	id       string
	fragment *fragment // nil: pages read themselves again
	streams  map[*stream]struct{}
	waiting  map[*stream]uint64 // want the next drawing, even if it equals the last, that began at this position or later
	frame    []byte             // the last drawing as an event; nil before the first
	queued   bool               // is in dirty
	drawing  bool
	began    uint64 // the position at which the drawing began
}

func (h *Hub) newEntry(topic string) *entry {
	e := &entry{topic: topic, streams: map[*stream]struct{}{}, waiting: map[*stream]uint64{}}
	name, id, isThing := strings.Cut(topic, "/")
	if isThing {
		e.id = id
	}
	if f, ok := h.fragments[name]; ok && isThing && f.render != nil {
		e.fragment = &f
	}
	return e
}

// touch has an entry drawn again, or tells its pages to read themselves again.
func (h *Hub) touch(e *entry, topic string) {
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
	h.enqueue(e)
}

func (h *Hub) enqueue(e *entry) {
	if e.queued {
		return
	}
	e.queued = true
	h.busy++
	h.dirty = append(h.dirty, e)
	h.work.Signal()
}

// draw draws dirty entries until the end.
func (h *Hub) draw(ctx context.Context) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for !h.stopped {
		e := h.begin()
		if e == nil {
			h.work.Wait()
			continue
		}
		h.mu.Unlock()
		frame := h.frameOf(ctx, e)
		h.mu.Lock()
		h.finish(e, frame)
	}
}

// begin takes an entry that is to be drawn, nil where there is none. One that is being drawn is left: a change that comes
// meanwhile has it drawn again afterwards.
func (h *Hub) begin() *entry {
	i := slices.IndexFunc(h.dirty, func(e *entry) bool { return !e.drawing })
	if i < 0 {
		return nil
	}
	e := h.dirty[i]
	h.dirty = slices.Delete(h.dirty, i, i+1)
	e.queued, e.drawing, e.began = false, true, h.seq
	return e
}

// finish gives the drawing to the pages that have another; nil means that it failed.
func (h *Hub) finish(e *entry, frame []byte) {
	e.drawing = false
	h.busy--
	if e.queued {
		h.work.Signal() // someone may have passed it over
	}
	defer h.settle()
	if frame == nil {
		// Out of date, and not known better: pages keep what they have, and whatever is drawn next is new to all of them.
		e.frame = nil
		time.AfterFunc(drawAgain, func() { h.again(e) })
		return
	}
	same := bytes.Equal(frame, e.frame)
	for s := range e.streams {
		made, wants := e.waiting[s]
		if made > e.began {
			// The page is newer than the drawing. It would show what was before, and where its stream broke then, it would
			// come back with the position at which it was made, and nobody would tell it better.
			continue
		}
		if wants || !same {
			s.put(e.topic, frame)
		}
		delete(e.waiting, s)
	}
	e.frame = frame
}

// again has an entry drawn that could not be, unless it has been since: its pages are out of date until then.
func (h *Hub) again(e *entry) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e.frame == nil && !h.stopped && h.entries[e.topic] == e {
		h.enqueue(e)
		h.settle()
	}
}

// frameOf draws the entry as an event, nil where that failed.
func (h *Hub) frameOf(ctx context.Context, e *entry) (frame []byte) {
	ctx, cancel := context.WithTimeout(ctx, drawTimeout)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			h.logger.ErrorContext(ctx, "draw fragment", "topic", e.topic, "panic", v)
			frame = nil
		}
	}()
	component, err := e.fragment.render(ctx, e.id)
	if err == nil {
		var html bytes.Buffer
		if err = component.Render(ctx, &html); err == nil {
			return event("swap", e.topic+"\n"+html.String())
		}
	}
	if odcm.KindOf(err) == odcm.NotFound {
		return event("gone", e.topic)
	}
	if !errors.Is(err, context.Canceled) {
		h.logger.WarnContext(ctx, "draw fragment", "topic", e.topic, "error", err)
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
