package point

import (
	"context"
	"errors"
	"slices"
	"strings"

	"odcm"
	"odcm/octopus"
)

var errGone = errors.New("the server was handed back meanwhile")

// Name implements reconcile.Aspect.
func (p *Pointer) Name() string { return "sign-on" }

// Reconcile implements reconcile.Aspect: it puts back what somebody changed. A server that was never pointed, or whose
// pointing is still being tested, is left alone.
func (p *Pointer) Reconcile(ctx context.Context, key string) (err error) {
	defer odcm.Wrap(&err, "keep sign-in settings of %s", key)
	instance, name, err := p.o.Instances.InstanceOf(ctx, odcm.SpaceID(key))
	if odcm.KindOf(err) == odcm.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	is, err := p.o.Store.Pointing(ctx, instance)
	if odcm.KindOf(err) == odcm.NotFound || err == nil && is.Tested.IsZero() {
		return nil
	}
	if err != nil {
		return err
	}
	repairs, failure := is.Repairs, is.Failure
	if err = p.keep(ctx, &is, name); err != nil && ctx.Err() != nil || errors.Is(err, errGone) {
		return err
	}
	if is.Failure = ""; err != nil {
		is.Failure = publicMessage(err)
	}
	if is.Failure == failure && is.Repairs == repairs {
		return err // a look that finds nothing writes nothing
	}
	is.Checked = p.o.Now()
	return errors.Join(err, p.o.Store.SavePointing(ctx, is))
}

func (p *Pointer) keep(ctx context.Context, is *Pointing, name string) error {
	server, err := p.o.Servers.Server(ctx, is.Instance)
	if err != nil {
		return err
	}
	there, err := server.Values(ctx, is.Slot.ID)
	if err != nil {
		return err
	}
	addresses, err := server.Addresses(ctx)
	if err != nil {
		return err
	}
	if is.State != Applied || !slices.Equal(addresses, is.Addresses) {
		// Another address must be registered before people come back to it, and with it goes a new secret.
		is.State = Begun
		if err := p.o.Store.SavePointing(ctx, *is); err != nil {
			return err
		}
		*is, err = p.Point(ctx, is.Instance, name, server, Choices{ClosePasswords: is.Closed, LeadOn: is.LeadsOn(), SelfMade: is.SelfMade})
		return err
	}
	var drift []string
	for setting, value := range p.desired(there, *is) {
		if text(there, setting) != show(value) {
			drift = append(drift, setting)
			there.Set(setting, value)
		}
	}
	if len(drift) > 0 {
		if _, has := there.Get("ClientSecret"); has { // the server may have lost it together with the rest
			there.Set("ClientSecret", octopus.Secret(is.Secret))
		}
		if _, err := server.SetValues(ctx, is.Slot.ID, there); err != nil {
			return err
		}
	}
	if is.LeadsOn() {
		whole, err := server.Values(ctx, entrance)
		if err != nil {
			return err
		}
		if !whole.Bool(leadOn) {
			drift = append(drift, leadOn)
			if err := p.leadOn(ctx, server, is); err != nil {
				return err
			}
		}
	}
	if len(drift) == 0 {
		return nil
	}
	if _, err := p.o.Store.Pointing(ctx, is.Instance); odcm.KindOf(err) == odcm.NotFound {
		_, err = putBack(ctx, server, *is) // delisted meanwhile by another replica, which wins
		return errors.Join(errGone, err)
	}
	slices.Sort(drift)
	is.Drift, is.Drifted, is.Repairs = strings.Join(drift, ", "), p.o.Now(), is.Repairs+1
	p.log.InfoContext(ctx, "sign-in settings were changed by somebody and are repaired", "instance", is.Instance, "difference", is.Drift)
	return nil
}

// publicMessage is what may be shown of an error.
func publicMessage(err error) string {
	var e *odcm.Error
	if errors.As(err, &e) && e.Kind != odcm.Internal && e.Message != "" {
		return e.Message
	}
	return "An error inside ODCM (" + odcm.CodeOf(err) + "); its log says more."
}
