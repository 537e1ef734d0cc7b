package live

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/a-h/templ"

	"odcm"
	"odcm/kit/signal"
)

// Hub knows how things are drawn and which pages show them.
type Hub struct {
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
	done    chan struct{} // closed by Close: every stream ends
	wg      sync.WaitGroup

	epoch   string
	seq     uint64
	floor   uint64            // positions before it are too long ago
	changed map[string]uint64 // topic -> position of its last hint
	redrawn map[string]uint64 // noun -> position at which all of it was hinted

	// mark is what tells a page its position, nil while anything is still to be drawn: a page that reconnects must not skip
	// what it did not get. Frames are put before it is set, so a page that takes it first and frames then has them all.
	mark atomic.Pointer[[]byte]
}

type fragment struct {
	render func(ctx context.Context, id string) (templ.Component, error)
	allow  func(p odcm.Principal, id string) bool
}

// rememberedTopics bounds what Hub.changed holds.
const rememberedTopics = 8192

// New makes a hub without fragments. It draws nothing until [Hub.Start].
func New(logger *slog.Logger) *Hub {
	h := &Hub{
		logger: logger, fragments: map[string]fragment{}, names: map[string][]string{}, entries: map[string]*entry{},
		done: make(chan struct{}), epoch: rand.Text()[:8], changed: map[string]uint64{}, redrawn: map[string]uint64{},
	}
	h.work.L = &h.mu
	h.settle()
	return h
}

// Fragment says how a thing is drawn. The name is a noun ("space"), or a noun with one of its views ("space.header").
// Whenever the bus says that "space/ID" changed, render draws it once, and every page that shows data-live="space/ID" or
// "space.header/ID" gets it in place of that element. The component's root is that element; it must be the same for every
// person who may see it, so its context has no principal. An error of kind NotFound removes the element. Allow is asked
// at subscription and every minute; nil allows everyone who is signed in. Call Fragment before the site serves.
//
// A render of nil names a view that pages read again by themselves: data-live-region="space.page/ID".
func (h *Hub) Fragment(name string, render func(ctx context.Context, id string) (templ.Component, error), allow func(p odcm.Principal, id string) bool) {
	h.fragments[name] = fragment{render, allow}
	noun, _, _ := strings.Cut(name, ".")
	h.names[noun] = append(h.names[noun], name)
}

// Start draws, and listens to the bus, until Close; without a bus only [Hub.Redraw] makes anything change.
func (h *Hub) Start(bus *signal.Bus) {
	ctx, cancel := context.WithCancel(context.Background())
	h.stop = cancel
	for range drawers {
		h.wg.Go(func() { h.draw(ctx) })
	}
	if bus == nil {
		return
	}
	sub := bus.Subscribe()
	context.AfterFunc(ctx, sub.Close)
	h.wg.Go(func() {
		for topic := range sub.C {
			h.hint(topic)
		}
	})
}

// Close ends every stream and waits for the drawers.
func (h *Hub) Close() {
	h.mu.Lock()
	if h.stopped {
		h.mu.Unlock()
		return
	}
	h.stopped = true
	close(h.done)
	h.work.Broadcast()
	h.mu.Unlock()
	if h.stop != nil {
		h.stop()
	}
	h.wg.Wait()
}

// hint notes that a topic changed, and has it drawn or announced where a page shows it.
func (h *Hub) hint(topic string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer h.settle()
	h.seq++
	if topic == signal.All {
		h.forget(h.seq)
		for _, e := range h.entries {
			h.touch(e, topic)
		}
		return
	}
	if len(h.changed) >= rememberedTopics {
		h.forget(h.seq - 1)
	}
	name, id, isThing := strings.Cut(topic, "/")
	h.changed[topic] = h.seq
	if isThing {
		h.changed[name] = h.seq
		if e := h.entries[name]; e != nil {
			h.touch(e, topic)
		}
	}
	names := h.names[name]
	if _, ok := h.fragments[name]; !ok {
		names = append([]string{name}, names...)
	}
	for _, n := range names {
		full := n
		if isThing {
			full += "/" + id
		}
		if e := h.entries[full]; e != nil {
			h.touch(e, topic)
		}
	}
}

// Redraw has every view of the noun that a page of this replica shows drawn again: what is made from many things, such as a
// count, changes with any of them. Unlike a hint on the bus it reaches no other replica.
func (h *Hub) Redraw(noun string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer h.settle()
	h.seq++
	h.redrawn[noun] = h.seq
	for topic, e := range h.entries {
		name, _, _ := strings.Cut(topic, "/")
		if of, _, _ := strings.Cut(name, "."); of == noun {
			h.touch(e, topic)
		}
	}
}

// forget makes positions before floor too long ago.
func (h *Hub) forget(floor uint64) {
	h.floor = floor
	clear(h.changed)
	clear(h.redrawn)
}

// settle sets the mark to the position where nothing is still to be drawn.
func (h *Hub) settle() {
	if h.busy > 0 {
		h.mark.Store(nil)
		return
	}
	mark := []byte("id: " + h.epoch + "-" + strconv.FormatUint(h.seq, 10) + "\n\n")
	h.mark.Store(&mark)
}

// Position is where a page that is made now begins to listen: whatever is hinted later may be missing in it.
func (h *Hub) Position() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.epoch + "-" + strconv.FormatUint(h.seq, 10)
}

// after returns the position as a number, false where it is not of this epoch or too long ago.
func (h *Hub) after(position string) (uint64, bool) {
	epoch, text, _ := strings.Cut(position, "-")
	seq, err := strconv.ParseUint(text, 10, 64)
	return seq, err == nil && epoch == h.epoch && seq >= h.floor && seq <= h.seq
}

// lastHint is the position at which the page's topic last changed.
func (h *Hub) lastHint(topic string) uint64 {
	t := hinted(topic)
	noun, _, _ := strings.Cut(t, "/")
	return max(h.changed[t], h.redrawn[noun])
}
