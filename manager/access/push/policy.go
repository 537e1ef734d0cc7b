package push

import (
	"context"
	"time"

	"odcm"
	"odcm/manager/access"
	"odcm/manager/access/roster"
)

// SetPolicy chooses what is done in a Space about what somebody else changes there. With Repair, what was left is put right
// by the next run.
func (p *Push) SetPolicy(ctx context.Context, by odcm.Principal, ref string, policy roster.DriftPolicy) (err error) {
	defer odcm.Wrap(&err, "choose what is done about drift in %s", ref)
	if policy != roster.Repair && policy != roster.Leave {
		return odcm.E(odcm.Invalid, "account.policy", "Choose repair or leave.").OnField("policy")
	}
	place, err := p.o.Gate.Find(ctx, by, access.ActionPolicy, ref)
	if err != nil {
		return err
	}
	release, err := p.hold(ctx, place.Instance)
	if err != nil {
		return err
	}
	defer release()
	state, err := p.o.Store.PushOf(ctx, place.Space)
	if err != nil || state.Policy == policy {
		return err
	}
	state.Instance, state.Policy, state.Looked = place.Instance, policy, time.Time{} // looked at anew
	if err := p.o.Store.SavePush(ctx, state, odcm.NewEvent(by, "account.policy", string(place.Space), place.Name, nil, map[string]roster.DriftPolicy{"drift": policy})); err != nil {
		return err
	}
	p.o.Roster.Decided(place.Space)
	return nil
}
