package octopus

import (
	"encoding/json"
	"slices"
)

// members are those of an object, in their order.
type members struct {
	list  []member
	index map[string]int // places in the list, where there are many; nil while it is not known
}

type member struct {
	name  string
	value json.RawMessage
}

// manyMembers is from where on an index is quicker than looking at each.
const manyMembers = 64

// find returns the place of the exact name, -1 where there is none.
func (m *members) find(name string) int {
	if m.index != nil {
		if i, ok := m.index[name]; ok {
			return i
		}
		return -1
	}
	for i := range m.list {
		if m.list[i].name == name {
			return i
		}
	}
	return -1
}

func (m *members) set(name string, value json.RawMessage) {
	if i := m.find(name); i >= 0 {
		m.list[i].value = value
		return
	}
	m.list = append(m.list, member{name, value})
	switch {
	case m.index != nil:
		m.index[name] = len(m.list) - 1
	case len(m.list) > manyMembers:
		m.index = make(map[string]int, 2*len(m.list))
		for i := range m.list {
			m.index[m.list[i].name] = i
		}
	}
}

func (m *members) delete(i int) {
	m.list = slices.Delete(m.list, i, i+1)
	m.index = nil
}
