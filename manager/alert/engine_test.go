package alert_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"odcm/manager/alert"
)

var start = time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)

// company is an engine with a clock of its own.
type company struct {
	t       *testing.T
	state   *alert.State
	config  alert.Config
	notices []alert.Notice
	notes   []alert.Note
	gone    []string
	last    alert.Outcome
}

func newCompany(t *testing.T, rules ...alert.Rule) *company {
	t.Helper()
	c := &company{t: t, state: alert.NewState(), config: alert.Config{Rules: rules, ProbeEvery: 10 * time.Second, PollEvery: 15 * time.Second,
		Receivers: []alert.Recipient{{ID: "everybody", Default: true, Enabled: true}, {ID: "boss", Enabled: true}}}}
	c.at(0)
	return c
}

// at moves the clock and takes a step with what happened then.
func (c *company) at(second int, happened ...alert.Reading) {
	wall := start.Add(time.Duration(second) * time.Second)
	c.state.Tick(wall.Sub(c.state.Clock), wall)
	for i := range happened {
		happened[i].At = c.state.Clock
	}
	c.take(c.state.Step(&c.config, alert.Input{Changes: happened}))
}

func (c *company) level(second int, readings ...alert.Reading) {
	wall := start.Add(time.Duration(second) * time.Second)
	c.state.Tick(wall.Sub(c.state.Clock), wall)
	c.take(c.state.Step(&c.config, alert.Input{Level: append([]alert.Reading{}, readings...)}))
}

func (c *company) take(o alert.Outcome) {
	c.notices, c.notes, c.gone, c.last = append(c.notices, o.Notices...), append(c.notes, o.Notes...), append(c.gone, o.Gone...), o
}

func status(name, status, server string) alert.Reading {
	return alert.Reading{Signal: alert.Status, Subject: "space-" + name, Kind: alert.KindSpace, Name: name, Text: status, Labels: map[string]string{"server": server}}
}

func (c *company) told() (all []string) {
	for _, n := range c.notices {
		s := string(n.Kind) + " " + n.Receiver + ":"
		for _, i := range n.Incidents {
			s += " " + i.Name
			if i.Phase == alert.Resolved && n.Kind != alert.Resolves {
				s += "(over)"
			}
		}
		all = append(all, s)
	}
	return all
}

func (c *company) want(said ...string) {
	c.t.Helper()
	if got := c.told(); !slices.Equal(got, said) {
		c.t.Errorf("told:\n%q\nwant:\n%q", got, said)
	}
}

func offline() alert.Rule { return alert.Defaults()[0] }

func TestOutage(t *testing.T) {
	t.Parallel()
	c := newCompany(t, offline())
	c.at(100, status("a", "offline", "host"))
	c.want()
	c.at(109)
	c.want()
	c.at(110)
	c.want("firing everybody: a")
	c.at(200, status("a", "degraded", "host"))
	c.at(210)
	c.want("firing everybody: a", "resolved everybody: a")
	c.at(5000)
	if len(c.state.Tracks)+len(c.state.Batches)+len(c.state.Closed) != 0 {
		t.Error("something is left of what is over")
	}
}

func TestShortOutageIsToldAtOnce(t *testing.T) {
	t.Parallel()
	c := newCompany(t, offline())
	c.at(100, status("a", "offline", "host"))
	c.at(103, status("a", "online", "host"))
	c.at(120)
	c.want("firing everybody: a(over)")
	c.at(200)
	c.want("firing everybody: a(over)")
}

func TestThresholds(t *testing.T) {
	t.Parallel()
	r := offline()
	r.FailureThreshold, r.SuccessThreshold, r.GroupWait = 3, 2, 0
	c := newCompany(t, r)
	c.at(100, status("a", "offline", "host"))
	c.at(119, status("a", "online", "host"))
	c.at(130)
	c.want()
	if len(c.gone) != 1 {
		t.Errorf("what came to nothing: %v", c.gone)
	}
	c.at(200, status("a", "offline", "host"))
	c.at(205, status("a", "", "host")) // not known is no change
	c.at(220)
	c.want("firing everybody: a")
	c.at(230, status("a", "online", "host"))
	c.at(235, status("a", "offline", "host"))
	c.at(250, status("a", "online", "host"))
	c.at(259)
	c.want("firing everybody: a")
	c.at(260)
	c.want("firing everybody: a", "resolved everybody: a")
}

func TestGroups(t *testing.T) {
	t.Parallel()
	c := newCompany(t, offline())
	var all []alert.Reading
	for i := range 40 {
		all = append(all, status(fmt.Sprintf("s%02d", i), "offline", "host-1"))
	}
	c.at(100, append(all, status("z", "offline", "host-2"))...)
	c.at(115)
	if len(c.notices) != 2 || len(c.notices[0].Incidents)+len(c.notices[1].Incidents) != 41 {
		t.Fatalf("told: %v", c.told())
	}
	for i := range all {
		all[i].Text = "online"
	}
	c.at(200, all...)
	c.at(211)
	if len(c.notices) != 3 || len(c.notices[2].Incidents) != 40 || c.notices[2].Kind != alert.Resolves {
		t.Fatalf("told: %v", c.told())
	}
}

func TestQuiet(t *testing.T) {
	t.Parallel()
	c := newCompany(t, offline(), alert.Defaults()[1])
	m, err := alert.ParseMatchers("name=silent")
	if err != nil {
		t.Fatal(err)
	}
	c.config.Silences = []alert.Silence{{ID: "s", Matchers: m, From: start, Until: start.Add(300 * time.Second), Comment: "x"}}
	w, _ := alert.ParseMatchers("server~host-m.*")
	c.config.Windows = []alert.Window{{Name: "night", Matchers: w, From: start, Lasts: 400 * time.Second, Enabled: true}}
	machine := alert.Reading{Signal: alert.Status, Subject: "server-1", Kind: alert.KindServer, Name: "host-d", Text: "offline", Labels: map[string]string{"server": "host-d"}}
	c.at(100, status("silent", "offline", "host"), status("kept", "offline", "host-m1"), status("below", "offline", "host-d"), machine)
	c.at(120)
	c.want("firing everybody: host-d")
	c.at(150, status("below", "online", "host-d"))
	c.at(299)
	c.want("firing everybody: host-d")
	c.at(301)
	c.want("firing everybody: host-d", "firing everybody: silent")
	c.at(401)
	c.want("firing everybody: host-d", "firing everybody: silent", "firing everybody: kept")
	machine.Text = "online"
	c.at(500, machine, status("silent", "online", "host"), status("kept", "online", "host-m1"))
	c.at(511)
	if got := c.told()[3:]; len(got) != 3 || slices.ContainsFunc(got, func(s string) bool { return s[:8] != "resolved" }) {
		t.Errorf("in the end: %q", got)
	}
}

func TestEscalationReminderAcknowledgement(t *testing.T) {
	t.Parallel()
	r := offline()
	r.GroupWait, r.EscalateAfter, r.EscalateTo, r.RepeatEvery = 0, 5*time.Minute, []string{"boss"}, 8*time.Minute
	c := newCompany(t, r)
	c.at(0, status("a", "offline", "host"), status("b", "offline", "other"))
	var b string
	for _, i := range c.last.Incidents {
		if i.Name == "b" {
			b = i.ID
		}
	}
	c.config.Acks = map[string]alert.Ack{b: {By: "Bob", At: start}}
	c.at(299)
	c.at(300)
	c.at(301)
	c.at(480)
	c.at(490)
	got := c.told()
	slices.Sort(got)
	if want := []string{"escalation boss: a", "firing everybody: a", "firing everybody: b"}; !slices.Equal(got, want) {
		t.Errorf("told %q", got)
	}
	c.at(781) // 8 minutes after anybody was told last
	c.at(800, status("a", "online", "host"))
	got = c.told()[3:]
	slices.Sort(got)
	if want := []string{"reminder boss: a", "reminder everybody: a", "resolved boss: a", "resolved everybody: a"}; !slices.Equal(got, want) {
		t.Errorf("later %q", got)
	}
}

func TestFlapping(t *testing.T) {
	t.Parallel()
	r := offline()
	r.GroupWait, r.FlapChanges, r.FlapWindow, r.FlapRest = 0, 4, 10*time.Minute, 5*time.Minute
	c := newCompany(t, r)
	for i := range 30 {
		c.at(10*i, status("a", []string{"offline", "online"}[i%2], "host"))
	}
	c.want("firing everybody: a", "resolved everybody: a", "firing everybody: a", "resolved everybody: a", "flapping everybody: a")
	c.at(290 + 299)
	c.want("firing everybody: a", "resolved everybody: a", "firing everybody: a", "resolved everybody: a", "flapping everybody: a")
	c.at(290 + 300)
	if got := c.told(); len(got) != 6 || got[5] != "resolved everybody: a" {
		t.Errorf("after the rest: %q", got)
	}
	c.at(700, status("a", "offline", "host"))
	if got := c.told(); len(got) != 7 || got[6] != "firing everybody: a" {
		t.Errorf("anew: %q", got)
	}
}

func TestLevel(t *testing.T) {
	t.Parallel()
	r := offline()
	r.GroupWait = 0
	disk := alert.Defaults()[5]
	disk.FailureThreshold, disk.SuccessThreshold, disk.GroupWait = 3, 1, 0
	c := newCompany(t, r, disk)
	free := func(part float64) alert.Reading {
		return alert.Reading{Signal: alert.Disk, Subject: "space-a", Kind: alert.KindSpace, Name: "a", Value: part}
	}
	c.level(0, status("a", "offline", "host"), free(.05))
	c.want()
	c.level(15, status("a", "offline", "host"), free(.05))
	c.want("firing everybody: a") // its event was missed
	c.level(30, status("a", "offline", "host"), free(.05))
	c.want("firing everybody: a", "firing everybody: a")
	c.level(45, status("a", "online", "host"))
	c.at(46, status("a", "online", "host"))
	c.want("firing everybody: a", "firing everybody: a", "resolved everybody: a")
	c.level(60)
	c.level(75) // it is not watched any more
	c.want("firing everybody: a", "firing everybody: a", "resolved everybody: a", "resolved everybody: a")
}

func TestRuleSwitchedOff(t *testing.T) {
	t.Parallel()
	r := offline()
	r.GroupWait = 0
	c := newCompany(t, r)
	c.at(10, status("a", "offline", "host"))
	c.config.Rules[0].Enabled = false
	c.at(20)
	c.want("firing everybody: a", "resolved everybody: a")
}

// TestClockJumps holds the clock of the machine against one that does not jump: what fires is the same.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	r := offline()
	r.FailureThreshold, r.GroupWait = 4, 0
	for _, jump := range []time.Duration{-48 * time.Hour, -time.Minute, time.Hour, 400 * 24 * time.Hour} {
		s, config := alert.NewState(), alert.Config{Rules: []alert.Rule{r}, ProbeEvery: 10 * time.Second, PollEvery: 15 * time.Second,
			Receivers: []alert.Recipient{{ID: "x", Default: true, Enabled: true}}}
		wall, told := start, 0
		pass := func(d time.Duration, happened ...alert.Reading) {
			wall = wall.Add(d)
			before := s.Clock
			s.Tick(d, wall)
			for i := range happened {
				happened[i].At = s.Place(wall, before)
			}
			told += len(s.Step(&config, alert.Input{Changes: happened}).Notices)
		}
		pass(0)
		pass(10*time.Second, status("a", "offline", "h"))
		wall = wall.Add(jump)
		pass(10 * time.Second)
		if told != 0 {
			t.Errorf("a jump of %v fired", jump)
		}
		pass(10 * time.Second)
		pass(11*time.Second + 3*time.Second)
		if told != 1 {
			t.Errorf("after a jump of %v it fired %d times", jump, told)
		}
	}
}

// TestModel draws histories and compares what is told with a simple model, however often the state is written down and read
// again, and however the history is cut into steps.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		r := offline()
		r.FailureThreshold = rapid.IntRange(1, 3).Draw(rt, "failures")
		r.SuccessThreshold = rapid.IntRange(1, 3).Draw(rt, "successes")
		r.GroupWait = 0
		if r.FlapChanges = rapid.IntRange(0, 5).Draw(rt, "flap"); r.FlapChanges > 0 {
			r.FlapWindow, r.FlapRest = time.Duration(rapid.IntRange(30, 200).Draw(rt, "window"))*time.Second, time.Duration(rapid.IntRange(25, 100).Draw(rt, "rest"))*time.Second
		}
		config := alert.Config{Rules: []alert.Rule{r}, ProbeEvery: 10 * time.Second, PollEvery: 15 * time.Second,
			Receivers: []alert.Recipient{{ID: "x", Default: true, Enabled: true}}}
		const spaces, seconds = 3, 400
		history := map[int][]alert.Reading{}
		truth := [spaces][]bool{}
		for i := range spaces {
			down := false
			for sec := range seconds {
				if sec > 0 && rapid.IntRange(0, 14).Draw(rt, "turn") == 0 {
					down = !down
					history[sec] = append(history[sec], status(fmt.Sprint(i), map[bool]string{true: "offline", false: "online"}[down], fmt.Sprint(i)))
				}
				truth[i] = append(truth[i], down)
			}
		}
		restarts := rapid.SliceOfN(rapid.IntRange(0, seconds-1), 0, 20).Draw(rt, "restarts")
		s, told := alert.NewState(), map[string][]string{}
		for sec := range seconds {
			if slices.Contains(restarts, sec) { // a replica died after its last commit; perhaps half way through a step
				parts, err := s.Parts()
				if err != nil {
					rt.Fatal(err)
				}
				s.Step(&config, alert.Input{Changes: history[sec]})
				if s, err = alert.ReadState(parts); err != nil {
					rt.Fatal(err)
				}
			}
			wall := start.Add(time.Duration(sec) * time.Second)
			s.Tick(time.Second, wall)
			if sec == 0 {
				s.Clock = wall
			}
			for i := range history[sec] {
				history[sec][i].At = s.Clock
			}
			for _, n := range s.Step(&config, alert.Input{Changes: history[sec]}).Notices {
				for _, i := range n.Incidents {
					told[i.Name] = append(told[i.Name], fmt.Sprintf("%03d %s", sec, n.Kind))
					if n.Kind != alert.Resolves && i.Phase == alert.Resolved {
						told[i.Name] = append(told[i.Name], fmt.Sprintf("%03d resolved", sec)) // said in one
					}
				}
			}
		}
		for i := range spaces {
			want, got := model(r, truth[i]), told[fmt.Sprint(i)]
			slices.Sort(got) // what is told in the same second has no order
			slices.Sort(want)
			if !reflect.DeepEqual(want, got) {
				rt.Fatalf("Space %d, %+v\nturns %v\ntold  %v\nmodel %v", i, r, turns(truth[i]), got, want)
			}
		}
	})
}

func turns(down []bool) (all []int) {
	for s := 1; s < len(down); s++ {
		if down[s] != down[s-1] {
			all = append(all, s)
		}
	}
	return all
}

// model looks at one Space second by second.
func model(r alert.Rule, down []bool) (told []string) {
	firing, flapping, since := false, false, 0
	var changes []int
	change := func(sec int) bool {
		if r.FlapChanges == 0 {
			return false
		}
		changes = slices.DeleteFunc(append(changes, sec), func(c int) bool { return sec-c >= int(r.FlapWindow.Seconds()) })
		return len(changes) > r.FlapChanges
	}
	for sec := range down {
		// Time passes in the old condition first, and then in the new.
		for _, now := range []bool{down[max(sec-1, 0)], down[sec]} {
			if sec > 0 && now != down[sec-1] {
				since = sec
			}
			held := sec - since
			switch {
			case flapping:
				if held >= int(r.FlapRest.Seconds()) {
					flapping, changes = false, nil
					if !now {
						firing = false
						told = append(told, fmt.Sprintf("%03d resolved", sec))
					}
				}
			case !firing && now && held >= 10*(r.FailureThreshold-1):
				firing = true
				if flapping = change(sec); flapping {
					told = append(told, fmt.Sprintf("%03d flapping", sec))
				} else {
					told = append(told, fmt.Sprintf("%03d firing", sec))
				}
			case firing && !now && held >= 10*(r.SuccessThreshold-1):
				if flapping = change(sec); flapping { // that it fired in the same moment is not told too
					told = slices.DeleteFunc(told, func(s string) bool { return s == fmt.Sprintf("%03d firing", sec) })
					told = append(told, fmt.Sprintf("%03d flapping", sec))
				} else {
					firing = false
					told = append(told, fmt.Sprintf("%03d resolved", sec))
				}
			}
		}
	}
	return told
}
