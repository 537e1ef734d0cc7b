package push

import (
	"context"
	"slices"

	"odcm"
	"odcm/manager/access"
	"odcm/manager/access/roster"
	"odcm/octopus"
)

// Release takes what was pushed out of a Space that is delisted: its teams have the members that they had, without the
// groups of ODCM. With the instance's last Space, accounts that ODCM made are removed and others are put back as they were
// found. Each write may be repeated. The Space must no longer be active, or the aspect would push again.
func (p *Push) Release(ctx context.Context, place access.Place, last bool) (err error) {
	defer odcm.Wrap(&err, "take people out of %s", place.Name)
	free, err := p.hold(ctx, place.Instance)
	if err != nil {
		return err
	}
	defer free()
	return p.release(ctx, place, last, func() (roster.Server, error) { return p.o.Servers.Server(ctx, place.Instance) })
}

func (p *Push) release(ctx context.Context, place access.Place, last bool, server func() (roster.Server, error)) error {
	teams, err := p.o.Store.TeamStates(ctx, place.Space)
	if err != nil {
		return err
	}
	var accounts []roster.Account
	if last {
		if accounts, err = p.o.Store.Accounts(ctx, place.Instance); err != nil {
			return err
		}
	}
	if err := letGo(ctx, place, teams, accounts, server); err != nil {
		return err
	}
	if err := p.o.Store.ForgetSpace(ctx, place.Space); err != nil || !last {
		return err
	}
	return p.o.Store.ForgetInstance(ctx, place.Instance)
}

// letGo writes to the server, where anything was written before.
func letGo(ctx context.Context, place access.Place, teams []roster.TeamState, accounts []roster.Account, reach func() (roster.Server, error)) error {
	var ids []string
	written := map[string]roster.TeamState{}
	for _, t := range teams {
		if t.Mapped {
			ids = append(ids, t.Team)
			written[t.Team] = t
		}
	}
	var managed []string
	rows := map[string]roster.Account{}
	for _, a := range accounts {
		if a.Managed {
			managed = append(managed, a.ID)
			rows[a.ID] = a
		}
	}
	if len(ids)+len(managed) == 0 {
		return nil
	}
	server, err := reach()
	if err != nil {
		return err
	}
	var users []octopus.Object
	if len(managed) > 0 {
		if users, err = server.Users(ctx, managed); err != nil {
			return err
		}
	}
	if len(ids) > 0 {
		there, err := server.Teams(ctx, place.Octopus, ids)
		if err != nil {
			return err
		}
		for _, t := range there {
			if _, err := server.UpdateTeam(ctx, without(t, written[t.ID()], true)); err != nil {
				return err
			}
		}
	}
	for _, u := range users {
		if err := roster.PutBack(ctx, server, rows[u.ID()], u); err != nil {
			return err
		}
	}
	return nil
}

// undoLate takes back what was written to a Space whose delisting had begun on another replica since it was read.
// It tells whether that is so.
func (r *run) undoLate(ctx context.Context) (gone bool, err error) {
	now, err := r.o.Places.Place(ctx, r.place.Space)
	if err == nil && now.Active || err != nil && odcm.KindOf(err) != odcm.NotFound {
		return false, err
	}
	if r.server == nil { // nothing was written
		return true, nil
	}
	on, err := r.o.Places.On(ctx, r.place.Instance)
	if err != nil && odcm.KindOf(err) != odcm.NotFound {
		return false, err
	}
	last := !slices.ContainsFunc(on, func(other access.Place) bool { return other.Active })
	return true, r.release(ctx, r.place, last, func() (roster.Server, error) { return r.server, nil })
}

// Forget drops what is kept of a Space whose server is gone, and with the instance's last Space of its accounts.
func (p *Push) Forget(ctx context.Context, place access.Place, last bool) (err error) {
	defer odcm.Wrap(&err, "forget who was in %s", place.Name)
	if err := p.o.Store.ForgetSpace(ctx, place.Space); err != nil || !last {
		return err
	}
	return p.o.Store.ForgetInstance(ctx, place.Instance)
}
