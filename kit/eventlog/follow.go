package eventlog

import (
	"context"
	"iter"
	"math/rand/v2"
	"time"

	"odcm"
	"odcm/kit/db"
)

const (
	// followBatch bounds what one query of a follower reads.
	followBatch = 500
	// followPoll bounds how late an event is seen whose hint was lost: a process died between commit and hint, another
	// process wrote to the same SQLite file, PostgreSQL was away.
	followPoll = time.Second
)

// Follow gives every committed event after the one named, once, in the order of commits, and blocks for more until the
// context ends or the caller breaks. An error is given once and ends it; a caller that can go on follows again after the
// last event that it saw. The code "event.pruned" says that events after the one named were deleted by [Log.Prune], and
// "event.unknown" that the log never came that far, as after a restore of an older backup: read the state anew and follow
// after [Log.Last]. Following after 0 starts with the oldest event that is still there.
func (l *Log) Follow(ctx context.Context, after odcm.EventID) iter.Seq2[odcm.Event, error] {
	return func(yield func(odcm.Event, error) bool) {
		if err := l.follow(ctx, after, func(e odcm.Event) bool { return yield(e, nil) }); err != nil {
			odcm.Wrap(&err, "follow events")
			yield(odcm.Event{}, err)
		}
	}
}

func (l *Log) follow(ctx context.Context, after odcm.EventID, yield func(odcm.Event) bool) error {
	subscription := l.bus.Subscribe(Topic) // before the first look, so that nothing falls between
	defer subscription.Close()
	hints := subscription.C
	last, err := l.Last(ctx)
	if err != nil {
		return err
	}
	if after > last {
		return odcm.E(odcm.Conflict, "event.unknown", "event %d is not in the log, which ends at %d: follow anew", after, last)
	}
	for {
		events, err := db.Collect(ctx, l.d.Read(), scan,
			"SELECT id, "+columns+" FROM event WHERE id > $1 ORDER BY id LIMIT $2", int64(after), followBatch)
		if err != nil {
			return err
		}
		for _, e := range events {
			if after > 0 && e.ID != after+1 { // identifiers have no gaps but those that Prune makes
				return odcm.E(odcm.Conflict, "event.pruned", "events after %d are no longer kept: follow anew", after)
			}
			if !yield(e) {
				return nil
			}
			after = e.ID
		}
		if len(events) == followBatch {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case _, open := <-hints:
			if !open {
				hints = nil // the bus was closed: go on by looking
			}
		case <-time.After(followPoll + rand.N(followPoll/10)):
		}
	}
}
