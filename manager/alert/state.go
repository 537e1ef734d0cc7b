package alert

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Config is what people have set, as it is at a step.
type Config struct {
	Rules     []Rule
	Receivers []Recipient
	Silences  []Silence
	Windows   []Window
	Acks      map[string]Ack // by incident

	ProbeEvery time.Duration // between two looks at a status
	PollEvery  time.Duration // between two readings of everything else
}

// Recipient is a receiver as far as it matters who is told.
type Recipient struct {
	ID      string `json:"id"`
	Default bool   `json:"default"` // told of what rules without receivers find
	Enabled bool   `json:"enabled"`
}

func (c *Config) every(s Signal) time.Duration {
	if s == Status {
		return c.ProbeEvery
	}
	return c.PollEvery
}

// Key names what a rule watches.
type Key struct{ Rule, Subject string }

// Track is how it stands with a rule and a subject where not all has been well for long.
type Track struct {
	Rule     string      `json:"rule"`
	Subject  string      `json:"subject"`
	Holds    bool        `json:"holds"`
	Turned   time.Time   `json:"turned"`            // since when it holds, or does not
	Changes  []time.Time `json:"changes,omitempty"` // firings and resolutions within the rule's window
	Flapping bool        `json:"flapping,omitempty"`
	Incident *Incident   `json:"incident,omitempty"` // nil where there is none open
}

// Batch gathers what one receiver is told at once.
type Batch struct {
	Kind      NoticeKind `json:"kind"`
	Rule      string     `json:"rule"`
	Receiver  string     `json:"receiver"`
	Due       time.Time  `json:"due"`
	Incidents []string   `json:"incidents"`
}

// State is all that an evaluation needs of the past. Its times are on the engine's own clock (see [State.Tick]).
type State struct {
	Cursor  int64 // the last event that was taken in
	Clock   time.Time
	Wall    time.Time // what the machine's clock said when Clock was
	Serial  int64     // incidents so far, so that two of the same moment are two
	Tracks  map[Key]*Track
	Batches map[string]*Batch
	Closed  map[string]*Incident // resolved, and somebody is still to hear of it

	suspects map[Key]string // what the last look at everything saw, and events did not tell
	subjects map[string]Reading
}

// NewState is the state of somebody who knows nothing.
func NewState() *State {
	return &State{Tracks: map[Key]*Track{}, Batches: map[string]*Batch{}, Closed: map[string]*Incident{}, suspects: map[Key]string{}, subjects: map[string]Reading{}}
}

// The parts in which a state is kept.
const (
	partClock  = "clock"
	partTrack  = "track"
	partBatch  = "batch"
	partClosed = "closed"
)

// Part is a piece of a state as it is kept.
type Part struct{ Part, Key, Body string }

type clock struct {
	Cursor int64     `json:"cursor"`
	Clock  time.Time `json:"clock"`
	Wall   time.Time `json:"wall"`
	Serial int64     `json:"serial"`
}

// Parts writes the state down.
func (s *State) Parts() ([]Part, error) {
	var all []Part
	add := func(part, key string, v any) error {
		b, err := json.Marshal(v)
		all = append(all, Part{part, key, string(b)})
		return err
	}
	if err := add(partClock, "", clock{s.Cursor, s.Clock, s.Wall, s.Serial}); err != nil {
		return nil, err
	}
	for k, t := range s.Tracks {
		if err := add(partTrack, k.Rule+"/"+k.Subject, t); err != nil {
			return nil, err
		}
	}
	for k, b := range s.Batches {
		if err := add(partBatch, k, b); err != nil {
			return nil, err
		}
	}
	for k, i := range s.Closed {
		if err := add(partClosed, k, i); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// ReadState reads what [State.Parts] wrote.
func ReadState(parts []Part) (*State, error) {
	s := NewState()
	for _, p := range parts {
		var err error
		switch p.Part {
		case partClock:
			var c clock
			err = json.Unmarshal([]byte(p.Body), &c)
			s.Cursor, s.Clock, s.Wall, s.Serial = c.Cursor, c.Clock, c.Wall, c.Serial
		case partTrack:
			t := &Track{}
			err = json.Unmarshal([]byte(p.Body), t)
			s.Tracks[Key{t.Rule, t.Subject}] = t
		case partBatch:
			b := &Batch{}
			err = json.Unmarshal([]byte(p.Body), b)
			s.Batches[p.Key] = b
		case partClosed:
			i := &Incident{}
			err = json.Unmarshal([]byte(p.Body), i)
			s.Closed[p.Key] = i
		}
		if err != nil {
			return nil, fmt.Errorf("read %s %s of the state of alerts: %w", p.Part, p.Key, err)
		}
	}
	return s, nil
}

// Knows tells whether a subject was among what was last read.
func (s *State) Knows(subject string) bool {
	_, ok := s.subjects[subject]
	return ok
}

// Tick moves the engine's clock: by what passed on a clock that does not jump, and gently towards the machine's. A clock that
// jumps by an hour makes nothing an hour old at once.
func (s *State) Tick(passed time.Duration, wall time.Time) {
	wall = wall.UTC().Truncate(time.Millisecond)
	passed = max(passed, 0)
	switch {
	case s.Clock.IsZero():
		s.Clock = wall
	default:
		next := s.Clock.Add(passed)
		s.Clock = next.Add(min(max(wall.Sub(next), -passed/10), passed/10)).Truncate(time.Millisecond)
	}
	s.Wall = wall
}

// Place is the time of something that the machine's clocks dated, on the engine's: as long ago as they say, but not before the
// step before, because then it would have been known there, and not after now.
func (s *State) Place(dated, before time.Time) time.Time {
	at := s.Clock.Add(-max(s.Wall.Sub(dated), 0)).Truncate(time.Millisecond)
	if at.Before(before) {
		return before
	}
	return at
}

// open lists the tracks in a fixed order, so that the same input gives the same outcome.
func (s *State) open() []*Track {
	all := make([]*Track, 0, len(s.Tracks))
	for _, t := range s.Tracks {
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b *Track) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Subject, b.Subject))
	})
	return all
}
