package odcm

import "github.com/google/uuid"

// Identifiers are opaque, unique for ever, and sort by the time that they were made.
type (
	SpaceID    string // a Space as ODCM knows it
	InstanceID string // a running Octopus server that holds one or more Spaces
	ServerID   string // a machine on which instances run
	UserID     string
	GroupID    string
	ProviderID string // a way to sign in: a directory, another company's OpenID provider
	TaskID     string
	EventID    int64 // position in the log of events; grows with every commit
)

// NewID makes a new identifier with the prefix of its noun ("space", "task"): a UUID of version 7 (RFC 9562 section 5.7).
func NewID[T ~string](noun string) T {
	return T(noun + "-" + uuid.Must(uuid.NewV7()).String())
}
