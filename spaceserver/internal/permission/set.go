package permission

import (
	"slices"
	"strings"
	"time"
)

// Grant is one way in which a permission is held in a space. Nil lists restrict nothing.
type Grant struct {
	Space                           string
	Projects, Environments, Tenants []string
	ProjectGroups                   []string
	// Above are the groups of its projects, which are seen with them.
	Above []string
}

// Set is all that one user may do. It is not changed once built.
type Set struct {
	System map[Name]bool
	Spaces map[Name][]Grant
}

// Target is what somebody wants to do something to.
type Target struct {
	Space        string // "" for the whole server
	Project      string
	ProjectGroup string
	Environments []string
	Tenants      []string
	// Everywhere says that no environments means all of them: an account without any may be used in each.
	Everywhere bool
}

// Administers tells whether the set may do everything.
func (s *Set) Administers() bool { return s != nil && s.System[AdministerSystem] }

// Holds tells whether the set has the permission on anything at all in the space ("" for the whole server).
func (s *Set) Holds(name Name, space string) bool {
	switch {
	case s == nil:
		return false
	case name == None || s.System[AdministerSystem]:
		return true
	case space == "":
		return s.System[name]
	}
	return slices.ContainsFunc(s.Spaces[name], func(g Grant) bool { return g.Space == space })
}

// Enters tells whether the set has anything to do with the space.
func (s *Set) Enters(space string) bool {
	if s == nil {
		return false
	}
	if s.System[AdministerSystem] {
		return true
	}
	for _, grants := range s.Spaces {
		for _, g := range grants {
			if g.Space == space {
				return true
			}
		}
	}
	return false
}

// Sees decides on reading: a target in several environments is seen by whom any of them is open to, and one in none by
// everyone who holds the permission for its project.
func (s *Set) Sees(name Name, t Target) bool {
	if t.Project == "" && t.ProjectGroup != "" && slices.ContainsFunc(s.grants(name), func(g Grant) bool { return g.Space == t.Space && slices.Contains(g.Above, t.ProjectGroup) }) {
		return true
	}
	return s.allows(name, t, func(allowed, wanted []string) bool {
		return len(wanted) == 0 || slices.ContainsFunc(wanted, func(w string) bool { return slices.Contains(allowed, w) })
	})
}

// Changes decides on writing: every environment and tenant of the target must be open.
func (s *Set) Changes(name Name, t Target) bool {
	return s.allows(name, t, func(allowed, wanted []string) bool {
		return !slices.ContainsFunc(wanted, func(w string) bool { return !slices.Contains(allowed, w) })
	}) && (!t.Everywhere || len(t.Environments) > 0 || s.Whole(name, Target{Space: t.Space, Project: t.Project, Tenants: t.Tenants}))
}

// Whole decides on what concerns all environments.
func (s *Set) Whole(name Name, t Target) bool {
	t.Environments = []string{""} // none is called so: no restricted grant holds it
	return s.allows(name, t, func(allowed, wanted []string) bool {
		return !slices.ContainsFunc(wanted, func(w string) bool { return !slices.Contains(allowed, w) })
	})
}

// Reaches decides on a value that holds in environments and for tenants, everywhere where it names none. A grant that is
// restricted reaches it where all that it names is open, as Octopus does; that it names none takes the permission for values
// without a scope, held for the project (security/users-and-teams/security-and-un-scoped-variables).
func (s *Set) Reaches(name, unscoped Name, t Target) bool {
	open := s.Sees(unscoped, Target{Space: t.Space, Project: t.Project, ProjectGroup: t.ProjectGroup})
	return s.allows(name, t, func(allowed, wanted []string) bool {
		return (open || len(wanted) > 0) && !slices.ContainsFunc(wanted, func(w string) bool { return !slices.Contains(allowed, w) })
	})
}

func (s *Set) grants(name Name) []Grant {
	if s == nil {
		return nil
	}
	return s.Spaces[name]
}

func (s *Set) allows(name Name, t Target, within func(allowed, wanted []string) bool) bool {
	if !s.Holds(name, t.Space) {
		return false
	}
	if t.Space == "" || name == None || s.System[AdministerSystem] {
		return true
	}
	return slices.ContainsFunc(s.Spaces[name], func(g Grant) bool {
		if g.Space != t.Space {
			return false
		}
		if g.Projects != nil || g.ProjectGroups != nil {
			byProject := t.Project != "" && slices.Contains(g.Projects, t.Project)
			byGroup := t.ProjectGroup != "" && slices.Contains(g.ProjectGroups, t.ProjectGroup)
			if (t.Project != "" || t.ProjectGroup != "") && !byProject && !byGroup {
				return false
			}
		}
		return (g.Environments == nil || within(g.Environments, t.Environments)) && (g.Tenants == nil || within(g.Tenants, t.Tenants))
	})
}

// Unrestricted tells whether the permission is held on everything in the space, so that lists need not look at each item.
func (s *Set) Unrestricted(name Name, space string) bool {
	if s == nil {
		return false
	}
	if name == None || s.System[AdministerSystem] {
		return true
	}
	if space == "" {
		return s.System[name]
	}
	return slices.ContainsFunc(s.Spaces[name], func(g Grant) bool {
		return g.Space == space && g.Projects == nil && g.ProjectGroups == nil && g.Environments == nil && g.Tenants == nil
	})
}

// Covers tells whether the set allows all that another does, as far as it does: who grants something must hold it. It names a
// permission that is lacking.
func (s *Set) Covers(other *Set) (lacking Name, ok bool) {
	if s.Administers() {
		return None, true
	}
	for name := range other.System {
		if !s.Holds(name, "") {
			return name, false
		}
	}
	for name, grants := range other.Spaces {
		for _, g := range grants {
			if s == nil || !slices.ContainsFunc(s.Spaces[name], func(held Grant) bool { return held.covers(g) }) {
				return name, false
			}
		}
	}
	return None, true
}

// covers tells whether the grant is at least as wide as another.
func (g Grant) covers(other Grant) bool {
	within := func(held, wanted []string) bool {
		return held == nil || wanted != nil && !slices.ContainsFunc(wanted, func(id string) bool { return !slices.Contains(held, id) })
	}
	byProject := g.Projects == nil && g.ProjectGroups == nil || // projects and groups add up: that one of them is empty allows nothing more
		(other.Projects != nil || other.ProjectGroups != nil) && within(some(g.Projects), some(other.Projects)) && within(some(g.ProjectGroups), some(other.ProjectGroups))
	return g.Space == other.Space && byProject && within(g.Environments, other.Environments) && within(g.Tenants, other.Tenants)
}

// some is the list, and an empty one, which allows nothing, where there is none.
func some(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// Names lists the permissions held on the whole server, sorted.
func (s *Set) Names() []string {
	names := []string{}
	for name := range s.System {
		names = append(names, string(name))
	}
	slices.SortFunc(names, strings.Compare)
	return names
}

// Principal is who asks.
type Principal struct {
	ID, Username string
	Service      bool
	Via          string // "session", "api-key", "bearer", "system"
	Address      string
	Agent        string    // User-Agent
	KeyExpires   time.Time // of the API key that was shown; zero for never
	Set          *Set
}

// System is the server acting by itself.
func System() Principal {
	return Principal{ID: "users-system", Username: "system", Via: "system", Set: &Set{System: map[Name]bool{AdministerSystem: true}}}
}
