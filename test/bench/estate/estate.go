// Package estate makes up a large company, always the same one, for the measurement of access decisions and its control.
package estate

import (
	"fmt"
	"math/rand/v2"
)

// Estate is who is where. Numbers are places in the lists of identifiers.
type Estate struct {
	Users, Groups, Spaces []string
	Parent                []int // of each group; -1: none. Groups are nested three deep
	Direct                [][]int
	Granted               [][]int // to each Space: groups
	Asked                 [][2]int
}

// New makes an estate: each user is directly in 3 groups, 4 groups may enter each Space.
func New(users, groups, spaces int) *Estate {
	r := rand.New(rand.NewPCG(1, 2))
	e := &Estate{Users: ids("user", users), Groups: ids("group", groups), Spaces: ids("space", spaces)}
	for g := range groups {
		parent := -1
		if g >= groups/100 {
			parent = g / 10
		}
		e.Parent = append(e.Parent, parent)
	}
	for range users {
		e.Direct = append(e.Direct, []int{r.IntN(groups), r.IntN(groups), r.IntN(groups)})
	}
	for range spaces {
		e.Granted = append(e.Granted, []int{r.IntN(groups), r.IntN(groups), r.IntN(groups), r.IntN(groups)})
	}
	for range 1 << 16 {
		e.Asked = append(e.Asked, [2]int{r.IntN(users), r.IntN(spaces)})
	}
	return e
}

func ids(noun string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%s-0198a7c4-5b1e-7c3a-9f00-%012d", noun, i)
	}
	return all
}

// GroupsOf lists the user's groups with all above them; a group may come twice.
func (e *Estate) GroupsOf(user int) (all []int) {
	for _, g := range e.Direct[user] {
		for ; g >= 0; g = e.Parent[g] {
			all = append(all, g)
		}
	}
	return all
}
