package fleet

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode"

	"odcm"
	"odcm/kit/signal"
)

// Options are what the room needs.
type Options struct {
	Store      Store
	Enrolments Enrolments
	Sealer     Sealer
	Authorizer odcm.Authorizer
	Bus        *signal.Bus
	Logger     *slog.Logger
	Now        func() time.Time // time.Now where nil
}

// The actions on the fleet.
const (
	ActionRead   odcm.Action = "fleet.read"
	ActionEnrol  odcm.Action = "fleet.enrol"
	ActionLaunch odcm.Action = "fleet.launch"
	ActionRetire odcm.Action = "fleet.retire"
)

// Service is the fleet.
type Service struct {
	Options
	authority *authority
	watch     *watch
	beat      time.Duration // how often presence is looked at
}

// New opens the fleet, and makes its certificate authority on the first run.
func New(ctx context.Context, o Options) (_ *Service, err error) {
	defer odcm.Wrap(&err, "open the fleet")
	if o.Now == nil {
		o.Now = time.Now
	}
	kept, err := o.Enrolments.KeptAuthority(ctx)
	if odcm.KindOf(err) == odcm.NotFound {
		fresh, makeErr := newAuthority(o.Sealer, o.Now())
		if makeErr != nil {
			return nil, makeErr
		}
		kept, err = o.Enrolments.Authority(ctx, fresh)
	}
	if err != nil {
		return nil, err
	}
	a, err := openAuthority(o.Sealer, kept)
	if err != nil {
		return nil, err
	}
	return &Service{Options: o, authority: a, watch: newWatch(o.Bus), beat: Heartbeat / 2}, nil
}

// Close ends every wait.
func (s *Service) Close() { s.watch.close() }

// List pages the servers for people.
func (s *Service) List(ctx context.Context, p odcm.Principal, after odcm.ServerID, limit int) ([]Server, error) {
	if err := s.Authorizer.Authorize(ctx, p, ActionRead, ""); err != nil {
		return nil, err
	}
	return s.Store.Servers(ctx, after, limit)
}

// Get returns a server and its instances for people.
func (s *Service) Get(ctx context.Context, p odcm.Principal, id odcm.ServerID) (Server, []Instance, error) {
	if err := s.Authorizer.Authorize(ctx, p, ActionRead, string(id)); err != nil {
		return Server{}, nil, err
	}
	server, err := s.Store.Server(ctx, id)
	if err != nil {
		return Server{}, nil, err
	}
	instances, err := s.Store.Instances(ctx, id)
	return server, instances, err
}

// Servers lists the whole fleet, for other rooms.
func (s *Service) Servers(ctx context.Context) ([]Server, error) {
	var all []Server
	for {
		var after odcm.ServerID
		if len(all) > 0 {
			after = all[len(all)-1].ID
		}
		page, err := s.Store.Servers(ctx, after, 500)
		if err != nil {
			return nil, err
		}
		if all = append(all, page...); len(page) < 500 {
			return all, nil
		}
	}
}

// Placed tells of every instance on which server it is, for other rooms.
func (s *Service) Placed(ctx context.Context) (map[odcm.InstanceID]odcm.ServerID, error) {
	return s.Store.Placed(ctx)
}

// Version is what can be launched, and how many servers have it.
type Version struct {
	Number  string
	Servers int
}

// Versions lists what the online servers have, the newest first.
func (s *Service) Versions(ctx context.Context) ([]Version, error) {
	servers, err := s.Servers(ctx)
	if err != nil {
		return nil, err
	}
	count := map[string]int{}
	for _, server := range servers {
		if server.Online(s.Now()) {
			for _, v := range server.Versions {
				count[v]++
			}
		}
	}
	versions := make([]Version, 0, len(count))
	for number, n := range count {
		versions = append(versions, Version{number, n})
	}
	slices.SortFunc(versions, func(a, b Version) int { return compareVersions(b.Number, a.Number) })
	return versions, nil
}

// Launch writes that the instance should run, with its event, and returns. Asking again for the same id returns what is
// there.
func (s *Service) Launch(ctx context.Context, p odcm.Principal, spec Spec) (_ Instance, err error) {
	defer odcm.Wrap(&err, "launch %s", spec.ID)
	if err := s.Authorizer.Authorize(ctx, p, ActionLaunch, string(spec.Server)); err != nil {
		return Instance{}, err
	}
	if err := spec.check(); err != nil {
		return Instance{}, err
	}
	switch existing, err := s.Store.Instance(ctx, spec.ID); {
	case err == nil:
		return same(existing, spec)
	case odcm.KindOf(err) != odcm.NotFound:
		return Instance{}, err
	}
	servers, err := s.Servers(ctx)
	if err != nil {
		return Instance{}, err
	}
	server, err := place(servers, spec, s.Now())
	if err != nil {
		return Instance{}, err
	}
	if spec.Version == "" {
		spec.Version = server.Versions[0]
	}
	i := Instance{ID: spec.ID, Server: server.ID, Name: spec.Name, Version: spec.Version, Desired: Running, Port: spec.Port,
		Created: s.Now(), Observed: Observed{State: StatePending, Since: s.Now()}}
	if i.SealedAdministrator, err = s.sealAdministrator(spec); err != nil {
		return Instance{}, err
	}
	kept, created, err := s.Store.Launch(ctx, i, odcm.NewEvent(p, "fleet.instance-desired", string(i.ID), i.Name, nil,
		map[string]any{"server": i.Server, "version": i.Version, "desired": i.Desired}))
	if err != nil {
		return Instance{}, err
	}
	if !created {
		return same(kept, spec) // someone asked at the same time
	}
	s.Bus.Publish(instanceTopic(i.ID), serverTopic(i.Server))
	return kept, nil
}

func same(i Instance, spec Spec) (Instance, error) {
	if i.Desired == Removed {
		return Instance{}, odcm.E(odcm.Conflict, "fleet.instance-retired", "This instance is being removed: launch another one.")
	}
	if i.Name != spec.Name || spec.Server != "" && spec.Server != i.Server || spec.Version != "" && spec.Version != i.Version {
		return Instance{}, odcm.E(odcm.Exists, "fleet.instance-exists", "There is an instance with this identifier that was asked for otherwise: launch another one.")
	}
	return i, nil
}

func (spec Spec) check() error {
	switch {
	case !validID(string(spec.ID)):
		return odcm.E(odcm.Invalid, "fleet.instance-id", "The identifier of an instance is letters, digits and hyphens: make it with odcm.NewID.").OnField("id")
	case strings.TrimSpace(spec.Name) == "" || len(spec.Name) > maxName || strings.ContainsFunc(spec.Name, unicode.IsControl):
		return odcm.E(odcm.Invalid, "fleet.instance-name", "Give the instance a name of at most %d characters.", maxName).OnField("name")
	case spec.Port != 0 && (spec.Port < 1024 || spec.Port > 65535):
		return odcm.E(odcm.Invalid, "fleet.instance-port", "The port is from 1024 to 65535, or 0 for any that is free.").OnField("port")
	}
	return nil
}

// validID keeps identifiers usable as names of folders on any machine.
func validID(id string) bool {
	if id == "" || len(id) > 100 || id[0] == '-' {
		return false
	}
	return !strings.ContainsFunc(id, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
	})
}

// place chooses the server: the wanted one, or the one with the most room that has the version.
func place(servers []Server, spec Spec, now time.Time) (Server, error) {
	var best Server
	room := 0
	for _, server := range servers {
		if spec.Server != "" && server.ID != spec.Server {
			continue
		}
		free, reason := server.Room(now)
		has := len(server.Versions) > 0 && (spec.Version == "" || slices.Contains(server.Versions, spec.Version))
		if spec.Server != "" {
			switch {
			case free < 1:
				return Server{}, odcm.E(odcm.Unavailable, "fleet.server-full", "Server %s cannot take an instance now, %s: choose another one.",
					server.Name, reason).OnField("server")
			case !has:
				return Server{}, odcm.E(odcm.Invalid, "fleet.version-missing", "Server %s does not have version %s: choose one of %s.",
					server.Name, spec.Version, strings.Join(server.Versions, ", ")).OnField("version")
			}
			return server, nil
		}
		if has && free > room {
			best, room = server, free
		}
	}
	switch {
	case room > 0:
		return best, nil
	case spec.Server != "":
		return Server{}, odcm.E(odcm.NotFound, "fleet.server-unknown", "There is no such server: choose one of the list.").OnField("server")
	}
	return Server{}, odcm.E(odcm.Unavailable, "fleet.no-server", "No server can take an instance of this version now: enrol an agent on a machine with room.").OnField("server")
}

func administratorSeal(id odcm.InstanceID) string {
	return "fleet_instance/" + string(id) + "/administrator"
}

// sealAdministrator makes up what the caller left out. An API key has the form of Octopus's own.
func (s *Service) sealAdministrator(spec Spec) (string, error) {
	a := spec.Administrator
	if a.Username == "" {
		a.Username = "odcm"
	}
	if a.Password == "" {
		a.Password = rand.Text()
	}
	if a.APIKey == "" {
		a.APIKey = "API-" + rand.Text()
	}
	plain, err := json.Marshal(a)
	if err != nil {
		return "", err
	}
	return s.Sealer.Seal(plain, administratorSeal(spec.ID))
}

// Administrator opens the first administrator of an instance, for the room that enlists it.
func (s *Service) Administrator(ctx context.Context, p odcm.Principal, id odcm.InstanceID) (_ Administrator, err error) {
	defer odcm.Wrap(&err, "administrator of %s", id)
	if err := s.Authorizer.Authorize(ctx, p, ActionLaunch, string(id)); err != nil {
		return Administrator{}, err
	}
	i, err := s.Store.Instance(ctx, id)
	if err != nil {
		return Administrator{}, err
	}
	return s.openAdministrator(i)
}

func (s *Service) openAdministrator(i Instance) (a Administrator, err error) {
	plain, err := s.Sealer.Open(i.SealedAdministrator, administratorSeal(i.ID))
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(plain, &a)
}

// Observe returns the instance as it is known; NotFound where it was never launched or is gone.
func (s *Service) Observe(ctx context.Context, id odcm.InstanceID) (Instance, error) {
	i, err := s.Store.Instance(ctx, id)
	if err != nil {
		return Instance{}, err
	}
	if i.Observed.Reason == "" && i.Silent(s.Now()) {
		i.Observed.Reason = fmt.Sprintf("The agent of server %s has not been heard: start it.", i.ServerName)
	}
	return i, nil
}

// Wait observes the instance whenever something changes, until the condition is true, the instance is gone (NotFound) or
// the context ends; then it returns what it saw last with the context's error.
func (s *Service) Wait(ctx context.Context, id odcm.InstanceID, until func(Instance) bool) (Instance, error) {
	changed, stop := s.watch.topic(instanceTopic(id))
	defer stop()
	for {
		i, err := s.Observe(ctx, id)
		if err != nil || until(i) {
			return i, err
		}
		if err := s.watch.wait(ctx, changed, lookAgain); err != nil {
			return i, err
		}
	}
}

// lookAgain bounds how late a change is seen whose hint was lost.
const lookAgain = 2 * time.Second

// Retire writes that the instance should be removed, with its data unless keepData. Its row goes when its agent reports
// that it is gone. Asking again changes nothing; an unknown id is no error, since it is what was asked for.
func (s *Service) Retire(ctx context.Context, p odcm.Principal, id odcm.InstanceID, keepData bool) (err error) {
	defer odcm.Wrap(&err, "retire %s", id)
	if err := s.Authorizer.Authorize(ctx, p, ActionRetire, string(id)); err != nil {
		return err
	}
	changed := false
	i, err := s.Store.Desire(ctx, id, func(i *Instance) (odcm.Event, bool) {
		if changed = i.Desired != Removed; !changed {
			return odcm.Event{}, false
		}
		was := i.Desired
		i.Desired, i.KeepData = Removed, keepData
		return odcm.NewEvent(p, "fleet.instance-desired", string(i.ID), i.Name,
			map[string]any{"desired": was}, map[string]any{"desired": Removed, "keepData": keepData}), true
	})
	if odcm.KindOf(err) == odcm.NotFound {
		return nil
	}
	if err == nil && changed {
		s.Bus.Publish(instanceTopic(id), serverTopic(i.Server))
	}
	return err
}

func instanceTopic(id odcm.InstanceID) string { return "instance/" + string(id) }
func serverTopic(id odcm.ServerID) string     { return "server/" + string(id) }
