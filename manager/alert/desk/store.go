package desk

import (
	"context"
	"time"

	"odcm"
	"odcm/manager/alert"
)

// The kinds of settings.
const (
	KindRule     = "rule"
	KindReceiver = "receiver"
	KindSilence  = "silence"
	KindWindow   = "window"
)

// Setting is something that people set, as it is kept.
type Setting struct {
	Kind, ID, Body string
	Ends           time.Time // zero: never
	Revision       int64
}

// SettingFilter chooses settings; they come by identifier.
type SettingFilter struct {
	After     string
	Limit     int
	EndsAfter time.Time // not those that ended before
	EndedBy   time.Time // only those
}

// Position is a place in a list of what happened, newest first.
type Position struct {
	Since time.Time `json:"since"`
	ID    string    `json:"id"`
}

// IncidentFilter chooses incidents, the newest first. Zero fields choose all.
type IncidentFilter struct {
	Phase    string // pending, firing, resolved; "open" is what is not resolved
	Rule     string
	Severity string
	Subject  string
	Text     string // part of the name
	From, To time.Time
	Before   Position
	Limit    int

	All      bool     // of every subject, or:
	Subjects []string // only of these
}

// Delivery is something that was told, or is to be.
type Delivery struct {
	ID, Receiver, Kind, Title, State, Error string
	Attempts                                int64
	Due, Created, Finished                  time.Time
}

// DeliveryFilter chooses deliveries, the newest first.
type DeliveryFilter struct {
	State, Receiver, Incident string
	Before                    struct {
		Created time.Time `json:"created"`
		ID      string    `json:"id"`
	}
	Limit int
}

// Store keeps settings, and what people may see of the rest.
type Store interface {
	Settings(ctx context.Context, kind string, f SettingFilter) ([]Setting, error)
	Setting(ctx context.Context, kind, id string) (Setting, error)
	// Save makes a setting whose revision is 0, and changes any other if its revision is still the one given. The event is
	// committed with it.
	Save(ctx context.Context, s Setting, event odcm.Event) (Setting, error)
	// Delete deletes; revision 0 is any.
	Delete(ctx context.Context, kind, id string, revision int64, event odcm.Event) error

	Incidents(ctx context.Context, f IncidentFilter) ([]alert.Incident, error)
	CountIncidents(ctx context.Context, f IncidentFilter) (int, error)
	Incident(ctx context.Context, id string) (alert.Incident, error)
	Notes(ctx context.Context, incident string, limit int) ([]alert.Note, error)
	Acknowledge(ctx context.Context, id string, a alert.Ack, event odcm.Event) error

	Deliveries(ctx context.Context, f DeliveryFilter) ([]Delivery, error)
	Retry(ctx context.Context, id string, now time.Time) error
}
