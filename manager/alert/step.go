package alert

import (
	"maps"
	"slices"
	"strconv"
	"time"
)

// Input is what is new at a step.
type Input struct {
	// Changes are changes of status, in the order in which they happened; At is on the engine's clock.
	Changes []Reading
	// Level is everything that can be read at this time, with the status of every subject; nil where it was not read.
	Level []Reading
	// Newer are subjects whose status changed since the level before: this one may not know of it yet, and says nothing about it.
	Newer map[string]bool
	// Trust tells that changes were missed, and the level is to be believed about status at once.
	Trust bool
}

// Outcome is what a step leads to.
type Outcome struct {
	Incidents []Incident // that are new or different
	Gone      []string   // incidents that were pending and came to nothing
	Notes     []Note
	Notices   []Notice
	Next      time.Time // when something is due by itself, on the engine's clock; zero for never
	Counts    map[Count]int
}

// Count is a rule and how grave it is.
type Count struct {
	Rule     string
	Severity Severity
}

// step is one step under way.
type step struct {
	*State
	config *Config
	rules  map[string]*Rule
	out    Outcome
	before map[string]Incident
}

// Step takes the input in and says what is to be told. The clock was moved before, by [State.Tick].
func (s *State) Step(c *Config, in Input) Outcome {
	st := &step{State: s, config: c, rules: map[string]*Rule{}, before: map[string]Incident{}}
	for i := range c.Rules {
		st.rules[c.Rules[i].ID] = &c.Rules[i]
	}
	for _, t := range s.Tracks {
		if t.Incident != nil {
			st.before[t.Incident.ID] = clone(t.Incident)
		}
	}
	for id, i := range s.Closed {
		st.before[id] = clone(i)
	}
	for _, v := range in.Level {
		if v.Signal == Status {
			s.subjects[v.Subject] = v
		}
	}
	st.retireRules()
	for _, v := range in.Changes {
		st.read(v)
	}
	if in.Level != nil {
		st.level(in.Level, in.Newer, in.Trust)
	}
	for _, t := range s.open() {
		st.advance(t, s.Clock)
	}
	st.plan()
	st.flush()
	st.sweep()
	return st.out
}

func clone(i *Incident) Incident {
	c := *i
	c.Told, c.Labels = slices.Clone(i.Told), maps.Clone(i.Labels)
	return c
}

// read takes one reading in, for every rule that it is about.
func (s *step) read(v Reading) {
	if v.Labels == nil {
		v.Labels = s.subjects[v.Subject].Labels
	}
	for i := range s.config.Rules {
		r := &s.config.Rules[i]
		if !r.Enabled || !r.Covers(v) {
			continue
		}
		if holds, known := r.Holds(v); known {
			s.turn(r, v, holds)
		}
	}
}

// level compares everything with what is known. Changes of a Space's status come as events: what differs from them is believed
// when it is seen twice, because an event may be under way.
func (s *step) level(all []Reading, newer map[string]bool, trust bool) {
	suspects, covered := map[Key]string{}, map[Key]bool{}
	present, signals := map[string]Reading{}, map[Key]bool{}
	for _, v := range all {
		if v.Signal == Status {
			present[v.Subject] = v
		}
		signals[Key{string(v.Signal), v.Subject}] = true
	}
	s.subjects = present
	for _, v := range all {
		for i := range s.config.Rules {
			r := &s.config.Rules[i]
			if !r.Enabled || !r.Covers(v) {
				continue
			}
			k := Key{r.ID, v.Subject}
			covered[k] = true
			holds, known := r.Holds(v)
			if !known || v.Signal == Status && v.Kind == KindSpace && newer[v.Subject] {
				continue
			}
			t := s.Tracks[k]
			was := t != nil && t.Holds
			if v.Signal == Status && v.Kind == KindSpace && holds != was && !trust && s.suspects[k] != v.Text {
				suspects[k] = v.Text
				continue
			}
			s.turn(r, s.settled(t, v, trust), holds)
		}
	}
	for _, t := range s.open() {
		k, r := Key{t.Rule, t.Subject}, s.rules[t.Rule]
		switch _, here := present[t.Subject]; {
		case r == nil || covered[k]:
		case !here && (trust || s.suspects[k] == "gone"):
			s.retire(t, "It is not watched any more.")
		case !here:
			suspects[k] = "gone"
		case signals[Key{string(r.Signal), t.Subject}]:
			s.retire(t, "The rule is not about it any more.")
		}
	}
	s.suspects = suspects
}

// settled dates a reading: when it was read, unless all is new here and it says itself since when it is so.
func (s *step) settled(t *Track, v Reading, trust bool) Reading {
	if !trust || v.At.IsZero() || v.Signal != Status || v.At.After(s.Clock) || t != nil && v.At.Before(t.Turned) {
		v.At = s.Clock
	}
	return v
}

// retireRules ends what rules found that are gone.
func (s *step) retireRules() {
	for _, t := range s.open() {
		if r := s.rules[t.Rule]; r == nil || !r.Enabled {
			s.retire(t, "The rule is switched off.")
		}
	}
}

// retire ends a track at once, without regard to thresholds.
func (s *step) retire(t *Track, why string) {
	i := t.Incident
	delete(s.Tracks, Key{t.Rule, t.Subject})
	if i == nil {
		return
	}
	if i.Phase == Pending {
		s.out.Gone = append(s.out.Gone, i.ID)
		return
	}
	s.note(i, s.Clock, "resolved", why)
	s.close(t, s.Clock)
}

// turn notes whether the condition holds for a subject.
func (s *step) turn(r *Rule, v Reading, holds bool) {
	k := Key{r.ID, v.Subject}
	t := s.Tracks[k]
	if t == nil {
		if !holds {
			return
		}
		t = &Track{Rule: r.ID, Subject: v.Subject, Turned: v.At}
		s.Tracks[k] = t
	}
	if v.At.Before(t.Turned) {
		v.At = t.Turned
	}
	s.advance(t, v.At)
	if i := t.Incident; i != nil && holds {
		i.Summary, i.Name = v.Says(), v.Name
		if v.Labels != nil {
			i.Labels = maps.Clone(v.Labels)
		}
	}
	if t.Holds == holds {
		return
	}
	t.Holds, t.Turned = holds, v.At
	switch {
	case holds && t.Incident == nil:
		s.Serial++
		t.Incident = &Incident{ID: digest("incident", r.ID, v.Subject, v.At.UTC().Format(time.RFC3339Nano), strconv.FormatInt(s.Serial, 10)), Rule: r.ID, RuleName: r.Name, Severity: r.Severity,
			Signal: r.Signal, Subject: v.Subject, Kind: v.Kind, Name: v.Name, Labels: maps.Clone(v.Labels), Phase: Pending, Summary: v.Says(), Since: v.At}
		s.note(t.Incident, v.At, "pending", v.Says())
	case t.Incident != nil && t.Incident.Phase == Pending:
		s.out.Gone = append(s.out.Gone, t.Incident.ID)
		t.Incident = nil
	case holds:
		s.note(t.Incident, v.At, "reading", v.Says())
	default:
		s.note(t.Incident, v.At, "reading", "The condition is gone. "+said(v))
	}
	s.advance(t, v.At)
}

// said is what a reading that does not hold says.
func said(v Reading) string {
	if v.Signal == Status && v.Text == "online" {
		return v.Name + " is online."
	}
	return v.Says()
}

// advance lets time pass for a track, up to at.
func (s *step) advance(t *Track, at time.Time) {
	r, i := s.rules[t.Rule], t.Incident
	if i == nil || r == nil {
		return
	}
	every := s.config.every(r.Signal)
	if fires := t.Turned.Add(r.hold(every)); i.Phase == Pending && t.Holds && !at.Before(fires) {
		i.Phase, i.Fired = Firing, fires
		s.note(i, fires, "firing", i.Summary)
		s.change(t, r, fires)
	}
	if rests := t.Turned.Add(r.FlapRest); t.Flapping && !at.Before(rests) {
		t.Flapping, i.Flapping, i.FlapTold, t.Changes = false, false, false, nil
		s.note(i, rests, "stable", "It has not changed for "+Took(r.FlapRest)+".")
		if !t.Holds {
			s.note(i, rests, "resolved", "It is over.")
			s.close(t, rests)
			return
		}
	}
	if over := t.Turned.Add(r.clear(every)); i.Phase == Firing && !t.Holds && !t.Flapping && !at.Before(over) {
		s.change(t, r, over)
		if !t.Flapping {
			s.note(i, over, "resolved", "It is over, after "+Took(over.Sub(i.Since))+".")
			s.close(t, over)
		}
	}
}

// change counts a firing or a resolution; too many are flapping.
func (s *step) change(t *Track, r *Rule, at time.Time) {
	if r.FlapChanges == 0 {
		return
	}
	t.Changes = append(recent(t.Changes, at.Add(-r.FlapWindow)), at)
	if len(t.Changes) > r.FlapChanges && !t.Flapping {
		t.Flapping, t.Incident.Flapping = true, true
		s.note(t.Incident, at, "flapping", "It changes too often: nothing more is told until it rests.")
	}
}

func recent(changes []time.Time, after time.Time) []time.Time {
	return slices.DeleteFunc(changes, func(c time.Time) bool { return !c.After(after) })
}

// close ends the track's incident. It is kept while somebody is still to hear of it.
func (s *step) close(t *Track, at time.Time) {
	i := t.Incident
	t.Incident = nil
	i.Phase, i.Resolved, i.Flapping = Resolved, at, false
	s.Closed[i.ID] = i
}

func (s *step) note(i *Incident, at time.Time, kind, text string) {
	s.out.Notes = append(s.out.Notes, Note{Incident: i.ID, At: at, Kind: kind, Text: text})
}
