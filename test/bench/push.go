package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/egress"
	"odcm/kit/eventlog"
	"odcm/kit/reconcile"
	"odcm/kit/signal"
	"odcm/manager/access"
	"odcm/manager/access/accessoctopus"
	"odcm/manager/access/accesssql"
	"odcm/manager/access/accesstest"
	"odcm/manager/access/push"
	"odcm/manager/access/roster"
	"odcm/octopus"
	"odcm/octopus/octoclient"
)

// push measures how long it takes until every Space has what a change of one membership means there: real Space servers with
// their databases in this process, asked over HTTP, ODCM's own records in a database on disk, and the reconciler between.
func (b *bench) push(users, groups, spaces int) (err error) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	dir, err := os.MkdirTemp("", "odcm-bench-push-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c, stop, err := newCompany(ctx, dir, users, groups, spaces)
	defer stop()
	if err != nil {
		return err
	}
	keys := make([]string, spaces)
	for i := range keys {
		keys[i] = fmt.Sprintf("space-s%d", i)
	}
	reconciler := reconcile.New(reconcile.Options{Keys: func(context.Context) ([]string, error) { return keys, nil }, Resync: time.Hour}, c.push)
	began := time.Now()
	running.Go(func() { _ = reconciler.Run(ctx) })
	running.Go(func() {
		for id := range c.service.Changed(ctx) {
			c.push.Touched(time.Now(), id)
			reconciler.Wake(string(id))
		}
	})
	everybody := c.entrants(keys)
	if err := c.arrive(ctx, keys); err != nil {
		return err
	}
	b.notes = append(b.notes, fmt.Sprintf("Pushing %d people in %d nested groups to %d Spaces for the first time, %d accounts in all, took %.0f s.",
		users, groups, spaces, everybody, time.Since(began).Seconds()))

	for _, change := range []struct {
		what string
		do   func(user odcm.UserID)
		bare func(ctx context.Context) (float64, error)
	}{
		{"One leaves a group and loses", func(user odcm.UserID) { c.world.Join(user, c.inner, false) }, c.shut},
		{"One joins a group and enters", func(user odcm.UserID) { c.world.Join(user, c.inner, true) }, c.open},
	} {
		var control, median50, last []float64
		for round := range min(b.rounds, inside) {
			bare, err := change.bare(ctx)
			if err != nil {
				return err
			}
			user := c.users[round]
			lags, err := c.timed(ctx, keys, user, func() { change.do(user) })
			if err != nil {
				return err
			}
			control, median50, last = append(control, bare), append(median50, lags[len(lags)/2]), append(last, lags[len(lags)-1])
		}
		bare, took := median(control), median(last)
		b.add(result{fmt.Sprintf("%s %d Spaces, until the last has it", change.what, spaces), fmt.Sprintf("%.2f s", bare), fmt.Sprintf("%.2f s", took),
			took / bare, "≤ 3", took/bare <= 3})
		b.say("%s %d Spaces: half of them have acknowledged it after %.2f s, the slowest round's last after %.2f s.", change.what, spaces, median(median50), slices.Max(last))
	}
	lags, err := c.timed(ctx, keys, c.users[0], func() { c.world.Disable(c.users[0]) })
	if err != nil {
		return err
	}
	b.say("One person who is disabled loses all %d Spaces: acknowledged after %.2f s (median) and %.2f s (the last Space).", spaces, lags[len(lags)/2], lags[len(lags)-1])
	if err := b.returns(ctx, c, keys); err != nil {
		return err
	}
	return b.byHand(ctx, c, func() { reconciler.Wake(keys[1]) })
}

func (b *bench) say(format string, args ...any) {
	note := fmt.Sprintf(format, args...)
	log.Print(note)
	b.notes = append(b.notes, note)
}

// timed makes a change about a person and says how long each Space took to acknowledge it, in order.
func (c *company) timed(ctx context.Context, keys []string, user odcm.UserID, change func()) ([]float64, error) {
	began := time.Now()
	change()
	if err := c.service.Refresh(ctx); err != nil {
		return nil, err
	}
	lags, err := c.lags(ctx, keys, user, began)
	slices.Sort(lags)
	return lags, err
}

// returns has a Space miss a change, and come back.
func (b *bench) returns(ctx context.Context, c *company, keys []string) error {
	if err := c.servers[0].server.Stop(ctx); err != nil {
		return err
	}
	user := c.users[1]
	missed := time.Now()
	if _, err := c.timed(ctx, keys[1:], user, func() { c.world.Join(user, c.inner, false) }); err != nil {
		return err
	}
	time.Sleep(5 * time.Second) // long enough for some tries in vain
	back := time.Now()
	if err := c.servers[0].start(ctx); err != nil {
		return err
	}
	lags, err := c.lags(ctx, keys[:1], user, missed)
	if err != nil {
		return err
	}
	b.say("A Space that was offline for %.0f s while somebody lost it had that %.2f s after it was back, by ODCM's own tries.",
		back.Sub(missed).Seconds(), lags[0]-back.Sub(missed).Seconds())
	return nil
}

// byHand takes a member out of a team on a server, of which ODCM is told as the server's webhook would.
func (b *bench) byHand(ctx context.Context, c *company, told func()) error {
	s := c.servers[1]
	accounts, err := c.store.Accounts(ctx, "instance-1")
	if err != nil {
		return err
	}
	at := slices.IndexFunc(accounts, func(a roster.Account) bool { return a.Person == c.users[2] })
	if at < 0 {
		return fmt.Errorf("%s has no account", c.users[2])
	}
	account := accounts[at].ID
	members := func(then func([]string) []string) error {
		_, err := s.client.Update(ctx, s.team, func(t *octopus.Object) error {
			t.Set("MemberUserIds", then(t.Texts("MemberUserIds")))
			return nil
		})
		return err
	}
	if err := members(func(ids []string) []string {
		return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return id == account })
	}); err != nil {
		return err
	}
	began := time.Now()
	told()
	for time.Since(began) < time.Minute {
		team, err := s.client.Get(ctx, s.team)
		if err != nil {
			return err
		}
		if slices.Contains(team.Texts("MemberUserIds"), account) {
			b.say("A member whom somebody took out of a team by hand was in it again %.0f ms after the server told of it.", float64(time.Since(began).Microseconds())/1000)
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("the team that was changed by hand is left so")
}

// company is a world of people with groups three deep, and real servers.
type company struct {
	world   *accesstest.World
	service *access.Service
	store   *accesssql.Pushes
	push    *push.Push
	users   []odcm.UserID
	servers []*running
	inner   odcm.GroupID // the innermost of three groups; the outermost may enter everywhere and is mapped to a team
}

// inside is how many people enter everywhere.
const inside = 20

func newCompany(ctx context.Context, dir string, users, groups, spaces int) (c *company, stop func(), err error) {
	var stops []func()
	stop = func() {
		for _, f := range slices.Backward(stops) {
			f()
		}
	}
	c = &company{world: accesstest.NewWorld()}
	name := func(i int) string { return fmt.Sprintf("p%d", i) }
	for i := range users {
		c.world.AddPeople(name(i))
		c.users = append(c.users, odcm.UserID("user-"+name(i)))
	}
	// Twenty people, three deep, enter everywhere; each other group holds its share of the rest, and goes into one above it.
	var inner []string
	for i := range inside {
		inner = append(inner, name(i))
	}
	c.world.AddGroup("inner", inner...)
	c.world.AddGroup("middle", "inner")
	c.world.AddGroup("outer", "middle")
	c.inner = "group-inner"
	for g := range groups - 3 {
		var members []string
		for i := inside + g; i < users; i += groups - 3 {
			members = append(members, name(i))
		}
		c.world.AddGroup(fmt.Sprintf("g%d", g), members...)
		if g > 0 {
			c.world.Nest(odcm.GroupID(fmt.Sprintf("group-g%d", g)), odcm.GroupID(fmt.Sprintf("group-g%d", (g-1)/2)), (g-1)/2 > groups/4)
		}
	}
	grants := accesstest.NewMemory()
	clients := map[odcm.InstanceID]*octoclient.Client{}
	guard, budgets := egress.New(egress.Policy{}, egress.Limits{}), octoclient.NewBudgets(octoclient.Limits{})
	for i := range spaces {
		s := &running{data: filepath.Join(dir, name(i)), listen: "127.0.0.1:0"}
		if err := s.start(ctx); err != nil {
			return nil, stop, err
		}
		stops = append(stops, func() { _ = s.server.Stop(context.Background()) })
		client, err := octoclient.New(octoclient.Options{URL: s.server.URL(), APIKey: "API-BENCH", Guard: guard, Budgets: budgets})
		if err != nil {
			return nil, stop, err
		}
		s.client = client
		c.servers = append(c.servers, s)
		instance := fmt.Sprintf("instance-%d", i)
		clients[odcm.InstanceID(instance)] = client
		body, err := octopus.NewObject(map[string]any{"Name": "Developers", "SpaceId": "Spaces-1", "MemberUserIds": []string{}})
		if err != nil {
			return nil, stop, err
		}
		team, err := client.Post(ctx, "/api/teams", body)
		if err != nil {
			return nil, stop, err
		}
		s.team = octopus.Route("teams", team.ID())
		if err := s.control(ctx); err != nil {
			return nil, stop, err
		}
		place := access.Team{ID: team.ID(), Name: "Developers"}
		c.world.AddPlace(fmt.Sprintf("s%d", i), instance, place)
		space := odcm.SpaceID(fmt.Sprintf("space-s%d", i))
		for _, g := range []string{"group-outer", fmt.Sprintf("group-g%d", i)} {
			grant := access.Grant{ID: fmt.Sprintf("grant-%d-%s", i, g), Space: space, Holder: access.Holder{Group: odcm.GroupID(g)}}
			if err := grants.PutGrant(ctx, grant, odcm.Event{}); err != nil {
				return nil, stop, err
			}
		}
		if err := grants.Map(ctx, space, place, "group-outer", odcm.Event{}); err != nil {
			return nil, stop, err
		}
	}
	if c.service, err = access.New(ctx, c.world.Options(grants, nil)); err != nil {
		return nil, stop, err
	}
	d, err := db.Open(ctx, "sqlite:"+filepath.Join(dir, "odcm.db"), db.Options{})
	if err != nil {
		return nil, stop, err
	}
	stops = append(stops, func() { _ = d.Close() })
	bus, err := signal.New(ctx, d)
	if err != nil {
		return nil, stop, err
	}
	stops = append(stops, bus.Close)
	events, err := eventlog.New(ctx, d, bus)
	if err != nil {
		return nil, stop, err
	}
	if c.store, err = accesssql.NewPushes(ctx, d, events); err != nil {
		return nil, stop, err
	}
	servers := accessoctopus.New(func(_ context.Context, id odcm.InstanceID) (*octoclient.Client, error) { return clients[id], nil }, c.world)
	people := roster.New(roster.Options{People: c.world, Places: c.world, Store: c.store, Servers: servers, Gate: c.service})
	c.push = push.New(push.Options{Gate: c.service, Roster: people, Desires: c.service, People: c.world, Places: c.world, Store: c.store, Servers: servers, Slots: okta{}})
	return c, stop, nil
}

// okta says that all servers know people of ODCM by the slot of Okta.
type okta struct{}

func (okta) Slot(context.Context, odcm.InstanceID) (push.Slot, bool, error) {
	return push.Slot{Provider: "Okta"}, true, nil
}

func (c *company) entrants(keys []string) (n int) {
	for _, key := range keys {
		ids, _ := c.service.Entrants(context.Background(), odcm.SpaceID(key))
		n += len(ids)
	}
	return n
}

// arrive waits until every Space has all that is wished.
func (c *company) arrive(ctx context.Context, keys []string) error {
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		open := 0
		for _, key := range keys {
			state, err := c.store.PushOf(ctx, odcm.SpaceID(key))
			if err != nil {
				return err
			}
			if state.Revision == 0 || !state.InSync() {
				open++
			}
		}
		if open == 0 {
			return nil
		}
		if time.Since(began) > 15*time.Minute {
			return fmt.Errorf("%d Spaces do not have what is wished", open)
		}
	}
}

// lags waits until every Space has acknowledged the change about the person, and says how long each took.
func (c *company) lags(ctx context.Context, keys []string, person odcm.UserID, since time.Time) (seconds []float64, err error) {
	since = since.Truncate(time.Millisecond)
	for _, key := range keys {
		for {
			rows, err := c.store.Acknowledgements(ctx, odcm.SpaceID(key), []odcm.UserID{person})
			if err != nil {
				return nil, err
			}
			if len(rows) == 1 && rows[0].State == access.Applied && !rows[0].Since.Before(since) {
				seconds = append(seconds, rows[0].Applied.Sub(since).Seconds())
				break
			}
			if time.Since(since) > 5*time.Minute {
				return nil, fmt.Errorf("%s has not acknowledged the change: %+v", key, rows)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	return seconds, nil
}
