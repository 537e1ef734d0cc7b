package ssokey_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"odcm"
	"odcm/manager/sso"
	"odcm/manager/sso/ssokey"
	"odcm/manager/sso/ssotest"
)

// memory is a store that replicas share; looks counts how often it was read.
type memory struct {
	mu     sync.Mutex
	rows   []ssokey.Row
	events []odcm.Event
	looks  int
}

func (m *memory) Keys(context.Context) ([]ssokey.Row, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.looks++
	return slices.Clone(m.rows), nil
}

func (m *memory) AddKey(_ context.Context, r ssokey.Row, e odcm.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if slices.ContainsFunc(m.rows, func(k ssokey.Row) bool { return k.Algorithm == r.Algorithm && k.Generation == r.Generation }) {
		return odcm.E(odcm.Exists, "sso.key-exists", "Another replica made the key.")
	}
	m.rows, m.events = append(m.rows, r), append(m.events, e)
	return nil
}

func (m *memory) DeleteKeys(_ context.Context, ids []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rows = slices.DeleteFunc(m.rows, func(k ssokey.Row) bool { return slices.Contains(ids, k.ID) })
	return nil
}

// deaf is a bus whose hints are lost.
type deaf struct{}

func (deaf) Publish(...string) {}

// replica is a ring on the store.
func replica(store *memory, sealer ssokey.Sealer) *ssokey.Ring {
	return ssokey.New(ssokey.Options{Store: store, Sealer: sealer, Bus: deaf{}, Logger: slog.New(slog.DiscardHandler)})
}

func sign(t *testing.T, r *ssokey.Ring, alg sso.Algorithm) (token, kid string) {
	t.Helper()
	token, err := r.Sign(t.Context(), alg, "", map[string]string{"sub": "user-ann"})
	if err != nil {
		t.Fatal(err)
	}
	return token, kidOf(t, token)
}

func kidOf(t *testing.T, token string) string {
	t.Helper()
	head, err := base64.RawURLEncoding.DecodeString(token[:strings.Index(token, ".")])
	if err != nil {
		t.Fatal(err)
	}
	var h struct{ Kid string }
	if err := json.Unmarshal(head, &h); err != nil || h.Kid == "" {
		t.Fatalf("%s: %v", head, err)
	}
	return h.Kid
}

// trusted tells whether the replica's own keys verify the token, as an id_token_hint is verified.
func trusted(t *testing.T, r *ssokey.Ring, token string) bool {
	t.Helper()
	_, err := sso.Verify(token, "", func(kid string) (jose.JSONWebKey, error) { return r.Public(t.Context(), kid) })
	return err == nil
}

// published are the kids of the key set as relying parties fetch it, and its entity tag.
func published(t *testing.T, r *ssokey.Ring) (kids []string, etag string) {
	t.Helper()
	body, etag, err := r.Set(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(body, &set); err != nil {
		t.Fatal(err)
	}
	for _, k := range set.Keys {
		if !k.IsPublic() || !k.Valid() || k.Use != "sig" {
			t.Errorf("a key that nobody may have or use: %s", body)
		}
		kids = append(kids, k.KeyID)
	}
	return kids, etag
}

func states(t *testing.T, r *ssokey.Ring, alg sso.Algorithm) (all []string) {
	t.Helper()
	list, err := r.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range list {
		if k.Algorithm == alg {
			all = append(all, k.State(time.Now()))
		}
	}
	return all
}

// TestRotation follows a key from the first signature to the day on which nothing knows it any more.
func TestRotation(t *testing.T) {
	t.Parallel()
	for _, alg := range []sso.Algorithm{sso.ES256, sso.RS256} {
		t.Run(string(alg), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := replica(&memory{}, ssotest.NewSealer())
				old, first := sign(t, r, alg)
				_, before := published(t, r)
				if err := r.Rotate(t.Context(), odcm.System, alg); err != nil {
					t.Fatal(err)
				}
				kids, after := published(t, r)
				if before == after || len(kids) != 3 || !slices.Equal(states(t, r, alg), []string{"next", "signing"}) {
					t.Errorf("published %v, %v", kids, states(t, r, alg))
				}
				if err := r.Rotate(t.Context(), odcm.System, alg); odcm.KindOf(err) != odcm.Conflict {
					t.Errorf("a rotation while one is on its way: %v", err)
				}
				time.Sleep(ssokey.Lead - time.Millisecond)
				if _, kid := sign(t, r, alg); kid != first {
					t.Error("the next key signs before everybody can have fetched it")
				}
				time.Sleep(time.Millisecond)
				fresh, second := sign(t, r, alg)
				if second == first || !slices.Contains(kids, second) || !slices.Equal(states(t, r, alg), []string{"signing", "retired"}) {
					t.Errorf("signed by %s after %s, published %v, %v", second, first, kids, states(t, r, alg))
				}
				time.Sleep(30 * 24 * time.Hour) // as long as a refresh token lasts
				if !trusted(t, r, old) || !trusted(t, r, fresh) {
					t.Error("what was signed is not trusted as long as it is of use")
				}
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- r.Run(ctx, nil) }()
				defer func() { stop(); <-done }()
				time.Sleep(2 * 24 * time.Hour)
				if kids, _ := published(t, r); slices.Contains(kids, first) || trusted(t, r, old) {
					t.Errorf("a key is kept past its end: %v", kids)
				}
				if !trusted(t, r, fresh) {
					t.Error("the present key is gone too")
				}
			})
		})
	}
}

// TestKeysComeByThemselves: a replica that only runs makes the keys that are missing, and the next ones in time, and at no moment
// is a key that signs unpublished or what was sealed a month ago unreadable.
func TestKeysComeByThemselves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		r := replica(store, ssotest.NewSealer())
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx, nil) }()
		defer func() { stop(); <-done }()
		time.Sleep(time.Second)
		synctest.Wait()
		if len(store.rows) != 3 {
			t.Errorf("%d keys from the start: want one of each algorithm and one that seals", len(store.rows))
		}
		sealed := []string{}
		signers := map[string]bool{}
		for day := range 200 {
			for range 24 {
				kids, _ := published(t, r)
				_, kid := sign(t, r, sso.ES256)
				if signers[kid] = true; !slices.Contains(kids, kid) {
					t.Fatalf("day %d: %s signs and is not published", day, kid)
				}
				time.Sleep(time.Hour)
			}
			text, err := r.Seal("refresh", day)
			if err != nil {
				t.Fatal(err)
			}
			if sealed = append(sealed, text); day >= 30 {
				var was int
				if err := r.Open("refresh", sealed[day-30], &was); err != nil || was != day-30 {
					t.Fatalf("day %d: what was sealed 30 days ago: %d, %v", day, was, err)
				}
			}
		}
		if len(signers) != 3 {
			t.Errorf("%d keys signed in 200 days: want one for every 90", len(signers))
		}
		for _, row := range store.rows {
			if row.Generation > 1 && row.Starts.Sub(row.Created) < ssokey.Lead {
				t.Errorf("%s %d was published for %s only before it signed", row.Algorithm, row.Generation, row.Starts.Sub(row.Created))
			}
		}
		var gone int
		if err := r.Open("refresh", sealed[0], &gone); odcm.CodeOf(err) != "sso.sealed" {
			t.Errorf("what was sealed 200 days ago, by a key that is gone: %v", err)
		}
	})
}

// TestTwoReplicas: replicas that never hear of each other sign with one key, change on the same moment, and trust each other's
// signatures and sealed texts at once.
func TestTwoReplicas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, sealer := &memory{}, ssotest.NewSealer()
		one, other := replica(store, sealer), replica(store, sealer)
		var both sync.WaitGroup // the first signature of all, on both at once
		kids := make([]string, 2)
		for i, r := range []*ssokey.Ring{one, other} {
			both.Go(func() {
				token, err := r.Sign(t.Context(), sso.ES256, "", 1)
				if err != nil {
					t.Error(err)
					return
				}
				kids[i] = kidOf(t, token)
			})
		}
		both.Wait()
		if kids[0] == "" || kids[0] != kids[1] || len(store.rows) != 1 || len(store.events) != 1 {
			t.Fatalf("%v, %d keys", kids, len(store.rows))
		}
		if _, err := one.Seal("code", 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second) // the very first key of all is not looked for more often, where its hint is lost
		if err := one.Rotate(t.Context(), odcm.System, sso.ES256); err != nil {
			t.Fatal(err)
		}
		changes := 0
		for last := kids[0]; time.Since(store.rows[0].Starts) < 2*ssokey.Lead; time.Sleep(500 * time.Millisecond) {
			a, kid := sign(t, one, sso.ES256)
			b, same := sign(t, other, sso.ES256)
			if kid != same {
				t.Fatalf("%s after the rotation one signs with %s, the other with %s", time.Since(store.rows[0].Starts), kid, same)
			}
			if !trusted(t, one, b) || !trusted(t, other, a) {
				t.Fatal("one does not trust what the other signed")
			}
			if kid != last {
				changes, last = changes+1, kid
			}
			text, err := one.Seal("code", kid)
			var got string
			if err == nil {
				err = other.Open("code", text, &got)
			}
			if err != nil || got != kid {
				t.Fatalf("a code of the one at the other: %q, %v", got, err)
			}
		}
		if changes != 1 {
			t.Errorf("the key changed %d times", changes)
		}
		if err := other.Rotate(t.Context(), odcm.System, sso.ES256); err != nil {
			t.Fatal(err)
		}
		if len(store.rows) != 4 || store.rows[3].Generation != 3 {
			t.Errorf("a rotation on the other: %+v", store.rows)
		}
	})
}

// TestTheFirstOfAnother: a code that another replica sealed with a key that was made a moment ago is opened.
func TestTheFirstOfAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, sealer := &memory{}, ssotest.NewSealer()
		one, other := replica(store, sealer), replica(store, sealer)
		if _, err := other.List(t.Context()); err != nil { // it has looked, and seen none
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		text, err := one.Seal("code", "hello")
		if err != nil {
			t.Fatal(err)
		}
		var got string
		if err := other.Open("code", text, &got); err != nil || got != "hello" {
			t.Errorf("%q, %v", got, err)
		}
		store.looks = 0
		for i := range 100 { // strangers may name any key they like, and cost no more than a look now and then
			if _, err := other.Public(t.Context(), fmt.Sprint("made-up-", i)); odcm.KindOf(err) != odcm.NotFound {
				t.Fatal(err)
			}
			time.Sleep(50 * time.Millisecond)
		}
		if store.looks < 2 || store.looks > 4 {
			t.Errorf("%d looks at the database in 5 s for keys that there are not", store.looks)
		}
	})
}
