// Package desk is what people ask of alerts: what fires, what happened, who was told; taking an incident on, silencing it; and
// rules, receivers, silences and maintenance windows.
package desk

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"odcm"
	"odcm/manager/alert"
	"odcm/manager/alert/receiver"
)

// Actions that an [odcm.Authorizer] decides about. Whoever administers a Space takes its incidents on and silences them
// whatever his role is.
const (
	ActionRead        odcm.Action = "alert.read" // incidents of the Spaces that one may see
	ActionList        odcm.Action = "alert.list" // rules, receivers, silences, windows and what was told
	ActionAcknowledge odcm.Action = "alert.acknowledge"
	ActionSilence     odcm.Action = "alert.silence"
	ActionConfigure   odcm.Action = "alert.configure"
)

// Access knows which Spaces a principal may see, and which he administers.
type Access interface {
	Reach(ctx context.Context, p odcm.Principal) (all bool, these []odcm.SpaceID, err error)
	Administers(ctx context.Context, p odcm.Principal, space odcm.SpaceID) bool
}

// Source reads everything that rules can be about.
type Source interface {
	Readings(ctx context.Context) ([]alert.Reading, error)
}

// Teller tells a receiver at once.
type Teller interface {
	Tell(ctx context.Context, r receiver.Receiver, n alert.Notice) error
}

// Options are what a [Desk] needs; all but Logger and Now are required.
type Options struct {
	Store      Store
	Authorizer odcm.Authorizer
	Access     Access
	Source     Source
	Teller     Teller
	Sealer     receiver.Sealer
	Logger     *slog.Logger
	Now        func() time.Time
}

// Desk is the room's door for people.
type Desk struct{ o Options }

// New makes a desk.
func New(o Options) *Desk {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Desk{o}
}

func (d *Desk) now() time.Time { return d.o.Now().UTC().Truncate(time.Millisecond) }

// MaxPage bounds a page of a list.
const MaxPage = 500

func page(limit int) int {
	if limit <= 0 || limit > MaxPage {
		return MaxPage
	}
	return limit
}

// Allowed tells whether the principal may do the action on everything, so that a page can leave out what would be refused.
func (d *Desk) Allowed(ctx context.Context, p odcm.Principal, action odcm.Action) bool {
	return d.o.Authorizer.Authorize(ctx, p, action, "") == nil
}

// reach narrows the filter to what the principal may see.
func (d *Desk) reach(ctx context.Context, p odcm.Principal, f *IncidentFilter) error {
	if err := d.o.Authorizer.Authorize(ctx, p, ActionRead, ""); err != nil {
		return err
	}
	all, these, err := d.o.Access.Reach(ctx, p)
	if err != nil {
		return err
	}
	f.All, f.Subjects = all, nil
	if all {
		return nil
	}
	for _, id := range these {
		f.Subjects = append(f.Subjects, string(id))
	}
	if len(f.Subjects) > maxSubjects {
		f.Subjects = f.Subjects[:maxSubjects]
	}
	return nil
}

// maxSubjects bounds one statement; SQLite takes 32,766 parameters.
const maxSubjects = 30_000

// Incidents lists what the principal may see, the newest first, and where the next page begins.
func (d *Desk) Incidents(ctx context.Context, p odcm.Principal, f IncidentFilter) (all []alert.Incident, next Position, err error) {
	defer odcm.Wrap(&err, "list incidents")
	if !slices.Contains([]string{"", "open", string(alert.Pending), string(alert.Firing), string(alert.Resolved)}, f.Phase) {
		return nil, next, odcm.E(odcm.Invalid, "alert.phase", "Say open, pending, firing or resolved.").OnField("state")
	}
	if err := d.reach(ctx, p, &f); err != nil {
		return nil, next, err
	}
	limit := page(f.Limit)
	f.Limit = limit + 1
	all, err = d.o.Store.Incidents(ctx, f)
	if len(all) > limit {
		all = all[:limit]
		next = Position{all[limit-1].Since, all[limit-1].ID}
	}
	return all, next, err
}

// Count counts what the principal may see.
func (d *Desk) Count(ctx context.Context, p odcm.Principal, f IncidentFilter) (int, error) {
	if err := d.reach(ctx, p, &f); err != nil {
		return 0, err
	}
	return d.o.Store.CountIncidents(ctx, f)
}

// Detail is an incident with all that happened in it.
type Detail struct {
	alert.Incident
	Notes      []alert.Note // the newest first
	Deliveries []Told
	May        struct{ Acknowledge, Silence bool }
}

// Told is a delivery with the name of whom it is to.
type Told struct {
	Delivery
	ReceiverName string
}

// Incident returns one that the principal may see.
func (d *Desk) Incident(ctx context.Context, p odcm.Principal, id string) (v Detail, err error) {
	defer odcm.Wrap(&err, "get incident %s", id)
	if v.Incident, err = d.see(ctx, p, id); err != nil {
		return v, err
	}
	if v.Notes, err = d.o.Store.Notes(ctx, id, 200); err != nil {
		return v, err
	}
	told, err := d.o.Store.Deliveries(ctx, DeliveryFilter{Incident: id, Limit: 200})
	if err != nil {
		return v, err
	}
	v.Deliveries, err = d.named(ctx, told)
	v.May.Acknowledge = v.Phase != alert.Resolved && v.Acked.At.IsZero() && d.may(ctx, p, ActionAcknowledge, v.Incident) == nil
	v.May.Silence = d.may(ctx, p, ActionSilence, v.Incident) == nil
	return v, err
}

func (d *Desk) see(ctx context.Context, p odcm.Principal, id string) (alert.Incident, error) {
	var f IncidentFilter
	if err := d.reach(ctx, p, &f); err != nil {
		return alert.Incident{}, err
	}
	i, err := d.o.Store.Incident(ctx, id)
	if err == nil && !f.All && !slices.Contains(f.Subjects, i.Subject) {
		err = odcm.E(odcm.NotFound, "alert.incident-not-found", "There is no such incident.")
	}
	return i, err
}

// Sees tells whether the principal may follow an incident.
func (d *Desk) Sees(p odcm.Principal, id string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err := d.see(ctx, p, id)
	return err == nil
}

// may permits whoever administers the Space, and asks the authorizer about everybody else.
func (d *Desk) may(ctx context.Context, p odcm.Principal, action odcm.Action, i alert.Incident) error {
	if i.Kind == alert.KindSpace && p.User != "" && d.o.Access.Administers(ctx, p, odcm.SpaceID(i.Subject)) {
		return nil
	}
	return d.o.Authorizer.Authorize(ctx, p, action, i.Subject)
}

// Acknowledge says that somebody takes the incident on: nobody else is fetched, and nobody reminded.
func (d *Desk) Acknowledge(ctx context.Context, p odcm.Principal, id, note string) (err error) {
	defer odcm.Wrap(&err, "acknowledge incident %s", id)
	i, err := d.see(ctx, p, id)
	if err != nil {
		return err
	}
	if err := d.may(ctx, p, ActionAcknowledge, i); err != nil {
		return err
	}
	if len(note) > 500 {
		return odcm.E(odcm.Invalid, "alert.note", "Say it in at most 500 letters.").OnField("note")
	}
	return d.o.Store.Acknowledge(ctx, id, alert.Ack{By: p.Name, At: d.now(), Note: note},
		odcm.NewEvent(p, "alert.acknowledged", id, i.RuleName+": "+i.Name, nil, map[string]string{"note": note}))
}

// Deliveries lists what was told and what is to be, the newest first.
func (d *Desk) Deliveries(ctx context.Context, p odcm.Principal, f DeliveryFilter) (told []Told, more bool, err error) {
	defer odcm.Wrap(&err, "list deliveries")
	if err := d.o.Authorizer.Authorize(ctx, p, ActionList, ""); err != nil {
		return nil, false, err
	}
	limit := page(f.Limit)
	f.Limit = limit + 1
	all, err := d.o.Store.Deliveries(ctx, f)
	if err != nil {
		return nil, false, err
	}
	if more = len(all) > limit; more {
		all = all[:limit]
	}
	told, err = d.named(ctx, all)
	return told, more, err
}

func (d *Desk) named(ctx context.Context, all []Delivery) (told []Told, err error) {
	names := map[string]string{}
	known, err := list[receiver.Receiver](ctx, d, KindReceiver, SettingFilter{Limit: MaxPage})
	for _, r := range known {
		names[r.ID] = r.Name
	}
	for _, one := range all {
		name := names[one.Receiver]
		if name == "" {
			name = "a deleted receiver"
		}
		told = append(told, Told{one, name})
	}
	return told, err
}

// Retry tells a receiver again that refused, as soon as its turn comes.
func (d *Desk) Retry(ctx context.Context, p odcm.Principal, id string) (err error) {
	defer odcm.Wrap(&err, "retry delivery %s", id)
	if err := d.o.Authorizer.Authorize(ctx, p, ActionConfigure, ""); err != nil {
		return err
	}
	return d.o.Store.Retry(ctx, id, d.now())
}
