package manager

import (
	"context"
	"time"

	"odcm"
	"odcm/kit/signal"
	"odcm/manager/access/roster"
)

const (
	// arriveWithin bounds how long a sign-in waits for its account. A server that does not take it by then does not answer, or
	// says itself what is wrong.
	arriveWithin = 5 * time.Second
	lookForIt    = 500 * time.Millisecond // where hints do not come: processes that share an SQLite file
)

// arrivals waits for the accounts of those who are at a server's door sooner than ODCM has brought them there: who signs in for
// the first time, or was let in a moment ago.
type arrivals struct {
	entered interface {
		EnteredOn(ctx context.Context, user odcm.UserID, instance odcm.InstanceID) ([]odcm.SpaceID, error)
	}
	known interface {
		Arrived(ctx context.Context, user odcm.UserID, spaces []odcm.SpaceID) (bool, error)
	}
	hints func() (hints <-chan string, end func())
	wake  func(space string)
}

func (m *Manager) arrivals() arrivals {
	return arrivals{m.access, m.roster, func() (<-chan string, func()) {
		s := m.bus.Subscribe("account")
		return s.C, s.Close
	}, m.reconciler.Wake}
}

// await returns when a Space of the server lets the person in or has refused the account, and at the latest after
// [arriveWithin].
func (a arrivals) await(ctx context.Context, user odcm.UserID, instance odcm.InstanceID) error {
	spaces, err := a.entered.EnteredOn(ctx, user, instance)
	if err != nil || len(spaces) == 0 {
		return err
	}
	if there, err := a.known.Arrived(ctx, user, spaces); there || err != nil {
		return err
	}
	hints, end := a.hints()
	defer end()
	topics := map[string]bool{signal.All: true}
	for _, id := range spaces {
		topics[roster.Topic(id)] = true
		a.wake(string(id))
	}
	limit, look := time.NewTimer(arriveWithin), time.NewTicker(lookForIt)
	defer limit.Stop()
	defer look.Stop()
	for {
		if there, err := a.known.Arrived(ctx, user, spaces); there || err != nil {
			return err
		}
		for heard := false; !heard; {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-limit.C:
				return nil
			case <-look.C:
				heard = true
			case topic, open := <-hints:
				if !open {
					hints = nil
				}
				heard = topics[topic]
			}
		}
	}
}
