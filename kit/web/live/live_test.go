package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/a-h/templ"
	"pgregory.net/rapid"

	"odcm"
	"odcm/kit/signal"
)

// gate knows one person until it is shut.
type gate struct{ shut atomic.Bool }

func (g *gate) Authenticate(*http.Request) (odcm.Principal, error) {
	if g.shut.Load() {
		return odcm.Principal{}, odcm.E(odcm.Unauthenticated, "", "Sign in.")
	}
	return odcm.Principal{User: "user-1", Name: "Lisa"}, nil
}

// tab is an open page: what the site writes to it can be read, and writing can be held up.
type tab struct {
	mu     sync.Mutex
	buf    bytes.Buffer
	writes int
	header http.Header
	held   chan struct{} // if not nil, writing waits for it
	gone   atomic.Bool
}

func (p *tab) Header() http.Header { return p.header }
func (p *tab) WriteHeader(int)     {}
func (p *tab) Flush()              {}
func (p *tab) Write(b []byte) (int, error) {
	if p.held != nil {
		<-p.held
	}
	if p.gone.Load() {
		return 0, errors.New("gone")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writes++
	return p.buf.Write(b)
}

// read returns and forgets what came.
func (p *tab) read() string {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.buf.String()
	p.buf.Reset()
	return s
}

type board struct {
	live   *Hub
	gate   *gate
	t      *testing.T
	wg     sync.WaitGroup
	stop   context.CancelFunc
	ctx    context.Context
	mu     sync.Mutex
	value  map[string]string
	drawn  map[string]int
	during func() // runs while a fragment is drawn
}

// newBoard makes a hub whose things are texts, inside a synctest bubble.
func newBoard(t *testing.T) *board {
	b := &board{gate: &gate{}, t: t, value: map[string]string{"1": "one", "2": "two"}, drawn: map[string]int{}}
	b.live = New(slog.New(slog.DiscardHandler))
	b.ctx, b.stop = context.WithCancel(t.Context())
	b.live.Fragment("space", b.draw, func(_ odcm.Principal, id string) bool { return id != "secret" })
	b.live.Fragment("space.header", b.draw, nil)
	b.live.Start(nil)
	return b
}

func (b *board) close() {
	b.stop()
	b.wg.Wait()
	b.live.Close()
}

func (b *board) draw(_ context.Context, id string) (templ.Component, error) {
	b.mu.Lock()
	b.drawn[id]++
	v, ok := b.value[id]
	b.mu.Unlock()
	if b.during != nil {
		b.during() // what was read before is drawn after it
	}
	switch {
	case !ok:
		return nil, odcm.E(odcm.NotFound, "", "gone")
	case v == "panic":
		panic("cannot draw")
	}
	return templ.Raw("<b>" + v + "</b>"), nil
}

func (b *board) set(id, v string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.value[id] = v
}

func (b *board) count(id string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.drawn[id]
}

// open opens a page and throws away the greeting.
func (b *board) open(query string, p *tab) *tab {
	if p == nil {
		p = &tab{}
	}
	p.header = http.Header{}
	r := httptest.NewRequestWithContext(b.ctx, "GET", "/live?"+query, nil)
	b.wg.Go(func() {
		if err := b.live.Serve(p, r, odcm.Principal{User: "user-1"}, b.gate.Authenticate); err != nil {
			b.t.Error(err)
		}
	})
	return p
}

func TestFragmentsReachThePagesThatShowThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t)
		defer b.close()
		since := "&since=" + b.live.Position()
		one := b.open("topic=space/1"+since, nil)
		both := b.open("topic=space/1,2&topic=space.header/1"+since, nil)
		if got := one.read() + both.read(); strings.Contains(got, "event:") {
			t.Errorf("a page that is up to date got %q", got)
		}
		b.set("1", "uno\nand\rmore")
		b.live.hint("space/1")
		if got := one.read(); !strings.HasPrefix(got, "event: swap\ndata: space/1\ndata: <b>uno\ndata: and\ndata: more</b>\n\nid: ") {
			t.Errorf("%q", got)
		}
		if got := both.read(); !strings.Contains(got, "data: space/1\n") || !strings.Contains(got, "data: space.header/1\n") || strings.Contains(got, "space/2") {
			t.Errorf("%q", got)
		}
		if n := b.count("1"); n != 2 { // two views, however many pages
			t.Errorf("drawn %d times", n)
		}
		b.live.hint("space/1") // nothing is different
		if got := one.read(); got != "" {
			t.Errorf("an equal drawing was sent: %q", got)
		}
		b.live.hint("space/3") // nobody shows it
		if b.count("3") != 0 {
			t.Error("drew what no page shows")
		}
	})
}

func TestWhatIsGoneIsRemoved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t)
		defer b.close()
		p := b.open("topic=space/9,secret,1&since="+b.live.Position(), nil)
		if got := p.read(); !strings.Contains(got, "event: gone\ndata: space/secret\n") || strings.Contains(got, "space/9") {
			t.Errorf("%q", got)
		}
		b.live.hint("space/9")
		b.live.hint("space/secret")
		if got := p.read(); !strings.Contains(got, "event: gone\ndata: space/9\n") || strings.Contains(got, "secret") {
			t.Errorf("%q", got)
		}
		b.set("1", "panic") // a fragment that cannot be drawn hurts nobody
		b.live.hint("space/1")
		if got := p.read(); got != "" {
			t.Errorf("%q", got)
		}
		b.set("1", "back")
		b.live.hint("space/1")
		if got := p.read(); !strings.Contains(got, "<b>back</b>") {
			t.Errorf("%q", got)
		}
	})
}

func TestRegionsAreToldToReadThePageAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t)
		defer b.close()
		p := b.open("topic=task&topic=task/7&topic=event&topic=space&since="+b.live.Position(), nil)
		p.read()
		for topic, want := range map[string]string{"task/7": "data: task/7\n", "task/8": "data: task/8\n", "event": "data: event\n", "space/1": "data: space/1\n"} {
			b.live.hint(topic)
			if got := p.read(); !strings.Contains(got, "event: refresh\n"+want) {
				t.Errorf("%s: %q", topic, got)
			}
		}
		b.live.hint("other/1")
		if got := p.read(); got != "" {
			t.Errorf("%q", got)
		}
		b.live.hint(signal.All)
		if got := p.read(); strings.Count(got, "event: refresh") != 4 {
			t.Errorf("%q", got)
		}
	})
}

func TestAViewWithoutADrawingIsReadAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t)
		defer b.close()
		b.live.Fragment("space.page", nil, nil)
		p := b.open("topic=space/1&topic=space.page/1&since="+b.live.Position(), nil)
		p.read()
		b.live.hint("space/1")
		if got := p.read(); !strings.Contains(got, "event: swap") || !strings.Contains(got, "event: refresh\ndata: space.page/1\n") {
			t.Errorf("%q", got)
		}
		b.live.hint("space/2")
		if got := p.read(); got != "" {
			t.Errorf("%q", got)
		}
	})
}

func TestAReturningPageGetsWhatItMissed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t)
		defer b.close()
		before := b.live.Position()
		b.live.hint("space/1")
		for since, want := range map[string]int{
			before:                  1, // what changed
			b.live.Position():       0,
			"elsewhere-1":           2, // another replica: everything
			"":                      2,
			b.live.epoch + "-99999": 2, // a position that never was
			b.live.epoch + "-x":     2,
		} {
			if got := b.open("topic=space/1,2&since="+since, nil).read(); strings.Count(got, "event: swap") != want {
				t.Errorf("since %q: %q", since, got)
			}
		}
		at := b.live.Position()
		for i := range rememberedTopics + 1 {
			b.live.hint(fmt.Sprintf("noise/%d", i))
		}
		if got := b.open("topic=space/1,2&since="+at, nil).read(); strings.Count(got, "event: swap") != 2 {
			t.Errorf("too long ago: %q", got)
		}
		if len(b.live.changed) > rememberedTopics+1 {
			t.Errorf("remembers %d topics", len(b.live.changed))
		}
	})
}

func TestASlowPageGetsTheNewestAndDelaysNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t)
		defer b.close()
		since := "&since=" + b.live.Position()
		quick := b.open("topic=space/1,2"+since, nil)
		slow := &tab{held: make(chan struct{})}
		b.open("topic=space/1,2"+since, slow)
		quick.read()
		for i := range 100 {
			b.set("1", fmt.Sprint("v", i))
			b.live.hint("space/1")
			if got := quick.read(); !strings.Contains(got, fmt.Sprint("v", i)) {
				t.Fatalf("%d: %q", i, got)
			}
		}
		close(slow.held)
		got := slow.read()
		if strings.Count(got, "event: swap") != 1 || !strings.Contains(got, "<b>v99</b>") {
			t.Errorf("the slow page got %q", got)
		}
	})
}

func TestAChangeDuringADrawingIsDrawnAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t)
		defer b.close()
		p := b.open("topic=space/1&since="+b.live.Position(), nil)
		p.read()
		release := make(chan struct{})
		var once sync.Once
		b.during = func() { once.Do(func() { <-release }) }
		b.live.hint("space/1")
		synctest.Wait()
		b.live.hint("space/1")
		b.live.hint("space/1")
		if got := p.read(); got != "" {
			t.Errorf("%q", got)
		}
		late := b.open("topic=space/1&since="+b.live.Position(), nil) // is up to date
		close(release)
		b.set("1", "newest")
		if got := p.read(); !strings.Contains(got, "newest") || !strings.Contains(got, "id: "+b.live.Position()) {
			t.Errorf("%q", got)
		}
		late.read()
		if n := b.count("1"); n != 2 {
			t.Errorf("drawn %d times for one drawing and two changes during it", n)
		}
	})
}

func TestAPageThatComesDuringADrawingGetsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t)
		defer b.close()
		old := b.open("topic=space/1&topic=task&since="+b.live.Position(), nil)
		old.read()
		b.set("1", "same")
		b.live.hint("space/1")
		old.read()
		release := make(chan struct{})
		b.during = func() { <-release }
		b.live.hint("space/1")
		fresh := b.open("topic=space/1", nil)
		b.live.hint("task/1")
		if got := old.read(); !strings.Contains(got, "event: refresh") || strings.Contains(got, "id: ") {
			t.Errorf("a position while something is being drawn would skip it: %q", got)
		}
		close(release)
		if got := fresh.read(); !strings.Contains(got, "<b>same</b>") {
			t.Errorf("the new page got %q", got)
		}
		if got := old.read(); got != "" {
			t.Errorf("the old page, which has it, got %q", got)
		}
	})
}

func TestStreamsPingAndEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t)
		defer b.close()
		one := b.open("topic=space/1&since="+b.live.Position(), nil)
		left := b.open("topic=space/1&since="+b.live.Position(), nil)
		one.read()
		time.Sleep(pingEvery + time.Millisecond)
		if got := one.read(); got != string(ping) {
			t.Errorf("%q", got)
		}
		left.gone.Store(true)
		b.gate.shut.Store(true)
		time.Sleep(pingsPerCheck * pingEvery)
		if got := one.read(); !strings.HasSuffix(got, "event: signed-out\ndata: -\n\n") {
			t.Errorf("a person without session still listens: %q", got)
		}
		synctest.Wait()
		if len(b.live.entries) != 0 {
			t.Errorf("%d topics are kept for nobody", len(b.live.entries))
		}
		b.gate.shut.Store(false)
		open := b.open("topic=space/1", nil)
		open.read()
		b.live.Close()
		b.wg.Wait() // Close ended it
	})
}

func TestTopicsAreChecked(t *testing.T) {
	t.Parallel()
	got, err := readTopics([]string{"space/b,a,b", "task", "space.header/x"})
	if want := "[space.header/x space/a space/b task]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("%v %v", got, err)
	}
	for _, bad := range []string{"", "/", "space/", "space/a,,b", "a b", "a\nb", strings.Repeat("x", 300), "space/" + strings.Repeat("x,", maxTopics) + "y"} {
		if topics, err := readTopics([]string{bad}); odcm.KindOf(err) != odcm.Invalid && len(topics) > 2 {
			t.Errorf("%.20q: %d topics, %v", bad, len(topics), err)
		}
	}
	if _, err := readTopics([]string{"a\nb"}); odcm.KindOf(err) != odcm.Invalid {
		t.Error(err)
	}
}

// TestAPageNewerThanTheDrawing has a thing change there and back before it is drawn again: the page that was made in between
// must be told, although the drawing is the same as the last.
func TestAPageNewerThanTheDrawing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t)
		defer b.close()
		first := b.open("topic=space/1&since="+b.live.Position(), nil)
		b.live.hint("space/1")
		synctest.Wait() // "one" is drawn
		first.read()
		b.set("1", "two") // and its hint is late
		between := b.open("topic=space/1&since="+b.live.Position(), nil)
		synctest.Wait()
		b.set("1", "one")
		b.live.hint("space/1")
		synctest.Wait()
		if text := between.read(); !strings.Contains(text, "<b>one</b>") {
			t.Errorf("the page got %q and still shows two", text)
		}
	})
}

// TestAnOlderDrawingIsNotForANewerPage has a page come while what was before is still being drawn, lose its stream and return: it
// must not be left with what was before.
func TestAnOlderDrawingIsNotForANewerPage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t)
		defer b.close()
		b.open("topic=space/1&since="+b.live.Position(), nil).read() // so that it is drawn
		drawn, next := make(chan struct{}), make(chan struct{})
		times := 0
		b.during = func() {
			times++
			<-map[int]chan struct{}{1: drawn, 2: next}[times]
		}
		b.live.hint("space/1")
		synctest.Wait() // "one" has been read
		b.set("1", "new")
		b.live.hint("space/1")
		since := b.live.Position() // of a page that shows "new"
		page := b.open("topic=space/1&since="+since, nil)
		synctest.Wait()
		close(drawn)
		if got := page.read(); strings.Contains(got, "<b>one</b>") || strings.Contains(got, "id: ") {
			t.Errorf("the page shows new, and got %q", got)
		}
		close(next)
		if got := page.read(); !strings.Contains(got, "<b>new</b>") || !strings.Contains(got, "id: ") {
			t.Errorf("the page got %q", got)
		}
	})
}

func TestADrawingThatFailedIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t)
		defer b.close()
		p := b.open("topic=space/1&since="+b.live.Position(), nil)
		b.set("1", "panic")
		b.live.hint("space/1")
		p.read()
		b.set("1", "back") // and nobody says so
		time.Sleep(drawAgain + time.Millisecond)
		if got := p.read(); !strings.Contains(got, "<b>back</b>") {
			t.Errorf("%q", got)
		}
	})
}

func TestRedrawIsForAllViewsOfANoun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t)
		defer b.close()
		before := b.live.Position()
		p := b.open("topic=space/1,2&topic=space.header/1&topic=task&since="+before, nil)
		p.read()
		b.set("1", "uno")
		b.set("2", "due")
		b.live.Redraw("space")
		if got := p.read(); strings.Count(got, "event: swap") != 3 || strings.Contains(got, "refresh") {
			t.Errorf("%q", got)
		}
		if got := b.open("topic=space/1,2&since="+before, nil).read(); strings.Count(got, "event: swap") != 2 {
			t.Errorf("a page from before got %q", got)
		}
	})
}

// TestPagesConverge has things change and pages come, go and return at random; in the end every page shows the truth.
func TestPagesConverge(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) [3]int {
			return [3]int{rapid.IntRange(0, 3).Draw(rt, "do"), rapid.IntRange(0, 3).Draw(rt, "page"), rapid.IntRange(0, 3).Draw(rt, "thing")}
		}), 1, 30).Draw(rt, "steps")
		synctest.Test(t, func(t *testing.T) {
			b := newBoard(t)
			defer b.close()
			shown := [4]map[string]string{}
			last := [4]string{}
			tabs := [4]*tab{}
			read := func(i int) {
				for block := range strings.SplitSeq(tabs[i].read(), "\n\n") {
					lines := strings.Split(block, "\n")
					switch {
					case strings.HasPrefix(block, "event: swap"):
						shown[i][strings.TrimPrefix(lines[1], "data: ")] = strings.TrimPrefix(lines[2], "data: ")
					case strings.HasPrefix(block, "event: gone"):
						delete(shown[i], strings.TrimPrefix(lines[1], "data: "))
					case strings.HasPrefix(block, "id: "):
						last[i] = strings.TrimPrefix(block, "id: ")
					}
				}
			}
			for n, step := range steps {
				i, id := step[1], fmt.Sprint(step[2])
				switch step[0] {
				case 0, 1: // a thing changes, and sometimes ends
					b.mu.Lock()
					if b.value[id] = fmt.Sprint(n); n%7 == 6 {
						delete(b.value, id)
					}
					b.mu.Unlock()
					b.live.hint("space/" + id)
				case 2: // a page is opened, or returns
					if tabs[i] != nil {
						tabs[i].gone.Store(true)
					}
					if shown[i] == nil {
						last[i] = b.live.Position()
						shown[i] = map[string]string{}
						b.mu.Lock()
						for id, v := range b.value {
							shown[i]["space/"+id] = "<b>" + v + "</b>"
						}
						b.mu.Unlock()
					}
					tabs[i] = b.open("topic=space/0,1,2,3&since="+last[i], nil)
				case 3:
					if tabs[i] != nil {
						read(i)
					}
				}
			}
			for i := range tabs {
				if tabs[i] == nil {
					continue
				}
				read(i)
				for id := range 4 {
					v, ok := b.value[fmt.Sprint(id)]
					want := map[bool]string{true: "<b>" + v + "</b>"}[ok]
					if got := shown[i][fmt.Sprint("space/", id)]; got != want {
						t.Errorf("page %d shows %q of %d, the truth is %q", i, got, id, want)
					}
				}
			}
		})
	})
}
