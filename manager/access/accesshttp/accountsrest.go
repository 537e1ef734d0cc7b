package accesshttp

import (
	"context"

	"odcm"
	"odcm/api"
	"odcm/kit/web"
	"odcm/manager/access/roster"
)

// The server gives its users in one order, so a page begins behind the account with which the one before ended.
func (h *accounts) list(ctx context.Context, in *struct {
	BySpace
	OnePage
}) (*answer[api.Page[api.Account]], error) {
	_, seen, err := h.roster.AccountsOf(ctx, web.Principal(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	after, err := web.ReadCursor[int](in.Cursor)
	if err != nil {
		return nil, err
	}
	after = min(max(0, after), len(seen))
	end := min(len(seen), after+in.Limit)
	page := api.Page[api.Account]{Items: []api.Account{}}
	for _, s := range seen[after:end] {
		a := api.Account{PlannedAccount: api.PlannedAccount{Account: s.ID, Username: s.Username, DisplayName: s.DisplayName, Email: s.Email, Active: s.Active,
			Person: string(s.Person.ID), PersonName: s.Person.Called(), Because: s.Because()}, Decision: string(s.Decision), Conflict: string(s.Conflict),
			Untouched: s.Untouched, Providers: s.Providers}
		for _, p := range s.Between {
			a.Between = append(a.Between, api.AccountCandidate{ID: string(p.ID), Name: p.Called()})
		}
		page.Items = append(page.Items, a)
	}
	if end < len(seen) {
		page.Next = web.Cursor(end)
	}
	return &answer[api.Page[api.Account]]{page}, nil
}

func (h *accounts) choose(ctx context.Context, in *struct {
	BySpace
	Body api.AccountChoices
}) (*struct{}, error) {
	choices := make([]roster.Choice, len(in.Body.Choices))
	for i, c := range in.Body.Choices {
		choices[i] = roster.Choice{Account: c.Account, Do: roster.Doing(c.Do), Person: odcm.UserID(c.Person)}
	}
	return nil, h.roster.DecideAt(ctx, web.Principal(ctx), in.ID, choices)
}

func (h *accounts) pushed(ctx context.Context, in *BySpace) (*answer[api.Pushed], error) {
	_, s, err := h.roster.PushedTo(ctx, web.Principal(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	out := api.Pushed{Drift: string(s.Policy), InSync: s.InSync(), Revision: s.Revision, Done: s.Done, Applied: optional(s.Applied), Checked: optional(s.Looked),
		Failure: s.Failure, RevokeMS: s.Revoke.Milliseconds(), Teams: []api.PushedTeam{}, Open: []api.Arrival{}}
	for _, t := range s.Teams {
		if t.Mapped {
			out.Teams = append(out.Teams, api.PushedTeam{Team: t.Team, Name: t.Name, Members: len(t.Members), Added: driftNames(t.Drift.Added), Removed: driftNames(t.Drift.Removed),
				Groups: t.Drift.Groups, Drifted: optional(t.Drifted), Repaired: optional(t.Repaired), Repairs: t.Repairs, Failure: t.Failure})
		}
	}
	for _, a := range s.Open {
		out.Open = append(out.Open, api.Arrival{Person: string(a.Person), Enter: a.Enter, State: string(a.State), Reason: a.Reason, Since: a.Since, Applied: optional(a.Applied)})
	}
	return &answer[api.Pushed]{out}, nil
}

func driftNames(all []roster.DriftMember) (names []string) {
	for _, m := range all {
		names = append(names, m.Name)
	}
	return names
}

func (h *accounts) setPolicy(ctx context.Context, in *struct {
	BySpace
	Body api.PushPolicy
}) (*struct{}, error) {
	return nil, h.push.SetPolicy(ctx, web.Principal(ctx), in.ID, roster.DriftPolicy(in.Body.Drift))
}
