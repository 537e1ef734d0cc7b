package live

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"odcm"
)

const (
	// maxTopics bounds what one page may show.
	maxTopics = 1000
	// pingEvery keeps proxies from closing a quiet stream, finds pages that are gone, and tells pages that they are still
	// connected: a stream that breaks without a word looks like one on which nothing happens.
	pingEvery = 15 * time.Second
	// pingsPerCheck is how many pings pass until it is checked again whether the person may still listen.
	pingsPerCheck = 4
	writeTimeout  = 10 * time.Second
	// keptBuffer bounds what a page keeps for its next event.
	keptBuffer = 16 << 10
)

var ping = event("ping", "-")

// stream is one open page. It has a lock of its own, so that a thousand pages that write at once wait for nobody.
type stream struct {
	mu      sync.Mutex
	pending map[string][]byte // at most one frame for each topic: a slow page skips what is out of date
	order   []string
	wake    chan struct{}
}

func newStream() *stream { return &stream{pending: map[string][]byte{}, wake: make(chan struct{}, 1)} }

// put is called under Hub.mu.
func (s *stream) put(topic string, frame []byte) {
	s.mu.Lock()
	if _, ok := s.pending[topic]; !ok {
		s.order = append(s.order, topic)
	}
	s.pending[topic] = frame
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// take empties the queue into b. The mark comes last, and is read first: what it promises has been put before it was set.
func (s *stream) take(h *Hub, b []byte) []byte {
	mark := h.mark.Load()
	s.mu.Lock()
	for _, topic := range s.order {
		b = append(b, s.pending[topic]...)
	}
	clear(s.pending)
	s.order = s.order[:0]
	s.mu.Unlock()
	if mark != nil {
		b = append(b, *mark...)
	}
	return b
}

// subscribe adds the page to its topics and has what changed since its position sent to it.
func (h *Hub) subscribe(s *stream, topics []string, position string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer h.settle()
	since, known := h.after(position)
	for _, topic := range topics {
		e := h.entries[topic]
		if e == nil {
			e = h.newEntry(topic)
			h.entries[topic] = e
		}
		e.streams[s] = struct{}{}
		if known && h.lastHint(topic) <= since {
			// The page may be newer than the last drawing: the next is for it even if it equals that one.
			e.waiting[s] = since
			continue
		}
		switch {
		case e.fragment == nil:
			s.put(topic, event("refresh", topic))
		case e.frame != nil && !e.queued && !e.drawing:
			s.put(topic, e.frame)
		default:
			e.waiting[s] = 0
			if !e.drawing {
				h.enqueue(e)
			}
		}
	}
}

func (h *Hub) unsubscribe(s *stream, topics []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, topic := range topics {
		if e := h.entries[topic]; e != nil {
			delete(e.streams, s)
			delete(e.waiting, s)
			if len(e.streams) == 0 {
				delete(h.entries, topic)
			}
		}
	}
}

// hinted is the topic of the bus that changes a page's topic: "space/ID" for "space.header/ID".
func hinted(topic string) string {
	name, id, isThing := strings.Cut(topic, "/")
	noun, _, _ := strings.Cut(name, ".")
	if isThing {
		return noun + "/" + id
	}
	return noun
}

// readTopics takes "space/a,b" apart and refuses what is no topic.
func readTopics(values []string) ([]string, error) {
	var topics []string
	for _, v := range values {
		name, ids, isThing := strings.Cut(v, "/")
		if !isThing {
			topics = append(topics, name)
			continue
		}
		for id := range strings.SplitSeq(ids, ",") {
			topics = append(topics, name+"/"+id)
		}
	}
	slices.Sort(topics)
	topics = slices.Compact(topics)
	for _, t := range topics {
		if t == "" || len(t) > 200 || strings.HasPrefix(t, "/") || strings.HasSuffix(t, "/") || strings.ContainsFunc(t, notPrintable) {
			return nil, odcm.E(odcm.Invalid, "request.malformed", "A topic is a noun, or a noun and an identifier: space/space-1.")
		}
	}
	if len(topics) > maxTopics {
		return nil, odcm.E(odcm.Invalid, "live.too-many-topics", "A page may show at most %d things that change by themselves.", maxTopics)
	}
	return topics, nil
}

func notPrintable(r rune) bool { return r <= ' ' || r == 0x7f }

// allowed parts the topics into those that the principal may see and those that they may not.
func (h *Hub) allowed(p odcm.Principal, topics []string) (may, mayNot []string) {
	for _, t := range topics {
		name, id, isThing := strings.Cut(t, "/")
		if f := h.fragments[name]; isThing && f.allow != nil && !f.allow(p, id) {
			mayNot = append(mayNot, t)
		} else {
			may = append(may, t)
		}
	}
	return may, mayNot
}

// Serve streams what changes on the principal's page until the page is closed, the hub is, or the person may no longer
// listen: again tells who they are now.
func (h *Hub) Serve(w http.ResponseWriter, r *http.Request, p odcm.Principal, again func(*http.Request) (odcm.Principal, error)) error {
	topics, err := readTopics(r.URL.Query()["topic"])
	if err != nil {
		return err
	}
	position := r.Header.Get("Last-Event-ID")
	if position == "" {
		position = r.URL.Query().Get("since")
	}
	topics, gone := h.allowed(p, topics)
	page := newStream()
	h.subscribe(page, topics, position)
	defer h.unsubscribe(page, topics)

	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // nginx would hold events back
	out := writer{w, http.NewResponseController(w)}
	out.allow()
	b := []byte("retry: 2000\n\n")
	for _, t := range gone {
		b = append(b, event("gone", t)...)
	}
	if !out.send(b) {
		return nil
	}
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for pings := 1; ; {
		select {
		case <-page.wake:
			if cap(b) > keptBuffer {
				b = nil
			}
			if b = page.take(h, b[:0]); !out.send(b) {
				return nil
			}
		case <-tick.C:
			if pings++; pings%pingsPerCheck == 0 && !h.mayStillListen(r, topics, again) {
				out.send(event("signed-out", "-"))
				return nil
			}
			out.allow()
			if !out.send(ping) {
				return nil
			}
		case <-r.Context().Done():
			return nil
		case <-h.done:
			return nil
		}
	}
}

func (h *Hub) mayStillListen(r *http.Request, topics []string, again func(*http.Request) (odcm.Principal, error)) bool {
	p, err := again(r)
	if err != nil {
		return odcm.KindOf(err) == odcm.Unavailable // the database is away: that is no reason to send everyone out
	}
	_, mayNot := h.allowed(p, topics)
	return len(mayNot) == 0
}

// writer writes to a page that may be slow or gone.
type writer struct {
	w http.ResponseWriter
	c *http.ResponseController
}

// allow gives the page time to take what is written until the next ping. It is not done for every event: to set a timer for
// each of a thousand pages is a good part of what a change costs.
func (o writer) allow() {
	_ = o.c.SetWriteDeadline(time.Now().Add(pingEvery + writeTimeout)) // not every writer has one; the write then tells
}

// send writes all in one piece: one system call for each page.
func (o writer) send(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	if _, err := o.w.Write(b); err != nil {
		return false
	}
	return o.c.Flush() == nil
}
