package licencehttp

import (
	"fmt"
	"strconv"
	"time"

	"odcm/manager/licence"
)

// word names a state to people.
func word(s licence.State) string {
	return map[licence.State]string{licence.Exceeded: "Beyond its licence", licence.Expired: "Expired", licence.Expiring: "Expires soon",
		licence.Near: "Nearly used up", licence.Unknown: "Unknown", licence.Fine: "In order"}[s]
}

func tone(s licence.State) string {
	switch s {
	case licence.Exceeded, licence.Expired:
		return "danger"
	case licence.Expiring, licence.Near:
		return "warning"
	case licence.Fine:
		return "success"
	case licence.Unknown:
	}
	return "neutral"
}

// kind names a kind of licence as Octopus's own pages do.
func kind(r *licence.Reading) string {
	switch {
	case r == nil:
		return "not told"
	case r.Kind == "CommunityEdition":
		return "Community Edition"
	case r.Kind == "CommercialLicense":
		return "Commercial"
	case r.Kind == "":
		return "not told"
	}
	return r.Kind
}

func days(n int) string {
	switch {
	case n == 1:
		return "in 1 day"
	case n == 0:
		return "today"
	case n == -1:
		return "1 day ago"
	case n < 0:
		return strconv.Itoa(-n) + " days ago"
	}
	return "in " + strconv.Itoa(n) + " days"
}

// expiry says when a server's licence ends.
func expiry(r *licence.Reading) string {
	switch {
	case r == nil:
		return ""
	case r.DaysLeft == nil:
		return "does not expire"
	}
	return days(*r.DaysLeft)
}

func used(l licence.Limit) string {
	if l.Unlimited {
		return fmt.Sprintf("%d, no limit", l.Used)
	}
	return fmt.Sprintf("%d of %d", l.Used, l.Allowed)
}

// bound is the whole length of a bar; one that counts against nothing is full.
func bound(allowed int) float64 { return float64(max(allowed, 1)) }

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// total says a sum in words.
func total(t licence.Total) string {
	free := fmt.Sprintf("%d without a limit on %s", t.Used-t.Bounded, count(t.Unlimited, "server", "servers"))
	bounded := t.Servers - t.Unlimited
	if bounded == 0 {
		return free
	}
	s := fmt.Sprintf("%d of %d on %s", t.Bounded, t.Allowed, count(bounded, "server", "servers"))
	if t.Unlimited > 0 {
		s += "; " + free
	}
	return s
}

func day(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2 January 2006")
}
