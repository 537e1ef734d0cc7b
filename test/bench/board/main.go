// Command board serves the board of Spaces with the monitor that probes them, on a database in a folder, to be measured:
//
//	board odcm DIR N PORT   N Spaces on servers that answer on PORT of the loopback addresses, probed every 10 s; says its URL
//	board bare FILE         serves the bytes of FILE as a page, and sends them to open streams; says its URL
//
// Both take POST /change: one thing becomes another, on every open page of it. The answer is when that was, in nanoseconds.
package main

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/egress"
	"odcm/kit/eventlog"
	"odcm/kit/signal"
	"odcm/kit/task"
	"odcm/kit/web"
	"odcm/manager/identity/role"
	"odcm/manager/monitor"
	"odcm/manager/monitor/monitorhttp"
	"odcm/manager/monitor/monitoroctopus"
	"odcm/manager/monitor/monitorsql"
	"odcm/manager/space"
	"odcm/manager/space/spacehttp"
	"odcm/manager/space/spacesql"
	"odcm/manager/space/spacetest"
	"odcm/octopus/octoclient"
)

func main() {
	log.SetFlags(0)
	var err error
	switch {
	case len(os.Args) == 5 && os.Args[1] == "odcm":
		err = serve(os.Args[2], os.Args[3], os.Args[4])
	case len(os.Args) == 3 && os.Args[1] == "bare":
		err = bare(os.Args[2])
	default:
		log.Fatal("odcm DIR N PORT or bare FILE?")
	}
	log.Fatal(err)
}

// estate is what the rooms ask of the rest: everybody sees everything, and all of it is watched here.
type estate struct {
	monitor.Prober
	targets []monitor.Target
	monitor *monitor.Service
}

func (*estate) Authenticate(*http.Request) (odcm.Principal, error) {
	return odcm.Principal{User: "user-1", Name: "Barry", Roles: []odcm.Role{odcm.Administrator}}, nil
}
func (e *estate) Targets(context.Context) ([]monitor.Target, error) { return e.targets, nil }
func (*estate) Owns(string) bool                                    { return true }
func (*estate) Changed() <-chan struct{}                            { return nil }
func (*estate) Reach(context.Context, odcm.Principal) (bool, []odcm.SpaceID, error) {
	return true, nil, nil
}
func (*estate) Find(_ context.Context, _ odcm.Principal, ref string) (odcm.SpaceID, error) {
	return odcm.SpaceID(ref), nil
}

// HealthOf is what the roof makes of the monitor for the room of Spaces.
func (e *estate) HealthOf(ctx context.Context, ids []odcm.SpaceID) (map[odcm.SpaceID]space.Health, error) {
	known, err := e.monitor.HealthOf(ctx, ids)
	found := make(map[odcm.SpaceID]space.Health, len(known))
	for id, h := range known {
		found[id] = space.Health{Status: space.Status(h.Status), Reason: h.Reason, Since: h.Since, Checked: h.Checked, Version: h.Version}
	}
	return found, err
}

func (e *estate) InStatus(ctx context.Context, statuses []space.Status) ([]odcm.SpaceID, error) {
	wanted := make([]monitor.Status, len(statuses))
	for i, s := range statuses {
		wanted[i] = monitor.Status(s)
	}
	return e.monitor.InStatus(ctx, wanted)
}

func serve(dir, count, port string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	ctx := context.Background()
	d, err := db.Open(ctx, "sqlite:"+filepath.Join(dir, "board.db"), db.Options{})
	if err != nil {
		return err
	}
	bus, err := signal.New(ctx, d)
	if err != nil {
		return err
	}
	events, err := eventlog.New(ctx, d, bus)
	if err != nil {
		return err
	}
	tasks, err := task.New(ctx, d, events, bus, task.Options{Replica: "board"})
	if err != nil {
		return err
	}
	spaces, err := spacesql.New(ctx, d, events, tasks, spacetest.Bound{})
	if err != nil {
		return err
	}
	statuses, err := monitorsql.New(ctx, d, events)
	if err != nil {
		return err
	}
	e := &estate{Prober: monitoroctopus.New(egress.New(egress.Policy{}, egress.Limits{}), octoclient.NewBudgets(octoclient.Limits{}))}
	rows := e.rows(n, port)
	if err := spaces.Commit(ctx, rows); err != nil {
		return err
	}
	// One Space is nobody's to probe: it changes when it is told to.
	e.targets = e.targets[1:]
	first := monitor.Change{Space: monitor.Space{ID: rows.Spaces[0].ID, Name: rows.Spaces[0].Name}, Health: monitor.Health{Status: monitor.Online, Since: time.Now(), Checked: time.Now()}}
	if _, err := statuses.Save(ctx, []monitor.Change{first}); err != nil {
		return err
	}
	quiet, authorizer := slog.New(slog.DiscardHandler), role.NewAuthorizer()
	e.monitor = monitor.New(monitor.Options{Store: statuses, Prober: e, Targets: e, Owner: e, Bus: bus, Authorizer: authorizer, Access: e, Logger: quiet})
	room := space.New(space.Options{Store: spaces, Octopus: spacetest.NewOutside(), Host: spacetest.NewOutside().Host(), Monitor: e, Access: space.ByRole{},
		Authorizer: authorizer, Signals: bus, Logger: quiet})
	site := web.New(web.Options{Authenticator: e, DB: d, Bus: bus, Logger: quiet})
	h := &spacehttp.Handler{Spaces: room, Tasks: tasks, Site: site, History: monitorhttp.HistoryOf(e.monitor)}
	h.Mount()
	monitorhttp.Register(site, e.monitor)
	site.Mount("GET /api", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})) // who starts it asks whether it is there
	site.Mount("POST /change", e.change(rows.Spaces[0], statuses, bus))
	if err := site.Start(ctx); err != nil {
		return err
	}
	followed, watched := bus.Subscribe("space"), bus.Subscribe(monitor.Topics()...)
	go func() { log.Fatal(room.FollowBoard(ctx, followed.C, h.BoardChanged)) }()
	go func() { log.Fatal(e.monitor.Run(ctx, watched.C)) }()
	return listen(site)
}

// rows are one instance and one Space for each address.
func (e *estate) rows(n int, port string) (c space.Change) {
	now := time.Now()
	for i := range n {
		id, on := odcm.SpaceID(fmt.Sprintf("space-0198a7c4-5b1e-7c3a-9f00-%012d", i)), odcm.InstanceID(fmt.Sprintf("instance-0198a7c4-5b1e-7c3a-9f00-%012d", i))
		url, name := fmt.Sprintf("http://127.1.%d.%d:%s", i/250, i%250+1, port), fmt.Sprintf("Space %05d", i)
		c.Instances = append(c.Instances, space.Instance{ID: on, URL: url, InstallationID: string(on), Version: "2025.4.1000", Origin: space.Enlisted, Created: now})
		c.Spaces = append(c.Spaces, space.Space{ID: id, Instance: on, Octopus: "Spaces-1", Slug: space.Slug(name), Name: name, State: space.StateActive, Created: now})
		e.targets = append(e.targets, monitor.Target{Instance: on, URL: url, Revision: 1, Spaces: []monitor.Space{{ID: id, Name: name}},
			Key: func(context.Context) (string, error) { return "API-BENCH", nil }})
	}
	return c
}

// change has the Space be degraded for another reason each time, as the monitor would write it.
func (*estate) change(sp space.Space, statuses *monitorsql.Store, bus *signal.Bus) http.HandlerFunc {
	var times atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		h := monitor.Health{Status: monitor.Degraded, Reason: fmt.Sprintf("change-%d.", times.Add(1)), Since: time.Now(), Checked: time.Now()}
		if _, err := statuses.Save(r.Context(), []monitor.Change{{Space: monitor.Space{ID: sp.ID, Name: sp.Name}, Health: h}}); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		at := time.Now()
		bus.Publish("space/" + string(sp.ID))
		fmt.Fprint(w, at.UnixNano())
	}
}

// listen serves on a free port and says where.
func listen(h http.Handler) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("{\"url\":%q}\n", "http://"+l.Addr().String())
	return http.Serve(l, h)
}
