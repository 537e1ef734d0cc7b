package access

import (
	"context"
	"encoding/json"
	"iter"
	"time"

	"odcm"
)

// Events is the log of all that was committed. kit/eventlog has one.
type Events interface {
	Last(ctx context.Context) (odcm.EventID, error)
	Follow(ctx context.Context, after odcm.EventID) iter.Seq2[odcm.Event, error]
}

// followAgain is how long to wait where the log cannot be read.
const followAgain = 5 * time.Second

// FollowPeople names, to those who listen to [Service.Changed], the Spaces that somebody may enter whose name or address
// changed: their servers have the old one. It follows until ctx ends. What it misses where the log cannot be read, the slow
// look at everything finds.
func (s *Service) FollowPeople(ctx context.Context, log Events) error {
	for {
		s.try(ctx, "follow people", func(ctx context.Context) error { return s.followPeople(ctx, log) })
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(followAgain):
		}
	}
}

func (s *Service) followPeople(ctx context.Context, log Events) error {
	after, err := log.Last(ctx)
	if err != nil {
		return err
	}
	for e, err := range log.Follow(ctx, after) {
		if err != nil {
			return err
		}
		if renames(e) {
			s.tell(s.index.Load().reach(odcm.UserID(e.Subject)))
		}
	}
	return ctx.Err()
}

// renames tells whether an event of the identity room may change what servers are told of a person.
func renames(e odcm.Event) bool {
	switch e.Type {
	case "identity.email-added", "identity.email-removed", "identity.email-chosen", "identity.email-verified", "identity.linked",
		"identity.unlinked", "identity.users-merged":
		return true
	case "identity.user-updated": // by far the most of them are about roles, or let in and out, which the graph tells
		var before, after struct {
			Username    string `json:"username"`
			DisplayName string `json:"displayName"`
		}
		return json.Unmarshal(e.Before, &before) != nil || json.Unmarshal(e.After, &after) != nil || before != after
	}
	return false
}
