// Package retention deletes what has been kept long enough: releases with their deployments, by the policies of the phases
// of their lifecycle, and runs of runbooks (docs: administration/retention-policies). What is deployed now, what would be
// rolled back to, and what is under way is never deleted.
package retention

import (
	"slices"
	"strconv"
	"time"

	"odcm/octopus"
)

// Policy says how long something is kept: for ever, the newest so many, or so many days.
type Policy struct {
	Forever  bool
	Quantity int
	Days     bool
}

// read reads a RetentionPeriod; what is left to the space is what its default says. Older clients name no strategy.
func read(o octopus.Object, otherwise Policy) Policy {
	n := int(o.Int("QuantityToKeep"))
	switch o.Text("Strategy") {
	case "Forever":
		return Policy{Forever: true}
	case "Count":
	default:
		if o.Len() == 0 || n == 0 && o.Text("Strategy") != "" {
			return otherwise
		}
		if o.Bool("ShouldKeepForever") {
			if o.Text("Strategy") == "" {
				return Policy{Forever: true}
			}
			return otherwise
		}
	}
	return Policy{Forever: n == 0, Quantity: n, Days: o.Text("Unit") == "Days"}
}

func (p Policy) String() string {
	switch {
	case p.Forever:
		return "keep all"
	case p.Days:
		return "last " + strconv.Itoa(p.Quantity) + " days"
	}
	return "last " + strconv.Itoa(p.Quantity) + " items"
}

// keeps tells whether the policy keeps one more, where so many have been kept, or one of that age.
func (p Policy) keeps(kept int, age time.Duration) bool {
	switch {
	case p.Forever:
		return true
	case p.Days:
		return age < time.Duration(p.Quantity)*24*time.Hour
	}
	return kept < p.Quantity
}

// Release is a release that may be deleted.
type Release struct {
	ID, Version string
	Made        time.Time
	Phases      map[int]time.Time // where it was deployed, and when it last was there
	Kept        bool              // it is on the dashboard, is what would be rolled back to, or is under way
}

// Expired decides which of the releases, the newest first, are to be deleted. A release is in every phase to which it was deployed,
// and goes when none of them keeps it; one that was deployed nowhere goes by the lifecycle's own policy. What is kept anyhow
// does not count.
func Expired(releases []Release, lifecycle Policy, phases []Policy, now time.Time) []Release {
	var expired []Release
	kept, undeployed := make([]int, len(phases)), 0
	for _, r := range releases {
		if r.Kept {
			continue
		}
		if len(r.Phases) == 0 {
			if lifecycle.keeps(undeployed, now.Sub(r.Made)) {
				undeployed++
			} else {
				expired = append(expired, r)
			}
			continue
		}
		keep := false
		for i, at := range r.Phases {
			keep = keep || phases[i].keeps(kept[i], now.Sub(at))
		}
		if !keep {
			expired = append(expired, r)
			continue
		}
		for i := range r.Phases {
			kept[i]++
		}
	}
	return expired
}

// Inherited are the policies of phases: each has its own, or that of the last phase before it which has one, or the lifecycle's.
func Inherited(lifecycle Policy, phases []*Policy) []Policy {
	all := make([]Policy, 0, len(phases))
	last := lifecycle
	for _, p := range phases {
		if p != nil {
			last = *p
		}
		all = append(all, last)
	}
	return all
}

// Run is a run of a runbook that may be deleted.
type Run struct {
	ID, Place string // Place is the environment and tenant: each keeps as many
	Made      time.Time
	Kept      bool
}

// ExpiredRuns decides which of a runbook's runs, the newest first, are to be deleted. Runs that are kept anyhow count: the
// newest are.
func ExpiredRuns(runs []Run, p Policy, now time.Time) []Run {
	kept := map[string]int{}
	return slices.DeleteFunc(slices.Clone(runs), func(r Run) bool {
		keep := r.Kept || p.keeps(kept[r.Place], now.Sub(r.Made))
		if keep {
			kept[r.Place]++
		}
		return keep
	})
}
