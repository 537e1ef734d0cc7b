package push

import (
	"context"
	"slices"
	"strings"

	"odcm"
	"odcm/manager/access"
	"odcm/manager/access/roster"
	"odcm/octopus"
)

// members are the accounts of those who should be in the team, as far as they have one; sorted.
func (r *run) members(t access.DesiredTeam) []string {
	ids := []string{}
	for _, person := range t.Members {
		if id, has := r.owned[person]; has && r.wanted[person] {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func groupIDs(t access.DesiredTeam) []string {
	ids := make([]string, len(t.Groups))
	for i, g := range t.Groups {
		ids[i] = string(g)
	}
	slices.Sort(ids)
	return ids
}

// asWritten tells whether what was written to the team last is what is wished.
func (r *run) asWritten(t access.DesiredTeam) bool {
	s, ok := r.written[t.Team]
	return ok && s.Mapped && s.Failure == "" && slices.Equal(s.Members, r.members(t)) && slices.Equal(s.Groups, groupIDs(t))
}

// bringTeams writes the teams that were read. Groups are external groups of the team too, by their ids, which are in the
// claims at sign-in; but an unmodified server reads claims only then, so the members are written themselves.
func (r *run) bringTeams(ctx context.Context, teams map[string]octopus.Object) error {
	if teams == nil {
		return nil
	}
	names, err := r.groupNames(ctx)
	if err != nil {
		return err
	}
	for _, t := range r.teams {
		if !r.full && r.asWritten(t) {
			continue
		}
		actual, there := teams[t.Team]
		if !there {
			if err := r.saveTeam(ctx, t.Team, func(s *roster.TeamState) {
				s.Mapped, s.Failure = true, "The Space has no team "+t.Team+" any more: map the groups to another."
			}); err != nil {
				return err
			}
			for _, id := range t.Members {
				r.failed[id] = "A team that the person should be in is no longer there: " + t.Team + "."
			}
			continue
		}
		if err := r.bringTeam(ctx, t, actual, names, teams); err != nil {
			return err
		}
	}
	for id, s := range r.written {
		if !s.Mapped || slices.ContainsFunc(r.teams, func(t access.DesiredTeam) bool { return t.Team == id }) {
			continue
		}
		if actual, there := teams[id]; there {
			if _, err := r.server.UpdateTeam(ctx, without(actual, s, false)); err != nil {
				return err
			}
		} else if !r.full {
			continue
		}
		if err := r.saveTeam(ctx, id, func(s *roster.TeamState) {
			s.Mapped, s.Members, s.Groups, s.Failure, s.Drift = false, nil, nil, "", roster.TeamDrift{}
		}); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) groupNames(ctx context.Context) (map[odcm.GroupID]string, error) {
	ids := map[odcm.GroupID]bool{}
	for _, t := range r.teams {
		for _, g := range t.Groups {
			ids[g] = true
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	return r.o.People.GroupNames(ctx, sortedKeys(ids))
}

func (r *run) bringTeam(ctx context.Context, t access.DesiredTeam, actual octopus.Object, names map[odcm.GroupID]string, teams map[string]octopus.Object) error {
	s, known := r.written[t.Team]
	if !known || !s.Mapped {
		s = roster.TeamState{Space: r.place.Space, Team: t.Team, Kept: r.strangers(actual), Previous: actual.Texts("MemberUserIds"), Repairs: s.Repairs}
	}
	want := r.members(t)
	var drift roster.TeamDrift
	if known && r.written[t.Team].Mapped && s.Failure != unwritten {
		drift = r.drift(actual, s, want)
	}
	s.Name, s.Failure, s.Mapped = actual.Name(), "", true
	if drift.Len() > 0 && (drift.Len() != s.Drift.Len() || !s.Repaired.IsZero()) {
		r.o.Observer.Drifted(drift.Len())
		s.Drifted = r.o.Now()
	}
	changed, difference := r.reshape(actual, s, drift, want, t, names)
	if difference {
		// What is about to be put there is recorded first: a run that ends in between must not leave members behind that nobody
		// takes out again.
		if err := r.saveTeam(ctx, t.Team, func(intent *roster.TeamState) {
			*intent = s
			intent.Members, intent.Groups, intent.Failure = union(s.Members, want), union(s.Groups, groupIDs(t)), unwritten
		}); err != nil {
			return err
		}
		written, err := r.server.UpdateTeam(ctx, changed)
		if kind := odcm.KindOf(err); kind == odcm.Invalid || kind == odcm.Conflict || kind == odcm.Denied {
			s.Failure = publicMessage(err)
			for _, id := range t.Members {
				r.failed[id] = "The server does not take the team " + s.Name + " as it should be: " + s.Failure
			}
		} else if err != nil {
			return err
		} else {
			teams[t.Team] = written
		}
	}
	if s.Failure == "" {
		s.Members, s.Groups = want, groupIDs(t)
	}
	switch {
	case drift.Len() > 0 && r.state.Policy == roster.Leave:
		s.Drift = drift
		for _, m := range drift.Removed {
			if m.Person != "" {
				r.drifted[m.Person] = "Somebody took the person out of the team " + s.Name + " on the server, and that is left so."
			}
		}
	case drift.Len() > 0 && s.Failure == "":
		s.Drift, s.Repaired, s.Repairs = drift, r.o.Now(), s.Repairs+1
		r.log.InfoContext(ctx, "a team was changed by somebody and is repaired", "space", r.place.Space, "team", t.Team, "difference", drift.Len())
	case r.state.Policy == roster.Leave && s.Repaired.IsZero():
		s.Drift = roster.TeamDrift{} // somebody has put right what was left
	}
	return r.saveTeam(ctx, t.Team, func(kept *roster.TeamState) { *kept = s })
}

// unwritten stands as the failure of a team while it is written.
const unwritten = "It is being written, or the last attempt to was stopped."

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// strangers are the members who are nobody's in ODCM. Those who were there before ODCM came stay: mapping a group to a team
// takes nobody out of it whom ODCM does not know.
func (r *run) strangers(team octopus.Object) []string {
	var ids []string
	for _, id := range team.Texts("MemberUserIds") {
		if r.accounts[id].Person == "" {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// drift is how the team differs from what was written last, so far as that is still wished: what somebody else did.
func (r *run) drift(actual octopus.Object, s roster.TeamState, want []string) (d roster.TeamDrift) {
	there := actual.Texts("MemberUserIds")
	for _, id := range there {
		if !slices.Contains(want, id) && !slices.Contains(s.Members, id) && !r.untouched(id, s) {
			d.Added = append(d.Added, r.member(id))
		}
	}
	for _, id := range s.Members {
		if slices.Contains(want, id) && !slices.Contains(there, id) {
			d.Removed = append(d.Removed, r.member(id))
		}
	}
	have := map[string]bool{}
	for _, g := range actual.Objects("ExternalSecurityGroups") {
		have[g.Text("Id")] = true
	}
	for _, g := range s.Groups {
		if !have[g] {
			d.Groups = append(d.Groups, g)
		}
	}
	return d
}

// untouched members stay in a team whoever put them there.
func (r *run) untouched(id string, s roster.TeamState) bool {
	if slices.Contains(s.Kept, id) && r.accounts[id].Person == "" {
		return true
	}
	u, seen := r.users[id]
	return seen && r.sacred(u) || id == r.me || r.accounts[id].Decision == roster.AsLocal
}

func (r *run) member(id string) roster.DriftMember {
	m := roster.DriftMember{Account: id, Name: r.users[id].Text("DisplayName"), Person: r.accounts[id].Person}
	if m.Name == "" {
		m.Name = r.accounts[id].Username
	}
	return m
}

// reshape is the team as it should be, and whether that differs from what is there.
func (r *run) reshape(actual octopus.Object, s roster.TeamState, drift roster.TeamDrift, want []string, t access.DesiredTeam, names map[odcm.GroupID]string) (octopus.Object, bool) {
	leave := r.state.Policy == roster.Leave
	left := func(all []roster.DriftMember, id string) bool {
		return leave && slices.ContainsFunc(all, func(m roster.DriftMember) bool { return m.Account == id })
	}
	there := actual.Texts("MemberUserIds")
	members := slices.DeleteFunc(slices.Clone(there), func(id string) bool {
		return !slices.Contains(want, id) && !r.untouched(id, s) && !left(drift.Added, id)
	})
	for _, id := range want {
		if !slices.Contains(members, id) && !left(drift.Removed, id) {
			members = append(members, id)
		}
	}
	before := actual.Objects("ExternalSecurityGroups")
	groups := slices.DeleteFunc(slices.Clone(before), func(g octopus.Object) bool {
		id := g.Text("Id")
		return slices.Contains(s.Groups, id) && !slices.Contains(t.Groups, odcm.GroupID(id))
	})
	for _, id := range t.Groups {
		if slices.ContainsFunc(groups, func(g octopus.Object) bool { return strings.EqualFold(g.Text("Id"), string(id)) }) || leave && slices.Contains(drift.Groups, string(id)) {
			continue
		}
		var g octopus.Object
		g.Set("Id", string(id))
		g.Set("DisplayName", orElse(names[id], string(id)))
		g.Set("DisplayIdAndName", false)
		groups = append(groups, g)
	}
	changed, difference := actual.Clone(), false
	if !slices.Equal(members, there) {
		changed.Set("MemberUserIds", members)
		difference = true
	}
	if len(groups) != len(before) || slices.ContainsFunc(groups, func(g octopus.Object) bool {
		return !slices.ContainsFunc(before, func(b octopus.Object) bool { return b.Text("Id") == g.Text("Id") })
	}) {
		changed.Set("ExternalSecurityGroups", groups)
		difference = true
	}
	return changed, difference
}

// without is the team when ODCM has let go of it: what it put there is out and, where the server is handed back, what it took
// out is back.
func without(actual octopus.Object, s roster.TeamState, handBack bool) octopus.Object {
	team := actual.Clone()
	members := slices.DeleteFunc(actual.Texts("MemberUserIds"), func(id string) bool {
		return slices.Contains(s.Members, id) && !(handBack && slices.Contains(s.Previous, id))
	})
	for _, id := range s.Previous {
		if handBack && !slices.Contains(members, id) {
			members = append(members, id)
		}
	}
	if !slices.Equal(members, actual.Texts("MemberUserIds")) {
		team.Set("MemberUserIds", members)
	}
	groups := actual.Objects("ExternalSecurityGroups")
	kept := slices.DeleteFunc(slices.Clone(groups), func(g octopus.Object) bool { return slices.Contains(s.Groups, g.Text("Id")) })
	if len(kept) != len(groups) {
		team.Set("ExternalSecurityGroups", kept)
	}
	return team
}

func (r *run) saveTeam(ctx context.Context, id string, change func(*roster.TeamState)) error {
	s := r.written[id]
	s.Space, s.Team = r.place.Space, id
	change(&s)
	if sameTeam(s, r.written[id]) {
		return nil
	}
	r.written[id] = s
	r.o.Roster.Tell(r.place.Space)
	return r.o.Store.SaveTeamState(ctx, s)
}

func sameTeam(a, b roster.TeamState) bool {
	return a.Team == b.Team && a.Name == b.Name && a.Mapped == b.Mapped && a.Failure == b.Failure && a.Repairs == b.Repairs &&
		a.Drifted.Equal(b.Drifted) && a.Repaired.Equal(b.Repaired) && slices.Equal(a.Members, b.Members) && slices.Equal(a.Groups, b.Groups) &&
		slices.Equal(a.Kept, b.Kept) && slices.Equal(a.Previous, b.Previous) && a.Drift.Len() == b.Drift.Len()
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
