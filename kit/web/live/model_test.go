package live

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/a-h/templ"
	"pgregory.net/rapid"

	"odcm"
)

// model is a hub without goroutines: the test says when who does what, so that a history can be had again.
type model struct {
	hub   *Hub
	value map[string]string // what is true
	drawn []drawing         // have begun, with what they will be
	pages [3]*modelPage
}

type drawing struct {
	entry *entry
	frame []byte
}

// modelPage is what a browser knows: it shows texts, remembers the last mark that it got, and may lose what is under way.
type modelPage struct {
	stream *stream
	shows  map[string]string
	mark   string
}

var modelTopics = []string{"space/0", "space/1", "tally/x"}

func (m *model) truth(topic string) string {
	if topic == "tally/x" {
		return m.value["space/0"] + "+" + m.value["space/1"]
	}
	return m.value[topic]
}

// load makes the page as the server would: its position first, then what is true.
func (m *model) load(i int) {
	m.leave(i)
	p := &modelPage{shows: map[string]string{}, mark: m.hub.Position()}
	for _, t := range modelTopics {
		p.shows[t] = m.truth(t)
	}
	m.pages[i] = p
}

func (m *model) leave(i int) {
	if p := m.pages[i]; p != nil && p.stream != nil {
		m.hub.unsubscribe(p.stream, modelTopics)
		p.stream = nil // what was put and not taken is lost
	}
}

func (m *model) connect(i int) {
	if m.pages[i] == nil {
		m.load(i)
	}
	m.leave(i)
	p := m.pages[i]
	p.stream = newStream()
	m.hub.subscribe(p.stream, modelTopics, p.mark)
}

func (m *model) take(i int) {
	p := m.pages[i]
	if p == nil || p.stream == nil {
		return
	}
	for block := range strings.SplitSeq(string(p.stream.take(m.hub, nil)), "\n\n") {
		lines := strings.Split(block, "\n")
		switch {
		case lines[0] == "event: swap":
			p.shows[strings.TrimPrefix(lines[1], "data: ")] = strings.TrimPrefix(lines[2], "data: ")
		case lines[0] == "event: gone":
			p.shows[strings.TrimPrefix(lines[1], "data: ")] = ""
		case strings.HasPrefix(block, "id: "):
			p.mark = strings.TrimPrefix(block, "id: ")
		}
	}
}

// frame is what a drawing that begins now will be.
func (m *model) frame(topic string) []byte {
	if v := m.truth(topic); v != "" {
		return event("swap", topic+"\n"+v)
	}
	return event("gone", topic)
}

func (m *model) begin() {
	if e := m.hub.begin(); e != nil {
		m.drawn = append(m.drawn, drawing{e, m.frame(e.topic)})
	}
}

// finish ends one of the drawings.
func (m *model) finish(nth int) {
	if len(m.drawn) == 0 {
		return
	}
	d := m.drawn[nth%len(m.drawn)]
	m.drawn = slices.Delete(m.drawn, nth%len(m.drawn), nth%len(m.drawn)+1)
	m.hub.finish(d.entry, d.frame)
}

// TestEveryHistoryConverges has things change, their hints come late, drawings overtake each other, and pages come, go
// and lose what was under way, in any order: when all has been done that is to be done, every page shows the truth.
func TestEveryHistoryConverges(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &model{hub: New(slog.New(slog.DiscardHandler)), value: map[string]string{"space/0": "a", "space/1": "a"}}
		draw := func(context.Context, string) (templ.Component, error) {
			return nil, odcm.E(odcm.Internal, "", "never called")
		}
		m.hub.Fragment("space", draw, nil)
		m.hub.Fragment("tally", draw, nil)
		late := map[string]bool{}
		hint := func(topic string) {
			m.hub.hint(topic)
			m.hub.Redraw("tally")
			delete(late, topic)
		}
		t.Repeat(map[string]func(*rapid.T){
			"change": func(t *rapid.T) {
				topic := rapid.SampledFrom(modelTopics[:2]).Draw(t, "thing")
				m.value[topic] = rapid.SampledFrom([]string{"a", "b", ""}).Draw(t, "value")
				late[topic] = true
			},
			"hint": func(t *rapid.T) {
				if topic := rapid.SampledFrom(modelTopics[:2]).Draw(t, "thing"); late[topic] {
					hint(topic)
				}
			},
			"load":    func(t *rapid.T) { m.load(rapid.IntRange(0, 2).Draw(t, "page")) },
			"connect": func(t *rapid.T) { m.connect(rapid.IntRange(0, 2).Draw(t, "page")) },
			"leave":   func(t *rapid.T) { m.leave(rapid.IntRange(0, 2).Draw(t, "page")) },
			"take":    func(t *rapid.T) { m.take(rapid.IntRange(0, 2).Draw(t, "page")) },
			"begin":   func(*rapid.T) { m.begin() },
			"finish":  func(t *rapid.T) { m.finish(rapid.IntRange(0, 1).Draw(t, "which")) },
		})
		for topic := range late {
			hint(topic)
		}
		for len(m.hub.dirty) > 0 || len(m.drawn) > 0 {
			m.begin()
			m.finish(0)
		}
		for i, p := range m.pages {
			if p == nil {
				continue
			}
			if p.stream == nil {
				m.connect(i)
				for len(m.hub.dirty) > 0 {
					m.begin()
					m.finish(0)
				}
			}
			m.take(i)
			for _, topic := range modelTopics {
				if p.shows[topic] != m.truth(topic) {
					t.Fatalf("page %d shows %q of %s, the truth is %q", i, p.shows[topic], topic, m.truth(topic))
				}
			}
		}
	})
}
