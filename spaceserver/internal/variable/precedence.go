package variable

import "strings"

// A weight tells how specific a value is where it applies. Each dimension that the value names is a bit, the most specific
// the highest, so that one dimension outweighs all that come after it, and two outweigh one of them
// (docs: projects/variables/getting-started#scope-specificity). Several ids of one dimension weigh as one
// (octopus.com/blog/variable-specificity-and-complexity).
type weight uint16

// dimension is one of what a value can be scoped to. They stand in the order of the documentation, the most specific first.
type dimension struct {
	name string
	of   func(*Scope) *[]string
	// here are the ids that a place has; one of them must be among those of the scope.
	here func(*Place) []string
	bit  weight
}

const (
	// targeted is the bit of a role that the machine has and the step is for. It stands between Machine and Role.
	targeted weight = 1 << 8
	ofRole   weight = 1 << 7
	ofTenant weight = 1 << 6
)

var dimensions = [...]dimension{
	{"Action", func(s *Scope) *[]string { return &s.Action }, func(p *Place) []string { return one(p.Action) }, 1 << 10},
	{"Machine", func(s *Scope) *[]string { return &s.Machine }, func(p *Place) []string { return one(p.Machine) }, 1 << 9},
	{"Role", func(s *Scope) *[]string { return &s.Role }, func(p *Place) []string { return p.Roles }, ofRole},
	{"Tenant", func(s *Scope) *[]string { return &s.Tenant }, func(p *Place) []string { return one(p.Tenant) }, ofTenant},
	{"TenantTag", func(s *Scope) *[]string { return &s.TenantTag }, func(p *Place) []string { return p.TenantTags }, 1 << 5},
	{"Environment", func(s *Scope) *[]string { return &s.Environment }, func(p *Place) []string { return one(p.Environment) }, 1 << 4},
	{"Channel", func(s *Scope) *[]string { return &s.Channel }, func(p *Place) []string { return one(p.Channel) }, 1 << 3},
	{"ProcessOwner", func(s *Scope) *[]string { return &s.ProcessOwner }, func(p *Place) []string { return one(p.ProcessOwner) }, 1 << 2},
	{"Project", func(s *Scope) *[]string { return &s.Project }, func(p *Place) []string { return one(p.Project) }, 1 << 1},
}

func one(id string) []string {
	if id == "" {
		return nil
	}
	return []string{id}
}

// spot is a place as the lists of ids that it has, by dimension.
type spot struct {
	ids  [len(dimensions)][]string
	step []string // the roles of the machine that the step is for
}

func (p *Place) spot() *spot {
	s := &spot{}
	for i, d := range dimensions {
		s.ids[i] = d.here(p)
	}
	for _, role := range p.Roles {
		if common(one(role), p.StepRoles) {
			s.step = append(s.step, role)
		}
	}
	return s
}

// weigh tells whether a scope reaches a place, and how specific it is there.
func (s *Scope) weigh(at *spot) (w weight, ok bool) {
	for i := range dimensions {
		ids := *dimensions[i].of(s)
		if len(ids) == 0 {
			continue
		}
		if !common(ids, at.ids[i]) {
			return 0, false
		}
		w |= dimensions[i].bit
	}
	if w&ofRole != 0 && common(s.Role, at.step) {
		w |= targeted
	}
	return w, true
}

// common tells whether two lists share an id. Ids and tags are the same in any case.
func common(a, b []string) bool {
	for _, x := range a {
		for _, y := range b {
			if strings.EqualFold(x, y) {
				return true
			}
		}
	}
	return false
}

// A Table is sets of variables made ready to be asked for many places: a deployment asks once for every action and target.
// It does not change, and serves any number at a time.
type Table struct{ names []entry }

// entry is one name with its values, those that win ties first.
type entry struct {
	name   string
	values []candidate
}

type candidate struct {
	Variable
	tenants bool // of the tenant's own
}

// Compile makes sets ready.
func Compile(sets Sets) *Table {
	t := &Table{}
	index := map[string]int{}
	add := func(set []Variable, tenants bool) {
		for _, v := range set {
			key := strings.ToLower(v.Name)
			i, ok := index[key]
			if !ok {
				i = len(t.names)
				index[key] = i
				t.names = append(t.names, entry{name: v.Name})
			}
			t.names[i].values = append(t.names[i].values, candidate{v, tenants})
		}
	}
	add(sets.Tenant, true)
	add(sets.Project, false)
	for _, set := range sets.Library {
		add(set, false)
	}
	return t
}

// At chooses for each name the value with the most specific scope that fits the place.
func (t *Table) At(at Place) *Collection {
	c, here := newCollection(len(t.names)), at.spot()
	for i := range t.names {
		var best *candidate
		var most weight
		for j := range t.names[i].values {
			v := &t.names[i].values[j]
			w, ok := v.Scope.weigh(here)
			if v.tenants {
				w |= ofTenant
			}
			if ok && (best == nil || w > most) {
				best, most = v, w
			}
		}
		if best != nil {
			c.Set(best.Name, best.Value, best.Sensitive)
		}
	}
	return c
}

// Resolve chooses for each name the value with the most specific scope that fits the place. To ask the same sets for many
// places, [Compile] them once.
func Resolve(sets Sets, at Place) *Collection { return Compile(sets).At(at) }
