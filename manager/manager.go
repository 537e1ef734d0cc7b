// Package manager is the roof over the rooms: it opens the database and the tools, gives each room what it needs, and
// starts and stops the whole. It contains no rule. To take a feature out, delete its folder and its lines here.
package manager

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/egress"
	"odcm/kit/eventlog"
	"odcm/kit/lease"
	"odcm/kit/mail"
	"odcm/kit/reconcile"
	"odcm/kit/seal"
	"odcm/kit/signal"
	"odcm/kit/task"
	"odcm/kit/web"
	"odcm/manager/access"
	"odcm/manager/access/admit"
	"odcm/manager/access/explain"
	"odcm/manager/access/push"
	"odcm/manager/access/roster"
	"odcm/manager/audit"
	"odcm/manager/fleet"
	"odcm/manager/fleet/fleetagents"
	"odcm/manager/identity"
	"odcm/manager/identity/group"
	"odcm/manager/identity/letter"
	"odcm/manager/identity/merge"
	"odcm/manager/identity/provider"
	"odcm/manager/identity/role"
	"odcm/manager/identity/scim"
	"odcm/manager/licence"
	"odcm/manager/monitor"
	"odcm/manager/space"
	"odcm/manager/space/spacehttp"
	"odcm/manager/space/spaceoctopus"
	"odcm/manager/sso/device"
	"odcm/manager/sso/grant"
	"odcm/manager/sso/logout"
	"odcm/manager/sso/point"
	"odcm/manager/sso/ssohttp"
	"odcm/manager/sso/ssokey"
)

// Options say how a manager runs. Data is required; everything else has a default that works on one machine.
type Options struct {
	Version     string
	Listen      string // "127.0.0.1:8080" if empty; port 0 takes a free one
	AgentListen string // where agents connect by mutual TLS; "127.0.0.1:8081" if empty
	Data        string // folder, made with mode 0700
	Database    string // SQLite in Data if empty
	PublicURL   string // under which people and Spaces reach it; from Listen if empty

	AdminUsername, AdminPassword, AdminAPIKey string

	TLSCert, TLSKey string // PEM files; plain HTTP if empty
	Key, KeyFile    string // seals secrets: base64, or a file, made in Data if both are empty
	ProbeEvery      time.Duration
	AlertEvery      time.Duration // between two readings of everything that alerts look at; 15 s if zero
	ProveWithin     time.Duration // how long a server that is enlisted may take to answer; 30 s if zero
	Egress          egress.Policy

	SMTP, MailFrom    string // the mail server as a URL, and the sender's address; no mail is sent if empty
	BreachedPasswords string // file of SHA-1 hashes of passwords that are known to others; none if empty

	TrustedProxies []netip.Prefix // load balancers whose X-Forwarded-For is believed; none if empty
	Replica        string         // name of this replica; made from the host's name if empty
	Tasks          task.Options   // how tasks run; Replica and Logger are the manager's
	Logger         *slog.Logger
}

// Manager is one replica: [New], [Manager.Start], [Manager.Stop].
type Manager struct {
	o             Options
	log           *slog.Logger
	authorizer    odcm.Authorizer
	first         *identity.FirstLogin
	listener      net.Listener
	agentListener net.Listener
	agents        *fleetagents.Listener
	closers       []func() error // undo New, the last first

	db         *db.DB
	bus        *signal.Bus
	events     *eventlog.Log
	tasks      *task.Engine
	shards     *lease.Shards
	reconciler *reconcile.Reconciler
	metrics    *prometheus.Registry
	site       *web.Site

	identity  *identity.Service
	groups    *group.Service
	providers *provider.Service
	letters   *letter.Service
	merges    *merge.Service
	scim      *scim.Service
	access    *access.Service
	grants    *admit.Service
	explain   *explain.Service
	roster    *roster.Roster
	push      *push.Push
	sso       *grant.Service
	devices   *device.Service
	logout    *logout.Service
	keys      *ssokey.Ring
	pointer   *point.Pointer
	signOn    signOn
	fleet     *fleet.Service
	space     *space.Service
	monitor   *monitor.Service
	licence   *licence.Service
	reporting *reporting
	alerting  *alerting
	board     *spacehttp.Handler
	audit     *audit.Service
	octopus   *spaceoctopus.Adapter

	leases *lease.Store
	sealer *seal.Sealer
	outbox *mail.Outbox
	sender *mail.Sender // nil where no mail server is set
	door   ssohttp.Door

	running *running // set by Start
}

// New opens the database, the tools and the rooms, and listens, so that what can be wrong shows before anything runs.
func New(ctx context.Context, o Options) (_ *Manager, err error) {
	m := &Manager{o: o.withDefaults(), metrics: prometheus.NewRegistry(), authorizer: role.NewAuthorizer()}
	m.log = m.o.Logger
	defer func() {
		if err != nil {
			err = errors.Join(err, m.close())
		}
	}()
	for _, open := range []func(context.Context) error{m.listen, m.openTools, m.openRooms, m.openFaces} {
		if err := open(ctx); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:8080"
	}
	if o.AgentListen == "" {
		o.AgentListen = "127.0.0.1:8081"
	}
	if o.Database == "" {
		o.Database = "sqlite:" + filepath.Join(o.Data, "odcm.db")
	}
	if o.KeyFile == "" {
		o.KeyFile = filepath.Join(o.Data, "odcm.key")
	}
	if o.Replica == "" {
		o.Replica = odcm.NewID[string]("replica")
	}
	return o
}

// listen takes the addresses first: that one is taken must show before a database is made.
func (m *Manager) listen(ctx context.Context) (err error) {
	if m.listener, err = m.take(ctx, m.o.Listen, "--listen"); err != nil {
		return err
	}
	if m.agentListener, err = m.take(ctx, m.o.AgentListen, "--agent-listen"); err != nil {
		return err
	}
	if m.o.TLSCert != "" {
		certificate, err := tls.LoadX509KeyPair(m.o.TLSCert, m.o.TLSKey)
		if err != nil {
			return odcm.E(odcm.Invalid, "manager.tls", "cannot use --tls-cert %s and --tls-key %s: %v", m.o.TLSCert, m.o.TLSKey, err).Because(err)
		}
		m.listener = tls.NewListener(m.listener, &tls.Config{
			Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		})
	}
	if m.o.PublicURL == "" {
		m.o.PublicURL = m.URL()
	}
	m.o.PublicURL = strings.TrimRight(m.o.PublicURL, "/") // it is the issuer of tokens, which is compared as it stands
	return nil
}

// take listens on an address, until the manager closes.
func (m *Manager) take(ctx context.Context, address, flag string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, odcm.E(odcm.Unavailable, "manager.listen", "cannot listen on %s: %v; is another ODCM running? Choose another with %s", address, reason(err), flag).Because(err)
	}
	m.closers = append(m.closers, func() error {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return l, nil
}

// reason takes the address out of a network error: it is said already.
func reason(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

func (m *Manager) openTools(ctx context.Context) (err error) {
	if m.db, err = db.Open(ctx, m.o.Database, db.Options{}); err != nil {
		return err
	}
	m.closers = append(m.closers, m.db.Close)
	if m.bus, err = signal.New(ctx, m.db); err != nil {
		return err
	}
	m.closers = append(m.closers, func() error { m.bus.Close(); return nil })
	if m.events, err = eventlog.New(ctx, m.db, m.bus); err != nil {
		return err
	}
	leases, err := lease.New(ctx, m.db)
	if err != nil {
		return err
	}
	m.shards = lease.NewShards(leases, "spaces", m.o.Replica, shardCount, shardLife)
	tasks := m.o.Tasks
	tasks.Replica, tasks.Logger = m.o.Replica, m.log
	m.tasks, err = task.New(ctx, m.db, m.events, m.bus, tasks)
	return err
}

// Spaces are divided among replicas in so many shards, each a lease of so long: a killed replica's Spaces have another
// within seconds.
const (
	shardCount = 64
	shardLife  = 6 * time.Second
)

// URL is where people reach this replica.
func (m *Manager) URL() string {
	scheme := "http"
	if m.o.TLSCert != "" {
		scheme = "https"
	}
	return scheme + "://" + m.listener.Addr().String()
}

// FirstLogin is set on the very first run: what to tell the operator, once.
func (m *Manager) FirstLogin() *identity.FirstLogin { return m.first }

// AgentAddress is where agents connect.
func (m *Manager) AgentAddress() string { return m.agents.Addr() }

// EnrolLocal makes an enrolment token for an agent in this process.
func (m *Manager) EnrolLocal(ctx context.Context) (string, error) {
	return fleetagents.Token(ctx, m.fleet, odcm.System, "the agent beside the manager", 0)
}
