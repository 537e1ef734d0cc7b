package licence_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"odcm"
	"odcm/manager/licence"
)

var (
	barry  = odcm.Principal{User: "user-barry", Name: "Barry", Roles: []odcm.Role{odcm.Administrator}, Via: "session"}
	audrey = odcm.Principal{User: "user-audrey", Name: "Audrey", Roles: []odcm.Role{odcm.Auditor}}
	bob    = odcm.Principal{User: "user-bob", Name: "Bob", Roles: []odcm.Role{odcm.Member}}
	now    = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
)

// rule lets administrators do all and auditors read.
type rule struct{}

func (rule) Authorize(_ context.Context, p odcm.Principal, a odcm.Action, _ string) error {
	if p.Has(odcm.Administrator) || p.Has(odcm.Auditor) && a == licence.ActionRead {
		return nil
	}
	return odcm.E(odcm.Denied, "test.denied", "No.")
}

// estate is the servers, and the store.
type estate struct {
	servers []licence.Server
	reads   int
	kept    *licence.Installed
	events  []odcm.Event
}

func (e *estate) Licences(context.Context) ([]licence.Server, error) {
	e.reads++
	return e.servers, nil
}

func (e *estate) Installed(context.Context) (*licence.Installed, error) { return e.kept, nil }

func (e *estate) Swap(_ context.Context, next *licence.Installed, decide func(*licence.Installed) (*odcm.Event, error)) error {
	event, err := decide(e.kept)
	if err == nil && event != nil {
		e.kept, e.events = next, append(e.events, *event)
	}
	return err
}

// world is a room on an estate.
type world struct {
	*licence.Service
	*estate
	key ed25519.PrivateKey
	now time.Time
}

func newWorld(t testing.TB, servers ...licence.Server) *world {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{estate: &estate{servers: servers}, key: key, now: now}
	w.Service = licence.New(licence.Options{Store: w.estate, Servers: w.estate, Authorizer: rule{}, Keys: []ed25519.PublicKey{public(key)},
		Now: func() time.Time { return w.now }})
	return w
}

func public(key ed25519.PrivateKey) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }

func claim() licence.Claim {
	return licence.Claim{ID: "E-1001", Product: licence.Product, Holder: "Example Ltd", Issued: now.AddDate(0, -1, 0), NotBefore: now.AddDate(0, -1, 0),
		Expires: now.AddDate(1, 0, 0), Extras: []licence.Extra{{Name: "Support", Detail: "Around the clock"}}}
}

// sign makes a file of anything.
func sign(t testing.TB, key ed25519.PrivateKey, payloadType string, said any) []byte {
	t.Helper()
	payload, err := json.Marshal(said)
	if err != nil {
		t.Fatal(err)
	}
	return envelope(t, payloadType, payload, dsse.Signature{KeyID: licence.KeyID(public(key)),
		Sig: base64.StdEncoding.EncodeToString(ed25519.Sign(key, pae(payloadType, payload)))})
}

// pae is the pre-authentication encoding, written from DSSE's protocol.md and not by the library that proves.
func pae(payloadType string, payload []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload)
}

func envelope(t testing.TB, payloadType string, payload []byte, signatures ...dsse.Signature) []byte {
	t.Helper()
	file, err := json.Marshal(dsse.Envelope{PayloadType: payloadType, Payload: base64.StdEncoding.EncodeToString(payload), Signatures: signatures})
	if err != nil {
		t.Fatal(err)
	}
	return file
}
