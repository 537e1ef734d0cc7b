package spacehttp

import (
	"time"

	"odcm/api"
	"odcm/manager/space"
)

func entry(e space.Entry) api.Space {
	return api.Space{ID: string(e.ID), Slug: e.Slug, Name: e.Name, Description: e.Description, State: string(e.State), Reason: e.Reason,
		Task: string(e.Task), Health: health(e.Health), URL: e.URL, Version: version(e), Origin: string(e.Origin), Instance: string(e.Instance),
		OctopusSpace: e.Octopus, Starred: e.Starred, Visited: when(e.Visited), Created: e.Created, Revision: e.Revision}
}

// version is what the server said last, to a probe or to a proof.
func version(e space.Entry) string {
	if e.Health.Version != "" {
		return e.Health.Version
	}
	return e.Version
}

func detail(d space.Detail) api.Space {
	s := entry(d.Entry)
	s.InstallationID, s.Server, s.Neighbours = d.InstallationID, string(d.Server), d.Neighbours
	if h := d.Hook; h.State != "" {
		s.Webhook = &api.SpaceWebhook{State: string(h.State), Reason: h.Reason, Checked: when(h.Checked), Applied: when(h.Applied),
			Repairs: h.Repairs, Drift: h.Drift, Drifted: when(h.Drifted)}
	}
	return s
}

func health(h space.Health) api.Health {
	out := api.Health{Status: statusOf(h), Reason: h.Reason, Since: when(h.Since), Checked: when(h.Checked)}
	for _, n := range h.Nodes {
		out.Nodes = append(out.Nodes, api.Node{Name: n.Name, Leader: n.Leader, Offline: n.Offline, Draining: n.Draining, Tasks: n.Tasks,
			TaskCap: n.TaskCap, LastSeen: when(n.LastSeen)})
	}
	if l := h.Licence; l != nil {
		out.Licence = &api.Licence{Kind: l.Kind, Compliant: l.Compliant, DaysLeft: l.DaysLeft}
		for _, x := range l.Limits {
			out.Licence.Limits = append(out.Licence.Limits, api.LicenceLimit(x))
		}
	}
	return out
}

func statusOf(h space.Health) string {
	if h.Status == space.Unknown {
		return "unknown"
	}
	return string(h.Status)
}

// when leaves a time out where it is zero.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func connection(c api.Connection) space.Connection {
	return space.Connection{URL: c.URL, APIKey: space.Secret(c.APIKey), TLS: space.TLS{CA: c.CA, Thumbprint: c.Thumbprint}}
}

func planned(p space.Plan) api.EnlistPlan {
	out := api.EnlistPlan{Server: api.PlannedServer(p.Server), Spaces: []api.PlannedSpace{}, People: plannedPeople(p.People),
		SignIn: plannedSignIn(p.SignIn), Warnings: notes(p.Warnings)}
	for _, s := range p.Spaces {
		out.Spaces = append(out.Spaces, api.PlannedSpace{OctopusSpace: s.Octopus, Name: s.Name, Description: s.Description, Default: s.Default,
			Suggested: s.Suggested, Enlisted: s.Enlisted, Conflicts: notes(s.Conflicts), Changes: notes(s.Changes)})
	}
	return out
}

func notes(all []space.Note) []api.Note {
	out := make([]api.Note, len(all))
	for i, n := range all {
		out[i] = api.Note(n)
	}
	return out
}

func switcherOf(sw space.Switch) api.Switcher {
	return api.Switcher{Starred: jumps(sw.Starred), Recent: jumps(sw.Recent), Others: jumps(sw.Others), More: sw.More}
}

func jumps(entries []space.Entry) []api.SwitcherSpace {
	out := make([]api.SwitcherSpace, len(entries))
	for i, e := range entries {
		out[i] = api.SwitcherSpace{ID: string(e.ID), Slug: e.Slug, Name: e.Name, Status: statusOf(e.Health), Href: "/spaces/" + e.Slug + "/open",
			URL: e.URL, Octopus: e.Octopus}
	}
	return out
}
