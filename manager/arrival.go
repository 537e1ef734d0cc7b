package manager

import (
	"context"
	"time"

	"odcm"
	"odcm/manager/access"
)

const (
	// arriveWithin bounds how long a sign-in waits for its account. A server that does not take it by then does not answer, or
	// says itself what is wrong.
	arriveWithin = 5 * time.Second
	lookForIt    = 50 * time.Millisecond
)

// awaitArrival waits until a Space of the server has acknowledged the person, or has refused him. Whoever signs in for the first
// time, or was let in a moment ago, is at the server's door sooner than his account.
func (m *Manager) awaitArrival(ctx context.Context, user odcm.UserID, instance odcm.InstanceID) error {
	spaces, err := m.access.EnteredOn(ctx, user, instance)
	if err != nil {
		return err
	}
	if there, err := m.arrived(ctx, user, spaces); there || err != nil {
		return err
	}
	for _, id := range spaces {
		m.reconciler.Wake(string(id))
	}
	limit := time.NewTimer(arriveWithin)
	defer limit.Stop()
	look := time.NewTicker(lookForIt) // another replica may be the one that brings him
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-limit.C:
			return nil
		case <-look.C:
			if there, err := m.arrived(ctx, user, spaces); there || err != nil {
				return err
			}
		}
	}
}

func (m *Manager) arrived(ctx context.Context, user odcm.UserID, spaces []odcm.SpaceID) (bool, error) {
	for _, id := range spaces {
		known, err := m.push.Arrivals(ctx, id, []odcm.UserID{user})
		if err != nil {
			return false, err
		}
		if a, ok := known[user]; ok && a.State != access.Pending {
			return true, nil
		}
	}
	return false, nil
}
