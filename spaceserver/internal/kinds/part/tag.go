package part

import (
	"slices"
	"strings"
)

// Tagged tells whether a tenant with the tags it has is meant by the tags that are wanted, all by canonical name ("Region/EU"):
// it needs one of each tag set that is named (docs: tenants/tenant-tags, "how tags are combined").
func Tagged(have, wanted []string) bool {
	bySet := map[string][]string{}
	for _, tag := range wanted {
		set, _, _ := strings.Cut(tag, "/")
		bySet[set] = append(bySet[set], tag)
	}
	for _, tags := range bySet {
		if !slices.ContainsFunc(tags, func(tag string) bool { return slices.Contains(have, tag) }) {
			return false
		}
	}
	return true
}
