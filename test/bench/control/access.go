package main

import (
	"fmt"
	"time"

	"odcm/test/bench/estate"
)

// access is the control for access decisions: two look-ups and an AND of bit sets, and nothing that would keep them up to
// date. It prints the nanoseconds of one decision and how many were for entering.
func access(users, groups, spaces int) error {
	e := estate.New(users, groups, spaces)
	words := (groups + 63) / 64
	setOf := func(members []int) []uint64 {
		s := make([]uint64, words)
		for _, g := range members {
			s[g/64] |= 1 << (g % 64)
		}
		return s
	}
	people, places := map[string][]uint64{}, map[string][]uint64{}
	for i, id := range e.Users {
		people[id] = setOf(e.GroupsOf(i))
	}
	for i, id := range e.Spaces {
		places[id] = setOf(e.Granted[i])
	}
	const rounds = 20
	entered := 0
	began := time.Now()
	for range rounds {
		for _, a := range e.Asked {
			groups, granted := people[e.Users[a[0]]], places[e.Spaces[a[1]]]
			for i, word := range groups {
				if word&granted[i] != 0 {
					entered++
					break
				}
			}
		}
	}
	took := time.Since(began)
	fmt.Println(float64(took.Nanoseconds())/float64(rounds*len(e.Asked)), entered/rounds)
	return nil
}
