package graph

import (
	"context"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"odcm"
)

const (
	// freshFor bounds how long the graph is answered from without looking whether anything happened. With the look itself
	// it stays below a second.
	freshFor = 500 * time.Millisecond
	// Beyond so many events, or after so long, reading everything is cheaper than following, and old events may be pruned.
	followAtMost = 5000
	followWithin = time.Hour
)

// Log is the log of events. kit/eventlog.Log is one.
type Log interface {
	Last(ctx context.Context) (odcm.EventID, error)
	Follow(ctx context.Context, after odcm.EventID) iter.Seq2[odcm.Event, error]
}

// Store reads what a graph is made of.
type Store interface {
	Everything(ctx context.Context) (Facts, error)
	// Some reads it of these users and groups only. Those who are not in the answer are no more, or may not sign in.
	Some(ctx context.Context, users []odcm.UserID, groups []odcm.GroupID) (Facts, error)
}

// Keeper keeps the graph of this moment. The log of events is what it follows: each change of a group, of a membership or
// of a user commits an event that names the group or the user (identifiers "group-…", "user-…") as its subject or in what it
// says of before and after, so a graph that stands at one event comes to a later one by reading again only what the events between them name.
type Keeper struct {
	log   Log
	store Store
	now   func() time.Time
	held  atomic.Pointer[held]
	hints atomic.Int64  // how many came
	turn  chan struct{} // who holds it looks
}

// NewKeeper makes a keeper. It reads nothing until it is asked.
func NewKeeper(log Log, store Store, now func() time.Time) *Keeper {
	return &Keeper{log: log, store: store, now: now, turn: make(chan struct{}, 1)}
}

// Hint makes the next [Keeper.Graph] look whether anything happened.
func (k *Keeper) Hint() { k.hints.Add(1) }

// held is a graph and how far it has looked.
type held struct {
	graph  *Graph
	seen   odcm.EventID // it has in it what this event and all before it changed
	looked time.Time
	hints  int64 // that had come before it looked
}

// Graph returns who is in which group. The same value is shared by all who ask until something changes. What this replica
// changed is in it; what another one did is within the time of a hint, and within a second where the hint was lost. Where
// the log cannot be read that long, it is an error: nobody is let in by a graph that may be wrong.
func (k *Keeper) Graph(ctx context.Context) (_ *Graph, err error) {
	if h := k.fresh(); h != nil {
		return h.graph, nil
	}
	defer odcm.Wrap(&err, "read the graph of groups")
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if h := k.fresh(); h != nil { // another one looked meanwhile
		return h.graph, nil
	}
	// Both before the look: a hint that comes while looking means to look again.
	started, hints := k.now(), k.hints.Load()
	h, err := k.look(ctx, k.held.Load(), started)
	if err != nil {
		return nil, err
	}
	h.looked, h.hints = started, hints
	k.held.Store(&h)
	return h.graph, nil
}

func (k *Keeper) fresh() *held {
	if h := k.held.Load(); h != nil && h.hints == k.hints.Load() && k.now().Sub(h.looked) < freshFor {
		return h
	}
	return nil
}

func (k *Keeper) look(ctx context.Context, h *held, now time.Time) (held, error) {
	last, err := k.log.Last(ctx)
	switch {
	case err != nil:
		return held{}, err
	case h != nil && h.seen == last:
		return *h, nil
	case h != nil && h.seen < last && last-h.seen <= followAtMost && now.Sub(h.looked) < followWithin:
		next, ok, err := k.follow(ctx, *h, last)
		if err != nil || ok {
			return next, err
		}
	}
	// Whatever commits after Last was read may be in the facts too. Its event comes later than last, and is looked at then.
	f, err := k.store.Everything(ctx)
	if err != nil {
		return held{}, err
	}
	return held{graph: Build(f, int64(last)), seen: last}, nil
}

// follow advances the graph to the event; false where it cannot.
func (k *Keeper) follow(ctx context.Context, h held, last odcm.EventID) (held, bool, error) {
	var n named
	for e, err := range k.log.Follow(ctx, h.seen) {
		if code := odcm.CodeOf(err); code == "event.pruned" || code == "event.unknown" {
			return held{}, false, nil
		} else if err != nil {
			return held{}, false, err
		}
		n.read(e)
		if h.seen = e.ID; e.ID >= last {
			break
		}
	}
	if len(n.users)+len(n.groups) == 0 {
		return h, true, nil
	}
	users, groups := slices.Sorted(maps.Keys(n.users)), slices.Sorted(maps.Keys(n.groups))
	f, err := k.store.Some(ctx, users, groups)
	if err != nil {
		return held{}, false, err
	}
	next, ok := h.graph.Advance(f, users, groups, int64(h.seen))
	h.graph = next
	return h, ok, nil
}

// named are the users and groups that events name.
type named struct {
	users  map[odcm.UserID]struct{}
	groups map[odcm.GroupID]struct{}
}

// read takes what the event is about, and all users and groups that an event of people and groups has in it, wherever: who
// merges two accounts names one as the subject and the other beside.
func (n *named) read(e odcm.Event) {
	// The two that are frequent and never change who is in what.
	if e.Type == "identity.signed-in" || e.Type == "identity.signed-out" {
		return
	}
	n.add(e.Subject)
	if !strings.HasPrefix(e.Type, "group.") && !strings.HasPrefix(e.Type, "identity.") {
		return
	}
	for _, raw := range []json.RawMessage{e.Before, e.After} {
		var v any
		if len(raw) > 0 && json.Unmarshal(raw, &v) == nil {
			n.search(v)
		}
	}
}

// search adds every text that looks like an identifier. One that is none is asked for in vain, which does no harm.
func (n *named) search(v any) {
	switch v := v.(type) {
	case string:
		n.add(v)
	case []any:
		for _, x := range v {
			n.search(x)
		}
	case map[string]any:
		for _, x := range v {
			n.search(x)
		}
	}
}

func (n *named) add(id string) {
	switch {
	case strings.HasPrefix(id, "user-"):
		if n.users == nil {
			n.users = map[odcm.UserID]struct{}{}
		}
		n.users[odcm.UserID(id)] = struct{}{}
	case strings.HasPrefix(id, "group-"):
		if n.groups == nil {
			n.groups = map[odcm.GroupID]struct{}{}
		}
		n.groups[odcm.GroupID(id)] = struct{}{}
	}
}

// Listed is how an event lists users and groups: who left in what was before, who came in what is after.
type Listed struct {
	Provider odcm.ProviderID `json:"provider,omitempty"`
	Users    []Ref           `json:"users,omitempty"`
	Groups   []Ref           `json:"groups,omitempty"`
}

// Ref is a user or a group in an event.
type Ref struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// Empty tells whether nobody is listed.
func (l Listed) Empty() bool { return len(l.Users)+len(l.Groups) == 0 }
