package octopus

import (
	"strings"

	"golang.org/x/mod/semver"
)

// Version is an Octopus server's version, such as "2025.4.1000" or "2020.5.0-rc.4": year, number in the year, build.
type Version string

// Valid tells whether v is a version.
func (v Version) Valid() bool { return semver.IsValid(v.semver()) }

// Compare orders versions as Semantic Versioning does: "2020.5.0-rc.4" is before "2020.5.0". It is negative where v is
// older than w. What is no version is older than every version.
func (v Version) Compare(w Version) int { return semver.Compare(v.semver(), w.semver()) }

// AtLeast tells whether v is w or newer.
func (v Version) AtLeast(w Version) bool { return v.Valid() && v.Compare(w) >= 0 }

func (v Version) semver() string { return "v" + strings.TrimPrefix(string(v), "v") }
