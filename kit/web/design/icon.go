package design

import (
	"maps"
	"slices"
)

func pathOf(name string) string {
	if d, ok := paths[name]; ok {
		return d
	}
	return paths["dot"]
}

// Icons returns the names that [Icon] knows, sorted.
func Icons() []string { return slices.Sorted(maps.Keys(paths)) }
