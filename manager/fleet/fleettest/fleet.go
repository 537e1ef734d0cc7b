// Package fleettest holds what a fleet's store must do, and a fleet for tests of those that talk to one.
package fleettest

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"sync"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/eventlog"
	"odcm/kit/signal"
	"odcm/manager/fleet"
	"odcm/manager/fleet/fleetagents"
	"odcm/manager/fleet/fleetsql"
)

// Fleet is a whole fleet on a database, with its listener for agents.
type Fleet struct {
	*fleet.Service
	Store    *fleetsql.Store
	Log      *eventlog.Log
	Listener *fleetagents.Listener
}

// Sealer seals with AES-GCM under a key of its own. One is shared by everything that uses one database.
type Sealer struct{ aead cipher.AEAD }

// NewSealer makes one with a random key.
func NewSealer(t testing.TB) *Sealer {
	t.Helper()
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	return &Sealer{aead}
}

// Seal implements fleet.Sealer.
func (s *Sealer) Seal(plain []byte, associated string) (string, error) {
	return base64.StdEncoding.EncodeToString(s.aead.Seal(nil, nil, plain, []byte(associated))), nil
}

// Open implements fleet.Sealer.
func (s *Sealer) Open(sealed, associated string) ([]byte, error) {
	data, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return nil, err
	}
	return s.aead.Open(nil, nil, data, []byte(associated))
}

// Everything permits administrators what they ask for, and nobody else anything.
type Everything struct{}

// Authorize implements odcm.Authorizer.
func (Everything) Authorize(_ context.Context, p odcm.Principal, action odcm.Action, _ string) error {
	if p.Has(odcm.Administrator) {
		return nil
	}
	return odcm.E(odcm.Denied, "denied", "You may not %s.", action)
}

// Clock is a time that a test moves.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock starts at the present.
func NewClock() *Clock { return &Clock{now: time.Now().UTC().Truncate(time.Millisecond)} }

// Now is the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Add moves the clock.
func (c *Clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// New opens a fleet on the database and closes it with the test. Opened again with the same sealer it is the same fleet,
// as after a restart of the manager. A nil now is the present.
func New(t testing.TB, d *db.DB, sealer *Sealer, now func() time.Time) *Fleet {
	t.Helper()
	ctx := context.Background()
	bus, err := signal.New(ctx, d)
	if err != nil {
		t.Fatal(err)
	}
	log, err := eventlog.New(ctx, d, bus)
	if err != nil {
		t.Fatal(err)
	}
	store, err := fleetsql.New(ctx, d, log)
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	service, err := fleet.New(ctx, fleet.Options{Store: store, Enrolments: store, Sealer: sealer, Authorizer: Everything{}, Bus: bus, Logger: logger, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := fleetagents.New(fleetagents.Options{Listen: "127.0.0.1:0", Fleet: service, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	listener.Start()
	t.Cleanup(func() {
		_ = listener.Stop(ctx)
		service.Close()
		bus.Close()
	})
	return &Fleet{Service: service, Store: store, Log: log, Listener: listener}
}

// Token makes an enrolment token as text.
func (f *Fleet) Token(ctx context.Context) (string, error) {
	return fleetagents.Token(ctx, f.Service, odcm.System, "test", 0)
}
