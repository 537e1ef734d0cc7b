// Package alerttest is a company for tests of alerts: Spaces whose status changes as that of real ones does, over a real
// database, and receivers that remember what they were told.
package alerttest

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/eventlog"
	"odcm/kit/lease"
	"odcm/kit/mail"
	"odcm/kit/signal"
	"odcm/manager/alert"
	"odcm/manager/alert/alertsql"
	"odcm/manager/alert/desk"
	"odcm/manager/alert/receiver"
	"odcm/manager/alert/watch"
)

// World is the company.
type World struct {
	t      testing.TB
	DB     *db.DB
	Bus    *signal.Bus
	Log    *eventlog.Log
	Leases *lease.Store
	Store  *alertsql.Store
	Outbox *Outbox

	reading sync.Mutex // held while a change is committed and can be read

	mu    sync.Mutex
	level map[string]alert.Reading
	fails bool
	told  []Told
	Fail  func(r receiver.Receiver, m receiver.Message) error // what telling comes to; nil: it arrives
}

// Told is something that a receiver was told.
type Told struct {
	Receiver string
	receiver.Message
}

// Outbox remembers mail that was committed.
type Outbox struct {
	mu   sync.Mutex
	d    *db.DB
	Mail []mail.Message
}

// Put implements alertsql.Outbox.
func (o *Outbox) Put(_ context.Context, tx *sql.Tx, m mail.Message, _ time.Time) error {
	o.d.AfterCommit(tx, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.Mail = append(o.Mail, m)
	})
	return nil
}

// Sent is the mail so far.
func (o *Outbox) Sent() []mail.Message {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.Mail)
}

// New makes a company in the database.
func New(t testing.TB, d *db.DB) *World {
	t.Helper()
	w := &World{t: t, DB: d, level: map[string]alert.Reading{}, Outbox: &Outbox{d: d}}
	var err error
	if w.Bus, err = signal.New(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Bus.Close)
	if w.Log, err = eventlog.New(t.Context(), d, w.Bus); err != nil {
		t.Fatal(err)
	}
	if w.Leases, err = lease.New(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	w.Store, err = alertsql.New(t.Context(), alertsql.Options{DB: d, Events: w.Log, Leases: w.Leases, Outbox: w.Outbox, Bus: w.Bus})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// Space is what is read of a Space's status. Its identifier is "space-" and the name.
func Space(name, status, server string, at time.Time) alert.Reading {
	return alert.Reading{Signal: alert.Status, Subject: "space-" + name, Kind: alert.KindSpace, Name: name, Text: status, At: at,
		Labels: map[string]string{"space": name, "server": server}}
}

// Set puts readings among those that can be read, without an event.
func (w *World) Set(all ...alert.Reading) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range all {
		w.level[string(v.Signal)+"/"+v.Subject] = v
	}
}

// Change changes the status of Spaces as the monitor does: with events, and so that it can be read. It is safe where the
// database fails: it tries again.
func (w *World) Change(ctx context.Context, all ...alert.Reading) {
	w.reading.Lock()
	defer w.reading.Unlock()
	for ctx.Err() == nil {
		err := w.DB.Tx(ctx, func(tx *sql.Tx) error {
			var events []odcm.Event
			for _, v := range all {
				events = append(events, odcm.NewEvent(odcm.System, watch.StatusChanged, v.Subject, v.Name, nil, map[string]string{"status": v.Text, "reason": v.Reason}))
			}
			return w.Log.Append(ctx, tx, events...)
		})
		if err == nil {
			w.Set(all...)
			return
		}
	}
}

// Remove takes a subject away.
func (w *World) Remove(subject string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.DeleteFunc(w.level, func(_ string, v alert.Reading) bool { return v.Subject == subject })
}

// Readings implements watch.Source.
func (w *World) Readings(context.Context) ([]alert.Reading, error) {
	w.reading.Lock()
	defer w.reading.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fails {
		return nil, errors.New("nothing can be read")
	}
	return slices.Collect(maps.Values(w.level)), nil
}

// Send implements delivery.Sender.
func (w *World) Send(_ context.Context, r receiver.Receiver, m receiver.Message) error {
	w.mu.Lock()
	fail := w.Fail
	w.mu.Unlock()
	if fail != nil {
		if err := fail(r, m); err != nil {
			return err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, Told{r.Name, m})
	return nil
}

// SetFail says what telling comes to from now on.
func (w *World) SetFail(f func(r receiver.Receiver, m receiver.Message) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Fail = f
}

// Told is what receivers were told so far.
func (w *World) Told() []Told {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.told)
}

// Wait waits until something is so.
func (w *World) Wait(what string, so func() bool) {
	w.t.Helper()
	for end := time.Now().Add(90 * time.Second); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("not within 90 s: %s", what)
		}
	}
}

// Sealer seals nothing: what is sealed is kept as it is, with its place.
type Sealer struct{}

// Seal implements receiver.Sealer.
func (Sealer) Seal(plain []byte, place string) (string, error) {
	return place + "\n" + string(plain), nil
}

// Open implements receiver.Sealer.
func (Sealer) Open(sealed, place string) ([]byte, error) {
	if len(sealed) < len(place)+1 || sealed[:len(place)] != place {
		return nil, odcm.E(odcm.Internal, "seal.broken", "It was sealed for another place.")
	}
	return []byte(sealed[len(place)+1:]), nil
}

// Save keeps a setting as a desk would.
func (w *World) Save(kind, id string, v any) {
	w.t.Helper()
	body, err := json.Marshal(v)
	if err != nil {
		w.t.Fatal(err)
	}
	revision := int64(0)
	if was, err := w.Store.Setting(w.t.Context(), kind, id); err == nil {
		revision = was.Revision
	}
	_, err = w.Store.Save(w.t.Context(), desk.Setting{Kind: kind, ID: id, Body: string(body), Revision: revision}, odcm.NewEvent(odcm.System, "alert-"+kind+".changed", id, id, nil, nil))
	if err != nil {
		w.t.Fatal(err)
	}
}

// AddReceiver makes a receiver that is told of everything; what it is told the World remembers.
func (w *World) AddReceiver(name string) {
	w.t.Helper()
	w.Save(desk.KindReceiver, "receiver-"+name, receiver.Receiver{ID: "receiver-" + name, Name: name, Kind: receiver.Webhook, Default: true, Enabled: true})
}

// Offline is the rule about offline Spaces without waiting and without damping.
func (w *World) Offline(change func(*alert.Rule)) {
	w.t.Helper()
	r := alert.Defaults()[0]
	r.GroupWait, r.FlapChanges = 0, 0
	if change != nil {
		change(&r)
	}
	w.Save(desk.KindRule, r.ID, r)
}
