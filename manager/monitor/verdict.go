package monitor

import (
	"context"
	"errors"
	"slices"
	"time"

	"odcm"
)

// Vantage is another place from which a server can be looked at, as an agent.
type Vantage interface {
	Name() string
	// Ping asks as [Prober] does. An error of kind Unavailable means that the server does not answer there; any other, that the
	// vantage point cannot tell.
	Ping(ctx context.Context, t Target) (Pong, error)
}

// Vantages lists the vantage points that are there now, beside this replica and the other ones.
type Vantages interface{ Vantages() []Vantage }

// verdict is what vantage points say of a target that does not answer here. nil is that of nobody else.
type verdict struct {
	here     string
	up, down []string // other vantage points, sorted
}

// reachable tells that half of the vantage points or more reach the server: it is not down.
func (v *verdict) reachable() bool { return v != nil && len(v.up) > 0 && len(v.up) >= len(v.down)+1 }

// partial says whose network is down.
func (v *verdict) partial() string {
	s := v.here
	if len(v.down) > 0 {
		s += " and " + list(v.down)
	}
	return s + " cannot reach the server; " + list(v.up) + " can: the network between is at fault, not the Space."
}

// confirmed says who else finds the server down.
func (v *verdict) confirmed() string {
	switch {
	case v == nil || len(v.down) == 0 && len(v.up) == 0:
		return ""
	case len(v.up) == 0:
		return " Neither " + v.here + " nor " + list(v.down) + " can reach it."
	}
	return " " + v.here + " and " + list(v.down) + " cannot reach it; " + list(v.up) + " can."
}

// ballotFor bounds how long a verdict waits for the others.
const ballotFor = 2 * time.Second

// again is how often the others are asked again while a server stays down.
const again = time.Minute

// judgement asks the other vantage points about a target that does not answer. While it stays offline they are asked now
// and then only: it may be back for all but this replica.
func (s *Service) judgement(ctx context.Context, w *watch) *verdict {
	if s.quorum == nil && s.o.Vantages == nil {
		return nil
	}
	now := time.Since(s.origin)
	if w.last.status == Offline && w.asked > 0 && now-w.asked < again {
		return w.verdict
	}
	w.asked = now
	ctx, cancel := context.WithTimeout(ctx, ballotFor)
	defer cancel()
	votes := make(chan vote)
	waiting := 0
	if s.quorum != nil {
		waiting++
		go s.quorum.ask(ctx, w.target.Instance, votes)
	}
	if s.o.Vantages != nil {
		for _, v := range s.o.Vantages.Vantages() {
			waiting++
			go func() {
				_, err := v.Ping(ctx, w.target)
				one := vote{name: v.Name(), up: err == nil}
				one.unsure = err != nil && (ctx.Err() != nil || !unreachable(err))
				deliver(ctx, votes, one, vote{done: true})
			}()
		}
	}
	v := &verdict{here: s.o.Replica}
	for waiting > 0 {
		select {
		case <-ctx.Done(): // those who answered decide
			waiting = 0
		case one := <-votes:
			switch {
			case one.done:
				waiting--
			case one.unsure:
			case one.up:
				v.up = append(v.up, one.name)
			default:
				v.down = append(v.down, one.name)
			}
		}
	}
	slices.Sort(v.up)
	slices.Sort(v.down)
	return v
}

// vote is what one vantage point says, or that no more will come from there.
type vote struct {
	name       string
	up, unsure bool
	done       bool
}

func deliver(ctx context.Context, to chan<- vote, votes ...vote) {
	for _, v := range votes {
		select {
		case to <- v:
		case <-ctx.Done():
			return
		}
	}
}

// unreachable tells that the error is about the server and not about who asks.
func unreachable(err error) bool {
	return odcm.KindOf(err) == odcm.Unavailable || errors.Is(err, context.DeadlineExceeded)
}
