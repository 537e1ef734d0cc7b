package alert

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"time"
)

// plan decides for every incident who is to be told what, and when.
func (s *step) plan() {
	down := map[string]string{}
	for _, t := range s.Tracks {
		if i := t.Incident; i != nil && i.Kind == KindServer && i.Signal == Status && s.rules[t.Rule] != nil && s.rules[t.Rule].Is == "offline" {
			down[or(i.Labels["server"], i.Name)] = i.Name
		}
	}
	for _, t := range s.open() {
		if i := t.Incident; i != nil && i.Phase == Firing {
			s.hush(i, down)
			if i.Quiet == "" {
				s.tell(s.rules[t.Rule], i)
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.Closed)) {
		i := s.Closed[id]
		if i.Ended {
			continue
		}
		i.Ended = true
		for _, to := range i.Told {
			s.batch(Resolves, i, to, s.wait(i, i.Resolved))
		}
		if i.Quiet == "" && !i.Queued { // it came and went between two steps
			if s.hush(i, down); i.Quiet == "" {
				s.tell(s.rules[i.Rule], i)
			}
		}
	}
}

// hush says why an incident is not told of at this time.
func (s *step) hush(i *Incident, down map[string]string) {
	if ack, ok := s.config.Acks[i.ID]; ok && i.Acked != ack {
		i.Acked = ack
	}
	was := i.Quiet
	if i.Quiet = s.config.quiet(i, s.Wall, down); i.Quiet == was {
		return
	}
	if i.Quiet != "" {
		s.note(i, s.Clock, "quiet", "Nobody is told: "+i.Quiet+".")
	} else {
		s.note(i, s.Clock, "heard", "It is told of again.")
	}
}

// tell queues what is to be told of an incident that is heard.
func (s *step) tell(r *Rule, i *Incident) {
	if r == nil {
		return
	}
	to := s.config.live(r.Receivers)
	if len(r.Receivers) == 0 {
		to = s.config.defaults()
	}
	switch {
	case i.Flapping && !i.FlapTold && len(union(to, i.Told)) > 0:
		for _, id := range union(to, i.Told) {
			s.batch(Flaps, i, id, s.Clock)
		}
		i.Queued, i.FlapTold = true, true
	case !i.Queued && len(to) > 0:
		for _, id := range to {
			s.batch(Fires, i, id, s.wait(i, i.Fired))
		}
		i.Queued = true
	}
	if i.Phase != Firing || !i.Acked.At.IsZero() || i.FirstTold.IsZero() || i.Flapping {
		return
	}
	if r.EscalateAfter > 0 && !i.Escalated && !s.Clock.Before(i.FirstTold.Add(r.EscalateAfter)) {
		i.Escalated = true
		for _, id := range s.config.live(r.EscalateTo) {
			s.batch(Escalates, i, id, s.Clock)
		}
	}
	if r.RepeatEvery > 0 && !s.Clock.Before(i.LastTold.Add(r.RepeatEvery)) {
		i.LastTold = s.Clock
		for _, id := range s.config.live(i.Told) {
			s.batch(Reminds, i, id, s.Clock)
		}
	}
}

func union(a, b []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(a), b...))))
}

// live leaves out receivers that are gone or switched off.
func (c *Config) live(ids []string) (all []string) {
	for _, r := range c.Receivers {
		if r.Enabled && slices.Contains(ids, r.ID) {
			all = append(all, r.ID)
		}
	}
	return all
}

func (c *Config) defaults() (all []string) {
	for _, r := range c.Receivers {
		if r.Enabled && r.Default {
			all = append(all, r.ID)
		}
	}
	return all
}

// wait is when something that happened at a time is told: a while later, so that others may join, or now where that is over.
func (s *step) wait(i *Incident, at time.Time) time.Time {
	if r := s.rules[i.Rule]; r != nil {
		at = at.Add(r.GroupWait)
	}
	if at.Before(s.Clock) {
		return s.Clock
	}
	return at
}

// batch puts an incident with the others of its group.
func (s *step) batch(kind NoticeKind, i *Incident, receiver string, due time.Time) {
	parts := []string{string(kind), i.Rule, receiver}
	if r := s.rules[i.Rule]; r != nil {
		for _, name := range r.GroupBy {
			value := i.Labels[name]
			if value == "" { // what lacks the label has nothing in common
				value = i.Subject
			}
			parts = append(parts, value)
		}
	}
	k := digest("batch", parts...)
	b := s.Batches[k]
	if b == nil {
		b = &Batch{Kind: kind, Rule: i.Rule, Receiver: receiver, Due: due}
		s.Batches[k] = b
	}
	if !slices.Contains(b.Incidents, i.ID) {
		b.Incidents = append(b.Incidents, i.ID)
	}
}

// flush tells what is due.
func (s *step) flush() {
	byID := maps.Clone(s.Closed)
	for _, t := range s.Tracks {
		if t.Incident != nil {
			byID[t.Incident.ID] = t.Incident
		}
	}
	for _, k := range slices.Sorted(maps.Keys(s.Batches)) {
		b := s.Batches[k]
		if b.Due.After(s.Clock) {
			continue
		}
		delete(s.Batches, k)
		if len(s.config.live([]string{b.Receiver})) == 0 {
			continue // it is gone, or switched off
		}
		n := Notice{Kind: b.Kind, Receiver: b.Receiver, Rule: b.Rule, At: s.Clock}
		for _, id := range b.Incidents {
			if i := byID[id]; i != nil && s.due(b, i) {
				n.Incidents = append(n.Incidents, clone(i))
			}
		}
		if len(n.Incidents) == 0 {
			continue
		}
		n.ID = n.key()
		s.out.Notices = append(s.out.Notices, n)
	}
}

// due tells whether an incident is still to be told of, and remembers to whom it is.
func (s *step) due(b *Batch, i *Incident) bool {
	if b.Kind == Resolves {
		return true
	}
	switch {
	case i.Quiet != "":
		if b.Kind == Fires || b.Kind == Flaps { // told when it is heard again
			i.Queued, i.FlapTold = len(i.Told) > 0, false
		}
		return false
	case b.Kind == Fires && slices.Contains(i.Told, b.Receiver):
		return false
	case i.Phase == Resolved && (b.Kind == Reminds || b.Kind == Escalates):
		return false // too late; who was not told yet of a firing hears both at once
	}
	if !slices.Contains(i.Told, b.Receiver) {
		i.Told = append(i.Told, b.Receiver)
	}
	if i.FirstTold.IsZero() {
		i.FirstTold = s.Clock
	}
	if i.LastTold.Before(s.Clock) {
		i.LastTold = s.Clock
	}
	return true
}

// sweep drops what is over, says which incidents are different, and when something is due next.
func (s *step) sweep() {
	waits := map[string]bool{}
	next := func(at time.Time) {
		if at.After(s.Clock) && (s.out.Next.IsZero() || at.Before(s.out.Next)) {
			s.out.Next = at
		}
	}
	for _, b := range s.Batches {
		next(b.Due)
		for _, id := range b.Incidents {
			waits[id] = true
		}
	}
	s.out.Counts = map[Count]int{}
	for k, t := range s.Tracks {
		r, i := s.rules[t.Rule], t.Incident
		if i == nil {
			if t.Changes = recent(t.Changes, s.Clock.Add(-r.FlapWindow)); !t.Holds && len(t.Changes) == 0 {
				delete(s.Tracks, k)
			}
			continue
		}
		every := s.config.every(r.Signal)
		next(t.Turned.Add(r.hold(every)))
		next(t.Turned.Add(r.clear(every)))
		if t.Flapping {
			next(t.Turned.Add(r.FlapRest))
		}
		if i.Phase == Firing {
			s.out.Counts[Count{i.RuleName, i.Severity}]++
			if r.EscalateAfter > 0 && !i.FirstTold.IsZero() {
				next(i.FirstTold.Add(r.EscalateAfter))
			}
			if r.RepeatEvery > 0 && !i.LastTold.IsZero() {
				next(i.LastTold.Add(r.RepeatEvery))
			}
		}
		s.differs(i)
	}
	for _, id := range slices.Sorted(maps.Keys(s.Closed)) {
		s.differs(s.Closed[id])
		if !waits[id] {
			delete(s.Closed, id)
		}
	}
	slices.SortFunc(s.out.Incidents, func(a, b Incident) int { return cmp.Compare(a.ID, b.ID) })
}

func (s *step) differs(i *Incident) {
	if was, known := s.before[i.ID]; !known || !reflect.DeepEqual(was, clone(i)) {
		s.out.Incidents = append(s.out.Incidents, clone(i))
	}
}
