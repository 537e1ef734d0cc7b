package monitor_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"odcm"
	"odcm/manager/monitor"
)

func TestALostConnectionIsProbedAtOnce(t *testing.T) {
	t.Parallel()
	run(t, 3, func(w *world) {
		w.change("s0", func(s *server) { s.err = odcm.E(odcm.Unavailable, "octopus.refused", "Nothing listens there.") })
		w.cut("s0")
		w.within(t, "s0", monitor.Offline, time.Second)
		pinged := w.pings()
		w.cut("s1") // it answers still: the probe decides
		time.Sleep(time.Second)
		synctest.Wait()
		if w.of("s1").Status != monitor.Online || w.pings() == pinged {
			t.Errorf("%+v after %d pings", w.of("s1"), w.pings()-pinged)
		}
		w.cut("nobody")
	})
}

// A server that hangs up after every answer is not asked without end.
func TestLostConnectionsDoNotMakeALoop(t *testing.T) {
	t.Parallel()
	run(t, 1, func(w *world) {
		pinged := w.pings()
		for range 600 { // a minute
			w.cut("s0")
			time.Sleep(100 * time.Millisecond)
		}
		if got := w.pings() - pinged; got > 6*3+3 {
			t.Errorf("%d pings in a minute", got)
		}
	})
}

// All connections are lost at once: everything is probed soon, and never too many at once.
func TestANetworkThatFails(t *testing.T) {
	t.Parallel()
	run(t, 2000, func(w *world) {
		for i := range 2000 {
			id := odcm.InstanceID(fmt.Sprintf("s%d", i))
			w.change(id, func(s *server) { s.hangs = true })
			w.cut(id)
		}
		time.Sleep(15 * time.Second)
		synctest.Wait()
		for i := range 2000 {
			if w.of(fmt.Sprintf("s%d", i)).Status != monitor.Offline {
				t.Fatalf("s%d is %+v", i, w.of(fmt.Sprintf("s%d", i)))
			}
		}
	})
}

func TestAnAPIThatHangsDoesNotDelayPings(t *testing.T) {
	t.Parallel()
	run(t, 1, func(w *world) {
		w.change("s0", func(s *server) { s.deaf = true })
		w.within(t, "s0", monitor.Degraded, 3*time.Minute)
		pinged := w.pings()
		time.Sleep(5 * time.Minute)
		if got := w.pings() - pinged; got != 30 {
			t.Errorf("%d pings in five minutes, want 30", got)
		}
		w.change("s0", func(s *server) { s.hangs = true })
		w.within(t, "s0", monitor.Offline, 15*time.Second)
	})
}

func TestWhatIsAsked(t *testing.T) {
	t.Parallel()
	run(t, 1, func(w *world) {
		time.Sleep(2 * time.Hour)
		w.servers.mu.Lock()
		defer w.servers.mu.Unlock()
		if q, f, l := w.looks[monitor.Quick], w.looks[monitor.Full], w.looks[monitor.Whole]; q < 100 || f < 8 || f > 12 || l < 2 || l > 3 {
			t.Errorf("in two hours %d quick looks, %d full, %d whole", q, f, l)
		}
	})
}

func TestReasons(t *testing.T) {
	t.Parallel()
	notOctopus := odcm.E(odcm.Invalid, "octopus.not-octopus", "It answered with a web page.")
	for name, c := range map[string]struct {
		breaks func(*server)
		reason string
	}{
		"a redirect": {func(s *server) { s.code, s.to = 302, "https://u:secret@elsewhere.example/in?token=secret" }, "redirects to https://elsewhere.example/in:"},
		"a limit":    {func(s *server) { s.code = 429 }, "limits how often"},
		"a web page": {func(s *server) { s.page, s.fault = true, notOctopus }, "It answered with a web page."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, 1, func(w *world) {
				w.change("s0", c.breaks)
				w.within(t, "s0", monitor.Degraded, 11*time.Second)
				if h := w.of("s0"); !strings.Contains(h.Reason, c.reason) || strings.Contains(h.Reason, "secret") {
					t.Errorf("%+v", h)
				}
			})
		})
	}
}

// A clock that jumps brings nothing out of order and declares no outage.
func TestAClockThatJumps(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var wrong []string // said outside of the bubble
		fail := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			w.add("s0")
			w.add("s1")
			var mu sync.Mutex
			var off time.Duration
			w.options = func(o *monitor.Options) {
				o.Now = func() time.Time {
					mu.Lock()
					defer mu.Unlock()
					return time.Now().Add(off)
				}
			}
			down := false
			w.start(t, func() {
				for range rapid.IntRange(1, 8).Draw(rt, "steps") {
					mu.Lock()
					off += time.Duration(rapid.IntRange(-100_000, 100_000).Draw(rt, "jump")) * time.Second
					mu.Unlock()
					if rapid.Bool().Draw(rt, "turn") {
						down = !down
						w.change("s0", func(s *server) { s.hangs = down })
					}
					time.Sleep(time.Duration(rapid.IntRange(16, 40).Draw(rt, "wait")) * time.Second)
					synctest.Wait()
					if want := map[bool]monitor.Status{true: monitor.Offline, false: monitor.Online}[down]; w.of("s0").Status != want {
						fail("s0 is %+v, want %s", w.of("s0"), want)
					}
				}
			})
			last := map[odcm.SpaceID]time.Time{}
			for _, c := range w.recorded() {
				if c.Space.ID == "space-s1" && c.Health.Status != monitor.Online {
					fail("s1 became %+v", c.Health)
				}
				if c.Health.Since.Before(last[c.Space.ID]) {
					fail("%s: %v comes after %v", c.Space.ID, c.Health.Since, last[c.Space.ID])
				}
				last[c.Space.ID] = c.Health.Since
			}
		})
		if len(wrong) > 0 {
			rt.Fatal(strings.Join(wrong, "\n"))
		}
	})
}

// Targets come, go, and change their owner: each that is here is probed once in each interval, and never twice at once.
func TestTheSchedule(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var wrong []string // said outside of the bubble
		fail := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			n := rapid.IntRange(1, 30).Draw(rt, "targets")
			for i := range n {
				w.add(fmt.Sprintf("s%d", i))
			}
			w.start(t, func() {
				since := map[string]time.Time{} // here for so long
				for i := range n {
					since[fmt.Sprintf("s%d", i)] = time.Now()
				}
				gone := map[string]bool{}
				for range rapid.IntRange(1, 10).Draw(rt, "steps") {
					name := rapid.SampledFrom(slices.Sorted(maps.Keys(since))).Draw(rt, "target")
					w.servers.mu.Lock()
					switch rapid.IntRange(0, 3).Draw(rt, "what") {
					case 0: // to another replica
						w.lost = append(w.lost, name)
						since[name] = time.Time{}
					case 1: // and back
						w.lost = slices.DeleteFunc(w.lost, func(s string) bool { return s == name })
						if !gone[name] && since[name].IsZero() {
							since[name] = time.Now()
						}
					case 2: // gone
						w.list = slices.DeleteFunc(w.list, func(t monitor.Target) bool { return string(t.Instance) == name })
						gone[name], since[name] = true, time.Time{}
					case 3:
						w.state[odcm.InstanceID(name)].hangs = rapid.Bool().Draw(rt, "hangs")
					}
					w.servers.mu.Unlock()
					w.share()
					time.Sleep(time.Duration(rapid.IntRange(1, 60).Draw(rt, "wait")) * time.Second)
				}
				time.Sleep(6 * time.Second) // what is under way for others ends
				from := time.Now()
				time.Sleep(time.Minute)
				synctest.Wait()
				w.servers.mu.Lock()
				defer w.servers.mu.Unlock()
				if w.twice > 0 {
					fail("%d targets were probed twice at once", w.twice)
				}
				for name, here := range since {
					got := 0
					for _, at := range w.times[odcm.InstanceID(name)] {
						if at.After(from) && at.Before(from.Add(time.Minute)) {
							got++
						}
					}
					switch hangs := w.state[odcm.InstanceID(name)].hangs; {
					case here.IsZero() && got != 0:
						fail("%s is not here and was probed %d times", name, got)
					case !here.IsZero() && from.Sub(here) > 17*time.Second && !hangs && (got < 5 || got > 7):
						fail("%s was probed %d times in a minute", name, got)
					}
				}
			})
		})
		if len(wrong) > 0 {
			rt.Fatal(strings.Join(wrong, "\n"))
		}
	})
}

func TestAnswersAreCountedAndDaysRolledUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.first = time.Now().Add(-72 * time.Hour)
		w.add("s0")
		w.start(t, func() { time.Sleep(3 * time.Hour) })
		w.memory.mu.Lock()
		defer w.memory.mu.Unlock()
		if w.counted < 1080 || w.counted > 1082 {
			t.Errorf("%d answers in three hours", w.counted)
		}
		want := monitor.DayAt(w.first)
		if len(w.memory.rolled) != 3 || w.memory.rolled[0] != want || w.memory.rolled[2] != want+2 {
			t.Errorf("rolled up %v, want three from %d", w.memory.rolled, want)
		}
	})
}

// paper carries ballots between replicas of a test.
type paper struct {
	mu        sync.Mutex
	members   map[string]int64
	questions map[string]monitor.Question
	answers   []monitor.Answer
	fail      error
}

func (p *paper) Beat(_ context.Context, me monitor.Member) (all []monitor.Member, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.members[me.Replica] = me.Beat
	for name, beat := range p.members {
		all = append(all, monitor.Member{Replica: name, Beat: beat})
	}
	return all, p.fail
}

func (p *paper) Leave(_ context.Context, replica string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.members, replica)
	return nil
}

func (p *paper) Ask(_ context.Context, questions []monitor.Question) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, q := range questions {
		p.questions[q.ID] = q
	}
	return p.fail
}

func (p *paper) Open(_ context.Context, replica string, _ int) (all []monitor.Question, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, q := range p.questions {
		if q.Asker != replica && !slices.ContainsFunc(p.answers, func(a monitor.Answer) bool { return a.Question == q.ID && a.Replica == replica }) {
			all = append(all, q)
		}
	}
	return all, p.fail
}

func (p *paper) Answer(_ context.Context, answers []monitor.Answer) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers = append(p.answers, answers...)
	return p.fail
}

func (p *paper) Answers(_ context.Context, questions []string) (all []monitor.Answer, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.answers {
		if slices.Contains(questions, a.Question) {
			all = append(all, a)
		}
	}
	return all, p.fail
}

func (p *paper) Close(_ context.Context, questions []string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range questions {
		delete(p.questions, id)
	}
	return nil
}

// Three replicas: B and C own nothing and are asked by A.
func TestAQuorumDecides(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		down   string // replicas that do not reach it, beside A
		dead   string // replicas that do not answer
		want   monitor.Status
		reason string
	}{
		"all find it down":       {"BC", "", monitor.Offline, "Neither A nor B, C can reach it."},
		"only A finds it down":   {"", "", monitor.Degraded, "A cannot reach the server; B, C can"},
		"A and B find it down":   {"B", "", monitor.Offline, "A and B cannot reach it; C can."},
		"C is dead, B reaches":   {"", "C", monitor.Degraded, "A cannot reach the server; B can"},
		"nobody answers":         {"", "BC", monitor.Offline, "It did not answer."},
		"C is dead, B finds so":  {"B", "C", monitor.Offline, "Neither A nor B can reach it."},
		"it comes back for all":  {"BC", "", monitor.Offline, "Neither A nor B, C"},
		"the database is broken": {"", "X", monitor.Offline, "It did not answer."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := &paper{members: map[string]int64{}, questions: map[string]monitor.Question{}}
				a := newWorld()
				a.add("s0")
				a.options = func(o *monitor.Options) { o.Ballots, o.Replica = p, "A" }
				for _, replica := range []string{"B", "C"} {
					if strings.Contains(c.dead, replica) {
						p.mu.Lock()
						p.members[replica] = 1 // its row is still there
						p.mu.Unlock()
						continue
					}
					b := newWorld()
					b.add("s0")
					b.lost = []string{"s0"}
					b.options = func(o *monitor.Options) { o.Ballots, o.Replica = p, replica }
					if strings.Contains(c.down, replica) {
						b.change("s0", func(s *server) { s.hangs = true })
					}
					defer b.launch(t)()
				}
				a.start(t, func() {
					time.Sleep(7 * time.Second)
					p.mu.Lock()
					if strings.Contains(c.dead, "X") {
						p.fail = errors.New("the database is away")
					}
					p.mu.Unlock()
					a.change("s0", func(s *server) { s.err = odcm.E(odcm.Unavailable, "x", "It did not answer.") })
					a.cut("s0")
					a.within(t, "s0", c.want, 3*time.Second)
					if h := a.of("s0"); !strings.Contains(h.Reason, c.reason) || !strings.Contains(h.Reason, "It did not answer.") {
						t.Errorf("%+v", h)
					}
					a.change("s0", func(s *server) { s.err = nil })
					a.within(t, "s0", monitor.Online, 11*time.Second)
				})
			})
		})
	}
}

// elsewhere is a place to look from that is no replica.
type elsewhere struct{ err error }

func (elsewhere) Name() string { return "Agent 1" }
func (e elsewhere) Ping(context.Context, monitor.Target) (monitor.Pong, error) {
	return monitor.Pong{Code: 200}, e.err
}
func (e elsewhere) Vantages() []monitor.Vantage { return []monitor.Vantage{e} }

func TestAgentsAreVantagePoints(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		want   monitor.Status
		reason string
	}{
		"it reaches":      {nil, monitor.Degraded, "This replica cannot reach the server; Agent 1 can"},
		"it does not":     {odcm.E(odcm.Unavailable, "x", "x"), monitor.Offline, "Neither This replica nor Agent 1"},
		"it cannot tell":  {odcm.E(odcm.Unsupported, "x", "x"), monitor.Offline, "It did not answer."},
		"it is not there": {errors.New("no agent"), monitor.Offline, "It did not answer."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				w.add("s0")
				w.options = func(o *monitor.Options) { o.Vantages = elsewhere{c.err} }
				w.start(t, func() {
					w.change("s0", func(s *server) { s.err = odcm.E(odcm.Unavailable, "x", "It did not answer.") })
					w.within(t, "s0", c.want, 11*time.Second)
					if h := w.of("s0"); !strings.Contains(h.Reason, c.reason) {
						t.Errorf("%+v", h)
					}
				})
			})
		})
	}
}
