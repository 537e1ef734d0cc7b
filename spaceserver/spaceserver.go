package spaceserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"odcm/kit/db"
	"odcm/kit/egress"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/identity"
	"odcm/spaceserver/internal/kinds/host"
	"odcm/spaceserver/internal/kinds/people"
	"odcm/spaceserver/internal/kinds/server"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/queue"
	"odcm/spaceserver/internal/subscription"
)

// Version is what the server says of itself in the root document. Clients compare it with the Octopus version that
// brought a feature: 2025.4 has everything that this server serves, and every stock client asks for 2022.3.5512 at least.
const Version = "2025.4.1000"

// Options say how a Space server runs. Data is required; everything else has a default that works.
type Options struct {
	// Listen is the address to listen on, host and port; 127.0.0.1:8065 if empty. Port 0 takes a free one.
	Listen string
	// Data is the folder for the database, the key file and uploaded content. It is made with mode 0700.
	Data string
	// Database is the URL of the database, sqlite:PATH or postgres://...; a SQLite file in Data if empty.
	Database string
	// AdminUsername is the first administrator's name; "admin" if empty. The password is set only where the
	// administrator has none, the key is added where it is missing, so that a restart with the same settings changes nothing.
	AdminUsername, AdminPassword, AdminAPIKey string
	// Name is what the page calls this server and how its node is called; the host's name if empty.
	Name string
	// Version overrides [Version]: rehearsals stand in for a server of another version.
	Version string
	// KeyBase64 holds the key that secrets are sealed with; a key file in Data if empty.
	KeyBase64 string
	// TaskCap is how many tasks this node runs at a time; 5 if zero, as on an Octopus server.
	TaskCap int
	// MaxBody bounds a JSON request body in bytes; 10 MiB if zero. MaxPackage bounds an uploaded file; 1 GiB if zero.
	MaxBody, MaxPackage int64
	// Egress says which addresses the server may call: identity providers, webhooks. The zero policy allows all but those
	// that no policy can; see package kit/egress.
	Egress egress.Policy
	// PlainIssuers lets service accounts trust an issuer without TLS: for a computer that develops, and for tests.
	PlainIssuers bool
	// Logger takes what operators should know; nothing is logged if nil.
	Logger *slog.Logger
}

// Ready is what the command prints as one line of JSON when the server answers.
type Ready struct {
	URL            string `json:"url"`
	Version        string `json:"version"`
	InstallationID string `json:"installationId"`
}

// Server is a Space server: [New], [Server.Start], [Server.Stop].
type Server struct {
	options  Options
	recent   *host.Recent
	ready    Ready
	database *db.DB
	identity *identity.Service
	service  *collection.Service
	queue    *queue.Queue
	policies *server.Policies
	guard    *egress.Guard
	webhooks *subscription.Engine
	sealer   *lateSealer
	http     *http.Server
	stop     context.CancelFunc
	running  sync.WaitGroup
}

// New checks the options. It opens nothing.
func New(o Options) (*Server, error) {
	if o.Data == "" {
		return nil, errors.New("a Space server needs a data folder: set --data")
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:8065"
	}
	if o.Database == "" {
		o.Database = "sqlite:" + filepath.Join(o.Data, "spaceserver.db")
	}
	if o.AdminUsername == "" {
		o.AdminUsername = "admin"
	}
	if o.AdminAPIKey != "" && (!strings.HasPrefix(o.AdminAPIKey, "API-") || len(o.AdminAPIKey) < 5) {
		return nil, errors.New("the administrator's API key must start with API- and go on with capital letters and digits: Octopus clients refuse any other")
	}
	if o.Name == "" {
		o.Name, _ = os.Hostname()
	}
	if o.Version == "" {
		o.Version = Version
	}
	if o.MaxBody == 0 {
		o.MaxBody = 10 << 20
	}
	if o.MaxPackage == 0 {
		o.MaxPackage = 1 << 30
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	recent := host.NewRecent(o.Logger.Handler())
	o.Logger = slog.New(recent)
	return &Server{options: o, recent: recent}, nil
}

// Start opens the database, makes its first documents and listens; it returns when the first request will be answered.
// The context bounds the start only.
func (s *Server) Start(ctx context.Context) (err error) {
	o := s.options
	if err := os.MkdirAll(o.Data, 0o700); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	// First, so that a port that is taken leaves nothing behind.
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return fmt.Errorf("%w: choose another address with --listen", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, listener.Close(), s.close())
		}
	}()
	// Small on purpose: hundreds of these run on one machine.
	if s.database, err = db.Open(ctx, o.Database, db.Options{Readers: 2, CacheKiB: 512, MaxConns: 8}); err != nil {
		return err
	}
	store, err := document.Open(ctx, s.database)
	if err != nil {
		return err
	}
	handler, err := s.assemble(ctx, store)
	if err != nil {
		return err
	}
	s.ready.URL = "http://" + reachable(listener.Addr())
	s.http = &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug)}
	background, stop := context.WithCancel(context.Background())
	s.stop = stop
	if err := s.queue.Start(background); err != nil {
		stop()
		return err
	}
	s.running.Go(func() {
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			o.Logger.Error("the server stopped", "error", err)
		}
	})
	s.running.Go(func() { s.keep(background) })
	s.running.Go(func() { s.webhooks.Run(background) })
	return nil
}

// settle is how long after the start what it needed is given back.
const settle = 2 * time.Second

// keep does what is due now and then: follow what other replicas changed, remove old events.
func (s *Server) keep(ctx context.Context) {
	s.identity.Wait()
	settled := time.AfterFunc(settle, func() {
		debug.FreeOSMemory() // the schema, the first documents and a password's hash needed memory that is not needed again
		trim()
	})
	defer settled.Stop()
	const kept = 90 * 24 * time.Hour // as on an Octopus server
	prune := time.NewTicker(4 * time.Hour)
	defer prune.Stop()
	var follow <-chan time.Time
	if s.database.Postgres() { // with SQLite there is no other replica, and nothing wakes an idle server
		t := time.NewTicker(time.Second)
		defer t.Stop()
		follow = t.C
	}
	generation := int64(-1)
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case now := <-prune.C:
			err = errors.Join(s.service.Store.PruneEvents(ctx, now.Add(-kept)), s.service.Transact(ctx, collection.Request{Principal: permission.System()}, people.WarnOfKeys))
		case <-follow:
			generation, err = s.follow(ctx, generation)
		}
		if err != nil && ctx.Err() == nil {
			s.options.Logger.Error("upkeep failed", "error", err)
		}
	}
}

// follow reads again what is kept in memory where another replica changed it: spaces, maintenance mode. Permissions are
// compared at each request.
func (s *Server) follow(ctx context.Context, seen int64) (int64, error) {
	if err := s.readMaintenance(ctx); err != nil {
		return seen, err
	}
	now, err := s.service.Store.Counter(ctx, s.database.Read(), "security")
	if err != nil || now == seen {
		return seen, err
	}
	s.policies.Forget()
	return now, s.service.ReadDirectory(ctx)
}

func (s *Server) readMaintenance(ctx context.Context) error {
	on, err := s.service.Store.Setting(ctx, s.database.Read(), server.Maintenance)
	if err == nil {
		s.service.SetReadOnly(on == "true")
	}
	return err
}

// Stop answers the requests under way, refuses new ones and closes the database.
func (s *Server) Stop(ctx context.Context) error {
	if s.http == nil {
		return nil
	}
	s.stop()
	err := errors.Join(s.queue.Stop(ctx), s.http.Shutdown(ctx))
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	s.running.Wait()
	return errors.Join(err, s.close())
}

func (s *Server) close() error {
	if s.identity != nil {
		s.identity.Wait()
	}
	if s.guard != nil {
		s.guard.CloseIdle()
	}
	if s.database == nil {
		return nil
	}
	return s.database.Close()
}

// URL is where the server answers, after Start.
func (s *Server) URL() string { return s.ready.URL }

// Ready returns what the command prints when the server answers, after Start.
func (s *Server) Ready() Ready { return s.ready }

// reachable is an address that a client can call: a server that listens everywhere is called on loopback.
func reachable(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
