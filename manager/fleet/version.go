package fleet

import (
	"cmp"
	"strings"

	"golang.org/x/mod/semver"
)

// compareVersions orders versions as people number them: by semantic versioning (section 11) where both follow it, those
// that do not before those that do, by text among themselves.
func compareVersions(a, b string) int {
	va, vb := "v"+strings.TrimPrefix(a, "v"), "v"+strings.TrimPrefix(b, "v")
	if c := semver.Compare(va, vb); c != 0 {
		return c
	}
	return cmp.Compare(a, b)
}
