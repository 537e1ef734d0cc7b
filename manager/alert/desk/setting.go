package desk

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"odcm"
	"odcm/manager/alert"
	"odcm/manager/alert/receiver"
)

// revised is something with an identifier and a revision.
type revised interface {
	alert.Rule | receiver.Receiver | alert.Silence | alert.Window
}

func read[T revised](s Setting) (v T, err error) {
	if err := json.Unmarshal([]byte(s.Body), &v); err != nil {
		return v, fmt.Errorf("read %s %s: %w", s.Kind, s.ID, err)
	}
	switch v := any(&v).(type) {
	case *alert.Rule:
		v.Revision = s.Revision
	case *receiver.Receiver:
		v.Revision = s.Revision
	case *alert.Silence:
		v.Revision = s.Revision
	case *alert.Window:
		v.Revision = s.Revision
	}
	return v, nil
}

func list[T revised](ctx context.Context, d *Desk, kind string, f SettingFilter) (all []T, err error) {
	kept, err := d.o.Store.Settings(ctx, kind, f)
	for _, s := range kept {
		v, err := read[T](s)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, err
}

func get[T revised](ctx context.Context, d *Desk, kind, id string) (v T, err error) {
	s, err := d.o.Store.Setting(ctx, kind, id)
	if err != nil {
		return v, err
	}
	return read[T](s)
}

// save keeps v, made or changed, with an event that tells what is different.
func save[T revised](ctx context.Context, d *Desk, p odcm.Principal, kind, id, name string, revision int64, ends time.Time, v T, before any) (saved T, err error) {
	body, err := json.Marshal(v)
	if err != nil {
		return v, err
	}
	verb := "changed"
	if revision == 0 {
		verb = "created"
	}
	kept, err := d.o.Store.Save(ctx, Setting{Kind: kind, ID: id, Body: string(body), Ends: ends, Revision: revision},
		odcm.NewEvent(p, "alert-"+kind+"."+verb, id, name, public(before), public(v)))
	if err != nil {
		return v, err
	}
	return read[T](kept)
}

// public is what an event shows.
func public(v any) any {
	if r, ok := v.(receiver.Receiver); ok {
		r.Sealed, r.CA = "", ""
		return r
	}
	return v
}

func (d *Desk) configure(ctx context.Context, p odcm.Principal) error {
	return d.o.Authorizer.Authorize(ctx, p, ActionConfigure, "")
}

func (d *Desk) lists(ctx context.Context, p odcm.Principal) error {
	return d.o.Authorizer.Authorize(ctx, p, ActionList, "")
}

// maxSettings bounds rules, receivers and windows: each is looked at in every step.
const maxSettings = 200

func (d *Desk) room(ctx context.Context, kind string) error {
	all, err := d.o.Store.Settings(ctx, kind, SettingFilter{Limit: maxSettings})
	if err == nil && len(all) >= maxSettings {
		err = odcm.E(odcm.Invalid, "alert.too-many", "There are %d already: delete what is not needed.", maxSettings)
	}
	return err
}

// Rules lists all rules, by name.
func (d *Desk) Rules(ctx context.Context, p odcm.Principal) ([]alert.Rule, error) {
	if err := d.lists(ctx, p); err != nil {
		return nil, err
	}
	all, err := list[alert.Rule](ctx, d, KindRule, SettingFilter{Limit: maxSettings})
	slices.SortFunc(all, func(a, b alert.Rule) int { return strings.Compare(a.Name, b.Name) })
	return all, err
}

// Rule returns a rule.
func (d *Desk) Rule(ctx context.Context, p odcm.Principal, id string) (alert.Rule, error) {
	if err := d.lists(ctx, p); err != nil {
		return alert.Rule{}, err
	}
	return get[alert.Rule](ctx, d, KindRule, id)
}

// SaveRule makes a rule without identifier, and changes any other.
func (d *Desk) SaveRule(ctx context.Context, p odcm.Principal, r alert.Rule) (_ alert.Rule, err error) {
	defer odcm.Wrap(&err, "save rule %s", r.ID)
	if err := d.configure(ctx, p); err != nil {
		return r, err
	}
	if r.Signal == alert.Status {
		r.Op, r.Threshold = "", 0
	} else {
		r.Is = ""
	}
	if err := r.Check(); err != nil {
		return r, err
	}
	known, err := list[receiver.Receiver](ctx, d, KindReceiver, SettingFilter{Limit: maxSettings})
	if err != nil {
		return r, err
	}
	for field, ids := range map[string][]string{"receivers": r.Receivers, "escalateTo": r.EscalateTo} {
		for _, id := range ids {
			if !slices.ContainsFunc(known, func(k receiver.Receiver) bool { return k.ID == id }) {
				return r, odcm.E(odcm.Invalid, "alert.rule", "There is no receiver %s.", id).OnField(field)
			}
		}
	}
	var before any
	if r.ID == "" {
		if err := d.room(ctx, KindRule); err != nil {
			return r, err
		}
		r.ID, r.Revision = odcm.NewID[string]("rule"), 0
	} else {
		was, err := get[alert.Rule](ctx, d, KindRule, r.ID)
		if err != nil {
			return r, err
		}
		before = was
		if r.Revision == 0 {
			r.Revision = was.Revision
		}
	}
	return save(ctx, d, p, KindRule, r.ID, r.Name, r.Revision, time.Time{}, r, before)
}

// Preview lists what the rule would find now.
func (d *Desk) Preview(ctx context.Context, p odcm.Principal, r alert.Rule) (found []alert.Reading, err error) {
	defer odcm.Wrap(&err, "preview a rule")
	if err := d.lists(ctx, p); err != nil {
		return nil, err
	}
	if r.Name == "" {
		r.Name = "preview"
	}
	if err := r.Check(); err != nil {
		return nil, err
	}
	all, err := d.o.Source.Readings(ctx)
	for _, v := range all {
		if holds, known := r.Holds(v); known && holds && r.Covers(v) {
			found = append(found, v)
		}
	}
	slices.SortFunc(found, func(a, b alert.Reading) int { return strings.Compare(a.Name, b.Name) })
	return found, err
}

// Receivers lists all receivers, by name.
func (d *Desk) Receivers(ctx context.Context, p odcm.Principal) ([]receiver.Receiver, error) {
	if err := d.lists(ctx, p); err != nil {
		return nil, err
	}
	all, err := list[receiver.Receiver](ctx, d, KindReceiver, SettingFilter{Limit: maxSettings})
	slices.SortFunc(all, func(a, b receiver.Receiver) int { return strings.Compare(a.Name, b.Name) })
	return all, err
}

// Receiver returns a receiver, without its secrets.
func (d *Desk) Receiver(ctx context.Context, p odcm.Principal, id string) (receiver.Receiver, error) {
	if err := d.lists(ctx, p); err != nil {
		return receiver.Receiver{}, err
	}
	return get[receiver.Receiver](ctx, d, KindReceiver, id)
}

// SaveReceiver makes a receiver without identifier, and changes any other; secrets that are empty stay as they are. A new
// webhook gets a key to sign with, which Secrets of the result holds this once.
func (d *Desk) SaveReceiver(ctx context.Context, p odcm.Principal, r receiver.Receiver) (_ receiver.Receiver, err error) {
	defer odcm.Wrap(&err, "save receiver %s", r.ID)
	if err := d.configure(ctx, p); err != nil {
		return r, err
	}
	var before any
	made := ""
	if r.ID == "" {
		if err := d.room(ctx, KindReceiver); err != nil {
			return r, err
		}
		r.ID, r.Revision = odcm.NewID[string]("receiver"), 0
		if r.Kind == receiver.Webhook && r.Secrets.Key == "" {
			made = "whsec_" + key()
			r.Secrets.Key = made
		}
	} else {
		was, err := get[receiver.Receiver](ctx, d, KindReceiver, r.ID)
		if err != nil {
			return r, err
		}
		before = was
		if err := was.Open(d.o.Sealer); err != nil {
			return r, err
		}
		r.Kind = was.Kind
		if r.Revision == 0 {
			r.Revision = was.Revision
		}
		if r.Secrets.URL == "" {
			r.Secrets.URL = was.Secrets.URL
		}
		if r.Secrets.Key == "" {
			r.Secrets.Key = was.Secrets.Key
		}
	}
	r.Shown, r.Sealed = "", ""
	if err := r.Check(); err != nil {
		return r, err
	}
	if err := r.Seal(d.o.Sealer); err != nil {
		return r, err
	}
	saved, err := save(ctx, d, p, KindReceiver, r.ID, r.Name, r.Revision, time.Time{}, r, before)
	saved.Secrets.Key = made
	return saved, err
}

func key() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return base64.StdEncoding.EncodeToString(b)
}

// TestReceiver tells a receiver that this is a test, and explains what went wrong.
func (d *Desk) TestReceiver(ctx context.Context, p odcm.Principal, id string) (err error) {
	defer odcm.Wrap(&err, "test receiver %s", id)
	if err := d.configure(ctx, p); err != nil {
		return err
	}
	r, err := get[receiver.Receiver](ctx, d, KindReceiver, id)
	if err != nil {
		return err
	}
	return d.o.Teller.Tell(ctx, r, alert.Test(r.ID, d.now()))
}

// Windows lists all maintenance windows, by name.
func (d *Desk) Windows(ctx context.Context, p odcm.Principal) ([]alert.Window, error) {
	if err := d.lists(ctx, p); err != nil {
		return nil, err
	}
	all, err := list[alert.Window](ctx, d, KindWindow, SettingFilter{Limit: maxSettings})
	slices.SortFunc(all, func(a, b alert.Window) int { return strings.Compare(a.Name, b.Name) })
	return all, err
}

// Window returns a maintenance window.
func (d *Desk) Window(ctx context.Context, p odcm.Principal, id string) (alert.Window, error) {
	if err := d.lists(ctx, p); err != nil {
		return alert.Window{}, err
	}
	return get[alert.Window](ctx, d, KindWindow, id)
}

// SaveWindow makes a window without identifier, and changes any other.
func (d *Desk) SaveWindow(ctx context.Context, p odcm.Principal, w alert.Window) (_ alert.Window, err error) {
	defer odcm.Wrap(&err, "save window %s", w.ID)
	if err := d.configure(ctx, p); err != nil {
		return w, err
	}
	if err := w.Check(); err != nil {
		return w, err
	}
	var before any
	if w.ID == "" {
		if err := d.room(ctx, KindWindow); err != nil {
			return w, err
		}
		w.ID, w.Revision = odcm.NewID[string]("window"), 0
	} else {
		was, err := get[alert.Window](ctx, d, KindWindow, w.ID)
		if err != nil {
			return w, err
		}
		before = was
		if w.Revision == 0 {
			w.Revision = was.Revision
		}
	}
	return save(ctx, d, p, KindWindow, w.ID, w.Name, w.Revision, time.Time{}, w, before)
}

// Silences lists silences that have not ended, or those that have, by identifier.
func (d *Desk) Silences(ctx context.Context, p odcm.Principal, ended bool, after string, limit int) (all []alert.Silence, more bool, err error) {
	if err := d.lists(ctx, p); err != nil {
		return nil, false, err
	}
	f := SettingFilter{After: after, Limit: page(limit) + 1}
	if ended {
		f.EndedBy = d.now()
	} else {
		f.EndsAfter = d.now()
	}
	all, err = list[alert.Silence](ctx, d, KindSilence, f)
	if more = len(all) >= f.Limit; more {
		all = all[:f.Limit-1]
	}
	return all, more, err
}

// Silence returns a silence.
func (d *Desk) Silence(ctx context.Context, p odcm.Principal, id string) (alert.Silence, error) {
	if err := d.lists(ctx, p); err != nil {
		return alert.Silence{}, err
	}
	return get[alert.Silence](ctx, d, KindSilence, id)
}

// CreateSilence begins a silence, at once where it says no time. Whoever administers a Space may silence that.
func (d *Desk) CreateSilence(ctx context.Context, p odcm.Principal, s alert.Silence) (_ alert.Silence, err error) {
	defer odcm.Wrap(&err, "create silence")
	err = d.o.Authorizer.Authorize(ctx, p, ActionSilence, string(s.Space))
	if err != nil && (s.Space == "" || p.User == "" || !d.o.Access.Administers(ctx, p, s.Space)) {
		return s, err
	}
	now := d.now()
	if s.From.IsZero() {
		s.From = now
	}
	if err := s.Check(); err != nil {
		return s, err
	}
	if !s.Until.After(now) {
		return s, odcm.E(odcm.Invalid, "alert.silence-time", "It would be over already.").OnField("until")
	}
	s.ID, s.By, s.Revision = odcm.NewID[string]("silence"), p.Name, 0
	return save(ctx, d, p, KindSilence, s.ID, s.Comment, 0, s.Until, s, nil)
}

// EndSilence ends a silence early. Its revision may be 0: any.
func (d *Desk) EndSilence(ctx context.Context, p odcm.Principal, id string, revision int64) (err error) {
	defer odcm.Wrap(&err, "end silence %s", id)
	s, err := get[alert.Silence](ctx, d, KindSilence, id)
	denied := d.o.Authorizer.Authorize(ctx, p, ActionSilence, string(s.Space))
	if denied != nil && err == nil && s.Space != "" && p.User != "" && d.o.Access.Administers(ctx, p, s.Space) {
		denied = nil
	}
	if denied != nil && d.lists(ctx, p) != nil { // who may not list silences does not learn which there are
		return odcm.E(odcm.NotFound, "alert.silence-not-found", "There is no such silence.")
	}
	if err := cmp.Or(err, denied); err != nil {
		return err
	}
	now, before := d.now(), s
	if !s.Until.After(now) {
		return nil
	}
	if revision == 0 {
		revision = s.Revision
	}
	s.Until = now
	if s.From.After(now) {
		s.From = now
	}
	_, err = save(ctx, d, p, KindSilence, id, s.Comment, revision, now, s, before)
	return err
}

// Delete deletes a rule, a receiver or a window; revision 0 is any.
func (d *Desk) Delete(ctx context.Context, p odcm.Principal, kind, id string, revision int64) (err error) {
	defer odcm.Wrap(&err, "delete %s %s", kind, id)
	if err := d.configure(ctx, p); err != nil {
		return err
	}
	s, err := d.o.Store.Setting(ctx, kind, id)
	if err != nil {
		return err
	}
	var named struct{ Name string }
	if err := json.Unmarshal([]byte(s.Body), &named); err != nil {
		return err
	}
	if kind == KindReceiver {
		rules, err := list[alert.Rule](ctx, d, KindRule, SettingFilter{Limit: maxSettings})
		if err != nil {
			return err
		}
		for _, r := range rules {
			if slices.Contains(r.Receivers, id) || slices.Contains(r.EscalateTo, id) {
				return odcm.E(odcm.Conflict, "alert.receiver-used", "The rule %s tells it: take it out there first.", r.Name)
			}
		}
	}
	return d.o.Store.Delete(ctx, kind, id, revision, odcm.NewEvent(p, "alert-"+kind+".deleted", id, named.Name, map[string]string{"name": named.Name}, nil))
}
