package web

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"odcm"
)

const (
	// maxTopics bounds what one page may show.
	maxTopics = 1000
	// pingEvery keeps proxies from closing a quiet stream, and finds pages that are gone.
	pingEvery = 15 * time.Second
	// pingsPerCheck is how many pings pass until it is checked again whether the person may still listen.
	pingsPerCheck = 4
	writeTimeout  = 10 * time.Second
)

// stream is one open page. Its fields are guarded by Live.mu.
type stream struct {
	pending map[string][]byte // at most one frame for each topic: a slow page skips what is out of date
	order   []string
	wake    chan struct{}
}

func newStream() *stream { return &stream{pending: map[string][]byte{}, wake: make(chan struct{}, 1)} }

func (s *stream) put(topic string, frame []byte) {
	if _, ok := s.pending[topic]; !ok {
		s.order = append(s.order, topic)
	}
	s.pending[topic] = frame
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// take empties the queue. The position is "" while something is being drawn: a page that reconnects then must not skip
// what it did not get.
func (l *Live) take(s *stream) (frames [][]byte, position string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, topic := range s.order {
		frames = append(frames, s.pending[topic])
	}
	clear(s.pending)
	s.order = s.order[:0]
	if l.busy == 0 {
		position = l.epoch + "-" + strconv.FormatUint(l.seq, 10)
	}
	return frames, position
}

// subscribe adds the page to its topics and has what changed since its position sent to it.
func (l *Live) subscribe(s *stream, topics []string, position string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	since, known := l.after(position)
	for _, topic := range topics {
		e := l.entries[topic]
		if e == nil {
			e = l.newEntry(topic)
			l.entries[topic] = e
		}
		e.streams[s] = struct{}{}
		if known && l.changed[hinted(topic)] <= since {
			// The page may be newer than the last drawing: the next is for it even if it equals that one.
			e.waiting[s] = struct{}{}
			continue
		}
		switch {
		case e.fragment == nil:
			s.put(topic, event("refresh", topic))
		case e.frame != nil && !e.queued && !e.drawing:
			s.put(topic, e.frame)
		default:
			e.waiting[s] = struct{}{}
			if !e.drawing {
				l.enqueue(e)
			}
		}
	}
}

func (l *Live) unsubscribe(s *stream, topics []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, topic := range topics {
		if e := l.entries[topic]; e != nil {
			delete(e.streams, s)
			delete(e.waiting, s)
			if len(e.streams) == 0 {
				delete(l.entries, topic)
			}
		}
	}
}

func (l *Live) newEntry(topic string) *entry {
	e := &entry{topic: topic, streams: map[*stream]struct{}{}, waiting: map[*stream]struct{}{}}
	name, id, isThing := strings.Cut(topic, "/")
	if isThing {
		e.id = id
	}
	if f, ok := l.fragments[name]; ok && isThing && f.render != nil {
		e.fragment = &f
	}
	return e
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
			return nil, odcm.E(odcm.Invalid, codeMalformed, "A topic is a noun, or a noun and an identifier: space/space-1.")
		}
	}
	if len(topics) > maxTopics {
		return nil, odcm.E(odcm.Invalid, "live.too-many-topics", "A page may show at most %d things that change by themselves.", maxTopics)
	}
	return topics, nil
}

func notPrintable(r rune) bool { return r <= ' ' || r == 0x7f }

// allowed parts the topics into those that the principal may see and those that they may not.
func (l *Live) allowed(p odcm.Principal, topics []string) (may, mayNot []string) {
	for _, t := range topics {
		name, id, isThing := strings.Cut(t, "/")
		if f := l.fragments[name]; isThing && f.allow != nil && !f.allow(p, id) {
			mayNot = append(mayNot, t)
		} else {
			may = append(may, t)
		}
	}
	return may, mayNot
}

// serveLive streams what changes on a page (HTML Standard, section 9.2) until the page is closed, the site stops, or the
// person may no longer listen.
func (s *Site) serveLive(w http.ResponseWriter, r *http.Request) error {
	topics, err := readTopics(r.URL.Query()["topic"])
	if err != nil {
		return err
	}
	position := r.Header.Get("Last-Event-ID")
	if position == "" {
		position = r.URL.Query().Get("since")
	}
	l := s.live
	topics, gone := l.allowed(Principal(r.Context()), topics)
	page := newStream()
	l.subscribe(page, topics, position)
	defer l.unsubscribe(page, topics)
	s.metrics.streams.Inc()
	defer s.metrics.streams.Dec()

	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	out := liveWriter{w, http.NewResponseController(w)}
	first := [][]byte{[]byte("retry: 2000\n\n")}
	for _, t := range gone {
		first = append(first, event("gone", t))
	}
	if !out.send(first...) {
		return nil
	}
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	for pings := 1; ; {
		select {
		case <-page.wake:
			frames, position := l.take(page)
			if position != "" {
				frames = append(frames, []byte("id: "+position+"\n\n"))
			}
			if !out.send(frames...) {
				return nil
			}
		case <-ping.C:
			if pings++; pings%pingsPerCheck == 0 && !s.mayStillListen(r, topics) {
				out.send(event("signed-out", "-"))
				return nil
			}
			if !out.send([]byte(":\n\n")) {
				return nil
			}
		case <-r.Context().Done():
			return nil
		case <-l.done:
			return nil
		}
	}
}

func (s *Site) mayStillListen(r *http.Request, topics []string) bool {
	p, err := s.o.Authenticator.Authenticate(r)
	if err != nil {
		return odcm.KindOf(err) == odcm.Unavailable // the database is away: that is no reason to send everyone out
	}
	_, mayNot := s.live.allowed(p, topics)
	return len(mayNot) == 0
}

// liveWriter writes to a page that may be slow or gone.
type liveWriter struct {
	w http.ResponseWriter
	c *http.ResponseController
}

func (o liveWriter) send(frames ...[]byte) bool {
	_ = o.c.SetWriteDeadline(time.Now().Add(writeTimeout)) // not every writer has one; the write then tells
	for _, f := range frames {
		if _, err := o.w.Write(f); err != nil {
			return false
		}
	}
	return o.c.Flush() == nil
}
