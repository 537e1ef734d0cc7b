package point

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"odcm"
	"odcm/manager/sso"
	"odcm/octopus"
)

// Provider is what the pointer asks of the OpenID Provider. [grant.Service] is one.
type Provider interface {
	EnsureForInstance(ctx context.Context, instance odcm.InstanceID, name string, redirectURIs []string, alg sso.Algorithm, withSecret bool) (sso.Party, string, error)
	RemoveForInstance(ctx context.Context, instance odcm.InstanceID) error
	Authorizer
	Issuer() string
}

// Options are what a [Pointer] needs. All but Now and Logger are required.
type Options struct {
	Store     Store
	Provider  Provider
	Servers   Servers
	Instances Instances
	Now       func() time.Time
	Logger    *slog.Logger
}

// Pointer points the sign-in settings of Octopus servers at ODCM, keeps them so, as an aspect of kit/reconcile whose keys are
// Spaces, and puts them back.
//
// A server keeps two ways in that do not need ODCM: its own administrators' passwords, unless they are closed on request, and
// the API key that ODCM holds, with which closed passwords are opened again. On the server's machine
// "Octopus.Server configure --usernamePasswordIsEnabled=true" does so too.
type Pointer struct {
	o   Options
	log *slog.Logger
}

// New makes it.
func New(o Options) *Pointer {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Pointer{o, o.Logger.With("room", "sso")}
}

// SlotState says how a slot of a server is used.
type SlotState string

// The states of a slot.
const (
	SlotFree    SlotState = "free"    // nothing is set
	SlotDormant SlotState = "dormant" // somebody's settings, turned off
	SlotTaken   SlotState = "taken"   // people sign in through it
	SlotOurs    SlotState = "ours"    // points at this ODCM
)

// SlotFound is a slot that the server has.
type SlotFound struct {
	Slot
	State  SlotState
	Issuer string // whom it points at
	Secret bool   // it holds a secret, which nobody can read
}

// PointPlan is what pointing would change.
type PointPlan struct {
	Slots     []SlotFound
	Slot      Slot      // that would be used; zero where the server has none
	State     SlotState // of that
	Changes   []Setting
	Addresses []string
	Passwords bool // people may sign in by the server's own passwords
	LeadsOn   bool // who has no session is sent to the only provider at once already
}

// Free tells whether pointing takes nothing from anybody.
func (p PointPlan) Free() bool { return p.State == SlotFree || p.State == SlotOurs }

// Setting is one that changes. Secrets show as dots.
type Setting struct{ Name, From, To string }

// Plan reads the settings and says what pointing would change; it writes nothing. A server that tells its settings to
// administrators only returns odcm.Denied.
func (p *Pointer) Plan(ctx context.Context, server Server) (plan PointPlan, err error) {
	defer odcm.Wrap(&err, "plan sign-in settings")
	var values []octopus.Object
	for _, slot := range Slots() {
		v, err := server.Values(ctx, slot.ID)
		if odcm.KindOf(err) == odcm.NotFound {
			continue
		}
		if err != nil {
			return plan, err
		}
		plan.Slots = append(plan.Slots, p.found(slot, v))
		values = append(values, v)
	}
	best := -1
	for _, state := range []SlotState{SlotOurs, SlotFree, SlotDormant, SlotTaken} {
		if best = slices.IndexFunc(plan.Slots, func(f SlotFound) bool { return f.State == state }); best >= 0 {
			break
		}
	}
	if best < 0 {
		return plan, nil
	}
	plan.Slot, plan.State = plan.Slots[best].Slot, plan.Slots[best].State
	for name, value := range p.desired(values[best], Pointing{}) {
		from, to := text(values[best], name), show(value)
		if from != to {
			plan.Changes = append(plan.Changes, Setting{name, from, to})
		}
	}
	slices.SortFunc(plan.Changes, func(a, b Setting) int { return strings.Compare(a.Name, b.Name) })
	if plan.Addresses, err = server.Addresses(ctx); err != nil {
		return plan, err
	}
	own, err := server.Values(ctx, passwords)
	if err != nil {
		return plan, err
	}
	plan.Passwords = own.Bool("IsEnabled")
	whole, err := server.Values(ctx, entrance)
	plan.LeadsOn = err == nil && whole.Bool(leadOn)
	return plan, err
}

func (p *Pointer) found(slot Slot, v octopus.Object) SlotFound {
	f := SlotFound{Slot: slot, Issuer: v.Text("Issuer"), Secret: v.Object("ClientSecret").Bool("HasValue"), State: SlotFree}
	switch {
	case f.Issuer != "" && f.Issuer == p.o.Provider.Issuer():
		f.State = SlotOurs
	case v.Bool("IsEnabled"):
		f.State = SlotTaken
	case f.Issuer != "" || f.Secret || v.Text("ClientId") != "":
		f.State = SlotDormant
	}
	return f
}

// dots stands for a secret.
const dots = "••••••••"

func text(v octopus.Object, name string) string {
	raw, _ := v.Get(name)
	if v.Object(name).Len() > 0 {
		if v.Object(name).Bool("HasValue") {
			return dots
		}
		return ""
	}
	return strings.Trim(strings.TrimPrefix(string(raw), "null"), `"`)
}

func show(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case bool:
		if v {
			return "true"
		}
		return "false"
	case []string:
		return strings.Join(v, " ")
	}
	return dots
}

// desired are the settings that ODCM wants in a slot, of those that this version of the server has.
func (p *Pointer) desired(there octopus.Object, is Pointing) map[string]any {
	want := map[string]any{"IsEnabled": true, "Issuer": p.o.Provider.Issuer(), "ClientId": string(is.Party), "AllowAutoUserCreation": is.SelfMade,
		"RoleClaimType": "groups", "UsernameClaimType": "preferred_username", "ClientSecret": octopus.Secret(is.Secret), "DisplayName": "ODCM"}
	for name := range want {
		if _, has := there.Get(name); !has {
			delete(want, name)
		}
	}
	return want
}

// Point writes the settings of a server, tests them by a real sign-in, and closes the old way where that is asked for. It may
// be repeated, and goes on where it was stopped. Where the test fails it returns the error and leaves it to the caller to
// call [Pointer.Undo].
func (p *Pointer) Point(ctx context.Context, instance odcm.InstanceID, name string, server Server, o Choices) (_ Pointing, err error) {
	defer odcm.Wrap(&err, "point sign-in settings at ODCM")
	is, err := p.o.Store.Pointing(ctx, instance)
	if odcm.KindOf(err) == odcm.NotFound {
		is, err = p.begin(ctx, instance, server, o)
	}
	if err != nil || is.State == Applied {
		return is, err
	}
	there, err := server.Values(ctx, is.Slot.ID)
	if err != nil {
		return is, err
	}
	if is.Addresses, err = server.Addresses(ctx); err != nil {
		return is, err
	}
	var redirects []string
	for _, a := range is.Addresses {
		redirects = append(redirects, a+"/api/users/authenticatedToken/"+is.Slot.Route)
	}
	_, secretly := there.Get("ClientSecret") // came with 2022.2.4498; without, the server takes ID tokens from the browser
	its, secret, err := p.o.Provider.EnsureForInstance(ctx, instance, name, redirects, sso.RS256, secretly)
	if err != nil {
		return is, err
	}
	is.Party, is.Secret = its.ID, secret
	if err := p.o.Store.SavePointing(ctx, is); err != nil {
		return is, err
	}
	for name, value := range p.desired(there, is) {
		there.Set(name, value)
	}
	if _, err := server.SetValues(ctx, is.Slot.ID, there); err != nil {
		return is, err
	}
	if is.Slot.Provider, err = p.providerName(ctx, server, is.Slot); err != nil {
		return is, err
	}
	if err := p.test(ctx, server, &is); err != nil {
		return is, err
	}
	if o.ClosePasswords {
		if err := p.closePasswords(ctx, server, &is); err != nil {
			return is, err
		}
	}
	if o.LeadOn {
		if err := p.leadOn(ctx, server, &is); err != nil {
			return is, err
		}
	}
	is.State, is.Failure, is.Checked = Applied, "", p.o.Now()
	return is, p.o.Store.SavePointing(ctx, is, odcm.NewEvent(odcm.System, "sso.pointed", string(instance), name, nil,
		map[string]any{"slot": is.Slot.ID, "addresses": is.Addresses, "passwordsClosed": is.Closed, "leadsOn": is.LeadsOn()}))
}

func (p *Pointer) providerName(ctx context.Context, server Server, slot Slot) (string, error) {
	name, err := server.ProviderName(ctx, slot)
	if name == "" {
		name = slot.Provider
	}
	return name, err
}

// begin chooses the slot and keeps what is in it, before anything is written.
func (p *Pointer) begin(ctx context.Context, instance odcm.InstanceID, server Server, o Choices) (is Pointing, err error) {
	plan, err := p.Plan(ctx, server)
	if err != nil {
		return is, err
	}
	switch {
	case plan.Slot.ID == "":
		return is, odcm.E(odcm.Unsupported, "sso.no-slot", "This version of Octopus has no settings for an OpenID provider that ODCM can stand in for.")
	case !plan.Free() && !o.Replace:
		return is, odcm.E(odcm.Conflict, "sso.slot-taken", "People sign in on that server through %s already (%s): free it there, or say that ODCM may replace it.",
			plan.Slot.Label, plan.Slots[0].Issuer)
	}
	before, err := server.Values(ctx, plan.Slot.ID)
	if err != nil {
		return is, err
	}
	if plan.State == SlotOurs { // of an enlistment that was forgotten: what was before that nobody knows, but it was not this
		for name, value := range map[string]any{"IsEnabled": false, "Issuer": nil, "ClientId": nil, "ClientSecret": octopus.SensitiveValue{}} {
			if _, has := before.Get(name); has {
				before.Set(name, value)
			}
		}
	}
	raw, err := before.MarshalJSON()
	if err != nil {
		return is, err
	}
	is = Pointing{Instance: instance, State: Begun, SelfMade: o.SelfMade, Slot: plan.Slot, Previous: map[string][]byte{plan.Slot.ID: raw}}
	return is, p.o.Store.SavePointing(ctx, is)
}

func (p *Pointer) closePasswords(ctx context.Context, server Server, is *Pointing) error {
	own, err := server.Values(ctx, passwords)
	if err != nil {
		return err
	}
	if _, kept := is.Previous[passwords]; !kept {
		if is.Previous[passwords], err = own.MarshalJSON(); err != nil {
			return err
		}
		if err := p.o.Store.SavePointing(ctx, *is); err != nil {
			return err
		}
	}
	own.Set("IsEnabled", false)
	_, err = server.SetValues(ctx, passwords, own)
	is.Closed = err == nil
	return err
}

// leadOn turns automatic sign-in on. What is on already stays the server's own.
func (p *Pointer) leadOn(ctx context.Context, server Server, is *Pointing) error {
	whole, err := server.Values(ctx, entrance)
	if err != nil {
		return err
	}
	if _, has := whole.Get(leadOn); !has || whole.Bool(leadOn) {
		return nil
	}
	if !is.LeadsOn() {
		if is.Previous[entrance], err = whole.MarshalJSON(); err != nil {
			return err
		}
		if err := p.o.Store.SavePointing(ctx, *is); err != nil {
			return err
		}
	}
	whole.Set(leadOn, true)
	_, err = server.SetValues(ctx, entrance, whole)
	return err
}

// waitAtTheDoor turns automatic sign-in off where ODCM turned it on. The rest of that configuration is not ODCM's.
func waitAtTheDoor(ctx context.Context, server Server, is Pointing) error {
	if !is.LeadsOn() {
		return nil
	}
	whole, err := server.Values(ctx, entrance)
	if err != nil || !whole.Bool(leadOn) {
		return err
	}
	whole.Set(leadOn, false)
	_, err = server.SetValues(ctx, entrance, whole)
	return err
}

// Undo puts the settings back as they were and forgets the relying party. What cannot be put back, because nobody can read it,
// it returns. It may be repeated.
func (p *Pointer) Undo(ctx context.Context, instance odcm.InstanceID, server Server) (left []string, err error) {
	defer odcm.Wrap(&err, "put sign-in settings back")
	is, err := p.o.Store.Pointing(ctx, instance)
	if odcm.KindOf(err) == odcm.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := p.removeProbe(ctx, server, &is); err != nil {
		return nil, err
	}
	if left, err = putBack(ctx, server, is); err != nil {
		return nil, err
	}
	if err := p.o.Provider.RemoveForInstance(ctx, instance); err != nil {
		return nil, err
	}
	return left, p.o.Store.DropPointing(ctx, instance, odcm.NewEvent(odcm.System, "sso.unpointed", string(instance), is.Slot.Label, nil, map[string]any{"left": left}))
}

// putBack writes the settings as they were: nobody is led on any more, then passwords, for until they are open nobody has
// another way in.
func putBack(ctx context.Context, server Server, is Pointing) (left []string, err error) {
	if err := waitAtTheDoor(ctx, server, is); err != nil {
		return nil, err
	}
	for _, id := range []string{passwords, is.Slot.ID} {
		raw, kept := is.Previous[id]
		if !kept {
			continue
		}
		before, err := octopus.ParseObject(raw)
		if err != nil {
			return nil, err
		}
		if before.Object("ClientSecret").Bool("HasValue") {
			left = append(left, "the client secret of "+is.Slot.Label+", which cannot be read: enter it again there")
		}
		if _, err := server.SetValues(ctx, id, before); err != nil {
			return nil, err
		}
	}
	return left, nil
}

// Forget drops what is kept of a server that was removed together with its settings.
func (p *Pointer) Forget(ctx context.Context, instance odcm.InstanceID) (err error) {
	defer odcm.Wrap(&err, "forget sign-in settings")
	return errors.Join(p.o.Provider.RemoveForInstance(ctx, instance), p.o.Store.DropPointing(ctx, instance))
}

// ProviderOn is the name that identities of ODCM have on the server; false where the server is not pointed at ODCM.
func (p *Pointer) ProviderOn(ctx context.Context, instance odcm.InstanceID) (string, bool, error) {
	is, err := p.o.Store.Pointing(ctx, instance)
	if odcm.KindOf(err) == odcm.NotFound || err == nil && is.Tested.IsZero() {
		return "", false, nil
	}
	return is.Slot.Provider, err == nil, err
}

// Get returns what was done to a server: odcm.NotFound where nothing was.
func (p *Pointer) Get(ctx context.Context, instance odcm.InstanceID) (Pointing, error) {
	return p.o.Store.Pointing(ctx, instance)
}

func newProbe() string { return uuid.Must(uuid.NewV7()).String() }
