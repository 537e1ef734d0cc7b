package manager

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"odcm/manager/access"
	"odcm/manager/access/roster"
	"odcm/manager/identity"
	"odcm/manager/monitor"
	"odcm/manager/sso"
	"odcm/manager/sso/ssokey"
)

// running is the work of a started manager, in two groups that end one after the other.
type running struct {
	server *http.Server
	cancel context.CancelFunc // of both
	work   *errgroup.Group
	shards *errgroup.Group // ends last: a shard is given up when nobody works on its Spaces any more
	leave  context.CancelFunc
}

// Start serves and works until [Manager.Stop].
func (m *Manager) Start(ctx context.Context) error {
	if err := m.site.Start(ctx); err != nil {
		return err
	}
	// As late as can be: where something else fails, nobody would be told a password that was made up.
	first, err := m.identity.Bootstrap(ctx, identity.FirstRun{Username: m.o.AdminUsername, Password: m.o.AdminPassword, APIKey: m.o.AdminAPIKey})
	if err != nil {
		return err
	}
	m.first = first
	if err := m.tasks.Start(ctx); err != nil {
		return err
	}
	m.agents.Start()
	background := context.WithoutCancel(ctx)
	sharing, leave := context.WithCancel(background)
	working, cancel := context.WithCancel(background)
	r := &running{cancel: cancel, leave: leave, server: &http.Server{
		Handler: m.door.Before(m.site), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 2 * time.Minute, IdleTimeout: 2 * time.Minute, // no WriteTimeout: event streams
		ErrorLog: slog.NewLogLogger(m.log.Handler(), slog.LevelDebug),
	}}
	r.shards, sharing = errgroup.WithContext(sharing)
	r.work, working = errgroup.WithContext(working)
	r.shards.Go(func() error { return m.worker(sharing, "shards", m.shards.Run) })
	r.work.Go(func() error {
		if err := r.server.Serve(m.listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	for name, run := range map[string]func(context.Context) error{
		"access": m.hinted(m.access.Run, access.Topics()...),
		"alerts": m.hinted(m.alerting.watcher.Run, "alert-setting", "incident"),
		"audit":  m.audit.Run,
		"board": m.hinted(func(ctx context.Context, hints <-chan string) error {
			return m.space.FollowBoard(ctx, hints, m.board.BoardChanged)
		}, "space"),
		"entry":            m.followAccess,
		"fleet":            m.fleet.Run,
		"groups":           m.groups.Run,
		"identity":         m.hinted(m.identity.Run, "user"),
		"keys":             m.hinted(m.keys.Run, ssokey.Topic),
		"logout":           m.hinted(m.logout.Run, sso.TopicLogout),
		"mail":             m.hinted(m.outbox.Run, "mail"),
		"monitor":          m.hinted(m.monitor.Run, monitor.Topics()...),
		"notifications":    m.hinted(m.alerting.courier.Run, "notification", "alert-setting"),
		"providers":        m.hinted(m.providers.Run, "provider"),
		"reconcile":        m.reconciler.Run,
		"reports":          m.reporting.collector.Run,
		"report upkeep":    m.reporting.upkeep.Run,
		"report schedules": m.reporting.schedules.Run,
		"sessions":         m.followSessions,
		"sso":              m.hinted(m.sso.Run, "party", "user"),
		"wake":             m.hinted(m.wake, append(roster.Topics(), "space")...),
	} {
		r.work.Go(func() error { return m.worker(working, name, run) })
	}
	m.running = r
	m.log.Info("manager ready", "url", m.URL(), "replica", m.o.Replica)
	return nil
}

// worker runs background work; that it ends before it is told to is an error.
func (m *Manager) worker(ctx context.Context, name string, run func(context.Context) error) error {
	err := run(ctx)
	if ctx.Err() != nil {
		return nil
	}
	m.log.Error("background work ended", "work", name, "error", err)
	return err
}

// hinted gives the work the hints about nouns.
func (m *Manager) hinted(run func(context.Context, <-chan string) error, nouns ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		hints := m.bus.Subscribe(nouns...)
		defer hints.Close()
		return run(ctx, hints.C)
	}
}

// wake lets the reconciler look at a Space as soon as something says that it changed.
func (m *Manager) wake(ctx context.Context, hints <-chan string) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case topic, ok := <-hints:
			if !ok {
				return nil
			}
			if _, id, ok := strings.Cut(topic, "/"); ok {
				m.reconciler.Wake(id)
			}
		}
	}
}

// Wait returns when background work has ended, with its error where it ended by itself.
func (m *Manager) Wait() error { return m.running.work.Wait() }

// Stop ends what is under way and closes everything; a task goes on where it was at the next start, or on another replica.
func (m *Manager) Stop(ctx context.Context) error {
	err := m.site.Stop(ctx) // first: long-lived streams would hold the server open
	if r := m.running; r != nil {
		err = errors.Join(err, r.server.Shutdown(ctx), m.tasks.Stop(ctx), m.agents.Stop(ctx))
		r.cancel()
		err = errors.Join(err, r.work.Wait())
		r.leave()
		err = errors.Join(err, r.shards.Wait())
	}
	return errors.Join(err, m.close())
}

func (m *Manager) close() (err error) {
	for i := len(m.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, m.closers[i]())
	}
	m.closers = nil
	return err
}
