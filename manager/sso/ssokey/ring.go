package ssokey

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"odcm"
	"odcm/manager/sso"
)

// Times in the life of a key.
const (
	MaxAge   = 5 * time.Minute     // for which the key set may be kept by who fetched it
	Lead     = 2 * MaxAge          // from being published to signing
	signs    = 90 * 24 * time.Hour // then the next one takes over
	keep     = 31 * 24 * time.Hour // longer than a refresh token lasts, and an id_token_hint is of use
	believed = time.Minute         // how long the keys in memory are, where no hint says otherwise
)

// Topic is what the bus says when there is a new key.
const Topic = "sso-key"

// sealing is the algorithm of keys that seal: XChaCha20-Poly1305, whose nonces are long enough to be random for ever.
const sealing sso.Algorithm = "XC20P"

// Row is a key as the store has it. Of one algorithm and generation there is one.
type Row struct {
	ID          string
	Algorithm   sso.Algorithm
	Generation  int
	Sealed      string // the private key
	Certificate string // base64 DER of a self-signed certificate, of RSA keys
	Created     time.Time
	Starts      time.Time
}

// Store keeps keys.
type Store interface {
	Keys(ctx context.Context) ([]Row, error)
	// AddKey returns odcm.Exists where another replica made the generation.
	AddKey(ctx context.Context, r Row, e odcm.Event) error
	DeleteKeys(ctx context.Context, ids []string) error
}

// Sealer seals secrets for their place (kit/seal).
type Sealer interface {
	Seal(plain []byte, place string) (string, error)
	Open(sealed, place string) ([]byte, error)
}

// Options are what a [Ring] needs. Logger and Now have defaults.
type Options struct {
	Store  Store
	Sealer Sealer
	Bus    sso.Bus
	Logger *slog.Logger
	Now    func() time.Time
}

// Ring is all keys of this moment. It implements [sso.Keys].
type Ring struct {
	o    Options
	have atomic.Pointer[keys]
	mu   sync.Mutex // held while keys are read or made
}

// New makes the ring; it reads and makes nothing yet.
func New(o Options) *Ring {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Ring{o: o}
}

func (r *Ring) now() time.Time { return r.o.Now().UTC().Truncate(time.Millisecond) }

// keys returns those in memory where they are fresh enough, else those of the database.
func (r *Ring) keys(ctx context.Context) (*keys, error) {
	if k := r.have.Load(); k != nil && r.now().Before(k.until) {
		return k, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if k := r.have.Load(); k != nil && r.now().Before(k.until) {
		return k, nil
	}
	return r.read(ctx)
}

// read reads the database. The mutex must be held.
func (r *Ring) read(ctx context.Context) (_ *keys, err error) {
	defer odcm.Wrap(&err, "read the keys of the OpenID Provider")
	rows, err := r.o.Store.Keys(ctx)
	if err != nil {
		return nil, err
	}
	k, err := newKeys(rows, r.have.Load(), r.o.Sealer, r.now())
	if err != nil {
		return nil, err
	}
	r.have.Store(k)
	return k, nil
}

// Forget makes the next use ask the database.
func (r *Ring) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if k := r.have.Load(); k != nil {
		stale := *k
		stale.until = time.Time{}
		r.have.Store(&stale)
	}
}

// active returns the key that the algorithm signs or seals with now, which is made where there is none at all.
func (r *Ring) active(ctx context.Context, alg sso.Algorithm) (*key, error) {
	k, err := r.keys(ctx)
	if err != nil {
		return nil, err
	}
	if one := k.active(alg, r.now()); one != nil {
		return one, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if k, err = r.read(ctx); err != nil {
		return nil, err
	}
	if one := k.active(alg, r.now()); one != nil {
		return one, nil
	}
	if k, err = r.add(ctx, odcm.System, alg, k); err != nil {
		return nil, err
	}
	if one := k.active(alg, r.now()); one != nil {
		return one, nil
	}
	return nil, odcm.E(odcm.Internal, "sso.no-key", "there is no key for %s", alg)
}

// add makes the next generation, unless another replica is faster. The mutex must be held.
func (r *Ring) add(ctx context.Context, by odcm.Principal, alg sso.Algorithm, k *keys) (*keys, error) {
	row := Row{ID: newID(), Algorithm: alg, Created: r.now(), Starts: r.now(), Generation: 1}
	if last := k.last(alg); last != nil {
		row.Generation, row.Starts = last.Generation+1, row.Created.Add(Lead)
	}
	private, err := generate(&row, r.now())
	if err != nil {
		return nil, err
	}
	if row.Sealed, err = r.o.Sealer.Seal(private, place(row.ID)); err != nil {
		return nil, err
	}
	e := odcm.NewEvent(by, "signing-key.made", row.ID, string(alg), nil, map[string]any{"algorithm": alg, "signsFrom": row.Starts})
	err = r.o.Store.AddKey(ctx, row, e)
	if err != nil && odcm.KindOf(err) != odcm.Exists {
		return nil, err
	}
	r.o.Bus.Publish(Topic)
	return r.read(ctx)
}

func place(id string) string { return "sso_key/" + id + "/sealed" }

// Rotate implements [sso.Keys].
func (r *Ring) Rotate(ctx context.Context, by odcm.Principal, alg sso.Algorithm) (err error) {
	defer odcm.Wrap(&err, "rotate the key for %s", alg)
	r.mu.Lock()
	defer r.mu.Unlock()
	k, err := r.read(ctx)
	if err != nil {
		return err
	}
	if last := k.last(alg); last != nil && r.now().Before(last.Starts) {
		return odcm.E(odcm.Conflict, "signing-key.rotating", "The next key is published already: it signs from %s on.", last.Starts.Format(time.TimeOnly+" MST"))
	}
	_, err = r.add(ctx, by, alg, k)
	return err
}

// List implements [sso.Keys].
func (r *Ring) List(ctx context.Context) ([]sso.SigningKey, error) {
	k, err := r.keys(ctx)
	if err != nil {
		return nil, err
	}
	var all []sso.SigningKey
	for _, one := range k.all {
		if one.Algorithm != sealing {
			all = append(all, sso.SigningKey{ID: one.ID, Algorithm: one.Algorithm, Created: one.Created, Starts: one.Starts, Ends: one.ends, Gone: one.gone()})
		}
	}
	return all, nil
}

// Run makes the keys that are missing, and the next ones when it is time, until ctx ends or hints (what Bus.Subscribe(Topic)
// gives) closes. Replicas may all run it.
func (r *Ring) Run(ctx context.Context, hints <-chan string) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case _, ok := <-hints:
			if !ok {
				return nil
			}
			r.Forget()
		case <-timer.C:
			next, err := r.tend(ctx)
			if err != nil && ctx.Err() == nil {
				r.o.Logger.ErrorContext(ctx, "keys of the OpenID Provider", "error", err)
				next = r.now().Add(time.Minute)
			}
			timer.Reset(max(time.Second, next.Sub(r.now())))
		}
	}
}

// tend makes what is due and returns when the next thing is.
func (r *Ring) tend(ctx context.Context) (next time.Time, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k, err := r.read(ctx)
	if err != nil {
		return next, err
	}
	for _, alg := range []sso.Algorithm{sealing, sso.ES256, sso.RS256} {
		last := k.last(alg)
		if last == nil || !r.now().Before(last.Starts.Add(signs-Lead)) {
			if k, err = r.add(ctx, odcm.System, alg, k); err != nil {
				return next, err
			}
			last = k.last(alg)
		}
		if due := last.Starts.Add(signs - Lead); next.IsZero() || due.Before(next) {
			next = due
		}
	}
	var gone []string
	for _, one := range k.all {
		if end := one.gone(); !end.IsZero() && !r.now().Before(end) {
			gone = append(gone, one.ID)
		} else if !end.IsZero() && end.Before(next) {
			next = end
		}
	}
	if len(gone) > 0 {
		if err := r.o.Store.DeleteKeys(ctx, gone); err != nil {
			return next, err
		}
		_, err = r.read(ctx)
	}
	return next, err
}

// newest first within an algorithm.
func byGeneration(a, b *key) int {
	if a.Algorithm != b.Algorithm {
		return slices.Index([]sso.Algorithm{sso.ES256, sso.RS256, sealing}, a.Algorithm) - slices.Index([]sso.Algorithm{sso.ES256, sso.RS256, sealing}, b.Algorithm)
	}
	return b.Generation - a.Generation
}
