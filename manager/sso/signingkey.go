package sso

import "time"

// SigningKey is a key of ODCM's as people see it.
type SigningKey struct {
	ID        string // kid
	Algorithm Algorithm
	Created   time.Time // published since
	Starts    time.Time // signs from then on
	Ends      time.Time // signs no more from then on; zero for the newest of its algorithm
	Gone      time.Time // not published any more from then on; zero for the newest
}

// State is "next", "signing" or "retired".
func (k SigningKey) State(now time.Time) string {
	switch {
	case now.Before(k.Starts):
		return "next"
	case k.Ends.IsZero() || now.Before(k.Ends):
		return "signing"
	}
	return "retired"
}
