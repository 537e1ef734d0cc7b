package spaceserver

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/uuid"

	"odcm/kit/egress"
	"odcm/kit/seal"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/console"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/entitlement"
	"odcm/spaceserver/internal/execution"
	"odcm/spaceserver/internal/health"
	"odcm/spaceserver/internal/identity"
	"odcm/spaceserver/internal/kinds"
	"odcm/spaceserver/internal/kinds/deployment"
	"odcm/spaceserver/internal/kinds/host"
	"odcm/spaceserver/internal/kinds/library"
	"odcm/spaceserver/internal/kinds/people"
	"odcm/spaceserver/internal/kinds/server"
	"odcm/spaceserver/internal/kinds/task"
	"odcm/spaceserver/internal/kinds/trigger"
	"odcm/spaceserver/internal/limit"
	"odcm/spaceserver/internal/page"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/queue"
	"odcm/spaceserver/internal/rest"
	"odcm/spaceserver/internal/retention"
	"odcm/spaceserver/internal/script"
	"odcm/spaceserver/internal/signin"
	"odcm/spaceserver/internal/subscription"
	"odcm/spaceserver/internal/transfer"
)

// assemble reads or makes what the database holds and lays out the routes.
func (s *Server) assemble(ctx context.Context, store *document.Store) (http.Handler, error) {
	o := s.options
	s.identity = identity.New(store, time.Now)
	s.sealer = &lateSealer{open: func() (*seal.Sealer, error) {
		return seal.Open(context.Background(), s.database, seal.Options{KeyFile: filepath.Join(o.Data, "spaceserver.key"), KeyBase64: o.KeyBase64})
	}}
	// What the kinds need of the server is filled in as it comes to be, before the first request.
	here := &host.Host{Identity: s.identity, Recent: s.recent, Started: time.Now(), Version: o.Version, URL: s.URL, Node: o.Name, Data: o.Data, MaxPackage: o.MaxPackage}
	service, err := collection.New(collection.Options{Store: store, Kinds: kinds.Table(here), Sealer: s.sealer, Decided: s.forget, Watch: trigger.Watch(here),
		Noted: func(events []document.Event) { s.webhooks.Noted(events) }})
	if err != nil {
		return nil, err
	}
	s.service, s.policies = service, &server.Policies{Service: service}
	s.guard = egress.New(o.Egress, egress.Limits{Header: 30 * time.Second, Body: 4 << 20, IdlePerHost: 1})
	s.webhooks = subscription.New(subscription.Options{Service: service, Identity: s.identity, URL: s.URL, Logger: o.Logger,
		Client: func() (*http.Client, error) { return s.guard.Client(egress.TLS{}) }})
	keeper := entitlement.New(entitlement.Options{Store: store, Logger: o.Logger, Client: func() (*http.Client, error) { return s.guard.Client(egress.TLS{}) },
		Sources: func(ctx context.Context) ([]entitlement.Source, error) { return here.SignIn.Sources(ctx) }})
	here.SignIn = signin.New(signin.Options{Companion: keeper, Service: service, Identity: s.identity, Egress: s.guard, Installation: func() string { return here.InstallationID },
		PlainIssuers: o.PlainIssuers, Logger: o.Logger})
	s.queue = queue.New(queue.Options{Service: service, Node: o.Name, Cap: o.TaskCap, Started: deployment.Started, Ended: task.Ended(deployment.Ended(here))})
	here.Queue = s.queue
	transfers := transfer.New(here, service)
	s.work(here, transfers)
	s.queue.Every("entitlements", entitlement.Again, func(ctx context.Context, _ *queue.Task) error { return keeper.Refresh(ctx) })
	if err := s.first(ctx, here); err != nil {
		return nil, err
	}
	here.InstallationID, s.ready.Version = s.ready.InstallationID, o.Version
	// A wrong key must be told at the start, not at the first secret; a new server makes its key when it needs one.
	if any, err := store.AnySealed(ctx); err != nil {
		return nil, err
	} else if any {
		if err := s.sealer.Ready(); err != nil {
			return nil, err
		}
	}
	handler, err := rest.New(rest.Options{Service: service, Identity: s.identity, External: here.SignIn,
		Known: &entitlement.Door{Keeper: keeper, Service: service, Identity: s.identity}, Limiter: limit.New(time.Now), Policies: s.policies.Get,
		Actions: slices.Concat(kinds.Actions(here), transfers.Actions()), InstallationID: s.ready.InstallationID, MaxBody: o.MaxBody, MaxPackage: o.MaxPackage, Logger: o.Logger,
		Page: func(door *rest.Handler) http.Handler {
			return page.New(page.Options{Service: service, Door: door, Name: o.Name, Version: o.Version, Installation: s.ready.InstallationID, Logger: o.Logger,
				Ways: here.SignIn, Menu: keeper.Menu, Follow: s.queue.Logs().Follow})
		}})
	if err != nil {
		return nil, err
	}
	here.Cookies = handler.Cookies
	return handler, nil
}

// work says what runs each kind of task, and what comes round by itself.
func (s *Server) work(here *host.Host, transfers *transfer.Transfers) {
	data := s.options.Data
	local := script.NewLocal(script.LocalOptions{Data: data})
	engine := execution.New(execution.Options{Service: s.service, Queue: s.queue, Data: data, Local: local, URL: s.URL, Admit: deployment.Thawed})
	s.queue.Handle("Deploy", engine.Deploy)
	s.queue.Handle("RunbookRun", engine.RunRunbook)
	s.queue.Handle("AdHocScript", (&console.Console{Service: s.service, Local: local, Who: s.who}).Run)
	checker := &health.Checker{Service: s.service, Local: local, Queue: s.queue}
	s.queue.Handle("Health", checker.Check)
	s.queue.Every(health.Name, health.Again, checker.Start)
	keeper, feed := &retention.Keeper{Service: s.service, Queue: s.queue}, library.NewRetention(s.service, data)
	s.queue.Handle(retention.Name, func(ctx context.Context, t *queue.Task) error {
		return errors.Join(keeper.Apply(ctx, t), feed.Run(ctx, t.Log.Child("packages", "Built-in feed")))
	})
	s.queue.Every(retention.Name, retention.Again(s.service.Now), keeper.Enqueue)
	s.queue.Every(trigger.Name, trigger.Again, (&trigger.Scheduler{Host: here, Service: s.service}).Fire)
	s.queue.Handle(transfer.ExportTask, transfers.Export)
	s.queue.Handle(transfer.ImportTask, transfers.Import)
}

// who is the person on whose behalf a task runs.
func (s *Server) who(ctx context.Context, id string) (permission.Principal, error) {
	if id == permission.System().ID {
		return permission.System(), nil
	}
	u, err := s.identity.ByID(ctx, id)
	if err != nil {
		return permission.Principal{}, err
	}
	return permission.Principal{ID: u.ID, Username: u.Username, Service: u.Service, Set: u.Set}, nil
}

// forget has everything read again that decides who may do what, and whether a space runs its tasks.
func (s *Server) forget() {
	s.identity.Forget()
	s.policies.Forget()
	if s.queue != nil {
		s.queue.Look()
	}
}

// first makes the first documents where there are none, and lets the administrator in.
func (s *Server) first(ctx context.Context, here *host.Host) error {
	o, service := s.options, s.service
	admin, err := people.Seed(ctx, here, service, o.AdminUsername, o.AdminAPIKey, uuid.NewString())
	if err != nil {
		return err
	}
	s.ready.InstallationID = here.InstallationID
	if err := server.SeedPolicies(ctx, service); err != nil {
		return err
	}
	if err := service.ReadDirectory(ctx); err != nil {
		return err
	}
	if err := s.readMaintenance(ctx); err != nil {
		return err
	}
	if admin == "" || o.AdminPassword == "" {
		return nil
	}
	has, err := s.identity.HasPassword(ctx, admin)
	if err == nil && !has {
		s.identity.SetPasswordLater(admin, o.AdminPassword, func(err error) { o.Logger.Error("the administrator's password could not be set", "error", err) })
	}
	return err
}
