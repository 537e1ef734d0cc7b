package test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"odcm/api"
	"odcm/apiclient"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
)

// story is something that people ask for and that takes several steps. Wherever it is cut off, it is either as if it had
// never been asked for or as if nothing had happened.
type story struct {
	name     string
	kind     string // of its task
	enlist   bool   // a server of somebody else is enlisted; else a Space is created
	cancelAt int    // before the step that begins at this moment somebody cancels, unless it is zero
}

var stories = []story{
	{name: "create", kind: "space.create"},
	{name: "create and cancel", kind: "space.create", cancelAt: 4},
	{name: "create and cancel late", kind: "space.create", cancelAt: 10},
	{name: "enlist", kind: "space.enlist", enlist: true},
	{name: "enlist and cancel", kind: "space.enlist", enlist: true, cancelAt: 4},
	{name: "enlist and cancel late", kind: "space.enlist", enlist: true, cancelAt: 8},
}

// TestKilledAtEveryStep asks for a Space, kills manager and agent at a step, starts them again and looks at what there is;
// and so on for each step that the same story had when nobody disturbed it.
func TestKilledAtEveryStep(t *testing.T) {
	if testing.Short() {
		t.Skip("starts about a hundred processes")
	}
	t.Parallel()
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			moments := s.undisturbed(t)
			for i, at := range moments {
				t.Run(at.String(), func(t *testing.T) {
					t.Parallel()
					s.killedAt(t, i, "")
				})
			}
			for _, i := range []int{0, len(moments) - 1} {
				t.Run("PostgreSQL, "+moments[i].String(), func(t *testing.T) {
					t.Parallel()
					s.killedAt(t, i, dbtest.PostgreSQL(t))
				})
			}
		})
	}
}

// undisturbed tells the story to its end and returns the moments that it passed.
func (s story) undisturbed(t *testing.T) (moments []moment) {
	t.Helper()
	p := newPlace(t, s, "", false)
	p.start()
	p.ask()
	moments = p.tellOn(0)
	p.settles()
	if len(moments) < 10 {
		t.Errorf("only %d moments: %v", len(moments), moments)
	}
	return moments
}

// killedAt tells the story up to the moment of that number, kills everything, and looks at what comes of it.
func (s story) killedAt(t *testing.T, number int, database string) {
	t.Helper()
	p := newPlace(t, s, database, false)
	p.start()
	p.ask()
	p.tellUpTo(number)
	p.manager.kill()

	p.houses.Stepping = false
	p.start()
	p.settles()
}

// TestKilledApart kills the manager while its agent lives, and the agent while its manager lives, wherever a created
// Space's task has to do with the agent.
func TestKilledApart(t *testing.T) {
	if testing.Short() {
		t.Skip("starts some fifty processes")
	}
	t.Parallel()
	for _, c := range []struct {
		story    story
		from, to int
	}{{stories[0], 2, 6}, {stories[1], 4, 8}} {
		for number := c.from; number < c.to; number++ {
			t.Run(fmt.Sprintf("%s, the manager at moment %d", c.story.name, number), func(t *testing.T) {
				t.Parallel()
				p := newPlace(t, c.story, "", true)
				p.start()
				p.ask()
				p.tellUpTo(number)
				p.manager.kill()
				p.houses.Stepping = false
				p.start()
				p.settles()
			})
			t.Run(fmt.Sprintf("%s, the agent at moment %d", c.story.name, number), func(t *testing.T) {
				t.Parallel()
				p := newPlace(t, c.story, "", true)
				p.start()
				p.ask()
				p.tellUpTo(number)
				p.agent.kill()
				p.startAgent()
				p.tellOn(number)
				p.settles()
			})
		}
	}
}

// place is where one telling of a story happens: a folder, perhaps a database, and somebody else's server.
type place struct {
	t       testing.TB
	story   story
	houses  houses
	manager *house
	agent   *house // nil where the manager's process is also the agent's
	between *forwarder
	token   string
	theirs  *theirServer // nil unless one is enlisted
	before  string       // what their server was like
	asked   string       // task
}

// newPlace makes a place, where the agent lives apart or with the manager.
func newPlace(t testing.TB, s story, database string, apart bool) *place {
	t.Helper()
	dir := t.TempDir()
	p := &place{t: t, story: s, houses: houses{Data: filepath.Join(dir, "odcm"), Database: database, Manager: true, Agent: !apart,
		Executable: launcher(t, dir), Stepping: true, StopInstances: true}}
	if s.enlist {
		p.theirs = newTheirServer(t)
		p.before = p.theirs.state(t)
	}
	if apart {
		p.between = newForwarder(t)
	}
	t.Cleanup(func() { endAll(t, dir) })
	return p
}

// start starts the manager, and an agent that is to live apart unless it lives already.
func (p *place) start() {
	p.t.Helper()
	p.manager = p.houses.start(p.t)
	if p.between == nil {
		return
	}
	p.between.to(p.manager.Agents)
	if p.agent == nil {
		made, err := p.manager.client().CreateEnrolmentToken(p.t.Context(), api.NewEnrolmentToken{})
		if err != nil {
			p.t.Fatal(err)
		}
		p.token = made.Token
		p.startAgent()
	}
}

func (p *place) startAgent() {
	p.t.Helper()
	p.agent = houses{Data: p.houses.Data, Agent: true, ManagerAddress: p.between.address(), Token: p.token,
		Executable: p.houses.Executable, StopInstances: true}.start(p.t)
}

// stop ends the manager and then its agent, with the instances.
func (p *place) stop() {
	p.t.Helper()
	p.manager.stop()
	if p.agent != nil {
		p.agent.stop()
	}
}

// launcher is a small file in place of the product's executable, of which each agent keeps a copy.
func launcher(t testing.TB, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "launcher")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nexec '"+build(t)+"' \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func (h *house) client() *apiclient.Client {
	h.t.Helper()
	c, err := apiclient.New(apiclient.Options{URL: h.URL, APIKey: adminKey})
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// ask begins the story: from the answer on, what was asked for must not get lost.
func (p *place) ask() {
	p.t.Helper()
	ctx, c := p.t.Context(), p.manager.client()
	if p.story.enlist {
		e, err := c.Enlist(ctx, api.Enlistment{Connection: api.Connection{URL: p.theirs.url, APIKey: theirKey},
			Spaces: []api.EnlistedSpace{{OctopusSpace: "Spaces-1", Name: "Shipping"}}}, "once")
		if err != nil {
			p.t.Fatal(err)
		}
		p.asked = e.Task
		return
	}
	awaitRoom(p.t, c)
	sp, err := c.CreateSpace(ctx, api.NewSpace{Name: "Shipping"}, "once")
	if err != nil {
		p.t.Fatal(err)
	}
	p.asked = sp.Task
}

// awaitRoom waits until the agent has told what it can run.
func awaitRoom(t testing.TB, c *apiclient.Client) {
	t.Helper()
	until(t, "a server has room", func() bool {
		servers, err := apiclient.Collect(c.Servers(t.Context()), 0)
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(servers, func(s api.Server) bool { return s.Online && s.Room > 0 && len(s.Versions) > 0 })
	})
}

// tellUpTo lets the task go on up to the moment of that number, at which it stays.
func (p *place) tellUpTo(number int) {
	p.t.Helper()
	for i := range number {
		p.manager.next()
		p.pass(i)
	}
	p.manager.next()
}

// tellOn lets the task go on from the moment of that number to its end, and returns the moments on the way. At number 0
// the task has not begun yet; at any other it is there already.
func (p *place) tellOn(number int) (moments []moment) {
	p.t.Helper()
	if number > 0 {
		p.pass(number)
		number++
	}
	for ; ; number++ {
		m := p.manager.next()
		p.pass(number)
		moments = append(moments, m)
		if m.Step == "" && m.After {
			return moments
		}
	}
}

// pass lets the task go on from the moment of that number, at which somebody may cancel.
func (p *place) pass(number int) {
	p.t.Helper()
	if number == p.story.cancelAt && number > 0 {
		if err := p.manager.client().CancelTask(p.t.Context(), p.asked); err != nil {
			p.t.Fatal(err)
		}
	}
	p.manager.goOn()
}

// settles waits until the task has ended, looks at everything that it may have touched, and ends what runs.
func (p *place) settles() {
	t := p.t
	t.Helper()
	c := p.manager.client()
	canceled := p.story.cancelAt > 0 && p.wasCanceled(c)
	task := p.ends(c)
	want := "succeeded"
	if canceled {
		want = "canceled"
	}
	if task.State != want {
		t.Errorf("the task %s: %+v", task.State, task.Error)
	}
	if canceled {
		p.isGone(c)
	} else {
		p.isThere(c)
	}
	p.stop()
	if left := spaceServersIn(t, p.houses.Data); len(left) > 0 {
		t.Errorf("the processes %v are left", left)
	}
	p.rows(canceled)
}

// wasCanceled tells whether somebody had come to cancel.
func (p *place) wasCanceled(c *apiclient.Client) bool {
	p.t.Helper()
	task, err := c.Task(p.t.Context(), p.asked)
	if err != nil {
		p.t.Fatal(err)
	}
	return task.CanceledBy != ""
}

// ends waits for the task's end.
func (p *place) ends(c *apiclient.Client) (task api.TaskDetail) {
	p.t.Helper()
	until(p.t, "the task has ended", func() bool {
		var err error
		if task, err = c.Task(p.t.Context(), p.asked); err != nil {
			p.t.Fatal(err)
		}
		return task.Ended != nil
	})
	return task
}

// isThere looks for one Space that answers, and for nothing beside it.
func (p *place) isThere(c *apiclient.Client) {
	t := p.t
	t.Helper()
	spaces, err := apiclient.Collect(c.Spaces(t.Context(), apiclient.SpaceFilter{}), 0)
	if err != nil || len(spaces) != 1 || spaces[0].State != "active" || spaces[0].Name != "Shipping" {
		t.Fatalf("Spaces %+v, %v", spaces, err)
	}
	instances := 1
	if p.story.enlist {
		instances = 0
		until(t, "the subscription is there", func() bool { return p.theirs.subscriptions(t) == 1 })
	}
	until(t, "each instance runs", func() bool {
		running := 0
		for _, i := range p.instances(c) {
			if i.Desired != "running" {
				t.Fatalf("instance %+v", i)
			}
			if i.State == "running" {
				running++
			}
		}
		return running == instances
	})
	if pids := spaceServersIn(t, p.houses.Data); len(pids) != instances {
		t.Errorf("the processes %v run for %d instances", pids, instances)
	}
	until(t, "the Space answers", func() bool {
		sp, err := c.Space(t.Context(), spaces[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.Get(sp.URL + "/api")
		if err != nil {
			return false // its instance may just have been started again
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

// isGone looks for anything that was left.
func (p *place) isGone(c *apiclient.Client) {
	t := p.t
	t.Helper()
	spaces, err := apiclient.Collect(c.Spaces(t.Context(), apiclient.SpaceFilter{}), 0)
	if err != nil || len(spaces) != 0 {
		t.Errorf("Spaces %+v, %v", spaces, err)
	}
	if p.story.enlist {
		if n := p.theirs.subscriptions(t); n != 0 {
			t.Errorf("%d subscriptions are left on the server", n)
		}
		if after := p.theirs.state(t); after != p.before {
			t.Errorf("the server is left as\n%s\nand was\n%s", after, p.before)
		}
		return
	}
	until(t, "no instance is left", func() bool {
		return !slices.ContainsFunc(p.instances(c), func(i api.ServerInstance) bool {
			if i.Desired != "removed" {
				t.Fatalf("instance %+v", i)
			}
			return i.State != "removed"
		})
	})
	until(t, "no folder is left", func() bool {
		for _, of := range []string{"instances", "retired", "trash"} {
			folders, err := os.ReadDir(filepath.Join(p.houses.Data, "agent", of))
			if err != nil {
				t.Fatal(err)
			}
			if len(folders) > 0 {
				return false
			}
		}
		return true
	})
}

func (p *place) instances(c *apiclient.Client) (all []api.ServerInstance) {
	p.t.Helper()
	servers, err := apiclient.Collect(c.Servers(p.t.Context()), 0)
	if err != nil {
		p.t.Fatal(err)
	}
	if len(servers) > 1 {
		p.t.Errorf("%d servers", len(servers))
	}
	for _, s := range servers {
		detail, err := c.Server(p.t.Context(), s.ID)
		if err != nil {
			p.t.Fatal(err)
		}
		all = append(all, detail.Runs...)
	}
	return all
}

// rows looks into the database, now that nobody uses it.
func (p *place) rows(gone bool) {
	t := p.t
	t.Helper()
	url := p.houses.Database
	if url == "" {
		url = "sqlite:" + filepath.Join(p.houses.Data, "odcm.db")
	}
	d, err := db.Open(context.Background(), url, db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	there, created := 1, 1
	if gone {
		there = 0
	}
	if gone || p.story.enlist {
		created = 0
	}
	want := map[string]int{
		"space": there, "space_instance": there,
		"fleet_instance WHERE desired <> 'removed'": created,
		"task": 1,
		"task WHERE state NOT IN ('succeeded', 'failed', 'canceled')": 0,
		"event WHERE type IN ('space.created', 'space.enlisted')":     there,
		"event WHERE type IN ('task.succeeded', 'task.canceled')":     1,
		"sso_pointing": there, // its server leads people here
		`sso_pointing WHERE said LIKE '%"State":"applied"%'`: there,
		"sso_party WHERE instance IS NOT NULL":               there,
	}
	if gone {
		want["access_account"], want["access_push"] = 0, 0
	}
	if gone || p.story.enlist { // a created Space gets its webhook a little later
		want["space_hook"] = there
	}
	for what, want := range want {
		var n int
		if err := d.Read().QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+what).Scan(&n); err != nil {
			t.Errorf("%s: %v", what, err)
		} else if n != want {
			t.Errorf("%d rows of %s, want %d", n, what, want)
		}
	}
}
